import { constants, deflateRawSync } from "node:zlib"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { MessageCompressor, MessageDecompressor } from "../../src/extension/MessageCodec.ts"
import {
  type DeflateParameters,
  type InflateParameters,
  makeCompressor,
  makeDecompressor
} from "../../src/node/DeflateCodec.ts"
import {
  compress,
  decompress,
  endsInFirstBit,
  endsInHeader,
  farthestDistance,
  inflateStream,
  json,
  noise,
  push,
  randomFrom,
  streamingDeflate,
  streamOf,
  tail,
  takenByZlib
} from "../support/deflate.ts"
import { bytesOf, concat, cutAt, hex, joined, toHex, utf8 } from "../support/frames.ts"
import { arrayBufferBytes } from "../support/memory.ts"
import { compressedAlone, turnsDuring } from "../support/messageCodecs.ts"

const compressor = (parameters: Partial<DeflateParameters> = {}): MessageCompressor =>
  makeCompressor({ windowBits: 15, noContextTakeover: false, memLevel: 8, level: 6, ...parameters })

const decompressor = (parameters: Partial<InflateParameters> = {}): MessageDecompressor =>
  makeDecompressor({ windowBits: 15, noContextTakeover: false, ...parameters })

const hello = utf8("Hello")

const assertBytes = (actual: unknown, expected: Uint8Array, what = ""): void => {
  if (!(actual instanceof Uint8Array)) return assert.fail(`${what} ${String(actual)}`)
  assert.strictEqual(Object.getPrototypeOf(actual), Uint8Array.prototype, what)
  assert.isTrue(Buffer.compare(actual, expected) === 0, what)
}

/** A deflate stream that ends with a final block. */
const finished = (payload: Uint8Array): Uint8Array => deflateRawSync(payload)

/** A message of zeros, and how it is compressed: a part of it again and again. */
const zeros = (parts: number): Uint8Array => {
  const part = deflateRawSync(new Uint8Array(1 << 20), { finishFlush: constants.Z_SYNC_FLUSH })
  return concat(...Array.from({ length: parts }, () => part), Uint8Array.of(0x00))
}

describe("DeflateCodec: RFC 7692 section 7.2.3", () => {
  it.effect.each([
    { what: "one block", payloads: ["f248cdc9c90700"], messages: ["Hello"] },
    { what: "a shared window", payloads: ["f248cdc9c90700", "f200110000"], messages: ["Hello", "Hello"] },
    { what: "a stored block", payloads: ["000500faff48656c6c6f00"], messages: ["Hello"] },
    { what: "a final block", payloads: ["f348cdc9c9070000"], messages: ["Hello"] },
    {
      what: "a final block, and after it the window",
      payloads: ["f348cdc9c9070000", "f200110000"],
      messages: ["Hello", "Hello"]
    },
    { what: "two blocks", payloads: ["f24805000000ffffcac9c90700"], messages: ["Hello"] },
    { what: "an empty message", payloads: ["00", "f248cdc9c90700"], messages: ["", "Hello"] },
    // Beyond its examples: a final block that ends the message itself, or is cut as a tail.
    {
      what: "nothing after a final block",
      payloads: ["f348cdc9c90700", "f200110000"],
      messages: ["Hello", "Hello"]
    },
    { what: "a final block as the tail", payloads: ["f248cdc9c90704"], messages: ["Hello"] }
  ])("decompresses $what", ({ messages, payloads }) =>
    Effect.gen(function* () {
      const whole = decompressor()
      const pieces = decompressor()
      for (const [i, payload] of payloads.entries()) {
        const bytes = hex(payload)
        assertBytes(yield* decompress(whole, bytes), utf8(messages[i]!))
        const got: Array<Uint8Array> = []
        for (let at = 0; at < bytes.length; at++) {
          const result = yield* push(pieces, bytes.subarray(at, at + 1), at === bytes.length - 1)
          if (typeof result === "string") return assert.fail(result)
          got.push(...result)
        }
        assertBytes(joined(got), utf8(messages[i]!))
      }
    })
  )

  it.effect("compresses as the examples", () =>
    Effect.gen(function* () {
      const takeover = compressor()
      assert.strictEqual(toHex(yield* compress(takeover, hello)), "f248cdc9c90700")
      assert.strictEqual(toHex(yield* compress(takeover, hello)), "f200110000")
      assert.strictEqual(toHex(yield* compress(takeover, new Uint8Array(0))), "00")
      const alone = compressor({ noContextTakeover: true })
      assert.strictEqual(toHex(yield* compress(alone, hello)), "f248cdc9c90700")
      assert.strictEqual(toHex(yield* compress(alone, hello)), "f248cdc9c90700")
      assert.strictEqual(toHex(yield* compress(compressor({ level: 0 }), hello)), "000500faff48656c6c6f00")
    })
  )
})

