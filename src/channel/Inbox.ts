/**
 * Messages that were received and wait to be pulled.
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { MessagePiece, ReceivedMessage } from "../message/Message.ts"
import { invalidCall, type WebSocketError } from "./WebSocketError.ts"

/** What waits: messages, and their pieces once those were asked for. */
export type Received = ReceivedMessage | MessagePiece

/** All that waited. */
export type Batch = NonEmptyReadonlyArray<ReceivedMessage>

/** What a pull gets when no message is left and none can come. */
export type End = Effect.Effect<never, WebSocketError | Cause.Done>

/** Someone who waits for messages. */
export interface Reader {
  /** It waits no more: it was interrupted. */
  readonly hasLeft: boolean
  /** Called, once, when there is a message or the end: takes what it wants. */
  wake(): void
}

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

/**
 * A fiber that pulls. When it is interrupted it stays in the queue until the next one comes to wait, as a finalizer that
 * takes it out would have to be made for each wait. Nothing is lost to it: what is woken pulls again, and a fiber that
 * has left does not.
 */
class PullingFiber<A> implements Reader {
  readonly #fiber = Fiber.getCurrent()
  readonly #resume: (pull: Take<A>) => void
  readonly #pull: Take<A>

  constructor(resume: (pull: Take<A>) => void, pull: Take<A>) {
    this.#resume = resume
    this.#pull = pull
  }

  get hasLeft(): boolean {
    // A fiber waits in one place: when it comes to wait, it was interrupted where it had been waiting.
    return this.#fiber === Fiber.getCurrent() || this.#fiber?.pollUnsafe() !== undefined
  }

  wake(): void {
    this.#resume(this.#pull)
  }
}

export class Inbox<Owner extends InboxOwner = InboxOwner> {
  /**
   * Bytes that the waiting messages keep in memory, roughly: a message that is a
   * view of what was read keeps all of that. Falls to 0 when none waits any more.
   */
  size = 0
  /**
   * Let go of when the inbox is empty and its end is known, as streams keep the inbox for longer: V8 makes some functions
   * of Effect's streams in its old space, where they keep until a full collection what they refer to. That was the whole
   * connection, and each young collection had to copy all that had ended since the last.
   */
  owner: Owner | undefined

  // `undefined`: none.
  #messages: Array<Received> | undefined
  // Who waits first, and those who wait behind it.
  #reader: Reader | undefined
  #others: ReadonlyArray<Reader> = none
  #end: End | undefined
  #isInPieces = false
  // The buffer that `size` counted last: the views of one chunk follow one another.
  #counted: ArrayBufferLike | undefined

  constructor(owner: Owner) {
    this.owner = owner
  }

  /**
   * What `take` takes, once a message waits. It is told whose inbox it is, so that one function does for all.
   */
  read<A>(take: (owner: Owner) => Effect.Effect<A, WebSocketError>): Take<A> {
    const pull: Take<A> = Effect.callback((resume) => {
      if (this.#isInPieces) resume(inPieces)
      else this.#takeOrWait(take, resume, pull)
    })
    return pull
  }

  /**
   * Hands all that waits to `keep`, once there is something: before anyone can be
   * interrupted, so that no piece of a message is lost.
   */
  takePieces(keep: (pieces: ReadonlyArray<Received>) => void): Take<void> {
    const take = () => Effect.succeed(keep(this.take()))
    const pull: Take<void> = Effect.callback((resume) => this.#takeOrWait(take, resume, pull))
    return pull
  }

  // What there is is looked for when the fiber comes here: it may have yielded before that, and would wait for what has come.
  #takeOrWait<A>(
    take: (owner: Owner) => Effect.Effect<A, WebSocketError>,
    resume: (effect: Take<A>) => void,
    pull: Take<A>
  ): void {
    if (!this.isEmpty && this.owner !== undefined) resume(take(this.owner))
    else if (this.#end !== undefined) resume(this.#end)
    else this.wait(new PullingFiber(resume, pull))
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
    this.owner?.onInboxEmpty()
    this.#letGo()
  }

  #letGo(): void {
    if (this.isEmpty && this.#end !== undefined) this.owner = undefined
  }

  /** What someone who reads whole messages gets in place of them, or of waiting for them. */
  get ending(): End | undefined {
    if (this.#isInPieces) return inPieces
    return this.isEmpty ? this.#end : undefined
  }

  /** Has `reader` woken when there is a message or the end. There is neither now. */
  wait(reader: Reader): void {
    if (this.#others.length > 0) this.#others = this.#others.filter(({ hasLeft }) => !hasLeft)
    if (this.#reader?.hasLeft) this.#takeReader()
    if (this.#reader === undefined) this.#reader = reader
    else this.#others = [...this.#others, reader]
  }

  #takeReader(): Reader | undefined {
    const reader = this.#reader
    this.#reader = this.#others[0]
    if (this.#others.length > 0) this.#others = this.#others.slice(1)
    return reader
  }

  /** From now on pieces come: whoever reads whole messages is told so. */
  readInPieces(): void {
    if (this.#isInPieces) return
    this.#isInPieces = true
    this.#wakeAll()
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
    while (!this.isEmpty && this.#reader !== undefined) this.#takeReader()?.wake()
  }

  /** No message will come any more: what waits is still delivered, then the end. The first call counts. */
  end(makeEnd: () => End): void {
    if (this.#end !== undefined) return
    this.#end = makeEnd()
    this.#letGo()
    this.#wakeAll()
  }

  /** Wakes those who wait now: one of them may come to wait for something else. */
  #wakeAll(): void {
    const first = this.#reader
    const others = this.#others
    this.#reader = undefined
    this.#others = none
    first?.wake()
    for (const other of others) other.wake()
  }
}
