/**
 * How many pings, and pongs to no ping, a peer may send.
 *
 * A frame is only counted. The clock is looked at when all that was allowed has come.
 */
import type * as Clock from "effect/Clock"

/**
 * What a peer does not use adds up to so many seconds' worth: a network that stalls delivers it at once. It is added to
 * what was left from the last look at the clock, so that twice as much may come at once.
 */
const mostSeconds = 10

const second = 1e9

export class ControlRate {
  readonly #perSecond: number
  readonly #clock: Clock.Clock
  // What may come before the clock is looked at again, a frame being a second's nanoseconds; and when it was last.
  #left: number
  #lookedAt: bigint

  /** `perSecond`: frames; 0 for no limit. They add up from `openedAt` on, nanoseconds of the monotonic clock. */
  constructor(perSecond: number, clock: Clock.Clock, openedAt: bigint) {
    this.#perSecond = perSecond
    this.#clock = clock
    this.#left = perSecond === 0 ? Number.POSITIVE_INFINITY : perSecond * second
    this.#lookedAt = openedAt
  }

  /** Counts a frame; `false`: it is one too many. */
  allows(): boolean {
    if (this.#left < second) this.#earn()
    if (this.#left < second) return false
    this.#left -= second
    return true
  }

  #earn(): void {
    const now = this.#clock.monotonicTimeNanosUnsafe()
    const passed = Number(now - this.#lookedAt)
    this.#left += this.#perSecond * Math.min(passed, mostSeconds * second)
    this.#lookedAt = now
  }
}