/** One direction's parameters, and messages of many sizes and kinds. */
const cases = [8, 9, 10, 11, 12, 13, 14, 15].flatMap((windowBits) =>
  [false, true].map((noContextTakeover) => ({ windowBits, noContextTakeover }))
)

/** Mostly short; compressible, repeated, of one byte, and not compressible. */
const messagesFrom = (seed: number, count: number): ReadonlyArray<Uint8Array> => {
  const random = randomFrom(seed)
  const text = json(200_000, random)
  const bytes = noise(102_400, random)
  const lengthOf = (): number => {
    const kind = random(1000)
    return random(kind < 950 ? 300 : kind < 995 ? 3000 : kind < 999 ? 20_000 : 102_401)
  }
  const messages: Array<Uint8Array> = []
  for (let i = 0; i < count; i++) {
    const length = lengthOf()
    const kind = random(10)
    const start = random(102_401 - length)
    if (kind < 6) messages.push(text.subarray(start, start + length))
    else if (kind < 7) messages.push(bytes.subarray(start, start + length))
    else if (kind < 8) messages.push(new Uint8Array(length).fill(random(256)))
    else messages.push((messages[i - 1 - random(Math.min(i, 4))] ?? hello).slice())
  }
  return messages
}

describe("DeflateCodec: against zlib's streams", () => {
  it.effect.each(cases)(
    "10,000 messages, window $windowBits, no context takeover $noContextTakeover",
    (parameters) =>
      Effect.gen(function* () {
        const { noContextTakeover, windowBits } = parameters
        const messages = messagesFrom(windowBits * 2 + Number(noContextTakeover), 10_000)
        const theirs = streamingDeflate(
          { windowBits, level: 1 + (windowBits % 9), memLevel: 2 },
          noContextTakeover
        )
        const [ours, receiver, loop] = [
          compressor(parameters),
          decompressor(parameters),
          decompressor(parameters)
        ]
        const sent: Array<Uint8Array> = []
        for (const [i, message] of messages.entries()) {
          assertBytes(yield* decompress(receiver, yield* theirs(message)), message, `received ${i}`)
          sent.push(yield* compress(ours, message))
        }
        assert.strictEqual(Buffer.compare(inflateStream(windowBits, streamOf(sent)), joined(messages)), 0)
        for (const [i, message] of messages.slice(0, 1000).entries()) {
          assertBytes(yield* decompress(loop, sent[i]!), message, `looped ${i}`)
        }
      })
  )

  it.effect(
    "refers no further back than the window: 2,000 streams for one of 8 bits, and some for others",
    () =>
      Effect.gen(function* () {
        for (let stream = 0; stream < 2700; stream++) {
          const random = randomFrom(stream)
          const windowBits = stream < 2000 ? 8 : 9 + (stream % 7)
          const ours = compressor({
            windowBits,
            level: [6, 1, 2, 3, 4, 9, 0, -1][stream % 8]!,
            memLevel: 1 + (stream % 9)
          })
          // Few words, so that there is something to refer to at any distance.
          const words = Array.from({ length: 2 + random(60) }, () => noise(3 + random(20), random))
          const messages = Array.from({ length: 4 }, () =>
            concat(...Array.from({ length: random(60) }, () => words[random(words.length)]!))
          )
          let sent: Uint8Array = new Uint8Array(0)
          for (const message of messages) {
            const isFinal = random(4) > 0
            sent = concat(sent, yield* compress(ours, message, isFinal), isFinal ? tail : sent.subarray(0, 0))
          }
          assert.isAtMost(farthestDistance(sent), 2 ** windowBits, `stream ${stream}`)
          assert.strictEqual(Buffer.compare(inflateStream(windowBits, sent), joined(messages)), 0)
        }
        // The check can fail.
        const far = concat(json(300, randomFrom(1)), noise(100, randomFrom(1)), json(300, randomFrom(1)))
        assert.strictEqual(farthestDistance(concat(yield* compress(compressor(), far), tail)), 400)
      })
  )

  it.effect("sends a message in fragments, whose context goes on", () =>
    Effect.gen(function* () {
      for (const noContextTakeover of [false, true]) {
        const [ours, theirs] = [compressor({ noContextTakeover }), decompressor({ noContextTakeover })]
        const message = json(20_000, randomFrom(2))
        const again = concat(message.subarray(0, 5000), message.subarray(0, 5000))
        const first = yield* compress(ours, again.subarray(0, 5000), false)
        assertBytes(first.subarray(-4), tail)
        const empty = yield* compress(ours, new Uint8Array(0), false)
        const second = yield* compress(ours, again.subarray(5000), true)
        assert.isBelow(second.length, 100)
        assertBytes(yield* decompress(theirs, concat(first, empty, second)), again)
        const after = yield* compress(ours, again.subarray(0, 5000), true)
        assert.strictEqual(after.length < 100, !noContextTakeover)
        assertBytes(yield* decompress(theirs, after), again.subarray(0, 5000))
      }
    })
  )

  it.effect("compresses alone for all with one key, and lets later messages refer to it", () =>
    Effect.gen(function* () {
      const message = json(3000, randomFrom(3))
      const [one, other] = [compressor(), compressor({ noContextTakeover: true })]
      assert.strictEqual(one.aloneKey, other.aloneKey)
      for (const differing of [{ windowBits: 14 }, { memLevel: 7 }, { level: 5 }]) {
        assert.notStrictEqual(compressor(differing).aloneKey, one.aloneKey)
      }
      const theirs = decompressor()
      assertBytes(yield* decompress(theirs, yield* compress(one, hello)), hello)
      const alone = yield* compressedAlone(one, message)
      assertBytes(alone, yield* compressedAlone(other, message))
      assert.strictEqual(alone.buffer.byteLength, alone.length)
      // It is not sent yet: nothing refers to it, and it refers to nothing.
      assert.strictEqual(toHex(yield* compress(one, hello)), "f200110000")
      assertBytes(yield* decompress(theirs, hex("f200110000")), hello)
      for (let i = 0; i < 2; i++) {
        assertBytes(yield* decompress(theirs, alone), message)
        one.sentAlone(message)
        const next = yield* compress(one, message)
        assert.isBelow(next.length, 100)
        assertBytes(yield* decompress(theirs, next), message)
      }
      other.sentAlone(message)
      assertBytes(yield* compress(other, message), alone)
    })
  )
})

