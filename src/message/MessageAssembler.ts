/**
 * Frames to messages (RFC 6455 section 5.4): the rules of fragmentation, the
 * limit on a message's size, and UTF-8 that fails at the first wrong byte.
 *
 * A message in one piece is handed on as the view it came as. Otherwise its
 * pieces are collected, whether frames or chunks cut it.
 */
import { ByteAccumulator } from "../bytes/ByteAccumulator.ts"
import * as Utf8 from "../bytes/Utf8.ts"
import type { FrameDecoder } from "../frame/FrameDecoder.ts"
import { rsv1 } from "../frame/FrameHeader.ts"
import * as Opcode from "../frame/Opcode.ts"
import type { Violation } from "../frame/Violation.ts"

export interface MessageAssemblerOptions {
  /** The largest message, in bytes; 0 for no limit but the platform's. */
  readonly maxMessagePayloadSize: number
  /** Whether text messages must be valid UTF-8. */
  readonly utf8validateIncoming: boolean
}

/** What became of the piece: the message goes on, or is complete, or broke a rule. */
export type AssemblyEvent = "Incomplete" | "Message" | "Violation"

const noBytes: Uint8Array = new Uint8Array(0)

/** More than one typed array should be asked to hold. */
const platformLimit = 0x7fff_ffff

/** Bytes that a message may have. */
export const messageLimit = ({ maxMessagePayloadSize }: MessageAssemblerOptions): number =>
  maxMessagePayloadSize === 0 ? platformLimit : maxMessagePayloadSize

export class MessageAssembler {
  /** Of the message that goes on or is complete. */
  isBinary = false
  /** Of the message that goes on or is complete: its payload is compressed, and not validated. */
  isCompressed = false
  /** The complete message is text whose UTF-8 was validated as it came. */
  isValidated = false
  /** What was collected or is complete is in the memory of the piece that was accepted last. */
  keepsPiece = false
  violation: Violation | undefined

  /** Between a message's first piece and its last. */
  isOpen = false

  /** Bytes that a message may have. */
  readonly #limit: number
  #payload: Uint8Array = noBytes
  // The complete message is what the decoder stands on.
  #isWhole = false
  readonly #validate: boolean
  #collected: ByteAccumulator | undefined
  #validator: Utf8.Utf8Validator | undefined
  // Sum of the lengths that the message's frame headers announced.
  #size = 0

  constructor(options: MessageAssemblerOptions) {
    this.#limit = messageLimit(options)
    this.#validate = options.utf8validateIncoming
  }

  /** The payload of the complete message, once: it is not kept here. `frame`: what was accepted last. */
  take(frame: FrameDecoder): Uint8Array {
    if (this.#isWhole) return frame.payload
    const payload = this.#payload
    this.#payload = noBytes
    return payload
  }

  /** As `take`, but its text: `undefined` as {@link Utf8.decode} gives it, and then it is not taken yet. */
  takeText(frame: FrameDecoder): string | undefined {
    if (this.#isWhole) return frame.text
    const text = Utf8.decode(this.#payload)
    if (text !== undefined) this.#payload = noBytes
    return text
  }

  /** Octets of the complete message, as its frames carry it. */
  get length(): number {
    return this.#size
  }

  /** Takes the data frame, or piece of one, that the decoder stands on. */
  accept(frame: FrameDecoder): AssemblyEvent {
    if (frame.isFirst) {
      const violation = this.#startFrame(frame)
      if (violation !== undefined) return this.#fail(violation)
      if (frame.isLast && frame.fin && frame.opcode !== Opcode.Continuation) {
        this.isOpen = false
        this.isValidated = false
        this.keepsPiece = true
        this.#isWhole = true
        return "Message"
      }
    }
    return this.#collect(frame)
  }

  /**
   * As `accept`, but after "Incomplete" too `take` has what came: the message is
   * handed on piece by piece. What `accept` had collected of it comes with the next piece.
   */
  acceptPiece(frame: FrameDecoder): AssemblyEvent {
    this.#isWhole = false
    const violation = frame.isFirst ? this.#startFrame(frame) : undefined
    if (violation !== undefined) return this.#fail(violation)
    const { payload } = frame
    if (!this.#validateText(payload)) return this.#fail("TextNotUtf8")
    this.#payload = this.#joinCollected(payload)
    return isMessageEnd(frame) ? this.#finish() : "Incomplete"
  }

  #collect(frame: FrameDecoder): AssemblyEvent {
    this.#isWhole = false
    const { payload } = frame
    if (!this.#validateText(payload)) return this.#fail("TextNotUtf8")
    if (isMessageEnd(frame)) {
      this.#payload = this.#joinCollected(payload)
      return this.#finish()
    }
    this.#collected ??= new ByteAccumulator()
    // With the last frame's header the message's length is known.
    this.keepsPiece = this.#collected.append(payload, frame.fin ? this.#size : 0)
    return "Incomplete"
  }

  /** What was collected and this piece behind it. */
  #joinCollected(piece: Uint8Array): Uint8Array {
    const collected = this.#collected
    this.keepsPiece = collected === undefined
    if (collected === undefined) return piece
    this.#collected = undefined
    collected.append(piece)
    const joined = collected.take()
    this.keepsPiece = joined.buffer === piece.buffer
    return joined
  }

  #validateText(bytes: Uint8Array): boolean {
    if (this.isBinary || !this.#validate || this.isCompressed) return true
    this.#validator ??= new Utf8.Utf8Validator()
    return this.#validator.write(bytes)
  }

  #startFrame(frame: FrameDecoder): Violation | undefined {
    if (frame.opcode === Opcode.Continuation) {
      if (!this.isOpen) return "ContinuationWithoutMessage"
    } else {
      if (this.isOpen) return "MessageNotFinished"
      this.isOpen = true
      this.#size = 0
      this.isBinary = frame.opcode === Opcode.Binary
      this.isCompressed = (frame.reservedBits & rsv1) !== 0
    }
    this.#size += frame.length
    return this.#size > this.#sizeLimit() ? "MessageTooBig" : undefined
  }

  /**
   * What may be collected: a compressed payload can be longer than its message, but
   * who makes it much longer means no good.
   */
  #sizeLimit(): number {
    return this.isCompressed ? Math.min(2 * this.#limit + 1024, platformLimit) : this.#limit
  }

  #finish(): AssemblyEvent {
    this.isOpen = false
    this.isValidated = false
    if (!this.isBinary && this.#validator !== undefined) {
      if (!this.#validator.isComplete) return this.#fail("TextNotUtf8")
      this.#validator = undefined
      this.isValidated = true
    }
    return "Message"
  }

  #fail(violation: Violation): AssemblyEvent {
    this.violation = violation
    return "Violation"
  }
}

const isMessageEnd = (frame: FrameDecoder): boolean => frame.isLast && frame.fin
