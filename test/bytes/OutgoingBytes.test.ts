import { assert, describe, it } from "@effect/vitest"
import { OutgoingBytes, SlabPool } from "../../src/bytes/OutgoingBytes.ts"
import { bytesOf, concat } from "../support/frames.ts"

/** Writes `bytes` into the slab, as the frame writer does. */
const put = (out: OutgoingBytes, bytes: Uint8Array): void => {
  out.pool.reserve(bytes.length)
  out.pool.bytes.set(bytes, out.pool.position)
  out.commit(bytes.length)
}

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0

describe("SlabPool", () => {
  it("holds no memory before it is asked for some", () => {
    assert.strictEqual(new SlabPool().bytes.length, 0)
  })

  it("keeps its slab while there is room, and takes a new one when there is not", () => {
    const pool = new SlabPool()
    pool.reserve(10)
    const slab = pool.bytes
    pool.position = slab.length - 10
    pool.reserve(10)
    assert.strictEqual(pool.bytes, slab)
    assert.strictEqual(pool.position, slab.length - 10)
    pool.reserve(11)
    assert.notStrictEqual(pool.bytes.buffer, slab.buffer)
    assert.strictEqual(pool.position, 0)
  })

  it("makes a slab as large as one reservation asks", () => {
    const pool = new SlabPool()
    pool.reserve(1_000_000)
    assert.isAtLeast(pool.bytes.length, 1_000_000)
  })

  it("its view shows its bytes", () => {
    const pool = new SlabPool()
    for (let i = 0; i < 3; i++) {
      pool.reserve(40_000)
      pool.view.setUint32(pool.position, 0x01020304)
      assert.deepStrictEqual([...pool.bytes.subarray(pool.position, pool.position + 4)], [1, 2, 3, 4])
      pool.position += 40_000
    }
  })
})

describe("OutgoingBytes", () => {
  it("has nothing at first", () => {
    const out = new OutgoingBytes(new SlabPool())
    assert.strictEqual(out.length, 0)
    assert.deepStrictEqual(out.take(), [])
  })

  it("what is written in one go is one segment", () => {
    const out = new OutgoingBytes(new SlabPool())
    for (let i = 0; i < 100; i++) put(out, bytesOf(20, i * 20))
    assert.strictEqual(out.length, 2000)
    assert.deepStrictEqual(out.take(), [bytesOf(2000)])
  })

  it("take empties it", () => {
    const out = new OutgoingBytes(new SlabPool())
    put(out, bytesOf(5))
    out.append(bytesOf(7))
    out.take()
    assert.strictEqual(out.length, 0)
    assert.deepStrictEqual(out.take(), [])
    put(out, bytesOf(9, 3))
    assert.strictEqual(out.length, 9)
    assert.deepStrictEqual(out.take(), [bytesOf(9, 3)])
  })

  it("appended bytes go by reference, in their place", () => {
    const out = new OutgoingBytes(new SlabPool())
    const large = bytesOf(10_000)
    put(out, bytesOf(3, 1))
    out.append(large)
    put(out, bytesOf(4, 2))
    assert.strictEqual(out.length, 10_007)
    const segments = out.take()
    assert.deepStrictEqual(segments, [bytesOf(3, 1), large, bytesOf(4, 2)])
    assert.strictEqual(segments[1], large)
  })

  it("appending nothing leaves no segment", () => {
    const out = new OutgoingBytes(new SlabPool())
    put(out, bytesOf(3))
    out.append(new Uint8Array(0))
    put(out, bytesOf(3, 3))
    assert.deepStrictEqual(out.take(), [bytesOf(6)])
  })

  it("keeps the order over a change of slab", () => {
    const out = new OutgoingBytes(new SlabPool())
    const sizes = [30_000, 30_000, 10_000, 70_000, 1, 65_536, 1]
    let at = 0
    for (const size of sizes) {
      put(out, bytesOf(size, at))
      at += size
    }
    assert.strictEqual(out.length, at)
    assert.isTrue(same(concat(...out.take()), bytesOf(at)))
  })

  it("connections of one pool that write in turns each get their own bytes, in order", () => {
    const pool = new SlabPool()
    const outs = Array.from({ length: 5 }, () => new OutgoingBytes(pool))
    const expected: Array<Array<Uint8Array>> = outs.map(() => [])
    const actual: Array<Array<Uint8Array>> = outs.map(() => [])
    let at = 1
    for (let step = 0; step < 5000; step++) {
      at = (at * 48_271) % 0x7fff_ffff
      const which = at % outs.length
      const out = outs[which]!
      const bytes = bytesOf((at >>> 8) % 700, at)
      if (at % 7 === 0) out.append(bytes)
      else put(out, bytes)
      expected[which]!.push(bytes.slice())
      // What was taken is kept until the end: nothing later may write over it.
      if (at % 11 === 0) actual[which]!.push(...out.take())
    }
    outs.forEach((out, which) => {
      actual[which]!.push(...out.take())
      assert.isTrue(same(concat(...actual[which]!), concat(...expected[which]!)), `connection ${which}`)
    })
  })

  it("does not join its run with another connection's bytes in between", () => {
    const pool = new SlabPool()
    const [a, b] = [new OutgoingBytes(pool), new OutgoingBytes(pool)]
    put(a, bytesOf(4, 1))
    put(b, bytesOf(4, 2))
    put(a, bytesOf(4, 3))
    assert.deepStrictEqual(a.take(), [bytesOf(4, 1), bytesOf(4, 3)])
    assert.deepStrictEqual(b.take(), [bytesOf(4, 2)])
  })

  it("slab bytes that were taken are never written again", () => {
    const out = new OutgoingBytes(new SlabPool())
    const taken: Array<readonly [Uint8Array, Uint8Array]> = []
    for (let i = 0; i < 300; i++) {
      put(out, bytesOf(1000, i))
      for (const segment of out.take()) taken.push([segment, segment.slice()])
    }
    for (const [segment, copy] of taken) assert.isTrue(same(segment, copy))
  })
})
