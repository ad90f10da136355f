/**
 * Received messages as streams, each readable before it is complete.
 */
import { isReadonlyArrayNonEmpty, type NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Pull from "effect/Pull"
import * as Semaphore from "effect/Semaphore"
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
export const make = (core: ChannelCore): Stream.Stream<StreamedMessage, WebSocketError> => {
  // One for all who read: what one of them left, the next one gets.
  let reader: PieceReader | undefined
  return Stream.fromPull(
    Effect.sync(() => {
      core.readInPieces()
      reader ??= new PieceReader(core)
      return Effect.map(reader.pullMessage, (message) => [message] as const)
    })
  )
}

type Payload = NonEmptyReadonlyArray<Uint8Array>

/** The message whose last piece has not been read. */
interface OpenMessage {
  /** The next message was asked for: what is left of this one is nobody's. */
  isSkipped: boolean
}

class PieceReader {
  // One reader at a time takes from the channel.
  readonly #turn = Semaphore.makeUnsafe(1)
  // Waits until there are pieces. Others may take them, and go on to other messages, before whoever waited does.
  readonly #fill: Pull.Pull<void, WebSocketError>
  // The same within a message, which the connection must not end.
  readonly #fillMessage: Effect.Effect<void, WebSocketError>
  #pieces: ReadonlyArray<MessagePiece> = []
  #position = 0
  #open: OpenMessage | undefined

  constructor(core: ChannelCore) {
    const takePieces = core.inbox.takePieces((received) => {
      this.#pieces = received.map(toPiece)
      this.#position = 0
    })
    this.#fill = this.#turn.withPermit(
      Effect.suspend(() => (this.#pieces[this.#position] === undefined ? takePieces : Effect.void))
    )
    this.#fillMessage = Pull.catchDone(this.#fill, () => Effect.suspend(() => Effect.fail(core.error)))
  }

  /** The next message, as soon as its first piece is there. */
  readonly pullMessage: Pull.Pull<StreamedMessage, WebSocketError> = Effect.suspend(() => {
    const open = this.#open
    if (open !== undefined) {
      open.isSkipped = true
      return Effect.flatMap(this.#fillMessage, () => {
        if (this.#open === open) this.#take()
        return this.pullMessage
      })
    }
    return Effect.flatMap(this.#fill, () => {
      const first = this.#pieces[this.#position]
      return this.#open === undefined && first !== undefined
        ? Effect.succeed(this.#start(first))
        : this.pullMessage
    })
  })

  #start({ isBinary }: MessagePiece): StreamedMessage {
    const message: OpenMessage = { isSkipped: false }
    this.#open = message
    const pull: Pull.Pull<Payload, WebSocketError> = Effect.suspend(() => {
      if (message.isSkipped) return skipped
      if (this.#open !== message) return Cause.done()
      return Effect.flatMap(this.#fillMessage, () => {
        if (message.isSkipped || this.#open !== message) return pull
        const taken = this.#take()
        return isReadonlyArrayNonEmpty(taken) ? Effect.succeed(taken) : pull
      })
    })
    return { isBinary, payload: Stream.fromPull(Effect.succeed(pull)) }
  }

  /** What is there of the open message. */
  #take(): ReadonlyArray<Uint8Array> {
    const taken: Array<Uint8Array> = []
    while (this.#open !== undefined && this.#position < this.#pieces.length) {
      const { bytes, isLast } = this.#pieces[this.#position++]!
      if (bytes.length > 0) taken.push(bytes)
      if (isLast) this.#open = undefined
    }
    // A connection that goes quiet keeps nothing of what was read.
    if (this.#position === this.#pieces.length) this.#pieces = []
    return taken
  }
}

const skipped = Effect.suspend(() => Effect.fail(invalidCall("the message was skipped")))

/** A message that came before anyone asked for pieces is one piece. */
const toPiece = (received: ReceivedMessage | MessagePiece): MessagePiece => {
  if (received instanceof MessagePiece) return received
  const { isBinary, payload } = toIncomingMessage(received)
  return new MessagePiece(payload, isBinary, true)
}
