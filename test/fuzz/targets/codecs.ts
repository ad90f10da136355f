import { brotliCompressSync, constants } from "node:zlib"
import { assert } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import type { DecompressFailure, MessageDecompressor } from "../../../src/extension/MessageCodec.ts"
import * as BrotliCodec from "../../../src/node/BrotliCodec.ts"
import * as Bzip2Codec from "../../../src/node/Bzip2Codec.ts"
import * as DeflateCodec from "../../../src/node/DeflateCodec.ts"
import * as SnappyCodec from "../../../src/node/SnappyCodec.ts"
import { bytes, int, oneOf, pick } from "../../support/arbitraries.ts"
import { concat, utf8 } from "../../support/frames.ts"
import { decompressed, decompressedInPieces } from "../../support/messageCodecs.ts"
import { cutsOf, smallPieces } from "../cuts.ts"
import { bytesOfInput, inputOfBytes, type Target } from "../Target.ts"
import { atOnce } from "./atOnce.ts"

/** Of the largest window: that a message refers beyond a smaller one zlib sees only where a call ends in between. */
const windowBits = 15

const limits = [0, 100, 70_000, 1_000_000]

/** A message of an input: its length in two bytes, big endian, and the bytes. */
const lengthBytes = 2

/** The first byte says how it is decompressed, then come the messages; the last one may be cut short. */
const split = (input: string): ReadonlyArray<string> => {
  const parts = input === "" ? [] : [input.slice(0, 1)]
  for (let at = 1; at < input.length; ) {
    const end = at + lengthBytes + input.charCodeAt(at) * 256 + (input.charCodeAt(at + 1) || 0)
    parts.push(input.slice(at, end))
    at = end
  }
  return parts
}

const messagesOf = (input: string): ReadonlyArray<Uint8Array> =>
  split(input)
    .slice(1)
    .map((part) => bytesOfInput(part.slice(lengthBytes)))

const inputOf = (settings: number, messages: ReadonlyArray<Uint8Array>): string =>
  [
    String.fromCharCode(settings),
    ...messages.map(
      (message) => String.fromCharCode(message.length >> 8, message.length & 0xff) + inputOfBytes(message)
    )
  ].join("")

interface Codec {
  readonly name: string
  readonly dictionary: ReadonlyArray<string>
  /** Compresses one message after the other, each within the call. */
  readonly compressor: (contextTakeover: boolean) => (payload: Uint8Array) => Uint8Array
  readonly decompressor: (contextTakeover: boolean) => MessageDecompressor
}

const settingsOf = (input: string) => {
  const settings = input.charCodeAt(0) || 0
  return { contextTakeover: settings % 2 === 1, limit: limits[(settings >> 1) % limits.length]! }
}

type Decompressed = ReadonlyArray<Uint8Array | DecompressFailure>

/** All messages in turn, until one cannot be decompressed. */
const decompressAll = Effect.fnUntraced(function* (
  decompressor: MessageDecompressor,
  messages: ReadonlyArray<Uint8Array>,
  decompress: (message: Uint8Array) => Effect.Effect<Uint8Array | DecompressFailure>
): Effect.fn.Return<Decompressed> {
  const results: Array<Uint8Array | DecompressFailure> = []
  for (const message of messages) {
    const result = yield* decompress(message)
    results.push(result)
    if (typeof result === "string") break
  }
  decompressor.close()
  return results
})

const whole = (decompressor: MessageDecompressor, messages: ReadonlyArray<Uint8Array>, limit: number) =>
  decompressAll(decompressor, messages, (message) => decompressed(decompressor, message.slice(), limit))

const inPieces = (
  decompressor: MessageDecompressor,
  messages: ReadonlyArray<Uint8Array>,
  limit: number,
  cut: (message: Uint8Array) => ReadonlyArray<Uint8Array>
) =>
  decompressAll(decompressor, messages, (message) =>
    decompressedInPieces(decompressor, message.length === 0 ? [message] : cut(message), limit)
  )

/** A message may be judged corrupt or too big, whichever is seen first. */
const told = (results: Decompressed) => results.map((one) => (typeof one === "string" ? "failed" : one))

