/**
 * A message that is framed once and sent to many.
 */
import { viewOf } from "../bytes/Masking.ts"
import * as Utf8 from "../bytes/Utf8.ts"
import { fin, headerSize, writeHeader } from "../frame/FrameHeader.ts"
import * as Opcode from "../frame/Opcode.ts"
import { type Payload, toBytes } from "./Message.ts"

type Done = (compressed: Uint8Array) => void

/** A message as frames without masks. */
export interface FramedMessage {
  readonly bytes: Uint8Array
  /** The number of frames in `bytes`. */
  readonly frames: number
}

/**
 * A message that is framed once, and compressed once for what was negotiated, however many
 * channels send it (Autobahn's `prepareMessage`); while that takes its time, all wait for it. A client's frames are masked, each
 * time with another key: there only the compression is saved.
 */
export class PreparedMessage {
  readonly opcode: number
  /** The message as bytes; they must not change. */
  readonly payload: Uint8Array
  // By the size of fragments.
  readonly #framed = new Map<number, FramedMessage>()
  // By what was negotiated: its payload, or who waits for that.
  readonly #compressed = new Map<string, Uint8Array | Array<Done>>()

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

  /** Gives its payload compressed, within the call or later. `compress` is called once for each `key`. */
  compressed(key: string, compress: (done: Done) => void, done: Done): void {
    const before = this.#compressed.get(key)
    if (before instanceof Uint8Array) return done(before)
    if (before !== undefined) {
      before.push(done)
      return
    }
    const waiting = [done]
    this.#compressed.set(key, waiting)
    try {
      compress((compressed) => {
        this.#compressed.set(key, compressed)
        for (const done of waiting) done(compressed)
      })
    } catch (error) {
      // Nobody else is to wait for what does not come.
      this.#compressed.delete(key)
      throw error
    }
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
