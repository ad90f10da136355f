/**
 * What every codec of messages must do, and Effects for its calls.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type {
  DecompressFailure,
  MessageCompressor,
  MessageDecompressor
} from "../../src/extension/MessageCodec.ts"
import { bytes, type Cut, cut, type Described, int, oneOf, pick } from "./arbitraries.ts"
import { json, randomFrom } from "./deflate.ts"
import { bytesOf, concat, joined, utf8 } from "./frames.ts"

export const compressed = (
  compressor: MessageCompressor,
  payload: Uint8Array,
  isFinal = true
): Effect.Effect<Uint8Array> =>
  Effect.callback((resume) =>
    compressor.compress(payload, isFinal, (compressed) => resume(Effect.succeed(compressed)))
  )

export const compressedAlone = (
  compressor: MessageCompressor,
  payload: Uint8Array
): Effect.Effect<Uint8Array> =>
  Effect.callback((resume) =>
    compressor.compressAlone(payload, (compressed) => resume(Effect.succeed(compressed)))
  )

/** Runs the effect, and counts the turns of the event loop meanwhile. */
export const turnsDuring = <A>(effect: Effect.Effect<A>): Effect.Effect<readonly [A, turns: number]> =>
  Effect.gen(function* () {
    let turns = 0
    let timer: NodeJS.Immediate
    const turn = (): void => {
      turns++
      timer = setImmediate(turn)
    }
    timer = setImmediate(turn)
    const result = yield* effect
    clearImmediate(timer)
    return [result, turns] as const
  })

export const decompressed = (
  decompressor: MessageDecompressor,
  payload: Uint8Array,
  limit: number
): Effect.Effect<Uint8Array | DecompressFailure> =>
  Effect.callback((resume) =>
    decompressor.decompress(payload, limit, (message) => resume(Effect.succeed(message)))
  )

const pushed = (
  decompressor: MessageDecompressor,
  piece: Uint8Array,
  isFinal: boolean,
  limit: number
): Effect.Effect<ReadonlyArray<Uint8Array> | DecompressFailure> =>
  Effect.callback((resume) =>
    decompressor.push(piece, isFinal, limit, (pieces) => resume(Effect.succeed(pieces)))
  )

/** What comes of a message that is pushed piece by piece. */
export const decompressedInPieces = Effect.fnUntraced(function* (
  decompressor: MessageDecompressor,
  pieces: ReadonlyArray<Uint8Array>,
  limit: number
) {
  const parts: Array<Uint8Array> = []
  let left = limit
  for (const [i, piece] of pieces.entries()) {
    const out = yield* pushed(decompressor, piece, i === pieces.length - 1, left)
    if (typeof out === "string") return out
    for (const part of out) {
      parts.push(part)
      left -= part.length
    }
  }
  return joined(parts)
})

export interface CodecCase {
  readonly compressor: () => MessageCompressor
  readonly decompressor: () => MessageDecompressor
}

// Some that compress well, some that do not at all, some that repeat what was before them.
const payload: Arbitrary.Arbitrary<Uint8Array> = oneOf(
  bytes,
  Arbitrary.map(int(0, 200 * 1024), (length) => bytesOf(length, length)),
  Arbitrary.map(int(0, 200 * 1024), (length) => new Uint8Array(length)),
  Arbitrary.map(Arbitrary.all([pick("hello", "hello world, ", "é€😀"), int(0, 2000)]), ([text, times]) =>
    utf8(text.repeat(times))
  )
)

const flipped = (bytes: Uint8Array, place: number, value: number): Uint8Array => {
  const copy = new Uint8Array(bytes)
  if (copy.length > 0) copy[place % copy.length]! ^= value
  return copy
}

/** The bytes of a bomb: 64 MiB of zeros. */
export const bombSize = 64 * 1024 * 1024

