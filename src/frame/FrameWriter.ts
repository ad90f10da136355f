/**
 * Frames to bytes (RFC 6455 section 5.2), written into the connection's
 * outgoing bytes.
 *
 * Frames with a small payload are written next to one another. A large payload
 * goes out as it is, without a copy, unless it must be masked: it then belongs
 * to the connection until it is written and must not be changed.
 */
import { applyMask, viewOf } from "../bytes/Masking.ts"
import type { OutgoingBytes } from "../bytes/OutgoingBytes.ts"
import * as Utf8 from "../bytes/Utf8.ts"

const fin = 0x80
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
  readonly #out: OutgoingBytes
  readonly #options: FrameWriterOptions

  constructor(out: OutgoingBytes, options: FrameWriterOptions) {
    this.#out = out
    this.#options = options
  }

  /** One frame. `reservedBits` stand where they do in a frame's first byte. */
  write(opcode: number, isFinal: boolean, payload: Uint8Array, reservedBits = 0): void {
    const first = opcode | reservedBits | (isFinal ? fin : 0)
    const length = payload.length
    const pool = this.#out.pool
    const inline = length <= copyUpTo
    pool.reserve(14 + (inline ? length : 0))
    const nextKey = this.#options.nextMaskingKey
    const key = nextKey === undefined ? undefined : nextKey()
    const start = pool.position
    const end = this.#writeHeader(start, first, length, key)
    const mask = key !== undefined && this.#options.applyMask
    if (inline) {
      pool.bytes.set(payload, end)
      if (mask) applyMask(pool.bytes, pool.view, end, end + length, key)
      this.#out.commit(end + length - start)
    } else {
      this.#out.commit(end - start)
      if (mask) {
        const copy = new Uint8Array(payload) // not slice: a Buffer's is a view
        applyMask(copy, viewOf(copy), 0, length, key)
        this.#out.append(copy)
      } else {
        this.#out.append(payload)
      }
    }
  }

  /** A whole text message in one frame. */
  writeText(opcode: number, text: string): void {
    if (text.length > encodeInPlaceUpTo) {
      this.write(opcode, true, Utf8.encode(text))
      return
    }
    const pool = this.#out.pool
    pool.reserve(14 + text.length * 3)
    const nextKey = this.#options.nextMaskingKey
    const key = nextKey === undefined ? undefined : nextKey()
    const start = pool.position
    // The header's size depends on the payload's, which is known once the text is
    // encoded: encode where ASCII would start, and move the rare other case.
    const guess = start + headerSize(text.length, key !== undefined)
    const length = Utf8.encodeInto(text, pool.bytes, guess)
    const end = start + headerSize(length, key !== undefined)
    if (end !== guess) pool.bytes.copyWithin(end, guess, guess + length)
    this.#writeHeader(start, opcode | fin, length, key)
    if (key !== undefined && this.#options.applyMask) {
      applyMask(pool.bytes, pool.view, end, end + length, key)
    }
    this.#out.commit(end + length - start)
  }

  /** Writes a header at `at` of the slab and returns where it ends. */
  #writeHeader(at: number, first: number, length: number, key: number | undefined): number {
    const { bytes, view } = this.#out.pool
    const maskBit = key === undefined ? 0 : 0x80
    let end = at + 2
    bytes[at] = first
    if (length < 126) {
      bytes[at + 1] = length | maskBit
    } else if (length < 0x1_0000) {
      bytes[at + 1] = 126 | maskBit
      view.setUint16(end, length)
      end += 2
    } else {
      bytes[at + 1] = 127 | maskBit
      view.setUint32(end, Math.floor(length / 0x1_0000_0000))
      view.setUint32(end + 4, length)
      end += 8
    }
    if (key !== undefined) {
      view.setUint32(end, key)
      end += 4
    }
    return end
  }
}

const headerSize = (length: number, masked: boolean): number =>
  (length < 126 ? 2 : length < 0x1_0000 ? 4 : 10) + (masked ? 4 : 0)
