/**
 * Bytes to frames (RFC 6455 section 5.2).
 *
 * The decoder is a cursor: {@link FrameDecoder.push} hands it a chunk, each
 * {@link FrameDecoder.next} steps to what comes next in it, and the fields
 * describe that. So a chunk of many small frames costs no object per frame: a
 * view of its payload is made when it is asked for.
 *
 * The decoder owns the chunks: payloads are unmasked in place and handed out as
 * views. A data frame whose end is not there yet is handed out piece by piece,
 * starting with a piece as soon as its header is complete, so that limits are
 * checked before anything is buffered. Control frames are always whole.
 */
import { applyMask, rotateKey, viewOf } from "../bytes/Masking.ts"
import * as Utf8 from "../bytes/Utf8.ts"
import * as Opcode from "./Opcode.ts"
import type { Violation } from "./Violation.ts"

/** What {@link FrameDecoder.next} stepped to. */
export type FrameEvent = "NeedMore" | "Frame" | "Piece" | "Violation"

export interface FrameDecoderOptions {
  /** Whether the peer's frames are masked: a server requires it, a client forbids it. */
  readonly masking: "required" | "forbidden" | "either"
  /** Whether a mask is applied to payloads that carry one (Autobahn's `applyMask`). */
  readonly applyMask: boolean
  /** The largest payload of a data frame, in bytes; 0 for no limit. */
  readonly maxFramePayloadSize: number
  /** The reserved bits (0x40, 0x20, 0x10 of the first byte) that extensions have claimed in messages' first frames. */
  readonly allowedReservedBits: number
}

const noBytes = new Uint8Array(0)
const noView = viewOf(noBytes)
const longestHeader = 14

export class FrameDecoder {
  // The frame that the last `next` stepped to, here and in `payload`; valid until the following call.
  fin = false
  opcode = 0
  /** The reserved bits, where they stand in the first byte. */
  reservedBits = 0
  /** Length of the whole frame's payload, in bytes. */
  length = 0
  /** The piece is its frame's first. */
  isFirst = false
  /** The piece is its frame's last. */
  isLast = false
  /** Set by a "Violation". The decoder must not be used any more. */
  violation: Violation | undefined

  readonly #options: FrameDecoderOptions
  #chunk: Uint8Array = noBytes
  #view: DataView = noView
  #position = 0
  // Where the payload is: in the chunk, or in a control frame that was put together.
  #source: Uint8Array = noBytes
  #start = 0
  #end = 0
  // A header cut by a chunk's end is put together here, made when first needed.
  #header: Uint8Array | undefined
  #headerLength = 0
  // Payload bytes of the current frame that are still to come.
  #remaining = 0
  #masked = false
  #key = 0
  // A control frame cut by a chunk's end.
  #control: Uint8Array | undefined
  #controlLength = 0

  constructor(options: FrameDecoderOptions) {
    this.#options = options
  }

  /** Octets of the payload, or of the piece of it that is there. */
  get payloadLength(): number {
    return this.#end - this.#start
  }

