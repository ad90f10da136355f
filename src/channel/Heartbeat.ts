/**
 * Automatic pings: they keep a connection alive, tell when its peer is gone, and
 * measure the round trip (Autobahn's `autoPing` options).
 *
 * A chunk or a pong only notes the time. What is due is looked at when it may be.
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import { viewOf } from "../bytes/Masking.ts"
import type { Deadline } from "./Deadlines.ts"

export interface HeartbeatOptions {
  /** Time from a sign of life to the next ping. */
  readonly autoPingInterval: Duration.Duration
  /** Time for the pong; 0: however long. */
  readonly autoPingTimeout: Duration.Duration
  /** Octets of a ping's payload, 4 to 125. */
  readonly autoPingSize: number
  /** Whatever comes is a sign of life, not only the pong. */
  readonly autoPingRestartOnAnyTraffic: boolean
}

/** The connection that is kept alive. */
export interface Alive {
  /** Nothing can be sent any more. */
  readonly isClosing: boolean
  /** The application keeps the ping from going, or the pong from being seen. */
  readonly isHeld: boolean
  /** Bytes that wait for the network to take them. */
  readonly bufferedAmount: number
  /** Bytes that it has taken. */
  readonly takenAmount: number
  /** Sends a ping as soon as it may be sent, and then calls `onPingSent`. */
  ping(payload: Uint8Array): void
  /** The pong did not come in time. */
  pingTimeUp(): void
}

/** Octets of the send time at a payload's start, where it has room for that and the sequence number. */
const timeSize = 8
const sequenceSize = 4

/** All times are nanoseconds of the monotonic clock. */
export class Heartbeat implements Deadline {
  /** Of the last ping that was answered. */
  roundTripTime: Duration.Duration | undefined
  /** When something may be to be done. */
  dueAt: bigint
  index = -1

  readonly #alive: Alive
  readonly #clock: Clock.Clock
  readonly #options: HeartbeatOptions
  // The last sign of life.
  #lifeAt: bigint
  // The last ping, when it was due or went, and its payload until its pong comes.
  #pingAt: bigint
  #unanswered: Uint8Array | undefined
  // Since when a sign of life is waited for.
  #waitingSince: bigint | undefined
  // It should have come by now, when this was last looked at.
  #isOverdue = false
  // What the network had taken when this was last looked at.
  #taken = 0
  #sequence = 0

  /** `openedAt`: the first sign of life. */
  constructor(alive: Alive, options: HeartbeatOptions, clock: Clock.Clock, openedAt: bigint) {
    this.#alive = alive
    this.#clock = clock
    this.#options = options
    this.#lifeAt = openedAt
    this.#pingAt = openedAt
    this.dueAt = this.#lifeAt + this.#interval()
  }

  /** Something came. */
  onData(): void {
    if (this.#options.autoPingRestartOnAnyTraffic) this.#live()
  }

  onPong(payload: Uint8Array): void {
    const expected = this.#unanswered
    if (expected?.length !== payload.length || expected.some((byte, i) => byte !== payload[i])) return
    this.#unanswered = undefined
    this.#live()
    this.roundTripTime = Duration.nanos(this.#lifeAt - this.#pingAt)
  }

  #live(): void {
    this.#lifeAt = this.#now()
    this.#waitingSince = undefined
  }

  /** The ping that was due is on its way. */
  onPingSent(): void {
    this.#pingAt = this.#now()
    this.onResume()
  }

  /** What held the ping or its pong back is over: the pong has its time from now on. */
  onResume(): void {
    if (this.#waitingSince !== undefined) this.#waitingSince = this.#now()
  }

  #now(): bigint {
    return this.#clock.monotonicTimeNanosUnsafe()
  }

  #interval(): bigint {
    return Duration.toNanosUnsafe(this.#options.autoPingInterval)
  }

  #timeout(): bigint {
    return Duration.toNanosUnsafe(this.#options.autoPingTimeout)
  }

  /** Does what is to be done at `dueAt`, and tells whether there is more to come. */
  onDue(): boolean {
    const now = this.#now()
    const quiet = this.#step(now)
    if (quiet === undefined) return false
    this.dueAt = now + quiet
    return true
  }

  /** Does what is due, and tells how long nothing else can be: 0, until what has come was read. */
  #step(now: bigint): bigint | undefined {
    if (this.#alive.isClosing) return undefined
    const interval = this.#interval()
    const timeout = this.#timeout()
    const wasOverdue = this.#isOverdue
    this.#isOverdue = false
    if (this.#alive.isHeld || this.#isSlow()) this.onResume()
    if (this.#waitingSince !== undefined && timeout > 0n) {
      const left = this.#waitingSince + timeout - now
      // A pong may come at any time, and the next ping an interval after it.
      if (left > 0n) return min(left, interval)
      // Where the process stood still, the pong may have come and not be read yet.
      if (!wasOverdue) {
        this.#isOverdue = true
        return 0n
      }
      this.#alive.pingTimeUp()
      return undefined
    }
    const left = max(this.#lifeAt, this.#pingAt) + interval - now
    if (left > 0n) return left
    this.#ping(now)
    return timeout > 0n ? min(timeout, interval) : interval
  }

  /** The peer takes what is sent, if slowly: what is before the ping, or its pong, may take longer than its time. */
  #isSlow(): boolean {
    const { bufferedAmount, takenAmount } = this.#alive
    const before = this.#taken
    this.#taken = takenAmount
    return bufferedAmount > 0 && takenAmount > before
  }

  #ping(now: bigint): void {
    const payload = new Uint8Array(this.#options.autoPingSize)
    const view = viewOf(payload)
    const hasTime = payload.length >= timeSize + sequenceSize
    if (hasTime) view.setBigUint64(0, this.#clock.currentTimeNanosUnsafe())
    view.setUint32(hasTime ? timeSize : 0, ++this.#sequence)
    this.#pingAt = now
    this.#waitingSince = now
    this.#unanswered = payload
    this.#alive.ping(payload)
  }
}

const min = (a: bigint, b: bigint): bigint => (a < b ? a : b)
const max = (a: bigint, b: bigint): bigint => (a > b ? a : b)
