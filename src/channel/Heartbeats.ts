/**
 * The heartbeats of all connections of a server or client: one fiber, which sleeps until the first of
 * them may have something to do.
 */
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { Heartbeat } from "./Heartbeat.ts"
import type { Timeouts } from "./Timeouts.ts"

/** Heartbeats that are looked at before everything else has a turn. */
const turnSize = 256

/** Until what can be read now was read and handed out: a transport may do that in the next turn of the event loop. */
const aTurn = Effect.andThen(Effect.yieldNow, Effect.yieldNow)

export class Heartbeats {
  readonly clock: Clock.Clock
  /** What the timers of these connections run in, too. */
  readonly context: Context.Context<Timeouts>

  // A binary heap by `dueAt`; `index` is where a heartbeat is in it.
  readonly #heap: Array<Heartbeat> = []
  #fiber: Fiber.Fiber<void> | undefined
  // Until when the fiber sleeps; `undefined`: there is none, as there are no heartbeats.
  #wakeAt: bigint | undefined

  constructor(context: Context.Context<Timeouts>, clock: Clock.Clock) {
    this.context = context
    this.clock = clock
  }

  /** From now on the heartbeat is looked at when it is due. */
  start(heartbeat: Heartbeat): void {
    this.#insert(heartbeat)
    if (this.#wakeAt !== undefined && this.#wakeAt <= heartbeat.dueAt) return
    this.#fiber?.interruptUnsafe()
    this.#fiber = Effect.runForkWith(this.context)(this.#run)
  }

  /** The heartbeat is not looked at any more. May be called several times. */
  stop(heartbeat: Heartbeat): void {
    if (heartbeat.index < 0) return
    this.#remove(heartbeat)
    if (this.#heap.length > 0) return
    this.#fiber?.interruptUnsafe()
    this.#wakeAt = undefined
  }

  readonly #run: Effect.Effect<void> = Effect.suspend(() => {
    this.#takeTurn()
    const first = this.#heap[0]
    this.#wakeAt = first?.dueAt
    if (first === undefined) return Effect.void
    const quiet = first.dueAt - this.clock.monotonicTimeNanosUnsafe()
    return Effect.andThen(quiet > 0n ? Effect.sleep(Duration.nanos(quiet)) : aTurn, this.#run)
  })

  /** Looks at those that are due, each once: what is due again at once waits for the next turn. */
  #takeTurn(): void {
    const now = this.clock.monotonicTimeNanosUnsafe()
    const due: Array<Heartbeat> = []
    for (let first = this.#heap[0]; first !== undefined && first.dueAt <= now; first = this.#heap[0]) {
      if (due.length === turnSize) break
      due.push(first)
      this.#remove(first)
    }
    for (const heartbeat of due) if (heartbeat.beat()) this.#insert(heartbeat)
  }

  #insert(heartbeat: Heartbeat): void {
    this.#rise(heartbeat, this.#heap.length)
  }

  #remove(heartbeat: Heartbeat): void {
    const { index } = heartbeat
    heartbeat.index = -1
    const last = this.#heap.pop()
    if (last === undefined || last === heartbeat) return
    this.#sink(last, index)
    if (last.index === index) this.#rise(last, index)
  }

  /** Puts it at `index`, or above it. */
  #rise(heartbeat: Heartbeat, index: number): void {
    const heap = this.#heap
    while (index > 0) {
      const above = (index - 1) >> 1
      const parent = heap[above]!
      if (parent.dueAt <= heartbeat.dueAt) break
      this.#place(parent, index)
      index = above
    }
    this.#place(heartbeat, index)
  }

  /** Puts it at `index`, or below it. */
  #sink(heartbeat: Heartbeat, index: number): void {
    const heap = this.#heap
    while (true) {
      const left = 2 * index + 1
      const right = heap[left + 1]
      const below = right !== undefined && right.dueAt < heap[left]!.dueAt ? left + 1 : left
      const child = heap[below]
      if (child === undefined || heartbeat.dueAt <= child.dueAt) break
      this.#place(child, index)
      index = below
    }
    this.#place(heartbeat, index)
  }

  #place(heartbeat: Heartbeat, index: number): void {
    this.#heap[index] = heartbeat
    heartbeat.index = index
  }
}

/** Runs on the clock in context. */
export const make: Effect.Effect<Heartbeats, never, Timeouts> = Effect.contextWith(
  (context: Context.Context<Timeouts>) => Effect.map(Clock.Clock, (clock) => new Heartbeats(context, clock))
)