const codec = ({ compressor, decompressor, dictionary, name }: Codec): Target => ({
  name,
  isText: false,
  generated: Arbitrary.map(
    Arbitrary.all([
      int(0, 7),
      Arbitrary.array(
        Arbitrary.all([
          pick("", "hello, hello, hello, ", '{"id":1,"name":"user"}', "\0"),
          int(0, 60),
          oneOf(pick(new Uint8Array(0)), bytes)
        ]),
        { maxLength: 3 }
      )
    ]),
    ([settings, payloads]) => {
      const compress = compressor(settingsOf(String.fromCharCode(settings)).contextTakeover)
      const messages = payloads.map(([text, times, noise]) =>
        compress(concat(utf8(text.repeat(times)), noise.slice(0, 500)))
      )
      return inputOf(settings, messages)
    }
  ),
  dictionary,
  split,
  check: (input) => {
    const { contextTakeover, limit } = settingsOf(input)
    const messages = messagesOf(input)
    return Effect.runPromise(
      Effect.gen(function* () {
        const expected = yield* whole(decompressor(contextTakeover), messages, limit)
        for (const message of expected) {
          if (typeof message !== "string") assert.isAtMost(message.length, limit)
          else assert.include(["Corrupt", "TooBig"], message)
        }
        for (const cut of [0, 1, 2]) {
          const cutOf = (message: Uint8Array) => cutsOf(message)[cut]!
          const results = yield* inPieces(decompressor(contextTakeover), messages, limit, cutOf)
          assert.deepStrictEqual(told(results), told(expected))
        }
      })
    )
  },
  work: (input) => {
    const { contextTakeover } = settingsOf(input)
    const messages = messagesOf(input)
    return Effect.runPromise(
      Effect.gen(function* () {
        yield* whole(decompressor(contextTakeover), messages, 1_000_000)
        yield* inPieces(decompressor(contextTakeover), messages, 1_000_000, smallPieces)
      })
    )
  }
})

export const codecs: ReadonlyArray<Target> = [
  codec({
    name: "deflate",
    dictionary: [
      "\x03\0",
      "\0\0\0\xff\xff",
      "\0",
      "\x01\0\0\xff\xff",
      "\x02",
      "\xf2\x48",
      "\x04",
      "\x05\xe0\x81"
    ],
    compressor: (contextTakeover) =>
      atOnce(
        DeflateCodec.makeCompressor({
          noContextTakeover: !contextTakeover,
          windowBits,
          memLevel: 8,
          level: 6
        })
      ),
    decompressor: (contextTakeover) =>
      DeflateCodec.makeDecompressor({ noContextTakeover: !contextTakeover, windowBits })
  }),
  codec({
    name: "brotli",
    dictionary: [
      "\x06",
      "\x3b",
      "\x0b\x02\x80",
      "\x21\x2c\0\x04",
      "\x1b",
      "\x8b\x02\x80",
      "\x03",
      "\xa1\x0b\0\xc0"
    ],
    compressor: (contextTakeover) => (payload) =>
      // With context takeover messages are one stream, flushed at their ends: that is so of the first one here.
      new Uint8Array(
        brotliCompressSync(payload, {
          finishFlush: contextTakeover ? constants.BROTLI_OPERATION_FLUSH : constants.BROTLI_OPERATION_FINISH,
          params: { [constants.BROTLI_PARAM_QUALITY]: 5 }
        })
      ),
    decompressor: (contextTakeover) => BrotliCodec.makeDecompressor({ contextTakeover })
  }),
  codec({
    name: "bzip2",
    dictionary: ["BZh", "BZh9", "1AY&SY", "\x17rE8P\x90\0\0\0\0", "BZh9\x17rE8P\x90\0\0\0\0"],
    compressor: () => atOnce(Bzip2Codec.makeCompressor({ compressLevel: 1 })),
    decompressor: () => Bzip2Codec.makeDecompressor()
  }),
  codec({
    name: "snappy",
    dictionary: [
      "\xff\x06\0\0sNaPpY",
      "\xfe\x01\0\0",
      "\x80\0\0\0",
      "\0\x05\0\0",
      "\x01\x05\0\0",
      "\x80\x80\x04"
    ],
    compressor: (contextTakeover) => atOnce(SnappyCodec.makeCompressor({ contextTakeover })),
    decompressor: (contextTakeover) => SnappyCodec.makeDecompressor({ contextTakeover })
  })
]