  /** The payload, or the piece of it that is there: a new view of the chunk. */
  get payload(): Uint8Array {
    // Faster than `subarray`, which asks a Buffer what to make.
    return new Uint8Array(this.#source.buffer, this.#source.byteOffset + this.#start, this.payloadLength)
  }

  /** The payload, or the piece of it that is there, as text; `undefined`: as of {@link Utf8.decode}. */
  get text(): string | undefined {
    return Utf8.decode(this.#source, this.#start, this.#end)
  }

  /** Nothing is there of a frame that is not complete. Told of a chunk that is used up. */
  get isBetweenFrames(): boolean {
    return this.#remaining === 0 && this.#headerLength === 0
  }

  /** Hands over a chunk. The last one must have been stepped through. */
  push(chunk: Uint8Array): void {
    this.#chunk = chunk
    this.#view = viewOf(chunk)
    this.#position = 0
  }

  /** Steps on. After "NeedMore" the chunk is used up and let go, and nothing else comes until the next. */
  next(): FrameEvent {
    if (this.#remaining > 0) return this.#continueFrame()
    return this.#headerLength > 0 ? this.#resumeHeader() : this.#startFrame()
  }

  #needMore(): FrameEvent {
    this.#chunk = noBytes
    this.#view = noView
    this.#position = 0
    this.#setPayload(noBytes, 0, 0)
    return "NeedMore"
  }

  #fail(violation: Violation): FrameEvent {
    this.violation = violation
    return "Violation"
  }

  // ---- header -------------------------------------------------------------

  #startFrame(): FrameEvent {
    const chunk = this.#chunk
    const available = chunk.length - this.#position
    if (available < 2) return available === 0 ? this.#needMore() : this.#keepHeader()
    const violation = this.#readFixedPart(chunk, this.#position)
    if (violation !== undefined) return this.#fail(violation)
    const size = headerSize(chunk[this.#position + 1]!)
    if (available < size) return this.#keepHeader()
    const at = this.#position
    this.#position += size
    return this.#readHeader(chunk, this.#view, at)
  }

  #keepHeader(): FrameEvent {
    this.#header ??= new Uint8Array(longestHeader)
    const rest = this.#chunk.subarray(this.#position)
    this.#header.set(rest)
    this.#headerLength = rest.length
    return this.#needMore()
  }

  #resumeHeader(): FrameEvent {
    const header = this.#header!
    const chunk = this.#chunk
    while (this.#position < chunk.length) {
      header[this.#headerLength++] = chunk[this.#position++]!
      if (this.#headerLength === 2) {
        const violation = this.#readFixedPart(header, 0)
        if (violation !== undefined) return this.#fail(violation)
      }
      if (this.#headerLength >= 2 && this.#headerLength === headerSize(header[1]!)) {
        this.#headerLength = 0
        return this.#readHeader(header, viewOf(header), 0)
      }
    }
    return this.#needMore()
  }

  /** The two bytes that every header has: all that can be told from them is told. */
  #readFixedPart(bytes: Uint8Array, at: number): Violation | undefined {
    const first = bytes[at]!
    const second = bytes[at + 1]!
    this.fin = (first & 0x80) !== 0
    this.reservedBits = first & 0x70
    this.opcode = first & 0x0f
    this.#masked = (second & 0x80) !== 0
    if (this.reservedBits !== 0 && !this.#mayReserve()) return "ReservedBits"
    if (!Opcode.isKnown(this.opcode)) return "ReservedOpcode"
    if (Opcode.isControl(this.opcode)) {
      if (!this.fin) return "FragmentedControlFrame"
      if ((second & 0x7f) > Opcode.maxControlPayload) return "ControlFrameTooLong"
    }
    const { masking } = this.#options
    if (this.#masked) return masking === "forbidden" ? "MaskForbidden" : undefined
    return masking === "required" ? "MaskMissing" : undefined
  }

  /** Extensions claim bits of a message's first frame (RFC 7692 section 6). */
  #mayReserve(): boolean {
    const isFirstFrame = this.opcode === Opcode.Text || this.opcode === Opcode.Binary
    return isFirstFrame && (this.reservedBits & ~this.#options.allowedReservedBits) === 0
  }

  /** The rest of a complete header at `at`. */
  #readHeader(bytes: Uint8Array, view: DataView, at: number): FrameEvent {
    let length = bytes[at + 1]! & 0x7f
    let end = at + 2
    if (length === 126) {
      length = view.getUint16(end)
      end += 2
      if (length < 126) return this.#fail("LengthNotMinimal")
    } else if (length === 127) {
      const high = view.getUint32(end)
      // Beyond 2^53 the number is no longer exact, and far beyond any limit.
      length = high * 0x1_0000_0000 + view.getUint32(end + 4)
      end += 8
      if (high >= 0x8000_0000) return this.#fail("LengthSignBit")
      if (length < 0x1_0000) return this.#fail("LengthNotMinimal")
      if (length > Number.MAX_SAFE_INTEGER) return this.#fail("FrameTooBig")
    }
    const limit = this.#options.maxFramePayloadSize
    if (limit !== 0 && length > limit && !Opcode.isControl(this.opcode)) return this.#fail("FrameTooBig")
    if (this.#masked) this.#key = view.getUint32(end)
    this.length = length
    return this.#startPayload(length)
  }

  // ---- payload ------------------------------------------------------------

  #startPayload(length: number): FrameEvent {
    const available = this.#chunk.length - this.#position
    this.isFirst = true
    if (available >= length) {
      this.#takePayload(length)
      this.isLast = true
      return "Frame"
    }
    if (Opcode.isControl(this.opcode)) {
      this.#control = new Uint8Array(length)
      this.#controlLength = 0
      this.#remaining = length
      return this.#continueControl(this.#control)
    }
    this.#takePayload(available)
    this.isLast = false
    this.#remaining = length - available
    return "Piece"
  }

  #continueFrame(): FrameEvent {
    if (this.#control !== undefined) return this.#continueControl(this.#control)
    const available = this.#chunk.length - this.#position
    if (available === 0) return this.#needMore()
    const count = Math.min(available, this.#remaining)
    this.#takePayload(count)
    this.#remaining -= count
    this.isFirst = false
    this.isLast = this.#remaining === 0
    return "Piece"
  }

  #continueControl(control: Uint8Array): FrameEvent {
    const count = Math.min(this.#chunk.length - this.#position, this.#remaining)
    this.#takePayload(count)
    control.set(this.payload, this.#controlLength)
    this.#controlLength += count
    this.#remaining -= count
    if (this.#remaining > 0) return this.#needMore()
    this.#control = undefined
    this.#setPayload(control, 0, control.length)
    this.isFirst = true
    this.isLast = true
    return "Frame"
  }

  /** The next `count` bytes of the chunk, unmasked. */
  #takePayload(count: number): void {
    const start = this.#position
    const end = start + count
    this.#position = end
    if (this.#masked && count > 0 && this.#options.applyMask) {
      applyMask(this.#chunk, this.#view, start, end, this.#key)
      this.#key = rotateKey(this.#key, count)
    }
    this.#setPayload(this.#chunk, start, end)
  }

  #setPayload(source: Uint8Array, start: number, end: number): void {
    // Most frames of a chunk find it there: a pointer takes longer to write than to compare.
    if (this.#source !== source) this.#source = source
    this.#start = start
    this.#end = end
  }
}

/** Bytes of a header, told by its second byte: fixed part, longer length, masking key. */
const headerSize = (second: number): number => {
  const length = second & 0x7f
  return 2 + (length === 126 ? 2 : length === 127 ? 8 : 0) + (second & 0x80 ? 4 : 0)
}