describe("DeflateCodec: final blocks", () => {
  const parts = [
    json(5000, randomFrom(4)),
    hello,
    noise(70_000, randomFrom(4)),
    json(200_000, randomFrom(5)),
    hello
  ]
  const streams = concat(...parts.map(finished))

  it.effect("goes on behind each, with the window", () =>
    Effect.gen(function* () {
      const theirs = decompressor()
      const message = concat(hello, ...parts)
      const first = deflateRawSync(hello, { finishFlush: constants.Z_FINISH })
      // What follows a final block refers to what was before it.
      const last = deflateRawSync(hello, { dictionary: hello, finishFlush: constants.Z_SYNC_FLUSH })
      assertBytes(
        yield* decompress(theirs, concat(first, streams, last.subarray(0, -4))),
        concat(message, hello)
      )
      assertBytes(yield* decompress(theirs, hex("f200110000")), hello)
    })
  )

  it.effect("and in pieces cut anywhere", () =>
    Effect.gen(function* () {
      const random = randomFrom(6)
      const theirs = decompressor()
      for (let i = 0; i < 40; i++) {
        const cuts = Array.from({ length: random(6) }, () => random(streams.length)).sort((a, b) => a - b)
        const got: Array<Uint8Array> = []
        const pieces = cutAt(streams, i === 0 ? [finished(parts[0]!).length] : cuts)
        for (const [at, piece] of pieces.entries()) {
          const result = yield* push(theirs, piece, at === pieces.length - 1)
          if (typeof result === "string") return assert.fail(result)
          got.push(...result)
        }
        assertBytes(joined(got), joined(parts), String(cuts))
      }
    })
  )

  it.effect("a message of nothing else does not keep the event loop", () =>
    Effect.gen(function* () {
      const nothing = concat(...Array.from({ length: 3000 }, () => hex("0300")))
      const [whole, turns] = yield* turnsDuring(decompress(decompressor(), nothing))
      assertBytes(whole, new Uint8Array(0))
      assert.isAtLeast(turns, 20)
      const theirs = decompressor()
      const [pieces] = yield* turnsDuring(push(theirs, nothing, false))
      assert.deepStrictEqual(pieces, [])
      // Closed in the middle of it, it stays silent.
      let isTold = false
      theirs.push(nothing, true, 1000, () => {
        isTold = true
      })
      theirs.close()
      yield* turnsDuring(decompress(decompressor(), nothing))
      assert.isFalse(isTold)
    })
  )
})

