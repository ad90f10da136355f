/**
 * What an application sends on a channel: messages, whole or in fragments, pings
 * and pongs.
 */
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Equal from "effect/Equal"
import * as Exit from "effect/Exit"
import * as Hash from "effect/Hash"
import * as Stream from "effect/Stream"
import * as Utf8 from "../bytes/Utf8.ts"
import type { Connection } from "../connection/Connection.ts"
import * as CloseCode from "../frame/CloseCode.ts"
import * as Opcode from "../frame/Opcode.ts"
import { type OutgoingMessage, type Payload, toBytes } from "../message/Message.ts"
import { PreparedMessage } from "../message/PreparedMessage.ts"
import type { Outbox, Sent } from "./Outbox.ts"
import { invalidCall, type WebSocketError } from "./WebSocketError.ts"

/** Sends one message in fragments, in the order of the calls. */
export interface MessageWriter {
  /**
   * Sends a fragment: one frame (Autobahn's `sendMessageFrame`). A text may be cut
   * anywhere between its bytes, a string between two characters.
   */
  readonly send: (payload: Payload) => Effect.Effect<void, WebSocketError>
  /**
   * Sends a fragment of `length` bytes that come one after the other (Autobahn's
   * `beginMessageFrame`, `sendMessageFrameData`). Until they are all there nothing
   * else can be sent, not even a Close frame: when they do not all come, the
   * transport is dropped. In a compressed message each piece is a frame of its own.
   */
  readonly sendFrame: <E, R>(
    length: number,
    payload: Stream.Stream<Uint8Array, E, R>
  ) => Effect.Effect<void, WebSocketError | E, R>
}

/** What `send` takes. */
export type Sendable = Payload | OutgoingMessage | PreparedMessage

/** What must be known of a message before its first fragment. */
export interface FragmentedOptions {
  /** Binary, or text in UTF-8. */
  readonly isBinary: boolean
  /** Never compress this message, where compression is negotiated. Default: `false`. */
  readonly skipCompress?: boolean | undefined
}

/** The channel's engine, as far as sending needs it. */
interface Engine {
  /** Why nothing more can be sent. */
  readonly error: WebSocketError
  closeUnsafe(code: number, reason: string): void
  /** Drops the transport. */
  abort(): void
  /** A frame that was sent piece by piece is complete: what had to wait for that may go. */
  frameEnded(): void
  /** An automatic ping is on its way. */
  pingSent(): void
}

/** Called instead of sending where that would have to wait for the network; `undefined`: wait. */
type Refuse = (() => void) | undefined

const noBytes = new Uint8Array(0)

/** As `Effect.suspend` makes it, in one object without a function: there is one for every message. */
class Send extends Effectable.Class<void, WebSocketError> {
  readonly #sender: Sender
  readonly #message: Sendable

  constructor(sender: Sender, message: Sendable) {
    super()
    this.#sender = sender
    this.#message = message
  }

  asEffect(): Effect.Effect<void, WebSocketError> {
    return this.#sender.begin(this.#message)
  }

  // What is compared by its fields, of which none can be seen, would be equal to every other.

  [Equal.symbol](that: unknown): boolean {
    return this === that
  }

  [Hash.symbol](): number {
    return Hash.random(this)
  }
}

export class Sender {
  readonly #connection: Connection
  readonly #outbox: Outbox
  readonly #engine: Engine
  #pendingPong: Uint8Array | undefined
  #pendingPing: Uint8Array | undefined

  constructor(connection: Connection, outbox: Outbox, engine: Engine) {
    this.#connection = connection
    this.#outbox = outbox
    this.#engine = engine
  }

  send(message: Sendable): Effect.Effect<void, WebSocketError> {
    return new Send(this, message)
  }

  /** As `send`, but does not wait for the network: gives whether the message was sent. */
  trySend(message: Sendable): Effect.Effect<boolean, WebSocketError> {
    return Effect.suspend(() => {
      let isSent = true
      const refuse = () => {
        isSent = false
      }
      return Effect.map(this.begin(message, refuse), () => isSent)
    })
  }

