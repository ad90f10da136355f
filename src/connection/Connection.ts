/**
 * The WebSocket connection after its opening handshake: frames in, messages out,
 * and the closing handshake (RFC 6455 sections 5 to 7). Bytes in, bytes out: no
 * socket, no timer, no fiber.
 */
import type { OutgoingBytes } from "../bytes/OutgoingBytes.ts"
import * as Utf8 from "../bytes/Utf8.ts"
import * as CloseCode from "../frame/CloseCode.ts"
import { rsv1 } from "../frame/FrameHeader.ts"
import type { FrameWriter } from "../frame/FrameWriter.ts"
import * as Opcode from "../frame/Opcode.ts"
import * as Violation from "../frame/Violation.ts"
import { EncodedText, MessagePiece, type ReceivedMessage } from "../message/Message.ts"
import type { MessageReader } from "../message/MessageReader.ts"
import type { PreparedMessage } from "../message/PreparedMessage.ts"
import type { Compression } from "./Compression.ts"
import type { Decompression } from "./Decompression.ts"
import type { Traffic } from "./Traffic.ts"

/**
 * Where a connection stands.
 *
 *     CONNECTING (opening handshake, not in this module)
 *          |
 *          v     we send Close            the peer's Close comes
 *       +------+ ------------> CloseSent ------------------------.
 *       | Open |                   |                              v
 *       +------+ --------------------------------------------> Finished
 *          |     the peer's Close comes,   |                      |
 *          |     ours answers it           |                      |
 *          | the peer violates a rule      | a rule is violated   |
 *          v                               |                      |
 *        Failed <--------------------------'                      |
 *          |                                                      |
 *          '-----------------> Closed <---------------------------'
 *                   the transport has ended, from any state
 *
 * - `Open`: RFC 6455's OPEN.
 * - `CloseSent`: CLOSING. No data is sent any more, and data that comes is
 *   discarded; pings are still answered (5.5.2).
 * - `Finished`: both Close frames have passed; only the transport is to end.
 *   Input is discarded.
 * - `Failed`: this end failed the connection (7.1.7). Input is discarded, a
 *   Close frame too.
 * - `Closed`: CLOSED.
 */
export type ConnectionState = "Open" | "CloseSent" | "Finished" | "Failed" | "Closed"

export interface ConnectionOptions {
  /** Whether received text must be valid UTF-8 (Autobahn's `utf8validateIncoming`). */
  readonly utf8validateIncoming: boolean
  /** Cut outgoing messages into frames of at most this payload, in bytes; 0: never. */
  readonly autoFragmentSize: number
  /** Fail without a Close frame, by dropping the transport (Autobahn's `failByDrop`). */
  readonly failByDrop: boolean
  /** Answer a Close with its own code and reason instead of 1000. */
  readonly echoCloseCodeReason: boolean
}

/** What a connection hands to its owner while it receives. Payloads are views of the chunk. */
export interface ConnectionEvents {
  onMessage(message: ReceivedMessage | MessagePiece): void
  onPing(payload: Uint8Array): void
  /** `isAsked`: there was a ping for it. */
  onPong(payload: Uint8Array, isAsked: boolean): void
  /** The connection is about to answer a Close, or to fail: the last chance to send. */
  onClosing(): void
  /** The message that made the connection busy is through: {@link Connection.goOn}. */
  onReady(): void
}

/** The machinery of one connection, as the framing service makes it. */
export interface Codec {
  /** Makes what reads the peer's bytes. */
  readonly makeReader: () => MessageReader
  readonly outgoing: OutgoingBytes
  readonly writer: FrameWriter
  /** Where a per-message compression is spoken. */
  readonly compression: Compression | undefined
  readonly decompression: Decompression | undefined
}

const noBytes = new Uint8Array(0)

