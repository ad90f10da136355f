/**
 * Frames to bytes (RFC 6455 section 5.2), written into the connection's
 * outgoing bytes.
 *
 * Frames with a small payload are written next to one another. A large payload
 * goes out as it is, without a copy, unless it must be masked: it then belongs
 * to the connection until it is written and must not be changed.
 */
import { applyMask, rotateKey, viewOf } from "../bytes/Masking.ts"
import type { OutgoingBytes } from "../bytes/OutgoingBytes.ts"
import * as Utf8 from "../bytes/Utf8.ts"
import { fin, headerSize, maxHeaderSize, writeHeader } from "./FrameHeader.ts"
import * as Opcode from "./Opcode.ts"

const copyUpTo = 4096

/** Code units of a text up to which it is encoded in place, three bytes each. */
const encodeInPlaceUpTo = 4096

export interface FrameWriterOptions {
  /**
   * The next masking key, for frames that are masked: a client's, by default.
   * `undefined`: frames are not masked.
   */
  readonly nextMaskingKey: (() => number) | undefined
  /** Whether payloads are masked with the key their frame carries (Autobahn's `applyMask`). */
  readonly applyMask: boolean
}

export class FrameWriter {
  /** Data frames written. */
  frames = 0
  /** Octets of their payloads. */
  payloadOctets = 0
  /** Octets that the frame which was begun still lacks; no other frame may be written before they are. */
  missing = 0

  readonly #out: OutgoingBytes
  readonly #nextMaskingKey: FrameWriterOptions["nextMaskingKey"]
  readonly #appliesMask: boolean
  // Of the frame that was begun.
  #key: number | undefined

  constructor(out: OutgoingBytes, options: FrameWriterOptions) {
    this.#out = out
    this.#nextMaskingKey = options.nextMaskingKey
    this.#appliesMask = options.applyMask
  }

  /** Whether frames carry masking keys. */
  get isMasking(): boolean {
    return this.#nextMaskingKey !== undefined
  }

  /** One frame. `reservedBits` stand where they do in a frame's first byte. */
  write(opcode: number, isFinal: boolean, payload: Uint8Array, reservedBits = 0): void {
    const key = this.#nextKey()
    const { length } = payload
    this.#count(opcode, length)
    this.#writeHeader(opcode | reservedBits | (isFinal ? fin : 0), length, key, length <= copyUpTo)
    this.#writePayload(payload, key)
  }

  /** A whole text message in one frame. */
  writeText(opcode: number, text: string): void {
    if (text.length > encodeInPlaceUpTo) {
      this.write(opcode, true, Utf8.encode(text))
      return
    }
    const pool = this.#out.pool
    pool.reserve(maxHeaderSize + text.length * 3)
    const key = this.#nextKey()
    const start = pool.position
    // The header's size depends on the payload's, which is known once the text is
    // encoded: encode where ASCII would start, and move the rare other case.
    const guess = start + headerSize(text.length, key !== undefined)
    const length = Utf8.encodeInto(text, pool.bytes, guess)
    const end = start + headerSize(length, key !== undefined)
    if (end !== guess) pool.bytes.copyWithin(end, guess, guess + length)
    writeHeader(pool.bytes, pool.view, start, opcode | fin, length, key)
    if (key !== undefined && this.#appliesMask) {
      applyMask(pool.bytes, pool.view, end, end + length, key)
    }
    this.#count(opcode, length)
    this.#out.commit(end + length - start)
  }

  /** Data frames that were made elsewhere, without masks: their bytes, number, and octets of payload. */
  writeFramed(bytes: Uint8Array, frames: number, payloadOctets: number): void {
    this.frames += frames
    this.payloadOctets += payloadOctets
    this.#writePayload(bytes, undefined)
  }

  /** The header of a data frame that is not its message's last. `continueFrame` writes its `length` octets. */
  beginFrame(opcode: number, length: number): void {
    this.#key = this.#nextKey()
    this.missing = length
    this.frames++
    this.#writeHeader(opcode, length, this.#key, false)
  }

  /** The next octets of the frame that was begun, at most those it lacks. */
  continueFrame(payload: Uint8Array): void {
    this.missing -= payload.length
    this.payloadOctets += payload.length
    this.#writePayload(payload, this.#key)
    if (this.#key !== undefined) this.#key = rotateKey(this.#key, payload.length)
  }

  #nextKey(): number | undefined {
    const next = this.#nextMaskingKey
    return next === undefined ? undefined : next()
  }

  #count(opcode: number, length: number): void {
    if (Opcode.isControl(opcode)) return
    this.frames++
    this.payloadOctets += length
  }

  /** A header, with room for the payload behind it where that is to be copied there. */
  #writeHeader(first: number, length: number, key: number | undefined, isCopied: boolean): void {
    const { pool } = this.#out
    pool.reserve(maxHeaderSize + (isCopied ? length : 0))
    const start = pool.position
    this.#out.commit(writeHeader(pool.bytes, pool.view, start, first, length, key) - start)
  }

  #writePayload(payload: Uint8Array, key: number | undefined): void {
    const { length } = payload
    const isMasked = key !== undefined && this.#appliesMask
    if (length <= copyUpTo) {
      const { pool } = this.#out
      pool.reserve(length)
      const start = pool.position
      pool.bytes.set(payload, start)
      if (isMasked) applyMask(pool.bytes, pool.view, start, start + length, key)
      this.#out.commit(length)
    } else if (isMasked) {
      const copy = new Uint8Array(payload) // not slice: a Buffer's is a view
      applyMask(copy, viewOf(copy), 0, length, key)
      this.#out.append(copy)
    } else {
      this.#out.append(payload)
    }
  }
}