  /** Sends a message if nothing keeps it from being sent now: whether it was sent. */
  sendNow(message: PreparedMessage): boolean {
    if (this.#connection.compresses(message.payload.length) || !this.#mayWrite()) return false
    this.#connection.sendPrepared(message)
    this.#outbox.wrote()
    return true
  }

  /** Sends a message within this call, or gives what waits until it can be sent. */
  begin(message: Sendable, refuse?: Refuse): Effect.Effect<void, WebSocketError> {
    if (typeof message === "string") return this.#sendText(message, false, refuse)
    if (ArrayBuffer.isView(message)) return this.#sendBytes(Opcode.Binary, toBytes(message), false, refuse)
    if (message instanceof PreparedMessage) return this.#sendPrepared(message, refuse)
    const { payload, skipCompress = false } = message
    const isBinary = message.isBinary ?? typeof payload !== "string"
    if (typeof payload === "string") {
      return isBinary
        ? this.#sendBytes(Opcode.Binary, Utf8.encode(payload), skipCompress, refuse)
        : this.#sendText(payload, skipCompress, refuse)
    }
    const bytes = toBytes(payload)
    if (isBinary) return this.#sendBytes(Opcode.Binary, bytes, skipCompress, refuse)
    return Utf8.isValid(bytes) ? this.#sendBytes(Opcode.Text, bytes, skipCompress, refuse) : notUtf8
  }

  // What can be written now is, and only what must wait is bound: a function here would be one for every message.

  #sendPrepared(message: PreparedMessage, refuse: Refuse): Effect.Effect<void, WebSocketError> {
    if (this.sendNow(message)) return Effect.void
    const connection = this.#connection
    return connection.compresses(message.payload.length)
      ? this.#writeCompressed(connection.sendPreparedCompressed.bind(connection, message), refuse)
      : this.#write("Message", connection.sendPrepared.bind(connection, message), refuse)
  }

  #sendText(text: string, skipCompress: boolean, refuse: Refuse): Effect.Effect<void, WebSocketError> {
    const connection = this.#connection
    if (connection.isCompressing && !skipCompress) {
      return this.#sendBytes(Opcode.Text, Utf8.encode(text), false, refuse)
    }
    if (!this.#mayWrite()) return this.#write("Message", connection.sendText.bind(connection, text), refuse)
    connection.sendText(text)
    this.#outbox.wrote()
    return Effect.void
  }

