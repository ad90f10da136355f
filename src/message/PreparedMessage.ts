/**
 * A message that is framed once and sent to many.
 */
import { viewOf } from "../bytes/Masking.ts"
import * as Utf8 from "../bytes/Utf8.ts"
import { fin, headerSize, writeHeader } from "../frame/FrameHeader.ts"
import * as Opcode from "../frame/Opcode.ts"
import { type Payload, toBytes } from "./Message.ts"

/** A message as frames without masks. */
export interface FramedMessage {
  readonly bytes: Uint8Array
  /** The number of frames in `bytes`. */
  readonly frames: number
}

/**
 * A message that is framed once, and compressed once for what was negotiated, however many
 * channels send it (Autobahn's `prepareMessage`). A client's frames are masked, each
 * time with another key: there only the compression is saved.
 */
export class PreparedMessage {
  readonly opcode: number
  /** The message as bytes; they must not change. */
  readonly payload: Uint8Array
  // By the size of fragments.
  readonly #framed = new Map<number, FramedMessage>()
  // By what was negotiated.
  readonly #compressed = new Map<string, Uint8Array>()

  /** Text from a string, binary from bytes, which are copied. */
  constructor(payload: Payload) {
    this.opcode = typeof payload === "string" ? Opcode.Text : Opcode.Binary
    this.payload = typeof payload === "string" ? Utf8.encode(payload) : new Uint8Array(toBytes(payload))
  }

  /** Its frames, of at most `fragmentSize` octets of payload; 0: one frame. */
  framed(fragmentSize: number): FramedMessage {
    const size = fragmentSize === 0 ? Math.max(1, this.payload.length) : fragmentSize
    const before = this.#framed.get(size)
    if (before !== undefined) return before
    const framed = this.#frame(size)
    this.#framed.set(size, framed)
    return framed
  }

  /** Its payload compressed, once for each `key`; `undefined` where `compress` gives nothing. */
  compressed(key: string, compress: () => Uint8Array | undefined): Uint8Array | undefined {
    const before = this.#compressed.get(key)
    if (before !== undefined) return before
    const compressed = compress()
    if (compressed !== undefined) this.#compressed.set(key, compressed)
    return compressed
  }

  #frame(size: number): FramedMessage {
    const { length } = this.payload
    const frames = Math.max(1, Math.ceil(length / size))
    const bytes = new Uint8Array(length + frames * headerSize(Math.min(size, length), false))
    const view = viewOf(bytes)
    let end = 0
    for (let frame = 0; frame < frames; frame++) {
      const payload = this.payload.subarray(frame * size, (frame + 1) * size)
      const first = (frame === 0 ? this.opcode : Opcode.Continuation) | (frame === frames - 1 ? fin : 0)
      end = writeHeader(bytes, view, end, first, payload.length, undefined)
      bytes.set(payload, end)
      end += payload.length
    }
    return { bytes: bytes.subarray(0, end), frames }
  }
}

/** Text from a string, binary from bytes, which are copied. */
export const make = (payload: Payload): PreparedMessage => new PreparedMessage(payload)
