import { brotliDecompressSync } from "node:zlib"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as BrotliCodec from "../../src/node/BrotliCodec.ts"
import { noise, randomFrom } from "../support/deflate.ts"
import { bytesOf, concat, hex, utf8 } from "../support/frames.ts"
import { compressed, decompressed, decompressedInPieces, describeCodec } from "../support/messageCodecs.ts"

const { makeDecompressor } = BrotliCodec

const makeCompressor = (options: Partial<BrotliCodec.CompressorOptions>) =>
  BrotliCodec.makeCompressor({ contextTakeover: false, quality: 3, ...options })

for (const contextTakeover of [false, true]) {
  describeCodec(
    `BrotliCodec ${contextTakeover ? "with" : "without"} context takeover`,
    {
      compressor: () => makeCompressor({ contextTakeover }),
      decompressor: () => makeDecompressor({ contextTakeover })
    },
    20_000
  )
}

// python3-brotli, whose module Autobahn uses:
//   python3 -c 'import brotli; c = brotli.Compressor(); print((c.process(b"hello, hello, hello, hello") + c.finish()).hex())'
const whole = hex("1b1900f88d946ede44095286966c2c6f314f24b0e300")
const hello = utf8("hello, hello, hello, hello")

//   python3 -c 'import brotli; c = brotli.Compressor()
//   for m in b"hello, hello, hello, hello", b"", b"hello, hello, hello": print((c.process(m) + c.flush()).hex())'
const flushed = [
  [hello, hex("8b0c00f88d946ede44095286966c2c6f314f24b0e318")],
  [new Uint8Array(0), new Uint8Array(0)],
  [hello.subarray(0, 19), hex("900080df4855fb6b1016343659c6f616710400e51603")]
] as const

describe("BrotliCodec", () => {
  it.effect("reads what Python's brotli writes", () =>
    Effect.gen(function* () {
      const one = makeDecompressor({ contextTakeover: false })
      for (let i = 0; i < 2; i++) assert.deepStrictEqual(yield* decompressed(one, whole, 100), hello)
      const all = makeDecompressor({ contextTakeover: true })
      for (const [message, payload] of flushed) {
        assert.deepStrictEqual(yield* decompressed(all, payload, 100), message)
      }
    })
  )

  it.effect("without context takeover, sends a brotli stream per message", () =>
    Effect.gen(function* () {
      const compressor = makeCompressor({ contextTakeover: false })
      for (const size of [0, 1, 1000, 100_000]) {
        const payload = bytesOf(size)
        const message = yield* compressed(compressor, payload)
        assert.deepStrictEqual(new Uint8Array(brotliDecompressSync(message)), payload)
      }
    })
  )

  it.effect("with context takeover, sends less for what it has sent before", () =>
    Effect.gen(function* () {
      const payload = bytesOf(1000)
      const compressor = makeCompressor({ contextTakeover: true })
      const first = yield* compressed(compressor, payload)
      const second = yield* compressed(compressor, payload)
      assert.isAbove(first.length, 200)
      assert.isBelow(second.length, 40)
    })
  )

  it.effect("with context takeover, takes a new stream after one that ended with its message", () =>
    Effect.gen(function* () {
      const message = concat(whole, whole)
      for (const pieces of [[whole], [new Uint8Array(0), whole.subarray(0, 1), whole.subarray(1)]]) {
        const receiver = makeDecompressor({ contextTakeover: true })
        for (let i = 0; i < 3; i++) {
          assert.deepStrictEqual(yield* decompressedInPieces(receiver, pieces, 100), hello)
        }
        assert.strictEqual(yield* decompressed(receiver, message, 100), "Corrupt")
      }
      // Within a message there is none: each would cost more than its one byte.
      const receiver = makeDecompressor({ contextTakeover: true })
      assert.strictEqual(yield* decompressedInPieces(receiver, [whole, whole], 100), "Corrupt")
    })
  )

  it.effect("without context takeover, finds a stream that does not end with its message Corrupt", () =>
    Effect.gen(function* () {
      for (const message of [
        flushed[0][1],
        concat(whole, hex("00")),
        whole.subarray(0, 10),
        new Uint8Array(0)
      ]) {
        const receiver = makeDecompressor({ contextTakeover: false })
        assert.strictEqual(yield* decompressed(receiver, message, 100), "Corrupt")
        assert.strictEqual(yield* decompressedInPieces(receiver, [message], 100), "Corrupt")
      }
    })
  )

  it.effect("compresses as its quality says", () =>
    Effect.gen(function* () {
      const payload = bytesOf(10_000)
      const sizes: Array<number> = []
      for (const quality of [0, 5, 11]) {
        const compressor = makeCompressor({ quality })
        sizes.push((yield* compressed(compressor, payload)).length)
        assert.notStrictEqual(compressor.aloneKey, makeCompressor({}).aloneKey)
      }
      assert.isAbove(sizes[0]!, sizes[2]!)
    })
  )

  it.effect("with context takeover, refers back to the last 32 KiB, and not further", () =>
    Effect.gen(function* () {
      const random = randomFrom(1)
      const first = noise(500, random)
      const sizeAfter = Effect.fnUntraced(function* (length: number) {
        const compressor = makeCompressor({ contextTakeover: true })
        yield* compressed(compressor, first)
        yield* compressed(compressor, noise(length, random))
        return (yield* compressed(compressor, first)).length
      })
      assert.isBelow(yield* sizeAfter(32_000), 50)
      assert.isAbove(yield* sizeAfter(33_000), 500)
    })
  )
})