  #sendBytes(
    opcode: number,
    bytes: Uint8Array,
    skipCompress: boolean,
    refuse: Refuse
  ): Effect.Effect<void, WebSocketError> {
    const connection = this.#connection
    if (!skipCompress && connection.compresses(bytes.length)) {
      return this.#writeCompressed(connection.sendCompressed.bind(connection, opcode, bytes), refuse)
    }
    if (!this.#mayWrite())
      return this.#write("Message", connection.sendBytes.bind(connection, opcode, bytes), refuse)
    connection.sendBytes(opcode, bytes)
    this.#outbox.wrote()
    return Effect.void
  }

  /** Whether a message may be written now. */
  #mayWrite(): boolean {
    return this.#connection.state === "Open" && this.#outbox.mayWrite("Message")
  }

  /** No other message is sent until `written` is called. */
  #writeCompressed(
    write: (written: () => void) => void,
    refuse: Refuse
  ): Effect.Effect<void, WebSocketError> {
    const writeAlone = (written: () => void) => {
      this.#outbox.isMessageOpen = true
      write(() => {
        this.#outbox.isMessageOpen = false
        written()
      })
    }
    return this.#writeLater("Message", writeAlone, refuse)
  }

  sendPing(payload: ArrayBufferView): Effect.Effect<void, WebSocketError> {
    return this.#sendControl(payload, (bytes) => this.#connection.sendPing(bytes))
  }

  sendPong(payload: ArrayBufferView): Effect.Effect<void, WebSocketError> {
    return this.#sendControl(payload, (bytes) => this.#connection.sendPong(bytes))
  }

  #sendControl(
    payload: ArrayBufferView,
    write: (bytes: Uint8Array) => void
  ): Effect.Effect<void, WebSocketError> {
    return Effect.suspend(() => {
      const bytes = toBytes(payload)
      return bytes.length > Opcode.maxControlPayload
        ? Effect.fail(
            invalidCall(
              `a control frame carries at most ${Opcode.maxControlPayload} bytes, got ${bytes.length}`
            )
          )
        : this.#write("Control", () => write(bytes))
    })
  }

  /**
   * Answers a ping now, or when the pong may go. RFC 6455 section 5.5.3 lets only the
   * latest of several pings be answered: a peer that pings without reading costs
   * one pong.
   */
  answerPing(payload: Uint8Array): void {
    if (this.#mustWait()) this.#pendingPong = new Uint8Array(payload)
    else this.#connection.sendPong(payload)
  }

  /** Sends an automatic ping now, or when it may go: only the latest waits. */
  ping(payload: Uint8Array): void {
    this.#pendingPing = payload
    if (this.#mustWait()) return
    this.sendPending()
  }

  /** An automatic ping waits for the application, which has not sent the rest of a frame. */
  get isPingHeld(): boolean {
    return this.#pendingPing !== undefined && this.#connection.isInFrame && !this.#outbox.isFull
  }

  #mustWait(): boolean {
    return this.#outbox.isFull || this.#connection.isInFrame
  }

  /** Sends the pong and the ping that had to wait, where they need not any more. */
  sendPending(): void {
    const connection = this.#connection
    const pong = this.#pendingPong
    const ping = this.#pendingPing
    if (connection.isInFrame || (pong ?? ping) === undefined) return
    this.#pendingPong = undefined
    this.#pendingPing = undefined
    if (pong !== undefined && connection.isReceiving) connection.sendPong(pong)
    if (ping !== undefined && connection.state === "Open") {
      connection.sendPing(ping)
      this.#engine.pingSent()
    }
    this.#outbox.flush()
  }

  #write(sent: Sent, write: () => void, refuse?: Refuse): Effect.Effect<void, WebSocketError> {
    return this.#connection.state === "Open"
      ? this.#outbox.send(sent, write, refuse)
      : Effect.fail(this.#engine.error)
  }

  /**
   * As `#write`, for what is not written before `written` is called: within the call,
   * or later. Interrupted then, it is written all the same.
   */
  #writeLater(
    sent: Sent,
    write: (written: () => void) => void,
    refuse?: Refuse
  ): Effect.Effect<void, WebSocketError> {
    return Effect.suspend(() => this.#untilWritten(write, (start) => this.#write(sent, start, refuse)))
  }

  /** Begins to write within this call, whether there is room or not, and gives what waits for the end of that. */
  #writeAnyway(write: (written: () => void) => void): Effect.Effect<void, WebSocketError> {
    return this.#untilWritten(write, (start) => {
      start()
      this.#outbox.flush()
      return Effect.void
    })
  }

  #untilWritten(
    write: (written: () => void) => void,
    begin: (start: () => void) => Effect.Effect<void, WebSocketError>
  ): Effect.Effect<void, WebSocketError> {
    let isBegun = false
    let isWritten = false
    let isWithin = true
    let onWritten = () => {}
    const begun = begin(() => {
      isBegun = true
      write(() => {
        isWritten = true
        if (!isWithin && this.#connection.state === "Open") this.#outbox.flush()
        onWritten()
      })
      isWithin = false
    })
    const rest = Effect.callback<void, WebSocketError>((resume) => {
      onWritten = () =>
        resume(this.#connection.state === "Open" ? Effect.void : Effect.fail(this.#engine.error))
      // The fiber may have yielded on its way here.
      if (isWritten) onWritten()
    })
    return Effect.flatMap(begun, () => (isWritten || !isBegun ? Effect.void : rest))
  }

  // ---- a message in fragments ---------------------------------------------

  /** Sends what `write` sends as one message, which is complete when it succeeds. */
  sendFragmented<A, E, R>(
    { isBinary, skipCompress = false }: FragmentedOptions,
    write: (writer: MessageWriter) => Effect.Effect<A, E, R>
  ): Effect.Effect<A, WebSocketError | E, R> {
    return Effect.suspend(() => {
      const fragments = new Fragments(isBinary)
      // Not before `onExit` is there: whoever is interrupted then would leave the message open.
      const begin = Effect.suspend(() =>
        this.#write("Message", () => {
          fragments.isOpen = true
          this.#outbox.isMessageOpen = true
          this.#connection.beginMessage(isBinary ? Opcode.Binary : Opcode.Text, !skipCompress)
        })
      )
      return Effect.onExit(
        Effect.flatMap(begin, () => write(this.#makeWriter(fragments))),
        (exit) => (fragments.isOpen ? this.#endMessage(fragments, exit) : Effect.void)
      )
    })
  }

  #makeWriter(fragments: Fragments): MessageWriter {
    return {
      send: (payload) =>
        Effect.suspend(() => {
          const bytes = typeof payload === "string" ? Utf8.encode(payload) : toBytes(payload)
          return this.#writeFragment(
            fragments,
            () => this.#checkNext(fragments, bytes),
            (written) => this.#connection.sendFragment(bytes, false, written)
          )
        }),
      sendFrame: (length, payload) => Effect.suspend(() => this.#sendFrame(fragments, length, payload))
    }
  }

  #sendFrame<E, R>(
    fragments: Fragments,
    length: number,
    payload: Stream.Stream<Uint8Array, E, R>
  ): Effect.Effect<void, WebSocketError | E, R> {
    if (!Number.isSafeInteger(length) || length < 0) {
      return Effect.fail(invalidCall(`a frame's length is a whole number from 0, got ${length}`))
    }
    const connection = this.#connection
    // Of this frame, once it has begun.
    let missing = 0
    const begin = this.#writeFragment(
      fragments,
      () => this.#checkNext(fragments, noBytes),
      (written) => {
        missing = length
        if (!connection.isFragmentCompressed) connection.beginFragment(length)
        this.#outbox.isFrameOpen = connection.isInFrame
        written()
      }
    )
    const goOn = (bytes: Uint8Array) =>
      this.#writeFragment(
        fragments,
        () => (bytes.length > missing ? frameTooLong : fragments.check(bytes)),
        (written) => {
          missing -= bytes.length
          if (connection.isFragmentCompressed) return connection.sendFragment(bytes, false, written)
          connection.continueFragment(bytes)
          this.#outbox.isFrameOpen = connection.isInFrame
          this.sendPending()
          if (!connection.isInFrame) this.#engine.frameEnded()
          written()
        }
      )
    return begin.pipe(
      Effect.andThen(Stream.runForEach(payload, goOn)),
      Effect.andThen(Effect.suspend(() => (missing > 0 ? frameTooShort : Effect.void))),
      // Nothing can follow half a frame.
      Effect.onError(() =>
        Effect.sync(() => {
          if (missing > 0) this.#breakOff()
        })
      )
    )
  }

  /** What keeps `bytes` from being sent in a frame of their own, if anything. */
  #checkNext(fragments: Fragments, bytes: Uint8Array): Failure | undefined {
    return this.#connection.isInFrame ? anotherFrame : fragments.check(bytes)
  }

  /** Writes a part of the message, unless `check` finds, when it is its turn, that it must not be sent. */
  #writeFragment(
    fragments: Fragments,
    check: () => Failure | undefined,
    write: (written: () => void) => void
  ): Effect.Effect<void, WebSocketError> {
    return Effect.suspend(() => {
      let problem: Failure | undefined
      const sent = this.#writeLater("Fragment", (written) => {
        problem = check()
        if (problem !== undefined) return written()
        fragments.isStarted = true
        write(written)
      })
      return Effect.flatMap(sent, () => problem ?? Effect.void)
    })
  }

  #endMessage(fragments: Fragments, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void, WebSocketError> {
    fragments.isOpen = false
    const { isInFrame, state } = this.#connection
    const isSuccess = Exit.isSuccess(exit)
    if (state !== "Open") return isSuccess ? Effect.fail(this.#engine.error) : Effect.void
    const problem = isInFrame ? frameTooShort : fragments.isComplete ? undefined : notUtf8
    if (isSuccess && problem === undefined) {
      return this.#writeAnyway((written) =>
        this.#connection.sendFragment(noBytes, true, () => {
          this.#outbox.isMessageOpen = false
          written()
        })
      )
    }
    if (fragments.isStarted) this.#breakOff()
    else {
      this.#outbox.isMessageOpen = false
      this.#outbox.flush()
    }
    return (isSuccess ? problem : undefined) ?? Effect.void
  }

  /** A message that was begun and is not completed ends the connection: without a word where a frame is half sent. */
  #breakOff(): void {
    if (!this.#connection.isInFrame) this.#engine.closeUnsafe(CloseCode.unexpectedCondition, "")
    else if (this.#connection.state === "Open") this.#engine.abort()
  }
}

