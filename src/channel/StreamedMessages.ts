/**
 * Received messages as streams, each readable before it is complete.
 */
import { isReadonlyArrayNonEmpty, type NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import { MessagePiece, type ReceivedMessage, toIncomingMessage } from "../message/Message.ts"
import type { ChannelCore } from "./ChannelCore.ts"
import { invalidCall, type WebSocketError } from "./WebSocketError.ts"

/** A message that may still be coming. */
export interface StreamedMessage {
  readonly isBinary: boolean
  /**
   * The payload as it comes, text as its UTF-8, cut anywhere; once. Read it before
   * the next message: what is left of it then is skipped. Fails when the connection
   * ends before the message does.
   */
  readonly payload: Stream.Stream<Uint8Array, WebSocketError>
}

/** The messages of a channel, one after the other. From then on it delivers pieces. */
export const make = (core: ChannelCore): Stream.Stream<StreamedMessage, WebSocketError> =>
  Stream.fromPull(
    Effect.sync(() => {
      core.readInPieces()
      const reader = new PieceReader(core)
      return Effect.map(reader.pullMessage, (message) => [message] as const)
    })
  )

type Payload = NonEmptyReadonlyArray<Uint8Array>

class PieceReader {
  readonly #core: ChannelCore
  #pieces: ReadonlyArray<MessagePiece> = []
  #position = 0
  // The message whose last piece has not been read.
  #open: StreamedMessage | undefined

  constructor(core: ChannelCore) {
    this.#core = core
  }

  /** The next message, as soon as its first piece is there. */
  readonly pullMessage: Pull.Pull<StreamedMessage, WebSocketError> = Effect.suspend(() =>
    this.#open === undefined
      ? Effect.map(this.#fill, (first) => this.#start(first))
      : Effect.andThen(
          Pull.catchDone(this.#pullPayload, () => Effect.void),
          this.pullMessage
        )
  )

  #start({ isBinary }: MessagePiece): StreamedMessage {
    let isRead = false
    const pull = Effect.suspend(() => {
      if (this.#open === message) return this.#pullPayload
      return isRead ? Cause.done() : Effect.fail(invalidCall("the message was skipped"))
    })
    const message: StreamedMessage = {
      isBinary,
      payload: Stream.fromPull(
        Effect.succeed(
          Effect.tap(pull, () =>
            Effect.sync(() => {
              isRead = this.#open !== message
            })
          )
        )
      )
    }
    this.#open = message
    return message
  }

  /** What is there of the open message. */
  readonly #pullPayload: Pull.Pull<Payload, WebSocketError> = Effect.suspend(() =>
    Pull.catchDone(this.#fill, () => Effect.fail(this.#core.error))
  ).pipe(
    Effect.flatMap((): Pull.Pull<Payload, WebSocketError> => {
      const taken: Array<Uint8Array> = []
      while (this.#open !== undefined && this.#position < this.#pieces.length) {
        const { bytes, isLast } = this.#pieces[this.#position++]!
        if (bytes.length > 0) taken.push(bytes)
        if (isLast) this.#open = undefined
      }
      if (isReadonlyArrayNonEmpty(taken)) return Effect.succeed(taken)
      return this.#open === undefined ? Cause.done() : this.#pullPayload
    })
  )

  /** The next piece, which is not taken yet. */
  readonly #fill: Pull.Pull<MessagePiece, WebSocketError> = Effect.suspend(() => {
    const piece = this.#pieces[this.#position]
    if (piece !== undefined) return Effect.succeed(piece)
    return Effect.map(this.#core.pull, (batch) => {
      this.#pieces = batch.map(toPiece)
      this.#position = 0
      return this.#pieces[0]! // a batch is not empty
    })
  })
}

/** A message that came before anyone asked for pieces is one piece. */
const toPiece = (received: ReceivedMessage | MessagePiece): MessagePiece => {
  if (received instanceof MessagePiece) return received
  const { isBinary, payload } = toIncomingMessage(received)
  return new MessagePiece(payload, isBinary, true)
}
