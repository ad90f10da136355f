/**
 * Pings and pongs that were received and wait to be read.
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import { capacity, LastPayloads } from "./LastPayloads.ts"

/** Payloads of pings or pongs. */
export type ControlQueue = Queue.Queue<Uint8Array, Cause.Done>

const none: ReadonlyArray<never> = []

export class ControlQueues {
  // Once they are asked for, queues: until then what nobody may ever read.
  #pings: ControlQueue | LastPayloads | undefined
  #pongs: ControlQueue | LastPayloads | undefined
  // Of those who handle pings instead of the automatic pong.
  #handlers: ReadonlyArray<ControlQueue> = none
  #isEnded = false

  /** Whether someone handles pings instead of the automatic pong. */
  get isHandlingPings(): boolean {
    return this.#handlers.length > 0
  }

  onPing(payload: Uint8Array): void {
    this.#pings ??= new LastPayloads()
    add(this.#pings, payload)
    for (const handler of this.#handlers) add(handler, payload)
  }

  onPong(payload: Uint8Array): void {
    this.#pongs ??= new LastPayloads()
    add(this.#pongs, payload)
  }

  get pings(): ControlQueue {
    const pings = this.#queueOf(this.#pings)
    this.#pings = pings
    return pings
  }

  get pongs(): ControlQueue {
    const pongs = this.#queueOf(this.#pongs)
    this.#pongs = pongs
    return pongs
  }

  /** Pings from now on, instead of the automatic pong, until they are released. */
  takePings(): ControlQueue {
    const pings = this.#queueOf(undefined)
    this.#handlers = [...this.#handlers, pings]
    return pings
  }

  releasePings(pings: ControlQueue): void {
    this.#handlers = this.#handlers.filter((other) => other !== pings)
  }

  /** No ping or pong will come any more. */
  end(): void {
    this.#isEnded = true
    for (const payloads of [this.#pings, this.#pongs, ...this.#handlers]) {
      if (payloads !== undefined && !(payloads instanceof LastPayloads)) Queue.endUnsafe(payloads)
    }
  }

  #queueOf(payloads: ControlQueue | LastPayloads | undefined): ControlQueue {
    if (payloads !== undefined && !(payloads instanceof LastPayloads)) return payloads
    const queue = Effect.runSync(Queue.sliding<Uint8Array, Cause.Done>(capacity))
    for (const payload of payloads?.all ?? none) Queue.offerUnsafe(queue, payload)
    if (this.#isEnded) Queue.endUnsafe(queue)
    return queue
  }
}

/** The payload is a view of what was read, which is not kept. */
const add = (payloads: ControlQueue | LastPayloads, payload: Uint8Array): void => {
  if (payloads instanceof LastPayloads) payloads.push(payload)
  else Queue.offerUnsafe(payloads, new Uint8Array(payload))
}