type Failure = Effect.Effect<never, WebSocketError>

/** The fragments of one message: what may still be sent of it. */
class Fragments {
  /** It is the message's turn. */
  isOpen = false
  /** Something of it was sent. */
  isStarted = false
  #isValid = true
  readonly #validator: Utf8.Utf8Validator | undefined

  constructor(isBinary: boolean) {
    this.#validator = isBinary ? undefined : new Utf8.Utf8Validator()
  }

  /** The message may end here. */
  get isComplete(): boolean {
    return this.#isValid && (this.#validator?.isComplete ?? true)
  }

  /** What keeps the bytes from being sent, if anything. After what was not UTF-8 nothing more is. */
  check(bytes: Uint8Array): Failure | undefined {
    if (!this.isOpen) return messageEnded
    if (this.#validator !== undefined) this.#isValid &&= this.#validator.write(bytes)
    return this.#isValid ? undefined : notUtf8
  }
}

const refused = (why: string): Failure => Effect.suspend(() => Effect.fail(invalidCall(why)))

const notUtf8 = refused("a text message's payload is not valid UTF-8")
const messageEnded = refused("the message has ended")
const anotherFrame = refused("another frame is being sent")
const frameTooLong = refused("the frame's payload is longer than its length")
const frameTooShort = refused("the frame's payload ended before its length")
