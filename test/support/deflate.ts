/**
 * zlib's streams with a sliding window as the other end of permessage-deflate, and
 * what a deflate stream refers to.
 */
import { constants, createDeflateRaw, type InflateRaw, inflateRawSync, type ZlibOptions } from "node:zlib"
import * as Effect from "effect/Effect"
import type {
  DecompressFailure,
  MessageCompressor,
  MessageDecompressor
} from "../../src/extension/MessageCodec.ts"
import { concat, joined } from "./frames.ts"

export const compress = (
  compressor: MessageCompressor,
  payload: Uint8Array,
  isFinal = true
): Effect.Effect<Uint8Array> =>
  Effect.callback((resume) => {
    compressor.compress(payload, isFinal, (compressed) => resume(Effect.succeed(compressed)))
  })

export const decompress = (
  decompressor: MessageDecompressor,
  payload: Uint8Array,
  limit = Number.POSITIVE_INFINITY
): Effect.Effect<Uint8Array | DecompressFailure> =>
  Effect.callback((resume) => {
    decompressor.decompress(payload, limit, (message) => resume(Effect.succeed(message)))
  })

export const push = (
  decompressor: MessageDecompressor,
  piece: Uint8Array,
  isFinal: boolean,
  limit = Number.POSITIVE_INFINITY
): Effect.Effect<ReadonlyArray<Uint8Array> | DecompressFailure> =>
  Effect.callback((resume) => {
    decompressor.push(piece, isFinal, limit, (pieces) => resume(Effect.succeed(pieces)))
  })

/** Uniform whole numbers below `bound`, the same for a seed. */
export const randomFrom = (seed: number): ((bound: number) => number) => {
  let state = seed >>> 0
  return (bound) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound
  }
}

export const noise = (length: number, random: (bound: number) => number): Uint8Array =>
  Uint8Array.from({ length }, () => random(256))

/** Objects of a few shapes, as an application's messages have them. */
export const json = (length: number, random: (bound: number) => number): Uint8Array => {
  let text = "["
  while (text.length < length) {
    text += `{"id":${random(1_000_000)},"name":"user ${random(5000).toString(36)}","active":${random(2) === 0},`
    text += `"score":${random(100_000) / 100},"tags":["alpha","beta","${["x", "y", "z"][random(3)]}"]},`
  }
  return new Uint8Array(Buffer.from(text.slice(0, length)))
}

/** The tail that RFC 7692 section 7.2.1 cuts off. */
export const tail = Uint8Array.of(0x00, 0x00, 0xff, 0xff)

/** A message that is cut off within a final block: behind its tail a bit that is set would be the end of that. */
export const endsInFirstBit = "05c1d10980301044c156b60ebb59c80be7d7423c34587d661c256a3934be465296cd"

/** One that is cut off within the codes of a final block: `00 00 ff ff 01 00 00 ff ff` would complete and end it. */
export const endsInHeader =
  "f248cdc9c907000000ffff0df500041200545555555555555555555555555555555555555555555555555555555555550500000000000000000000000000"

/** Compresses messages with one stream, each ended by a flush. */
export const streamingDeflate = (options: ZlibOptions, noContextTakeover: boolean) => {
  const stream = createDeflateRaw({ ...options, flush: constants.Z_SYNC_FLUSH })
  let chunks: Array<Uint8Array> = []
  stream.on("data", (chunk: Uint8Array) => chunks.push(chunk))
  return (message: Uint8Array): Effect.Effect<Uint8Array> =>
    Effect.callback((resume) => {
      stream.write(message, () => {
        const compressed = concat(...chunks)
        chunks = []
        if (noContextTakeover) stream.reset()
        // zlib flushes nothing twice (section 7.2.3.6).
        const isEmpty = compressed.length === 0
        resume(Effect.succeed(isEmpty ? Uint8Array.of(0x00) : compressed.subarray(0, -tail.length)))
      })
    })
}

/** The deflate stream that messages were cut out of. */
export const streamOf = (messages: ReadonlyArray<Uint8Array>): Uint8Array =>
  joined(messages.flatMap((message) => [message, tail]))

