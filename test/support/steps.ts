/**
 * Effects in small steps: a fiber may be interrupted, and others run, wherever it yields, which by default it
 * does once in about two thousand operations.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Scheduler from "effect/Scheduler"

const turn = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))

/** Lets the event loop turn as often: once for each time that a fiber yields. */
export const inTurns = (turns: number) =>
  Effect.forEach(Array.from({ length: turns }), () => turn, { discard: true })

/** The fewest operations after which a fiber can yield, and do something in between. */
export const fewestOperations = 3

/** Yields after as many operations. */
export const inStepsOf = (operations: number) =>
  Effect.provideService(Scheduler.MaxOpsBeforeYield, operations)

/** Interrupts the effect after as many turns of the event loop; tells whether it had ended before. */
export const interruptedAfter = Effect.fnUntraced(function* <A, E, R>(
  turns: number,
  effect: Effect.Effect<A, E, R>
) {
  const fiber = yield* Effect.forkChild(inStepsOf(fewestOperations)(effect))
  yield* inTurns(turns)
  const hasEnded = fiber.pollUnsafe() !== undefined
  yield* Fiber.interrupt(fiber)
  return hasEnded
})
