/**
 * What an application sends on a channel: messages, whole or in fragments, pings
 * and pongs.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"
import * as Utf8 from "../bytes/Utf8.ts"
import type { Connection } from "../connection/Connection.ts"
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
   * else can be sent, not even a Close frame: when there are fewer bytes or more, or
   * the stream fails, the transport is dropped.
   */
  readonly sendFrame: <E, R>(
    length: number,
    payload: Stream.Stream<Uint8Array, E, R>
  ) => Effect.Effect<void, WebSocketError | E, R>
}

/** The channel's engine, as far as sending needs it. */
interface Engine {
  /** Why nothing more can be sent. */
  readonly error: WebSocketError
  closeUnsafe(code: number, reason: string): void
}

const noBytes = new Uint8Array(0)
const unexpectedCondition = 1011

export class Sender {
  readonly #connection: Connection
  readonly #outbox: Outbox
  readonly #engine: Engine
  #pendingPong: Uint8Array | undefined

  constructor(connection: Connection, outbox: Outbox, engine: Engine) {
    this.#connection = connection
    this.#outbox = outbox
    this.#engine = engine
  }

  send(message: Payload | OutgoingMessage | PreparedMessage): Effect.Effect<void, WebSocketError> {
    return Effect.suspend(() => {
      if (typeof message === "string") return this.#write("Message", () => this.#connection.sendText(message))
      if (ArrayBuffer.isView(message)) {
        const bytes = toBytes(message)
        return this.#write("Message", () => this.#connection.sendBytes(Opcode.Binary, bytes))
      }
      if (message instanceof PreparedMessage) {
        return this.#write("Message", () => this.#connection.sendPrepared(message))
      }
      const { payload } = message
      const isBinary = message.isBinary ?? typeof payload !== "string"
      if (typeof payload === "string") {
        return isBinary ? this.send(Utf8.encode(payload)) : this.send(payload)
      }
      if (isBinary) return this.send(payload)
      const bytes = toBytes(payload)
      if (!Utf8.isValid(bytes)) return notUtf8
      return this.#write("Message", () => this.#connection.sendBytes(Opcode.Text, bytes))
    })
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
   * Answers a ping now, or when there is room. RFC 6455 section 5.5.3 lets only the
   * latest of several pings be answered: a peer that pings without reading costs
   * one pong.
   */
  answerPing(payload: Uint8Array): void {
    if (this.#outbox.isFull || this.#connection.isInFrame) this.#pendingPong = new Uint8Array(payload)
    else this.#connection.sendPong(payload)
  }

  /** Sends the pong that had to wait, if there is one and it need not wait any more. */
  sendPendingPong(): void {
    const pong = this.#pendingPong
    if (pong === undefined || !this.#connection.isReceiving || this.#connection.isInFrame) return
    this.#connection.sendPong(pong)
    this.#pendingPong = undefined
    this.#outbox.flush()
  }

  #write(sent: Sent, write: () => void): Effect.Effect<void, WebSocketError> {
    return this.#connection.state === "Open"
      ? this.#outbox.send(sent, write)
      : Effect.fail(this.#engine.error)
  }

  // ---- a message in fragments ---------------------------------------------

  /** Sends what `write` sends as one message, which is complete when it succeeds. */
  sendFragmented<A, E, R>(
    isBinary: boolean,
    write: (writer: MessageWriter) => Effect.Effect<A, E, R>
  ): Effect.Effect<A, WebSocketError | E, R> {
    const connection = this.#connection
    return Effect.uninterruptibleMask((restore) =>
      Effect.suspend(() =>
        restore(
          this.#write("Message", () => {
            this.#outbox.isMessageOpen = true
            connection.beginMessage(isBinary ? Opcode.Binary : Opcode.Text)
          })
        )
      ).pipe(
        Effect.flatMap(() => {
          const fragments = new Fragments(isBinary)
          return restore(Effect.suspend(() => write(this.#makeWriter(fragments)))).pipe(
            Effect.onExit((exit) => this.#endMessage(fragments, exit))
          )
        })
      )
    )
  }

  #makeWriter(fragments: Fragments): MessageWriter {
    const connection = this.#connection
    return {
      send: (payload) =>
        Effect.suspend(() => {
          const bytes = typeof payload === "string" ? Utf8.encode(payload) : toBytes(payload)
          const problem = this.#checkBetweenFrames() ?? fragments.check(bytes)
          return (
            problem ??
            this.#write("Fragment", () => {
              fragments.isStarted = true
              connection.sendFragment(bytes, false)
            })
          )
        }),
      sendFrame: (length, payload) =>
        Effect.suspend(() => {
          const problem = this.#checkBetweenFrames() ?? fragments.check(noBytes) ?? checkLength(length)
          if (problem !== undefined) return problem
          const begin = this.#write("Fragment", () => {
            fragments.isStarted = true
            connection.beginFragment(length)
            this.#outbox.isFrameOpen = connection.isInFrame
          })
          const missing = Effect.suspend(() =>
            connection.isInFrame
              ? Effect.fail(invalidCall("the frame's payload ended before its length"))
              : Effect.void
          )
          return begin.pipe(
            Effect.andThen(Stream.runForEach(payload, (bytes) => this.#continueFrame(fragments, bytes))),
            Effect.andThen(missing),
            // Nothing can follow half a frame.
            Effect.onError(() =>
              Effect.sync(() => {
                if (connection.isInFrame) this.#engine.closeUnsafe(unexpectedCondition, "")
              })
            )
          )
        })
    }
  }

  #checkBetweenFrames(): Effect.Effect<never, WebSocketError> | undefined {
    return this.#connection.isInFrame ? Effect.fail(invalidCall("another frame is being sent")) : undefined
  }

