import { constants, deflateRawSync } from "node:zlib"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { finalBlock, type Inflated, inflate, inflateAlone } from "../../src/node/SharedInflate.ts"
import { endsInFirstBit, endsInHeader, json, noise, randomFrom, tail } from "../support/deflate.ts"
import { bytesOf, concat, hex, utf8 } from "../support/frames.ts"

const ways = [
  { way: "on the shared state", run: inflate },
  { way: "with an object of its own", run: inflateAlone }
]

const empty = new Uint8Array(0)

/** What is thrown, by its code. */
const outcome = (run: () => Inflated): Inflated | unknown => {
  try {
    return run()
  } catch (error) {
    return error instanceof Error && "code" in error ? error.code : error
  }
}

describe("SharedInflate", () => {
  it.effect.each(ways)("$way: a stream that refers to the window, and where it ends", ({ run }) =>
    Effect.sync(() => {
      const random = randomFrom(3)
      for (let round = 0; round < 300; round++) {
        const window = json(random(32_769), random)
        const message = round % 3 === 0 ? noise(random(5000), random) : json(random(5000), random)
        const behind = noise(random(20), random)
        const stream = deflateRawSync(message, { dictionary: window })
        const { hasEnded, output, taken } = run(window, concat(stream, behind))
        assert.isTrue(hasEnded)
        assert.strictEqual(Object.getPrototypeOf(output), Uint8Array.prototype)
        assert.isTrue(Buffer.compare(output, message) === 0, `round ${round}`)
        assert.strictEqual(taken, stream.length)
      }
    })
  )

  it.effect.each(ways)("$way: bytes that end with a block end it, and no others", ({ run }) =>
    Effect.sync(() => {
      const flushed = deflateRawSync(utf8("Hello"), { finishFlush: constants.Z_SYNC_FLUSH })
      const finished = deflateRawSync(utf8("Hello"))
      for (const [bytes, taken] of [
        [flushed, flushed.length],
        [finished, finished.length],
        [concat(finished, finalBlock), finished.length]
      ] as const) {
        const expected = { output: utf8("Hello"), taken, hasEnded: true }
        assert.deepStrictEqual(run(empty, bytes), expected)
        assert.deepStrictEqual(run(utf8("window"), bytes), expected)
      }
      for (const bytes of [
        // A final stored block that lacks as many bytes as the final block has, fewer, more, and its content.
        hex("01 16 00 e9 ff 2a"),
        hex("01 15 00 ea ff 2a"),
        hex("01 17 00 e8 ff 2a"),
        hex("01 11 00 ee ff 2a"),
        // A final block with codes of its own, whose end the next bit would be, and one whose codes are not all there.
        concat(hex(endsInFirstBit), tail),
        concat(hex(endsInHeader), tail)
      ]) {
        assert.isFalse(run(empty, bytes).hasEnded)
      }
    })
  )

  it.effect.each(ways)("$way: the output is the caller's", ({ run }) =>
    Effect.sync(() => {
      const first = run(empty, deflateRawSync(utf8("first"))).output
      run(empty, deflateRawSync(utf8("other")))
      assert.deepStrictEqual(first, utf8("first"))
      assert.strictEqual(first.buffer.byteLength, 5)
    })
  )

  it.effect.each(ways)("$way: what it cannot inflate is thrown, and the next is inflated again", ({ run }) =>
    Effect.sync(() => {
      const message = deflateRawSync(utf8("again"))
      const unended = deflateRawSync(utf8("again")).subarray(0, -1)
      const bomb = (size: number) => deflateRawSync(bytesOf(size))
      const back = deflateRawSync(utf8("window"), { dictionary: utf8("a window") })
      for (const [code, window, bytes] of [
        ["Z_DATA_ERROR", empty, hex("ff ff ff ff")],
        ["Z_DATA_ERROR", utf8("dow"), back],
        ["ERR_BUFFER_TOO_LARGE", empty, bomb(98_305)],
        ["ERR_BUFFER_TOO_LARGE", empty, bomb(1 << 24)],
        ["ERR_BUFFER_TOO_LARGE", bytesOf(32_768), bomb(65_537)]
      ] as const) {
        assert.strictEqual(
          outcome(() => run(window, bytes)),
          code
        )
        const expected = { output: utf8("again"), taken: message.length, hasEnded: true }
        assert.deepStrictEqual(run(empty, message), expected)
        assert.isFalse(run(empty, unended).hasEnded)
        assert.deepStrictEqual(run(empty, message), expected)
      }
      assert.strictEqual(run(empty, bomb(98_304)).output.length, 98_304)
      assert.strictEqual(run(bytesOf(32_768), bomb(65_536)).output.length, 65_536)
    })
  )
})