/** Inflates what a sender has flushed. */
export const inflateStream = (windowBits: number, stream: Uint8Array): Uint8Array =>
  inflateRawSync(stream, { windowBits, finishFlush: constants.Z_SYNC_FLUSH })

/** How many bytes zlib takes: it stops behind a final block. */
export const takenByZlib = (bytes: Uint8Array, dictionary: Uint8Array = new Uint8Array(0)): number => {
  const options: ZlibOptions = { dictionary, finishFlush: constants.Z_SYNC_FLUSH, info: true }
  // As documented of the option `info`; its types leave that out.
  const result: unknown = inflateRawSync(bytes, options)
  return (result as { readonly engine: InflateRaw }).engine.bytesWritten
}

const lengths: ReadonlyArray<readonly [base: number, extra: number]> = Array.from({ length: 29 }, (_, i) => {
  if (i === 28) return [258, 0]
  const extra = i < 8 ? 0 : (i >> 2) - 1
  return [i < 8 ? i + 3 : ((4 + (i & 3)) << extra) + 3, extra]
})

const distances: ReadonlyArray<readonly [base: number, extra: number]> = Array.from(
  { length: 30 },
  (_, i) => {
    const extra = i < 4 ? 0 : (i >> 1) - 1
    return [i < 4 ? i + 1 : ((2 + (i & 1)) << extra) + 1, extra]
  }
)

const codeLengthOrder = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]

/** How far back a deflate stream refers at most (RFC 1951); it ends with the bytes, between two blocks. */
export const farthestDistance = (bytes: Uint8Array): number => {
  let position = 0
  const bits = (count: number): number => {
    let value = 0
    for (let i = 0; i < count; i++, position++) {
      value |= ((bytes[position >> 3]! >> (position & 7)) & 1) << i
    }
    return value
  }
  const decoder = (codeLengths: ReadonlyArray<number>): (() => number) => {
    const symbols = new Map<number, number>()
    let code = 0
    for (let length = 1; length <= 15; length++, code <<= 1) {
      codeLengths.forEach((itsLength, symbol) => {
        if (itsLength === length) symbols.set((length << 16) | code++, symbol)
      })
    }
    return () => {
      let read = 0
      for (let length = 1; length <= 15; length++) {
        read = (read << 1) | bits(1)
        const symbol = symbols.get((length << 16) | read)
        if (symbol !== undefined) return symbol
      }
      throw new Error("no such code")
    }
  }
  const dynamicCodes = () => {
    const [literals, distanceCount, count] = [bits(5) + 257, bits(5) + 1, bits(4) + 4]
    const own: Array<number> = Array.from({ length: 19 }, () => 0)
    for (const symbol of codeLengthOrder.slice(0, count)) own[symbol] = bits(3)
    const next = decoder(own)
    const all: Array<number> = []
    while (all.length < literals + distanceCount) {
      const symbol = next()
      if (symbol < 16) all.push(symbol)
      else if (symbol === 16) all.push(...Array.from({ length: 3 + bits(2) }, () => all.at(-1)!))
      else all.push(...Array.from({ length: symbol === 17 ? 3 + bits(3) : 11 + bits(7) }, () => 0))
    }
    return [decoder(all.slice(0, literals)), decoder(all.slice(literals))] as const
  }
  const fixedCodes = () => {
    const fixed = Array.from({ length: 288 }, (_, i) => (i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8))
    return [decoder(fixed), decoder(Array.from({ length: 30 }, () => 5))] as const
  }

  let farthest = 0
  while (position < bytes.length * 8) {
    bits(1)
    const type = bits(2)
    if (type === 0) {
      position = (position + 7) & ~7
      const length = bits(16)
      position += 16 + 8 * length
      continue
    }
    const [literal, distance] = type === 1 ? fixedCodes() : dynamicCodes()
    for (let symbol = literal(); symbol !== 256; symbol = literal()) {
      if (symbol < 256) continue
      bits(lengths[symbol - 257]![1])
      const [base, extra] = distances[distance()]!
      farthest = Math.max(farthest, base + bits(extra))
    }
  }
  return farthest
}