describe("DeflateCodec: limits", () => {
  it.effect.each([
    { size: 0 },
    { size: 1 },
    { size: 5 },
    { size: 300 },
    { size: 65_536 },
    { size: 65_537 },
    { size: 1_000_000 }
  ])("$size bytes pass with just that limit, and no byte less", ({ size }) =>
    Effect.gen(function* () {
      const message = json(size, randomFrom(size))
      const payload = yield* compress(compressor(), message)
      assertBytes(yield* decompress(decompressor(), payload, size), message)
      const pieces = decompressor()
      const start = payload.subarray(0, payload.length >> 1)
      const end = payload.subarray(payload.length >> 1)
      const first = yield* push(pieces, start, false, size)
      const last = yield* push(pieces, end, true, size - joined(first as ReadonlyArray<Uint8Array>).length)
      assertBytes(joined([...first, ...last] as ReadonlyArray<Uint8Array>), message)
      if (size === 0) return
      assert.strictEqual(yield* decompress(decompressor(), payload, size - 1), "TooBig")
      const tooLong = decompressor()
      const begun = yield* push(tooLong, start, false, size - 1)
      const came = typeof begun === "string" ? 0 : joined(begun).length
      if (begun !== "TooBig") assert.strictEqual(yield* push(tooLong, end, true, size - 1 - came), "TooBig")
    })
  )

  it.effect("memory stays flat when 1 MiB would become 1 GiB", () =>
    Effect.gen(function* () {
      const bomb = zeros(1024)
      assert.isBelow(bomb.length, 1 << 21)
      // Many streams, each with a little.
      const many = concat(...Array.from({ length: 4000 }, () => finished(new Uint8Array(60_000))))
      const before = process.resourceUsage().maxRSS
      for (const payload of [bomb, bomb.subarray(0, 60_000), many]) {
        for (const limit of [0, 1, 65_536, 1 << 20]) {
          const [whole, pieces] = [decompressor(), decompressor()]
          assert.strictEqual(yield* decompress(whole, payload, limit), "TooBig")
          assert.strictEqual(yield* push(pieces, payload, false, limit), "TooBig")
          assert.strictEqual(yield* push(decompressor(), payload, true, limit), "TooBig")
        }
      }
      // In KiB.
      assert.isBelow(process.resourceUsage().maxRSS - before, 64 * 1024)
    })
  )
})