  #continueFrame(fragments: Fragments, bytes: Uint8Array): Effect.Effect<void, WebSocketError> {
    return Effect.suspend(() => {
      const connection = this.#connection
      if (bytes.length > connection.missing) {
        return Effect.fail(invalidCall("the frame's payload is longer than its length"))
      }
      return (
        fragments.check(bytes) ??
        this.#write("Fragment", () => {
          connection.continueFragment(bytes)
          if (connection.isInFrame) return
          this.#outbox.isFrameOpen = false
          this.sendPendingPong()
        })
      )
    })
  }

  #endMessage(fragments: Fragments, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void, WebSocketError> {
    return Effect.suspend(() => {
      fragments.isEnded = true
      this.#outbox.isMessageOpen = false
      this.#outbox.isFrameOpen = false
      const connection = this.#connection
      if (connection.state !== "Open")
        return Exit.isSuccess(exit) ? Effect.fail(this.#engine.error) : Effect.void
      const isComplete = Exit.isSuccess(exit) && !connection.isInFrame && fragments.isComplete
      if (isComplete) connection.sendFragment(noBytes, true)
      // A message that was begun can only be ended by ending the connection.
      else if (fragments.isStarted) this.#engine.closeUnsafe(unexpectedCondition, "")
      this.#outbox.flush()
      return isComplete || Exit.isFailure(exit) ? Effect.void : notUtf8
    })
  }
}

/** The fragments of one message: what may still be sent of it. */
class Fragments {
  isStarted = false
  isEnded = false
  readonly #validator: Utf8.Utf8Validator | undefined

  constructor(isBinary: boolean) {
    this.#validator = isBinary ? undefined : new Utf8.Utf8Validator()
  }

  get isComplete(): boolean {
    return this.#validator?.isComplete ?? true
  }

  /** What keeps the bytes from being sent, if anything. */
  check(bytes: Uint8Array): Effect.Effect<never, WebSocketError> | undefined {
    if (this.isEnded) return Effect.fail(invalidCall("the message has ended"))
    return this.#validator?.write(bytes) === false ? notUtf8 : undefined
  }
}

const notUtf8 = Effect.suspend(() => Effect.fail(invalidCall("a text message's payload is not valid UTF-8")))

const checkLength = (length: number): Effect.Effect<never, WebSocketError> | undefined =>
  Number.isSafeInteger(length) && length >= 0
    ? undefined
    : Effect.fail(invalidCall(`a frame's length is a whole number from 0, got ${length}`))
