/**
 * Deadlines of many connections: one fiber, which sleeps until the first of them is due, or none while there
 * are none.
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"

/** What is to be done at a time. */
export interface Deadline {
  /** By the monotonic clock, in nanoseconds. */
  readonly dueAt: bigint
  /** Where it stands among the others, or one of the marks below. Only {@link Deadlines} changes it. */
  index: number
  /** Does what is to be done, and tells whether there is more at the new `dueAt`. May be called a little early. */
  onDue(): boolean
}

/** The mark of a deadline that has not been started, or is over or stopped. */
export const off = -1
/** The mark of one that has had its turn, and is to go on after it. */
const goesOn = -2

/** Deadlines that are looked at before everything else has a turn. */
const turnSize = 256

/** Until what can be read now was read and handed out: a transport may do that in the next turn of the event loop. */
const aTurn = Effect.andThen(Effect.yieldNow, Effect.yieldNow)

export class Deadlines {
  readonly #context: Context.Context<never>
  readonly #clock: Clock.Clock
  readonly #sleep: (time: Duration.Duration) => Effect.Effect<void>
  // A binary heap by `dueAt`; `index` is where a deadline is in it.
  readonly #heap: Array<Deadline> = []
  #fiber: Fiber.Fiber<void> | undefined
  // Until when the fiber sleeps; `undefined`: there is none, as there are no deadlines.
  #wakeAt: bigint | undefined

  /** `sleep` decides when a time is over, whatever the clock says then. */
  constructor(
    context: Context.Context<never>,
    clock: Clock.Clock,
    sleep: (time: Duration.Duration) => Effect.Effect<void>
  ) {
    this.#context = context
    this.#clock = clock
    this.#sleep = sleep
  }

  /** From now on the deadline is looked at when it is due. */
  start(deadline: Deadline): void {
    this.#insert(deadline)
    if (this.#wakeAt !== undefined && this.#wakeAt <= deadline.dueAt) return
    this.#fiber?.interruptUnsafe()
    this.#fiber = Effect.runForkWith(this.#context)(this.#run)
  }

  /** The deadline is not looked at any more, also in a turn that has begun. May be called several times. */
  stop(deadline: Deadline): void {
    const isWaiting = deadline.index >= 0
    if (isWaiting) this.#remove(deadline)
    deadline.index = off
    if (!isWaiting || this.#heap.length > 0) return
    this.#fiber?.interruptUnsafe()
    this.#wakeAt = undefined
  }

  readonly #run: Effect.Effect<void> = Effect.suspend(() => {
    const first = this.#heap[0]
    this.#wakeAt = first?.dueAt
    if (first === undefined) return Effect.void
    // What waits must not keep the first, which may be stopped meanwhile.
    const { dueAt } = first
    const quiet = dueAt - this.#clock.monotonicTimeNanosUnsafe()
    return Effect.flatMap(quiet > 0n ? this.#sleep(Duration.nanos(quiet)) : aTurn, () => {
      this.#takeTurn(dueAt)
      return this.#run
    })
  })

  /** Looks at those that are due, each once: what is due again at once waits for the next turn. */
  #takeTurn(sleptUntil: bigint): void {
    const now = this.#clock.monotonicTimeNanosUnsafe()
    const reached = now > sleptUntil ? now : sleptUntil
    const seen: Array<Deadline> = []
    while (seen.length < turnSize) {
      const first = this.#heap[0]
      if (first === undefined || first.dueAt > reached) break
      this.#remove(first)
      first.index = goesOn
      seen.push(first)
      if (!this.#isToGoOn(first)) first.index = off
    }
    for (const deadline of seen) if (deadline.index === goesOn) this.start(deadline)
  }

  /** What dies here is not the others' loss. */
  #isToGoOn(deadline: Deadline): boolean {
    try {
      return deadline.onDue()
    } catch (cause) {
      Effect.runForkWith(this.#context)(Effect.logError("a deadline died", Cause.die(cause)))
      return false
    }
  }

  #insert(deadline: Deadline): void {
    this.#rise(deadline, this.#heap.length)
  }

  #remove(deadline: Deadline): void {
    const { index } = deadline
    deadline.index = off
    const last = this.#heap.pop()
    if (last === undefined || last === deadline) return
    this.#sink(last, index)
    if (last.index === index) this.#rise(last, index)
  }

  /** Puts it at `index`, or above it. */
  #rise(deadline: Deadline, index: number): void {
    const heap = this.#heap
    while (index > 0) {
      const above = (index - 1) >> 1
      const parent = heap[above]!
      if (parent.dueAt <= deadline.dueAt) break
      this.#place(parent, index)
      index = above
    }
    this.#place(deadline, index)
  }

  /** Puts it at `index`, or below it. */
  #sink(deadline: Deadline, index: number): void {
    const heap = this.#heap
    while (true) {
      const left = 2 * index + 1
      const right = heap[left + 1]
      const below = right !== undefined && right.dueAt < heap[left]!.dueAt ? left + 1 : left
      const child = heap[below]
      if (child === undefined || deadline.dueAt <= child.dueAt) break
      this.#place(child, index)
      index = below
    }
    this.#place(deadline, index)
  }

  #place(deadline: Deadline, index: number): void {
    this.#heap[index] = deadline
    deadline.index = index
  }
}
