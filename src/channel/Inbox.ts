/**
 * Messages that were received and wait to be pulled.
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type { MessagePiece, ReceivedMessage } from "../message/Message.ts"
import { invalidCall, type WebSocketError } from "./WebSocketError.ts"

/** What waits: messages, and their pieces once those were asked for. */
export type Received = ReceivedMessage | MessagePiece

/** All that waited. */
export type Batch = NonEmptyReadonlyArray<ReceivedMessage>

/** What a pull gets when no message is left and none can come. */
export type End = Effect.Effect<never, WebSocketError | Cause.Done>

/** Someone who waits for messages: takes what it wants, or is told of the end. */
export type Reader = (end: End | undefined) => void

/** Whose inbox it is. */
export interface InboxOwner {
  /** The last waiting message was taken. */
  onInboxEmpty(): void
}

type Take<A> = Effect.Effect<A, WebSocketError | Cause.Done>

const inPieces: Take<never> = Effect.suspend(() =>
  Effect.fail(invalidCall("the messages of this channel are read as streams"))
)

/** Bytes that a message keeps in memory beside its payload, roughly. */
const overhead = 128

const none: ReadonlyArray<never> = []

export class Inbox<Owner extends InboxOwner = InboxOwner> {
  /**
   * Bytes that the waiting messages keep in memory, roughly: a message that is a
   * view of what was read keeps all of that. Falls to 0 when none waits any more.
   */
  size = 0

  // `undefined`: none.
  #messages: Array<Received> | undefined
  // Who waits first, and those who wait behind it.
  #reader: Reader | undefined
  #others: ReadonlyArray<Reader> = none
  #end: End | undefined
  #isInPieces = false
  // The buffer that `size` counted last: the views of one chunk follow one another.
  #counted: ArrayBufferLike | undefined
  readonly #owner: Owner

  constructor(owner: Owner) {
    this.#owner = owner
  }

  /**
   * What `take` takes, once a message waits. It is told whose inbox it is, so that one function does for all.
   */
  read<A>(take: (owner: Owner) => Effect.Effect<A, WebSocketError>): Take<A> {
    return Effect.callback((resume) => this.#read(resume, "Whole", take))
  }

  /**
   * Hands all that waits to `keep`, once there is something: before anyone can be
   * interrupted, so that no piece of a message is lost.
   */
  takePieces(keep: (pieces: ReadonlyArray<Received>) => void): Take<void> {
    const take = () => Effect.succeed(keep(this.take()))
    return Effect.callback((resume) => this.#read(resume, "InPieces", take))
  }

  /** All that waits: there is something. */
  take(): Batch {
    const all = this.#messages as unknown as Batch // no pieces, unless they were asked for
    this.#emptied()
    return all
  }

  /** The first message that waits: there is one. */
  takeFirst(): ReceivedMessage {
    const messages = this.#messages as Array<ReceivedMessage> // as above
    const message = messages.shift()!
    if (messages.length === 0) this.#emptied()
    return message
  }

  #emptied(): void {
    this.#messages = undefined
    this.size = 0
    this.#counted = undefined
    this.#owner.onInboxEmpty()
  }

  /** What someone who reads whole messages gets in place of them, or of waiting for them. */
  get ending(): End | undefined {
    if (this.#isInPieces) return inPieces
    return this.isEmpty ? this.#end : undefined
  }

  /** Has `reader` called, once, when there is a message or the end. There is neither now. */
  wait(reader: Reader): void {
    if (this.#reader === undefined) this.#reader = reader
    else this.#others = [...this.#others, reader]
  }

  /** The reader waits no more. */
  leave(reader: Reader): void {
    if (this.#reader === reader) this.#takeReader()
    else this.#others = this.#others.filter((other) => other !== reader)
  }

  #takeReader(): Reader | undefined {
    const reader = this.#reader
    this.#reader = this.#others[0]
    if (this.#others.length > 0) this.#others = this.#others.slice(1)
    return reader
  }

  // What there is is looked for in the callback: a fiber may yield before that, and would wait for what has come.
  #read<A>(
    resume: (effect: Take<A>) => void,
    how: "Whole" | "InPieces",
    take: (owner: Owner) => Effect.Effect<A, WebSocketError>
  ): Effect.Effect<void> | void {
    if (how === "Whole" && this.#isInPieces) return resume(inPieces)
    if (!this.isEmpty) return resume(take(this.#owner))
    if (this.#end !== undefined) return resume(this.#end)
    const reader: Reader = (end) => resume(end ?? take(this.#owner))
    this.wait(reader)
    return Effect.sync(() => this.leave(reader))
  }

  /** From now on pieces come: whoever reads whole messages is told so. */
  readInPieces(): void {
    if (this.#isInPieces) return
    this.#isInPieces = true
    this.#tellReaders(inPieces)
  }

  get isEmpty(): boolean {
    return this.#messages === undefined
  }

  push(message: Received): void {
    if (this.#messages === undefined) this.#messages = [message]
    else this.#messages.push(message)
    this.size += overhead
    if (typeof message === "string") {
      this.size += message.length
      return
    }
    const { buffer } = message instanceof Uint8Array ? message : message.bytes
    if (buffer === this.#counted) return
    this.#counted = buffer
    this.size += buffer.byteLength
  }

  /** Hands the waiting messages to waiting readers, if there are both. */
  deliver(): void {
    while (!this.isEmpty && this.#reader !== undefined) this.#takeReader()?.(undefined)
  }

  /** No message will come any more: what waits is still delivered, then the end. The first call counts. */
  end(makeEnd: () => End): void {
    if (this.#end !== undefined) return
    const end = makeEnd()
    this.#end = end
    this.deliver()
    this.#tellReaders(end)
  }

  #tellReaders(end: End): void {
    while (this.#reader !== undefined) this.#takeReader()?.(end)
  }
}