export class Connection {
  /** Read by the owner after every call. */
  state: ConnectionState = "Open"
  /** What our Close frame said, once it was sent. */
  localClose: CloseCode.ClosePayload | undefined
  /** What the peer's Close frame said, once it came. */
  remoteClose: CloseCode.ClosePayload | undefined
  /** The rule that was violated, once the connection failed. */
  violation: Violation.Violation | undefined
  /** The connection failed and the transport is to be dropped without another word. */
  mustDrop = false
  /** The closing handshake was completed (RFC 6455 section 7.1.4). */
  wasClean = false
  /** Deliver text as bytes: the application wants no strings. */
  keepBytes: boolean
  /** Deliver messages in pieces as they come: the application reads them as streams. */
  inPieces = false
  /** A message is being decompressed: no chunk may be received until it is through. */
  isBusy = false
  readonly outgoing: OutgoingBytes

  readonly #makeReader: Codec["makeReader"]
  // While something of a frame or message is there that is not through, and matters.
  #reader: MessageReader | undefined
  readonly #writer: FrameWriter
  readonly #compression: Compression | undefined
  readonly #decompression: Decompression | undefined
  readonly #options: ConnectionOptions
  readonly #events: ConnectionEvents
  // Views of the chunk at hand were handed on, or are kept.
  #isChunkInUse = false
  #receivedWireOctets = 0
  #receivedPayloadOctets = 0
  #receivedMessageOctets = 0
  #receivedFrames = 0
  #receivedMessages = 0
  #sentMessages = 0
  #sentMessageOctets = 0
  // Pings sent that no pong has come for.
  #unansweredPings = 0
  // Of the next frame of the message that is sent in fragments.
  #fragmentOpcode: number = Opcode.Continuation
  // Of the message that is sent in fragments, where it is compressed.
  #fragmentCompression: Compression | undefined

  constructor(codec: Codec, options: ConnectionOptions, events: ConnectionEvents) {
    this.outgoing = codec.outgoing
    this.keepBytes = !options.utf8validateIncoming
    this.#makeReader = codec.makeReader
    this.#writer = codec.writer
    this.#compression = codec.compression
    this.#decompression = codec.decompression
    this.#options = options
    this.#events = events
  }

  /** Whether the input still matters; if not, received bytes are discarded. */
  get isReceiving(): boolean {
    return this.state === "Open" || this.state === "CloseSent"
  }

  /** What was received, once the chunk at hand is through. */
  get received(): Traffic {
    return {
      wireOctets: this.#receivedWireOctets,
      payloadOctets: this.#receivedPayloadOctets,
      messageOctets: this.#receivedMessageOctets,
      frames: this.#receivedFrames,
      messages: this.#receivedMessages
    }
  }

  /** What was sent. */
  get sent(): Traffic {
    const { frames, payloadOctets } = this.#writer
    return {
      wireOctets: this.outgoing.total,
      payloadOctets,
      messageOctets: this.#sentMessageOctets,
      frames,
      messages: this.#sentMessages
    }
  }

  // ---- receiving ----------------------------------------------------------

  /**
   * Takes a chunk, and with it its ownership: payloads are unmasked in place. Whether it is used up: if so, nothing
   * refers to it any more.
   */
  receive(chunk: Uint8Array): boolean {
    if (!this.isReceiving) return true
    this.#receivedWireOctets += chunk.length
    this.#isChunkInUse = false
    this.#reader ??= this.#makeReader()
    this.#reader.decoder.push(chunk)
    this.goOn()
    return !this.#isChunkInUse && !this.isBusy
  }

  /** Goes on with the chunk at hand. */
  goOn(): void {
    const reader = this.#reader
    if (reader === undefined) return
    const { decoder } = reader
    while (this.isReceiving && !this.isBusy) {
      const event = decoder.next()
      if (event === "NeedMore") {
        if (reader.isBetweenMessages) this.#reader = undefined
        return
      }
      if (event === "Violation") return this.fail(decoder.violation!)
      if (!Opcode.isControl(decoder.opcode)) this.#receiveData(reader)
      else this.#receiveControl(decoder.opcode, decoder.payload)
    }
  }

  /** The transport has ended, in whatever way. */
  transportClosed(): void {
    if (this.state === "Closed") return
    this.state = "Closed"
    this.#reader = undefined
    this.#compression?.close()
    this.#decompression?.close()
  }

