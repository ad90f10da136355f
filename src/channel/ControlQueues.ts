/**
 * Pings and pongs that were received and wait to be read.
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"

/** Payloads of pings or pongs. */
export type ControlQueue = Queue.Queue<Uint8Array, Cause.Done>

/** What waits in a queue at most; the oldest are dropped. */
const capacity = 16

const none: ReadonlyArray<never> = []

export class ControlQueues {
  #pings: ControlQueue | undefined
  #pongs: ControlQueue | undefined
  // Of those who handle pings instead of the automatic pong.
  #handlers: ReadonlyArray<ControlQueue> = none
  #isEnded = false

  /** Whether someone handles pings instead of the automatic pong. */
  get isHandlingPings(): boolean {
    return this.#handlers.length > 0
  }

  onPing(payload: Uint8Array): void {
    offer(this.pings, payload)
    for (const handler of this.#handlers) offer(handler, payload)
  }

  onPong(payload: Uint8Array): void {
    offer(this.pongs, payload)
  }

  get pings(): ControlQueue {
    this.#pings ??= this.#make()
    return this.#pings
  }

  get pongs(): ControlQueue {
    this.#pongs ??= this.#make()
    return this.#pongs
  }

  /** Pings from now on, instead of the automatic pong, until they are released. */
  takePings(): ControlQueue {
    const pings = this.#make()
    this.#handlers = [...this.#handlers, pings]
    return pings
  }

  releasePings(pings: ControlQueue): void {
    this.#handlers = this.#handlers.filter((other) => other !== pings)
  }

  /** No ping or pong will come any more. */
  end(): void {
    this.#isEnded = true
    for (const queue of [this.#pings, this.#pongs, ...this.#handlers]) {
      if (queue !== undefined) Queue.endUnsafe(queue)
    }
  }

  #make(): ControlQueue {
    const queue = Effect.runSync(Queue.sliding<Uint8Array, Cause.Done>(capacity))
    if (this.#isEnded) Queue.endUnsafe(queue)
    return queue
  }
}

/** The payload is a view of what was read, which is not kept. */
const offer = (queue: ControlQueue, payload: Uint8Array): void => {
  Queue.offerUnsafe(queue, new Uint8Array(payload))
}
