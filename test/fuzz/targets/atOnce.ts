import type { MessageCompressor } from "../../../src/extension/MessageCodec.ts"

/** One message after the other, of a codec that compresses small ones within the call. */
export const atOnce =
  (compressor: MessageCompressor) =>
  (payload: Uint8Array): Uint8Array => {
    let made: Uint8Array | undefined
    compressor.compress(payload, true, (compressed) => {
      made = compressed
    })
    if (made === undefined) throw new Error("a small message is not compressed at once")
    return made.slice()
  }