  #receiveData(reader: MessageReader): void {
    const { assembler, decoder } = reader
    if (decoder.isFirst) this.#receivedFrames++
    this.#receivedPayloadOctets += decoder.payloadLength
    if (this.state !== "Open") return
    const decompression = this.#decompression
    const event = this.inPieces ? assembler.acceptPiece(decoder) : assembler.accept(decoder)
    if (event === "Violation") return this.fail(assembler.violation!)
    const isLast = event === "Message"
    // Its bytes are let go.
    if (isLast && this.#becomesString(assembler)) return this.#deliverText(reader)
    if (assembler.keepsPiece) this.#isChunkInUse = true
    if (!isLast && !this.inPieces) return
    const { isBinary, isCompressed, isValidated } = assembler
    const payload = assembler.take(decoder)
    if (isCompressed && decompression !== undefined) {
      if (this.inPieces) this.#decompressPiece(decompression, payload, isBinary, isLast)
      else this.#decompress(decompression, payload, isBinary)
    } else if (this.inPieces) {
      this.#deliverPieces([payload], isBinary, isLast)
    } else {
      this.#deliver(payload, isBinary, isValidated)
    }
  }

  /** The message that the assembler holds is text that comes as it is, for an application that wants strings. */
  #becomesString({ isBinary, isCompressed }: MessageReader["assembler"]): boolean {
    return !isBinary && !isCompressed && !this.keepBytes && !this.inPieces
  }

  #deliverText({ assembler, decoder }: MessageReader): void {
    this.#receivedMessages++
    this.#receivedMessageOctets += assembler.length
    const text = assembler.takeText(decoder)
    if (text !== undefined) this.#events.onMessage(text)
    else this.#failText(assembler.take(decoder))
  }

  #failText(payload: Uint8Array): void {
    this.fail(Utf8.isValid(payload) ? "TextTooLong" : "TextNotUtf8")
  }

  #decompress(decompression: Decompression, payload: Uint8Array, isBinary: boolean): void {
    this.#await((ready) =>
      decompression.whole(payload, (message) =>
        ready(() =>
          typeof message === "string" ? this.fail(message) : this.#deliver(message, isBinary, false)
        )
      )
    )
  }

  #decompressPiece(
    decompression: Decompression,
    payload: Uint8Array,
    isBinary: boolean,
    isLast: boolean
  ): void {
    const isText = !isBinary && this.#options.utf8validateIncoming
    this.#await((ready) =>
      decompression.piece(payload, isText, isLast, (pieces) =>
        ready(() =>
          typeof pieces === "string" ? this.fail(pieces) : this.#deliverPieces(pieces, isBinary, isLast)
        )
      )
    )
  }

  /** Lets `start` take its time, and then goes on. */
  #await(start: (ready: (deliver: () => void) => void) => void): void {
    let isWithin = true
    this.isBusy = true
    start((deliver) => {
      this.isBusy = false
      // While closing, data is discarded.
      if (this.state === "Open") deliver()
      if (!isWithin) this.#events.onReady()
    })
    isWithin = false
  }

  #deliverPieces(pieces: ReadonlyArray<Uint8Array>, isBinary: boolean, isLast: boolean): void {
    const last = pieces.length - 1
    if (isLast) this.#receivedMessages++
    if (isLast && last < 0) return this.#events.onMessage(new MessagePiece(noBytes, isBinary, true))
    for (const [index, piece] of pieces.entries()) {
      const ends = isLast && index === last
      this.#receivedMessageOctets += piece.length
      // A header may come without any payload: that is no news.
      if (piece.length > 0 || ends) this.#events.onMessage(new MessagePiece(piece, isBinary, ends))
    }
  }

  #deliver(payload: Uint8Array, isBinary: boolean, isValidated: boolean): void {
    this.#receivedMessages++
    this.#receivedMessageOctets += payload.length
    if (isBinary) return this.#events.onMessage(payload)
    if (this.keepBytes) return this.#receiveBytesOfText(payload, isValidated)
    const text = Utf8.decode(payload)
    if (text !== undefined) this.#events.onMessage(text)
    else this.#failText(payload)
  }

  #receiveBytesOfText(payload: Uint8Array, isValidated: boolean): void {
    if (this.#options.utf8validateIncoming && !isValidated && !Utf8.isValid(payload)) {
      return this.fail("TextNotUtf8")
    }
    this.#events.onMessage(new EncodedText(payload))
  }

  #receiveControl(opcode: number, payload: Uint8Array): void {
    this.#isChunkInUse = true
    if (opcode === Opcode.Ping) return this.#events.onPing(payload)
    if (opcode === Opcode.Pong) return this.#receivePong(payload)
    const content = CloseCode.decodePayload(payload)
    if (typeof content === "string") return this.fail(content)
    this.#events.onClosing()
    this.remoteClose = content
    if (this.state === "Open") {
      const echo = this.#options.echoCloseCodeReason
      if (!echo) this.#writeClose(CloseCode.normalClosure, "")
      else if (content.code === CloseCode.noStatusReceived) this.#writeClose(undefined, "")
      else this.#writeClose(content.code, content.reason)
    }
    this.state = "Finished"
    this.#reader = undefined
    this.wasClean = !this.mustDrop
  }

  #receivePong(payload: Uint8Array): void {
    const isAsked = this.#unansweredPings > 0
    if (isAsked) this.#unansweredPings--
    this.#events.onPong(payload, isAsked)
  }

  /** RFC 6455 section 7.1.7; from outside while receiving only. A second Close frame is never sent (5.5.1). */
  fail(violation: Violation.Violation): void {
    this.#events.onClosing()
    this.violation = violation
    this.mustDrop = this.#options.failByDrop || this.state === "CloseSent"
    if (!this.mustDrop) {
      this.#writeClose(Violation.statusCode(violation), Violation.description(violation))
    }
    this.state = "Failed"
    this.#reader = undefined
  }

  // ---- sending ------------------------------------------------------------

  /** A fragment is half sent: nothing but the rest of it may be sent. */
  get isInFrame(): boolean {
    return this.#writer.missing > 0
  }

  /** Sends a whole text message; only while `Open`. */
  sendText(text: string): void {
    const { autoFragmentSize } = this.#options
    if (autoFragmentSize > 0 && text.length * 3 > autoFragmentSize) {
      return this.sendBytes(Opcode.Text, Utf8.encode(text))
    }
    const writer = this.#writer
    const before = writer.payloadOctets
    writer.writeText(Opcode.Text, text)
    this.#sentMessages++
    this.#sentMessageOctets += writer.payloadOctets - before
  }

  /** Sends a whole message of bytes, with opcode `Text` or `Binary`; only while `Open`. */
  sendBytes(opcode: number, payload: Uint8Array): void {
    this.#sentMessages++
    this.#sentMessageOctets += payload.length
    this.#writeMessage(opcode, payload, 0)
  }

  /** Whether messages are compressed at all. */
  get isCompressing(): boolean {
    return this.#compression !== undefined
  }

  /** Whether a message of so many bytes is to be compressed. */
  compresses(length: number): boolean {
    return this.#compression?.isWorth(length) === true
  }

  /** As `sendBytes`, compressed; `written` is called once it is sent, or cannot be any more: within the call or later. */
  sendCompressed(opcode: number, payload: Uint8Array, written: () => void): void {
    this.#compression?.compress(payload, true, (compressed) =>
      this.#writeCompressed(opcode, payload.length, compressed, written)
    )
  }

  #writeCompressed(opcode: number, length: number, compressed: Uint8Array, written: () => void): void {
    if (this.state === "Open") {
      this.#sentMessages++
      this.#sentMessageOctets += length
      this.#writeMessage(opcode, compressed, rsv1)
    }
    written()
  }

  #writeMessage(opcode: number, payload: Uint8Array, reservedBits: number): void {
    const writer = this.#writer
    const size = this.#options.autoFragmentSize
    if (size === 0 || payload.length <= size) return writer.write(opcode, true, payload, reservedBits)
    for (let offset = 0; offset < payload.length; offset += size) {
      const end = offset + size
      const isFirst = offset === 0
      writer.write(
        isFirst ? opcode : Opcode.Continuation,
        end >= payload.length,
        payload.subarray(offset, end),
        isFirst ? reservedBits : 0
      )
    }
  }

  /** Sends a message whose frames were made once, unless they must be masked; only while `Open`. */
  sendPrepared(message: PreparedMessage): void {
    const writer = this.#writer
    if (writer.isMasking) return this.sendBytes(message.opcode, message.payload)
    const { bytes, frames } = message.framed(this.#options.autoFragmentSize)
    this.#sentMessages++
    this.#sentMessageOctets += message.payload.length
    writer.writeFramed(bytes, frames, message.payload.length)
  }

  /** As `sendPrepared`, compressed once for all where that can be done; `written`: as that of `sendCompressed`. */
  sendPreparedCompressed(message: PreparedMessage, written: () => void): void {
    this.#compression?.compressPrepared(message, (compressed) =>
      this.#writeCompressed(message.opcode, message.payload.length, compressed, written)
    )
  }

  /** The next fragments are those of a message with opcode `Text` or `Binary`; only while `Open`. */
  beginMessage(opcode: number, isCompressed: boolean): void {
    this.#fragmentOpcode = opcode
    this.#fragmentCompression = isCompressed ? this.#compression : undefined
  }

  /** Whether the message that was begun is compressed: its fragments are of whatever length comes out of that. */
  get isFragmentCompressed(): boolean {
    return this.#fragmentCompression !== undefined
  }

  /** Sends a fragment of the message that was begun; `written`: as that of `sendCompressed`. */
  sendFragment(payload: Uint8Array, isFinal: boolean, written: () => void): void {
    const write = (bytes: Uint8Array, reservedBits: number) => {
      if (this.state === "Open") {
        const opcode = this.#nextFragment()
        this.#sentMessageOctets += payload.length
        this.#writer.write(opcode, isFinal, bytes, opcode === Opcode.Continuation ? 0 : reservedBits)
        if (isFinal) this.#sentMessages++
      }
      written()
    }
    if (this.#fragmentCompression === undefined) return write(payload, 0)
    this.#fragmentCompression.compress(payload, isFinal, (compressed) => write(compressed, rsv1))
  }

  /** Sends the header of a fragment, not the last one, whose `length` octets `continueFragment` sends. */
  beginFragment(length: number): void {
    this.#writer.beginFrame(this.#nextFragment(), length)
  }

  /** Sends the next octets of the fragment that was begun, at most those it lacks. */
  continueFragment(payload: Uint8Array): void {
    this.#writer.continueFrame(payload)
    this.#sentMessageOctets += payload.length
  }

  #nextFragment(): number {
    const opcode = this.#fragmentOpcode
    this.#fragmentOpcode = Opcode.Continuation
    return opcode
  }

  /** Sends a ping of at most 125 bytes; only while `Open`. */
  sendPing(payload: Uint8Array): void {
    this.#unansweredPings++
    this.#writer.write(Opcode.Ping, true, payload)
  }

  /** Sends a pong of at most 125 bytes; only while `Open` or `CloseSent`. */
  sendPong(payload: Uint8Array): void {
    this.#writer.write(Opcode.Pong, true, payload)
  }

  /** Starts the closing handshake; only while `Open`. The code must be sendable. */
  sendClose(code: number | undefined, reason: string): void {
    this.#writeClose(code, reason)
    this.state = "CloseSent"
  }

  #writeClose(code: number | undefined, reason: string): void {
    if (this.isInFrame) {
      // A Close frame would be taken for the rest of the payload.
      this.mustDrop = true
      return
    }
    this.localClose = { code: code ?? CloseCode.noStatusReceived, reason }
    this.#writer.write(Opcode.Close, true, CloseCode.encodePayload(code, reason))
  }
}