describe("DeflateCodec: what is not deflate", () => {
  it.effect.each([
    { what: "a block type that is none", payload: "07" },
    { what: "a stored block's length", payload: "0005000000ffff" },
    { what: "a distance before the first byte", payload: "f200110000" },
    { what: "garbage behind a final block", payload: `${toHex(finished(hello))}ffffffff` },
    { what: "garbage behind a block", payload: "f248cdc9c90700ffff" },
    { what: "a stored block cut off", payload: "000500faff4865" },
    { what: "a compressed block cut off", payload: "f248cdc9" },
    { what: "a dynamic block cut off", payload: toHex(finished(json(500, randomFrom(7))).subarray(0, 20)) },
    { what: "the tail left in, and a part of one", payload: "f248cdc9c907000000ffff0000" },
    // What goes behind them would end them, and be a part of their data.
    { what: "a final compressed block cut off", payload: "7b75bd7e" },
    { what: "a final stored block cut off", payload: "010600f9ff" },
    { what: "a longer one", payload: "010900f6ff" },
    { what: "a final stored block that lacks a final block", payload: "011900e6ff" },
    { what: "a final block that lacks a bit", payload: endsInFirstBit },
    { what: "a final block's codes cut off", payload: endsInHeader }
  ])("is corrupt: $what", ({ payload }) =>
    Effect.gen(function* () {
      const bytes = hex(payload)
      assert.strictEqual(yield* decompress(decompressor(), bytes), "Corrupt")
      for (let at = 0; at <= bytes.length; at++) {
        const pieces = decompressor()
        const first = yield* push(pieces, bytes.subarray(0, at), false)
        if (first !== "Corrupt") assert.strictEqual(yield* push(pieces, bytes.subarray(at), true), "Corrupt")
      }
    })
  )

  it.effect("or becomes what zlib makes of it and its tail, and of nothing else", () =>
    Effect.gen(function* () {
      const random = randomFrom(9)
      const outcomes = { whole: 0, corrupt: 0 }
      for (let i = 0; i < 20_000; i++) {
        const payload = noise(1 + random(7), random)
        // Half of them a block with fixed codes, which noise fits into.
        if (i % 2 === 0) payload[0] = (payload[0]! & 0xf8) | (i % 4 === 0 ? 0x02 : 0x03)
        const message = yield* decompress(decompressor(), payload)
        outcomes[typeof message === "string" ? "corrupt" : "whole"]++
        if (typeof message === "string" || takenByZlib(payload) < payload.length) continue
        assertBytes(message, inflateStream(15, concat(payload, tail)), toHex(payload))
      }
      assert.isAbove(outcomes.whole, 50)
      assert.isAbove(outcomes.corrupt, 5000)
    })
  )

  it.effect("never throws, and says the same whole and in pieces", () =>
    Effect.gen(function* () {
      const random = randomFrom(8)
      const message = json(2000, random)
      const valid = [
        yield* compress(compressor(), message),
        finished(message),
        concat(finished(hello), finished(message))
      ]
      let corrupt = 0
      for (let i = 0; i < 3000; i++) {
        const payload =
          i % 10 === 0
            ? noise(random(200), random)
            : valid[i % 3]!.slice(0, i % 4 === 0 ? random(400) : undefined)
        for (let flips = random(4); flips > 0 && payload.length > 0; flips--) {
          payload[random(payload.length)]! ^= 1 << random(8)
        }
        const whole = yield* decompress(decompressor(), payload, 5000)
        const pieces = decompressor()
        const at = random(payload.length + 1)
        let left = 5000
        const got: Array<Uint8Array> = []
        let failure: string | undefined
        for (const [piece, isFinal] of [
          [payload.subarray(0, at), false],
          [payload.subarray(at), true]
        ] as const) {
          const result = yield* push(pieces, piece, isFinal, left)
          if (typeof result === "string") {
            failure = result
            break
          }
          got.push(...result)
          left -= joined(result).length
        }
        if (whole === "Corrupt") corrupt++
        if (typeof whole === "string") assert.strictEqual(failure, whole, toHex(payload))
        else assertBytes(failure ?? joined(got), whole, toHex(payload))
      }
      assert.isAbove(corrupt, 500)
    })
  )
})