/** 64 MiB of zeros, compressed fragment by fragment. */
const bomb = Effect.fnUntraced(function* (compressor: MessageCompressor) {
  const fragment = new Uint8Array(bombSize / 64)
  const parts: Array<Uint8Array> = []
  for (let i = 1; i <= 64; i++) parts.push(yield* compressed(compressor, fragment, i === 64))
  return joined(parts)
})

const isMessageWithin = (limit: number, message: Uint8Array | DecompressFailure): boolean =>
  typeof message === "string" ? message === "Corrupt" || message === "TooBig" : message.length <= limit

/** Tests what holds for every codec. `bombBytes`: so many at most does the bomb have. */
export const describeCodec = (
  name: string,
  { compressor, decompressor }: CodecCase,
  bombBytes: number
): void => {
  describe(name, () => {
    it.effect.prop(
      "gives back what it was given, whole or in pieces, and fragments joined",
      { payloads: Arbitrary.array(payload, { maxLength: 6 }), cut, parts: cut },
      ({ cut, parts, payloads }) =>
        Effect.gen(function* () {
          const sender = compressor()
          const whole = decompressor()
          const pieces = decompressor()
          for (const payload of payloads) {
            const before = new Uint8Array(payload)
            const fragments = atLeastOne(parts, payload)
            const sent: Array<Uint8Array> = []
            for (const [i, fragment] of fragments.entries()) {
              sent.push(yield* compressed(sender, fragment, i === fragments.length - 1))
            }
            const message = joined(sent)
            assert.deepStrictEqual(yield* decompressed(whole, message, payload.length), payload)
            assert.deepStrictEqual(
              yield* decompressedInPieces(pieces, atLeastOne(cut, message), payload.length),
              payload
            )
            assert.deepStrictEqual(payload, before)
          }
          for (const end of [sender, whole, pieces]) end.close()
        }),
      { arbitrary: { runs: 40, size: 30 }, timeout: 60_000 }
    )

    it.effect("takes a message compressed alone between others, where it can", () =>
      Effect.gen(function* () {
        const sender = compressor()
        const receiver = decompressor()
        for (const payload of [utf8("hello ".repeat(50)), new Uint8Array(0), bytesOf(5000)]) {
          const first = yield* compressed(sender, payload)
          assert.deepStrictEqual(yield* decompressed(receiver, first, 5000), payload)
          assert.strictEqual(compressor().aloneKey, sender.aloneKey)
          if (sender.aloneKey === undefined) continue
          const alone = yield* compressedAlone(sender, payload)
          assert.deepStrictEqual(yield* compressedAlone(compressor(), payload), alone)
          assert.deepStrictEqual(yield* decompressed(receiver, alone, 5000), payload)
          sender.sentAlone(payload)
        }
      })
    )

    it.effect("fails with TooBig from the first byte over the limit on", () =>
      Effect.gen(function* () {
        for (const payload of [
          utf8("h"),
          utf8("hello".repeat(1000)),
          bytesOf(100_000),
          new Uint8Array(300_000)
        ]) {
          const message = yield* compressed(compressor(), payload)
          const pieces = [message.subarray(0, 3), message.subarray(3)]
          for (const over of [1, payload.length]) {
            const limit = payload.length - over
            assert.strictEqual(yield* decompressed(decompressor(), message, limit), "TooBig")
            assert.strictEqual(yield* decompressedInPieces(decompressor(), pieces, limit), "TooBig")
          }
          for (const limit of [payload.length, Number.POSITIVE_INFINITY]) {
            assert.deepStrictEqual(yield* decompressed(decompressor(), message, limit), payload)
            assert.deepStrictEqual(yield* decompressedInPieces(decompressor(), pieces, limit), payload)
          }
        }
      })
    )

    it.effect("stops a bomb at the limit, and needs no memory for the rest of it", () =>
      Effect.gen(function* () {
        const message = yield* bomb(compressor())
        assert.isAtMost(message.length, bombBytes)
        const { maxRSS } = process.resourceUsage()
        for (const limit of [1000, 1024 * 1024]) {
          assert.strictEqual(yield* decompressed(decompressor(), message, limit), "TooBig")
          assert.strictEqual(yield* decompressedInPieces(decompressor(), [message], limit), "TooBig")
        }
        assert.isBelow((process.resourceUsage().maxRSS - maxRSS) * 1024, bombSize / 2)
      })
    )

    it.effect.prop(
      "never throws and keeps to the limit, whatever it is given",
      {
        payload,
        garbage: bytes,
        edit: pick("flip", "cut", "add", "garbage"),
        place: int(0, 0xff_ffff),
        value: int(1, 255),
        limit: pick(0, 1, 100, 70_000, 1_000_000),
        cut
      },
      ({ cut, edit, garbage, limit, payload, place, value }) =>
        Effect.gen(function* () {
          const message = yield* compressed(compressor(), payload)
          const mutated =
            edit === "garbage"
              ? garbage
              : edit === "cut"
                ? message.slice(0, place % (message.length + 1))
                : edit === "add"
                  ? concat(message, garbage)
                  : flipped(message, place, value)
          const whole = yield* decompressed(decompressor(), mutated, limit)
          assert.isTrue(isMessageWithin(limit, whole))
          const pieces = yield* decompressedInPieces(decompressor(), atLeastOne(cut, mutated), limit)
          assert.isTrue(isMessageWithin(limit, pieces))
          assert.strictEqual(typeof whole, typeof pieces)
        }),
      { arbitrary: { runs: 150, size: 30 }, timeout: 60_000 }
    )

    it.effect("lets the event loop turn while a long message goes through", () =>
      Effect.gen(function* () {
        const payload = json(1_200_000, randomFrom(1))
        const [message, turns] = yield* turnsDuring(compressed(compressor(), payload))
        const [alone, turnsAlone] = yield* turnsDuring(compressedAlone(compressor(), payload))
        const [whole, turnsBack] = yield* turnsDuring(decompressed(decompressor(), message, payload.length))
        const pieces = [message.subarray(0, 1000), message.subarray(1000)]
        const [joined, turnsInPieces] = yield* turnsDuring(
          decompressedInPieces(decompressor(), pieces, payload.length)
        )
        for (const count of [turns, turnsAlone, turnsBack, turnsInPieces]) assert.isAtLeast(count, 2)
        const back = [whole, joined]
        if (compressor().aloneKey !== undefined) {
          back.push(yield* decompressed(decompressor(), alone, payload.length))
        }
        for (const message of back) {
          assert.isTrue(typeof message !== "string" && Buffer.compare(message, payload) === 0)
        }
      })
    )

    it.effect("tells nobody after it was closed, but those who share a message", () =>
      Effect.gen(function* () {
        const payload = json(1_000_000, randomFrom(2))
        const message = yield* compressed(compressor(), payload)
        const ends = [compressor(), decompressor()] as const
        const told: Array<string> = []
        ends[0].compress(payload, true, () => told.push("compressed"))
        ends[1].decompress(message, 1_000_000, () => told.push("decompressed"))
        const before = [...told]
        const shared = compressor()
        const alone = yield* Effect.forkChild(compressedAlone(shared, payload), { startImmediately: true })
        for (const end of [...ends, shared]) end.close()
        // Its work is done after theirs, where that is done in other threads.
        for (let i = 0; i < 2; i++) {
          const again = yield* compressed(compressor(), payload)
          yield* decompressed(decompressor(), again, 1_000_000)
        }
        assert.deepStrictEqual(told, before)
        assert.isAbove((yield* Fiber.join(alone)).length, 0)
      })
    )
  })
}

const atLeastOne = (cut: Described<Cut>, bytes: Uint8Array): ReadonlyArray<Uint8Array> => {
  const pieces = cut.value(bytes)
  return pieces.length === 0 ? [bytes] : pieces
}
