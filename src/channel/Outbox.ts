/**
 * Frames on their way to the transport: one write at the end of a turn, or every
 * 64 KiB, and senders who wait while too much is under way.
 *
 * While the transport still holds bytes nothing is written to it: frames are
 * gathered here, small ones copied together, so that a peer that does not read
 * costs little more memory than the bytes that wait for it.
 */
import * as Effect from "effect/Effect"
import { ByteAccumulator } from "../bytes/ByteAccumulator.ts"
import type { OutgoingBytes } from "../bytes/OutgoingBytes.ts"
import { inOrder } from "../transport/inOrder.ts"
import type { Transport } from "../transport/Transport.ts"
import type { WebSocketError } from "./WebSocketError.ts"

const flushAt = 65_536

/**
 * What is sent. Frames of two messages must not mix, and nothing may stand within
 * a frame: a message waits until the one sent in fragments is complete, a control
 * frame until the fragment is.
 */
export type Sent = "Message" | "Control" | "Fragment"

interface Waiting {
  readonly sent: Sent
  readonly write: () => void
  readonly refuse: (() => void) | undefined
  readonly resume: (effect: Effect.Effect<void, WebSocketError>) => void
}

// Those with a flush scheduled: one task for all of a broadcast takes less than one for each.
let due: Array<Outbox> = []

const flushDue = (): void => {
  const all = due
  due = []
  inOrder(
    all,
    (outbox) => outbox.turnEnded(),
    (rest) => {
      due = [...rest, ...due]
      queueMicrotask(flushDue)
    }
  )
}

export class Outbox {
  /** A chunk is being received: its turn ends with a flush, so none need be scheduled. */
  isInTurn = false
  /** A message is being sent in fragments. */
  isMessageOpen = false
  /** A fragment is half sent. */
  isFrameOpen = false

  readonly #outgoing: OutgoingBytes
  readonly #transport: Transport
  readonly #limit: number
  #backlog: ByteAccumulator | undefined
  // Made when someone waits.
  #waiting: Array<Waiting> | undefined
  #failure: (() => WebSocketError) | undefined
  #isFlushScheduled = false

  constructor(outgoing: OutgoingBytes, transport: Transport, limit: number) {
    this.#outgoing = outgoing
    this.#transport = transport
    this.#limit = limit
  }

  /** Bytes written here that the network has not taken yet. */
  get bufferedAmount(): number {
    return this.#outgoing.length + (this.#backlog?.length ?? 0) + this.#transport.bufferedAmount
  }

  /** Whether senders must wait. */
  get isFull(): boolean {
    return this.bufferedAmount >= this.#limit
  }

  /**
   * Lets `write` put frames into the outgoing bytes: now, or in turn once it may and there is room. Who must not
   * wait for room gives `refuse`, which is called instead where there is none.
   */
  send(sent: Sent, write: () => void, refuse?: () => void): Effect.Effect<void, WebSocketError> {
    if (!this.mayWrite(sent)) {
      if (refuse === undefined || !this.isFull) return this.#awaitTurn(sent, write, refuse)
      refuse()
      return Effect.void
    }
    write()
    this.wrote()
    return Effect.void
  }

  /** Whether frames may be put into the outgoing bytes now. Who does so calls `wrote`. */
  mayWrite(sent: Sent): boolean {
    const isBehind = this.#waiting?.some((other) => other.sent === sent) === true
    return !isBehind && !this.isFull && this.#mayGo(sent)
  }

  #mayGo(sent: Sent): boolean {
    return sent === "Message" ? !this.isMessageOpen : sent === "Fragment" || !this.isFrameOpen
  }

  #awaitTurn(
    sent: Sent,
    write: () => void,
    refuse: (() => void) | undefined
  ): Effect.Effect<void, WebSocketError> {
    return Effect.callback<void, WebSocketError>((resume) => {
      // The fiber may have yielded on its way here: what it is to wait for may have come.
      if (this.#failure !== undefined) return resume(Effect.fail(this.#failure()))
      if (this.mayWrite(sent) || (refuse !== undefined && this.isFull)) {
        return resume(this.send(sent, write, refuse))
      }
      const waiting: Waiting = { sent, write, refuse, resume }
      this.#waiting ??= []
      this.#waiting.push(waiting)
      return Effect.sync(() => {
        this.#waiting = this.#waiting?.filter((other) => other !== waiting)
      })
    })
  }

  /** Has what was written leave at the end of the turn, or now if it is much. */
  wrote(): void {
    if (this.#outgoing.length >= flushAt) return this.flush()
    if (this.isInTurn || this.#isFlushScheduled) return
    this.#isFlushScheduled = true
    if (due.length === 0) queueMicrotask(flushDue)
    due.push(this)
  }

  /** The turn has ended. */
  turnEnded(): void {
    this.#isFlushScheduled = false
    this.flush()
  }

  /** Writes to the transport, and lets waiting senders write while there is room. */
  flush(): void {
    while (true) {
      this.#writeOut()
      const waiting = this.#waiting
      if (waiting === undefined || waiting.length === 0) return
      const isFull = this.isFull
      const index = waiting.findIndex(({ refuse, sent }) =>
        isFull ? refuse !== undefined : this.#mayGo(sent)
      )
      const next = waiting.splice(index, index < 0 ? 0 : 1)[0]
      if (next === undefined) return
      if (isFull) next.refuse?.()
      else next.write()
      next.resume(Effect.void)
    }
  }

  /** Writes everything to the transport, however much it holds: nothing will be gathered any more. */
  flushAll(): void {
    const backlog = this.#backlog
    this.#backlog = undefined
    const taken = this.#outgoing.take()
    const parts = backlog === undefined ? taken : [...backlog.takeParts(), ...taken]
    if (parts.length > 0) this.#transport.write(parts)
  }

  #writeOut(): void {
    if (this.#transport.bufferedAmount === 0) return this.flushAll()
    if (this.#outgoing.length === 0) return
    this.#backlog ??= new ByteAccumulator()
    for (const part of this.#outgoing.take()) this.#backlog.append(part)
  }

  /** The transport is gone: nothing is written any more, and nothing held. */
  discard(): void {
    this.#outgoing.take()
    this.#backlog = undefined
  }

  /** Nothing more may be sent: everyone who waits, or begins to, is told. */
  fail(error: () => WebSocketError): void {
    this.#failure = error
    const waiting = this.#waiting
    if (waiting === undefined || waiting.length === 0) return
    this.#waiting = undefined
    const failure = Effect.fail(error())
    for (const { resume } of waiting) resume(failure)
  }
}