describe("DeflateCodec: long messages", () => {
  it.effect.each([
    { kind: "JSON", make: json },
    { kind: "noise", make: noise }
  ])("of $kind go through while the event loop turns", ({ make }) =>
    Effect.gen(function* () {
      const [ours, theirs] = [compressor(), decompressor()]
      const long = make(3_000_000, randomFrom(9))
      const short = long.subarray(-1000)
      const [payload, turns] = yield* turnsDuring(compress(ours, long))
      assert.isAbove(turns, 2)
      const [message, turnsBack] = yield* turnsDuring(decompress(theirs, payload))
      assert.isAbove(turnsBack, 2)
      assertBytes(message, long)
      const [alone, turnsAlone] = yield* turnsDuring(compressedAlone(ours, long))
      assert.isAbove(turnsAlone, 2)
      assertBytes(yield* decompress(decompressor(), alone), long)
      const next = yield* compress(ours, short)
      assert.isBelow(next.length, 50)
      assertBytes(yield* decompress(theirs, next), short)
    })
  )

  it.effect("closed meanwhile, nothing more is told", () =>
    Effect.gen(function* () {
      const [ours, theirs, pieces] = [compressor(), decompressor(), decompressor()]
      const long = noise(1_000_000, randomFrom(10))
      const payload = yield* compress(compressor(), long)
      const told: Array<string> = []
      ours.compress(long, true, () => told.push("compressed"))
      theirs.decompress(payload, long.length, () => told.push("decompressed"))
      pieces.push(payload.subarray(0, 100_000), false, long.length, () => told.push("piece"))
      for (const codec of [ours, theirs, pieces]) codec.close()
      for (const codec of [ours, theirs, pieces]) codec.close()
      assertBytes(yield* decompress(decompressor(), payload), long)
      yield* compress(compressor(), long)
      assert.deepStrictEqual(told, [])
    })
  )
})

describe("DeflateCodec: memory", () => {
  const count = 50
  const text = json(65_536, randomFrom(11))
  const streams = concat(finished(hello), finished(noise(8_000_000, randomFrom(12))))

  /** Bytes of array buffers per pair of codecs after messages of these sizes went each way. */
  const held = (parameters: InflateParameters, sizes: ReadonlyArray<number>) =>
    Effect.gen(function* () {
      const before = arrayBufferBytes()
      const pairs = Array.from(
        { length: count },
        () => [compressor(parameters), decompressor(parameters)] as const
      )
      for (const [ours, theirs] of pairs) {
        for (const size of sizes) {
          const payload = yield* compress(ours, text.subarray(0, size))
          // In pieces, so that there was a stream too.
          yield* push(theirs, payload.subarray(0, 3), false)
          yield* push(theirs, payload.subarray(3), true)
        }
      }
      const bytes = (arrayBufferBytes() - before) / count
      for (const pair of pairs) for (const codec of pair) codec.close()
      return bytes
    })

  it.effect("is the window's, and nothing before the first message or without takeover", () =>
    Effect.gen(function* () {
      const takeover = { windowBits: 15, noContextTakeover: false }
      const kibibytes = (size: number, times: number) => Array.from({ length: times }, () => size * 1024)
      assert.isBelow(yield* held(takeover, []), 100)
      assert.isBelow(yield* held({ ...takeover, noContextTakeover: true }, kibibytes(1, 64)), 1024)
      assert.isBelow(yield* held(takeover, kibibytes(1, 1)), 4096)
      assert.isBelow(yield* held(takeover, kibibytes(1, 64)), 40 * 1024)
      assert.isBelow(yield* held(takeover, kibibytes(64, 1)), 68 * 1024)
      assert.isBelow(yield* held({ ...takeover, windowBits: 9 }, kibibytes(64, 1)), 2048)
    })
  )

  it.effect("a message that is kept keeps little else", () =>
    Effect.gen(function* () {
      const theirs = decompressor()
      for (const size of [1, 100, 1000, 5000, 40_000, 100_000]) {
        const message = yield* decompress(theirs, yield* compress(compressor(), bytesOf(size)))
        if (typeof message === "string") return assert.fail(message)
        assert.isAtMost(message.buffer.byteLength, Math.max(256, 2 * size))
      }
    })
  )

  it.effect("what follows a stream is not copied for it", () =>
    Effect.gen(function* () {
      const before = arrayBufferBytes()
      assert.strictEqual(yield* push(decompressor(), streams, false, 100_000), "TooBig")
      assert.isBelow(arrayBufferBytes() - before, 2_000_000)
    })
  )
})
