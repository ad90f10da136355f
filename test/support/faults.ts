/**
 * What the tests of faults share: a connection that something happens to, one beside it that goes on, and the
 * count of what is left.
 */
import { assert } from "@effect/vitest"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as TestClock from "effect/testing/TestClock"
import type { WebSocketError } from "effect-websocket"
import type { InMemoryTransport } from "effect-websocket/testing"
import { settle } from "./apiSession.ts"
import { connections, works } from "./hazards.ts"
import { collectGarbage } from "./memory.ts"
import type { CommonOptions, Role, Session, Surroundings } from "./rawSession.ts"

/** Counts the fibers that run. Every timer is a fiber that sleeps. */
class FiberCount implements Metric.FiberRuntimeMetricsService {
  running = 0

  recordFiberStart(_context: Context.Context<never>): void {
    this.running++
  }

  recordFiberEnd(_context: Context.Context<never>, _exit: Exit.Exit<unknown, unknown>): void {
    this.running--
  }
}

/** The sockets that keep the process alive, by their kinds. */
export const openSockets = (): ReadonlyArray<string> =>
  process
    .getActiveResourcesInfo()
    .filter((name) => /^(TCP|Pipe|TLS)/.test(name))
    .toSorted()

/** Tells, at its end, whether anything is left of what happened since: fibers, sockets, what is watched. */
export interface Census {
  /** Must have been given back at the end. */
  readonly watch: (object: WeakKey) => void
}

/**
 * Runs `prepare`, which sets up what stays, and then the effect that it gives, in a scope and fiber of its own:
 * that must leave nothing behind.
 */
export const leavesNothing = <A, E, R, E2, R2>(
  prepare: (census: Census) => Effect.Effect<Effect.Effect<A, E, R>, E2, R2>
) =>
  Effect.suspend(() => {
    const fibers = new FiberCount()
    const watched: Array<WeakRef<WeakKey>> = []
    const count = Effect.map(settle, () => ({ fibers: fibers.running, sockets: openSockets() }))
    return Effect.gen(function* () {
      // From now on the test clock has no fiber of its own.
      yield* TestClock.adjust(0)
      const happens = yield* prepare({ watch: (object) => void watched.push(new WeakRef(object)) })
      const before = yield* count
      yield* Effect.scoped(happens).pipe(Effect.forkChild, Effect.flatMap(Fiber.join))
      assert.deepStrictEqual(yield* count, before)
      collectGarbage()
      assert.lengthOf(
        watched.filter((reference) => reference.deref() !== undefined),
        0,
        "objects that are kept"
      )
    }).pipe(Effect.provideService(Metric.FiberRuntimeMetrics, fibers))
  })

/** A connection that something happens to. */
export interface Faulty extends Session {
  readonly faults: InMemoryTransport.Faults
  /** The connection beside it works. */
  readonly othersWork: Effect.Effect<void>
}

/**
 * Lets something happen to a connection of the library in `role`: the connection beside it works before, during
 * and after, so does a new one, and nothing is left.
 */
export const harmsNobodyElse = <E, R>(
  role: Role,
  options: CommonOptions,
  happens: (faulty: Faulty) => Effect.Effect<unknown, E, R>,
  surroundings: Surroundings = {}
) =>
  leavesNothing(
    Effect.fnUntraced(function* ({ watch }) {
      const { connect, network } = yield* connections(role, options, surroundings)
      const bystander = yield* connect
      const othersWork = Effect.orDie(works(bystander))
      yield* othersWork
      return Effect.gen(function* () {
        const session = yield* connect
        watch(session.channel)
        const faults = (yield* network.connections).at(-1)
        if (faults === undefined) return yield* Effect.die(new Error("not connected"))
        yield* happens({ ...session, faults, othersWork })
        yield* othersWork
        yield* Effect.scoped(Effect.flatMap(connect, works))
      })
    })
  )

/** Why it fails, as it must. */
export const reasonOf = <A, R>(effect: Effect.Effect<A, WebSocketError.WebSocketError, R>) =>
  Effect.matchEffect(effect, {
    onFailure: ({ reason }) => Effect.succeed(reason),
    onSuccess: () => Effect.die(new Error("it did not fail"))
  })
