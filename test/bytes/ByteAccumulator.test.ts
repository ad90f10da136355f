import { assert, describe, it } from "@effect/vitest"
import { ByteAccumulator } from "../../src/bytes/ByteAccumulator.ts"
import { bytesOf, concat, piecesOf } from "../support/frames.ts"
import { arrayBufferBytes } from "../support/memory.ts"

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0

const accumulate = (pieces: ReadonlyArray<Uint8Array>): ByteAccumulator => {
  const accumulator = new ByteAccumulator()
  for (const piece of pieces) accumulator.append(piece)
  return accumulator
}

/** `length` bytes at the start of a chunk of `chunkLength`. */
const pieceOfChunk = (length: number, chunkLength: number, start: number): Uint8Array => {
  const chunk = new Uint8Array(chunkLength)
  chunk.set(bytesOf(length, start))
  return chunk.subarray(0, length)
}

describe("ByteAccumulator", () => {
  it("has nothing at first", () => {
    const accumulator = new ByteAccumulator()
    assert.strictEqual(accumulator.length, 0)
    assert.strictEqual(accumulator.take().length, 0)
  })

  it("joins pieces of one size in order", () => {
    for (const total of [1, 255, 256, 257, 4096, 10_000, 200_000]) {
      const bytes = bytesOf(total)
      for (const size of [1, 7, 64, 255, 256, 257, 4095, 4096, 4097, 65_536, 65_537, 200_000]) {
        const accumulator = accumulate(piecesOf(bytes, size))
        assert.strictEqual(accumulator.length, total)
        assert.isTrue(same(accumulator.take(), bytes), `${total} bytes in pieces of ${size}`)
      }
    }
  })

  it("joins pieces of mixed sizes, kept and copied ones, in order", () => {
    const sizes = [0, 1, 300, 5000, 3, 0, 4096, 4095, 70_000, 2, 2, 8192, 130_000, 1, 256, 256, 512, 9000, 0]
    let at = 0
    const pieces = sizes.map((size) => {
      at += size
      return bytesOf(size, at - size)
    })
    for (let rotation = 0; rotation < sizes.length; rotation++) {
      const rotated = [...pieces.slice(rotation), ...pieces.slice(0, rotation)]
      const accumulator = accumulate(rotated)
      assert.strictEqual(accumulator.length, at)
      assert.isTrue(same(accumulator.take(), concat(...rotated)), `rotation ${rotation}`)
    }
  })

  it("joins what comes of an announced length, announced at any piece, in memory of just that length", () => {
    const total = 200_000
    const bytes = bytesOf(total)
    for (const size of [1000, 4096, 65_536, 199_999, 200_000]) {
      const pieces = piecesOf(bytes, size)
      for (const announced of [0, 1, Math.floor(pieces.length / 2), pieces.length - 1]) {
        const accumulator = new ByteAccumulator()
        for (const [index, piece] of pieces.entries()) {
          accumulator.append(piece, index >= announced ? total : 0)
        }
        assert.strictEqual(accumulator.length, total)
        const joined = accumulator.take()
        assert.isTrue(same(joined, bytes), `pieces of ${size}, announced at ${announced}`)
        assert.strictEqual(joined.buffer.byteLength, total)
        accumulator.append(bytesOf(3))
        assert.deepStrictEqual(accumulator.take(), bytesOf(3))
      }
    }
  })

  it("takes no memory for an announced length before a quarter of it is there", () => {
    const total = 8_000_000
    const before = arrayBufferBytes()
    const accumulator = new ByteAccumulator()
    for (let i = 0; i < 19; i++) accumulator.append(bytesOf(100_000), total)
    const early = arrayBufferBytes() - before
    assert.isBelow(early, 2_500_000)
    accumulator.append(bytesOf(100_000), total)
    assert.isAtLeast(arrayBufferBytes() - before, total)
    assert.strictEqual(accumulator.length, 2_000_000)
  })

  it("is empty after take, and what was taken is not written again", () => {
    // A part of a block, a whole block, a piece that was kept, and several joined.
    for (const sizes of [[100], [256], [5000], [300, 5000, 10]]) {
      const accumulator = accumulate(sizes.map((size) => bytesOf(size)))
      const first = accumulator.take()
      const copy = first.slice()
      assert.strictEqual(accumulator.length, 0)
      accumulator.append(bytesOf(40, 99))
      assert.strictEqual(accumulator.length, 40)
      assert.deepStrictEqual(accumulator.take(), bytesOf(40, 99))
      assert.isTrue(same(first, copy))
      assert.strictEqual(accumulator.take().length, 0)
    }
  })

  it("clear drops what was collected", () => {
    const accumulator = accumulate([bytesOf(300), bytesOf(5000), bytesOf(10)])
    accumulator.clear()
    assert.strictEqual(accumulator.length, 0)
    accumulator.append(bytesOf(3))
    assert.deepStrictEqual(accumulator.take(), bytesOf(3))
  })

  it("keeps a large piece that is most of its chunk without copying it", () => {
    const piece = pieceOfChunk(5000, 5004, 0)
    assert.strictEqual(accumulate([piece]).take(), piece)
  })

  // [what it is, length of the piece, length of its chunk]
  it.each([
    ["a small piece, its chunk's all", 4095, 4095],
    ["a small part of its chunk", 5000, 65_536],
    ["a little less than half of its chunk", 5000, 10_001]
  ])("copies %s, so that it pins no chunk", (_name, length, chunkLength) => {
    const piece = pieceOfChunk(length, chunkLength, 0)
    const accumulator = accumulate([piece])
    new Uint8Array(piece.buffer).fill(0xff)
    assert.isTrue(same(accumulator.take(), bytesOf(length)))
  })

  it("a 4 MiB message in 64-byte pieces pins none of the chunks they came in", () => {
    const before = arrayBufferBytes()
    const accumulator = new ByteAccumulator()
    for (let at = 0; at < 0x40_0000; at += 64) accumulator.append(pieceOfChunk(64, 8192, at))
    const used = arrayBufferBytes() - before
    assert.strictEqual(accumulator.length, 0x40_0000)
    assert.isBelow(used, 6 * 0x10_0000)
    assert.isTrue(same(accumulator.take(), bytesOf(0x40_0000)))
  })

  it("large and tiny pieces in turn cost memory in proportion to their bytes", () => {
    const before = arrayBufferBytes()
    const accumulator = new ByteAccumulator()
    let at = 0
    for (let i = 0; i < 512; i++) {
      accumulator.append(bytesOf(4096, at))
      accumulator.append(bytesOf(1, at + 4096))
      at += 4097
    }
    const used = arrayBufferBytes() - before
    assert.isBelow(used, 2 * at)
    assert.isTrue(same(accumulator.take(), bytesOf(at)))
  })

  it("a million empty pieces cost nothing", () => {
    const accumulator = new ByteAccumulator()
    const empty = new Uint8Array(0)
    accumulator.append(bytesOf(3))
    for (let i = 0; i < 1_000_000; i++) accumulator.append(empty)
    assert.strictEqual(accumulator.length, 3)
    assert.deepStrictEqual(accumulator.take(), bytesOf(3))
  })
})
