/**
 * What the connections of a server or client wait for.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { type Deadline, Deadlines, off } from "./Deadlines.ts"
import { type TimeoutKind, Timeouts } from "./Timeouts.ts"

/** A timeout that runs. Stopping it may be done several times, and when it is over. */
export interface Timer {
  stop(): void
}

export class Timers {
  readonly clock: Clock.Clock
  readonly heartbeats: Deadlines
  readonly #context: Context.Context<Timeouts>
  readonly #after: Timeouts["Service"]["after"]
  readonly #deadlines: Readonly<Record<TimeoutKind, Deadlines>>

  constructor(context: Context.Context<Timeouts>, clock: Clock.Clock) {
    const { after } = Context.get(context, Timeouts)
    this.#after = (kind, limit) => surviving(() => after(kind, limit))
    const deadlines = (kind: TimeoutKind) =>
      new Deadlines(context, clock, (limit) => this.#after(kind, limit))
    this.clock = clock
    this.heartbeats = new Deadlines(context, clock, Effect.sleep)
    this.#context = context
    this.#deadlines = {
      openHandshake: deadlines("openHandshake"),
      closeHandshake: deadlines("closeHandshake"),
      transportEnd: deadlines("transportEnd")
    }
  }

  /** Calls `onTimeUp` when the time is over: at once where the service says so. */
  start(kind: TimeoutKind, limit: Duration.Duration, onTimeUp: () => void): Timer {
    if (Duration.isZero(limit)) return this.#startUnlimited(kind, limit, onTimeUp)
    const dueAt = this.clock.monotonicTimeNanosUnsafe() + Duration.toNanosUnsafe(limit)
    return new Timeout(this.#deadlines[kind], dueAt, onTimeUp)
  }

  /** What no limit means is the service's to say, for each connection alone. */
  #startUnlimited(kind: TimeoutKind, limit: Duration.Duration, onTimeUp: () => void): Timer {
    const over = this.#after(kind, limit)
    if (over === Effect.never) return unlimited
    const fiber = Effect.runForkWith(this.#context)(Effect.andThen(over, Effect.sync(onTimeUp)))
    return { stop: () => fiber.interruptUnsafe() }
  }
}

/** A replaced service may die of anything: its wait is over then, and nobody else's. */
const surviving = (after: () => Effect.Effect<void>): Effect.Effect<void> => {
  try {
    const over = after()
    return over === Effect.never ? over : Effect.catchCauseIf(over, Cause.hasDies, logDeath)
  } catch (cause) {
    return logDeath(Cause.die(cause))
  }
}

const logDeath = (cause: Cause.Cause<never>) => Effect.logError("a timeout died", cause)

const unlimited: Timer = { stop: () => {} }

class Timeout implements Deadline, Timer {
  readonly dueAt: bigint
  index = off
  readonly #deadlines: Deadlines
  readonly #onTimeUp: () => void

  constructor(deadlines: Deadlines, dueAt: bigint, onTimeUp: () => void) {
    this.#deadlines = deadlines
    this.dueAt = dueAt
    this.#onTimeUp = onTimeUp
    deadlines.start(this)
  }

  onDue(): boolean {
    this.#onTimeUp()
    return false
  }

  stop(): void {
    this.#deadlines.stop(this)
  }
}

/** Runs on the clock in context. */
export const make: Effect.Effect<Timers, never, Timeouts> = Effect.contextWith(
  (context: Context.Context<Timeouts>) => Effect.map(Clock.Clock, (clock) => new Timers(context, clock))
)
