import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Bzip2Codec from "../../src/node/Bzip2Codec.ts"
import { bytesOf, hex, toHex, utf8 } from "../support/frames.ts"
import { compressed, decompressed, decompressedInPieces, describeCodec } from "../support/messageCodecs.ts"

const { makeCompressor, makeDecompressor } = Bzip2Codec

for (const compressLevel of [1, 9]) {
  describeCodec(
    `Bzip2Codec, level ${compressLevel}`,
    { compressor: () => makeCompressor({ compressLevel }), decompressor: makeDecompressor },
    30_000
  )
}

//   python3 -c 'import bz2; c = bz2.BZ2Compressor(9); print((c.compress(b"hello") + c.flush()).hex())'
const goldens = [
  [9, "hello", "425a68393141592653591931653d00000081000244a000219a68334d07338bb9229c28480c98b29e80"],
  [9, "", "425a683917724538509000000000"],
  [
    1,
    "hello".repeat(100),
    "425a6831314159265359fc52ae4e00006381000244a00030cd340a50611711691708bc5dc914e14243f14ab938"
  ]
] as const

describe("Bzip2Codec", () => {
  it.effect.each(goldens)("writes and reads what Python's bz2 does, at level %s", ([level, text, stream]) =>
    Effect.gen(function* () {
      const compressor = makeCompressor({ compressLevel: level })
      for (let i = 0; i < 2; i++) {
        assert.strictEqual(toHex(yield* compressed(compressor, utf8(text))), stream)
        assert.deepStrictEqual(yield* decompressed(makeDecompressor(), hex(stream), text.length), utf8(text))
      }
      const keys = [1, 9].map((compressLevel) => makeCompressor({ compressLevel }).aloneKey)
      assert.strictEqual(new Set(keys).size, 2)
    })
  )

  it.effect("finds a stream without its end Corrupt, and one that is changed", () =>
    Effect.gen(function* () {
      const stream = hex(goldens[0][2])
      for (let length = 0; length < stream.length; length++) {
        assert.strictEqual(yield* decompressed(makeDecompressor(), stream.slice(0, length), 100), "Corrupt")
      }
      for (const place of [0, 3, 4, 12, 25, 35]) {
        const changed = stream.map((byte, i) => (i === place ? byte ^ 0x10 : byte))
        assert.strictEqual(yield* decompressed(makeDecompressor(), changed, 100), "Corrupt")
      }
    })
  )

  it.effect("keeps no more pieces than a message within the limit can have", () =>
    Effect.gen(function* () {
      const pieces = Array.from({ length: 20 }, () => bytesOf(100))
      assert.strictEqual(yield* decompressedInPieces(makeDecompressor(), pieces, 1000), "TooBig")
    })
  )

  it.effect("takes messages that need more memory than WebAssembly starts with, and goes on", () =>
    Effect.gen(function* () {
      const long = new Uint8Array(40_000_000).fill(7)
      const compressor = makeCompressor({ compressLevel: 1 })
      for (const payload of [long, utf8("hello"), long.subarray(0, 20_000_000)]) {
        const message = yield* compressed(compressor, payload)
        const back = yield* decompressed(makeDecompressor(), message, payload.length)
        assert.isTrue(typeof back !== "string" && Buffer.compare(back, payload) === 0)
      }
    })
  )
})
