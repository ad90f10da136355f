import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { compressSync } from "snappy"
import { crc32c } from "../../src/bytes/Crc32c.ts"
import * as SnappyCodec from "../../src/node/SnappyCodec.ts"
import { bytesOf, concat, hex, piecesOf, toHex, utf8 } from "../support/frames.ts"
import {
  compressed,
  compressedAlone,
  decompressed,
  decompressedInPieces,
  describeCodec
} from "../support/messageCodecs.ts"

const { makeCompressor, makeDecompressor } = SnappyCodec

for (const contextTakeover of [false, true]) {
  describeCodec(
    `SnappyCodec ${contextTakeover ? "with" : "without"} context takeover`,
    {
      compressor: () => makeCompressor({ contextTakeover }),
      decompressor: () => makeDecompressor({ contextTakeover })
    },
    // Snappy itself saves no more than 20 of 21 bytes.
    4_000_000
  )
}

// Autobahn's PerMessageSnappy with python3-snappy, as a server without and with server_no_context_takeover:
//   p = PerMessageSnappy(True, no_context_takeover, False)
//   for m in b"hello", b"ab" * 200, b"":
//       p.start_compress_message(); print((p.compress_message_data(m) + p.end_compress_message()).hex())
// Debian 12's python3-snappy needs a CRC-32C of its own in place of snappy.snappy._crc32c, which fails there.
const first = "ff060000734e61507059"
const goldens = [
  ["hello", "01090000bb1f1c1968656c6c6f"],
  ["ab".repeat(200), "001e0000313260b49003046162fe0200fe0200fe0200fe0200fe0200fe0200360200"],
  ["", ""]
] as const

const chunk = (type: number, content: Uint8Array): Uint8Array => {
  const header = new Uint8Array(4)
  new DataView(header.buffer).setUint32(0, type | (content.length << 8), true)
  return concat(header, content)
}

const data = (type: number, content: Uint8Array, plain: Uint8Array): Uint8Array => {
  const sum = crc32c(plain)
  const checksum = new Uint8Array(4)
  new DataView(checksum.buffer).setUint32(0, ((sum >>> 15) | (sum << 17)) + 0xa282ead8, true)
  return chunk(type, concat(checksum, content))
}

describe("SnappyCodec", () => {
  it.effect.each([false, true])(
    "writes and reads what Autobahn does, context takeover %s",
    (contextTakeover) =>
      Effect.gen(function* () {
        const sender = makeCompressor({ contextTakeover })
        const receiver = makeDecompressor({ contextTakeover })
        for (const [i, [text, chunks]] of goldens.entries()) {
          const message = (i > 0 && contextTakeover ? "" : first) + chunks
          assert.deepStrictEqual(yield* decompressed(receiver, hex(message), text.length), utf8(text))
          assert.strictEqual(toHex(yield* compressed(sender, utf8(text))), message)
        }
      })
  )

  it.effect("with context takeover, what was sent alone has started the stream", () =>
    Effect.gen(function* () {
      const sender = makeCompressor({ contextTakeover: true })
      assert.strictEqual(toHex(yield* compressedAlone(sender, utf8("hello"))), first + goldens[0][1])
      sender.sentAlone(utf8("hello"))
      assert.strictEqual(toHex(yield* compressed(sender, utf8("hello"))), goldens[0][1])
    })
  )

  const hello = utf8("hello")
  const start = hex(first)
  const block = new Uint8Array(compressSync(hello))
  const long = new Uint8Array(65_537)

  it.effect("skips what may be skipped, and needs no memory for it", () =>
    Effect.gen(function* () {
      const padding = chunk(0xfe, new Uint8Array(0xff_ffff))
      const message = concat(start, padding, data(0, block, hello), start, data(1, hello, hello), padding)
      const twice = utf8("hellohello")
      assert.deepStrictEqual(
        yield* decompressed(makeDecompressor({ contextTakeover: false }), message, 10),
        twice
      )
      for (const size of [1000, 20_000_000]) {
        const receiver = makeDecompressor({ contextTakeover: false })
        assert.deepStrictEqual(yield* decompressedInPieces(receiver, piecesOf(message, size), 10), twice)
      }
    })
  )

  const corrupt: ReadonlyArray<readonly [string, Uint8Array]> = [
    ["nothing", new Uint8Array(0)],
    ["no identifier", data(1, hello, hello)],
    ["another identifier", concat(chunk(0xff, utf8("sNaPpX")), data(1, hello, hello))],
    ["a long identifier", concat(chunk(0xff, utf8("sNaPpYY")), data(1, hello, hello))],
    ["a chunk that may not be skipped", concat(start, chunk(0x02, hello))],
    ["the last chunk that may not be skipped", concat(start, chunk(0x7f, hello))],
    ["no whole header", concat(start, hex("010000"))],
    ["no whole chunk", concat(start, data(1, hello, hello).subarray(0, 11))],
    ["no whole chunk to skip", concat(start, chunk(0x80, hello).subarray(0, 8))],
    ["no whole checksum", concat(start, chunk(1, hex("0102")))],
    ["another checksum", concat(start, data(1, hello, utf8("hellp")))],
    ["another checksum of a block", concat(start, data(0, block, utf8("hellp")))],
    ["no block", concat(start, data(0, new Uint8Array(0), hello))],
    ["no end of a block's length", concat(start, data(0, hex("ffffff"), hello))],
    ["a block that ends early", concat(start, data(0, block.subarray(0, 4), hello))],
    ["more than 64 KiB", concat(start, data(1, long, long))],
    ["more than 64 KiB in a block", concat(start, data(0, new Uint8Array(compressSync(long)), long))],
    ["a chunk of 16 MiB", concat(start, hex("00ffffff"), bytesOf(10))]
  ]

  it.effect.each(corrupt)("finds %s Corrupt", ([, message]) =>
    Effect.gen(function* () {
      const receiver = () => makeDecompressor({ contextTakeover: false })
      assert.strictEqual(yield* decompressed(receiver(), message, 1_000_000), "Corrupt")
      const pieces = message.length === 0 ? [message] : piecesOf(message, 7)
      assert.strictEqual(yield* decompressedInPieces(receiver(), pieces, 1_000_000), "Corrupt")
    })
  )
})
