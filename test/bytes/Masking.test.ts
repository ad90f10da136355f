import { assert, describe, it } from "@effect/vitest"
import { applyMask, rotateKey, viewOf } from "../../src/bytes/Masking.ts"
import { bytesOf, hex, type Key, keyNumber, keyOf, mask, rfcKey, toHex, utf8 } from "../support/frames.ts"
import { withGlobal } from "../support/withGlobal.ts"

const keys: ReadonlyArray<Key> = [
  rfcKey,
  [0, 0, 0, 0],
  [0xff, 0xff, 0xff, 0xff],
  [0x80, 0, 0, 0x01],
  [0x01, 0x02, 0x03, 0x04],
  [0, 0, 0, 0x80]
]

/** Every remainder of the blocks in which short and long payloads are masked. */
const lengths = [...Array(41).keys(), ...Array.from({ length: 70 }, (_, i) => 370 + i)]

/** As with a content security policy without `wasm-unsafe-eval`. */
const forbidden = {
  Module: class {
    constructor() {
      throw new WebAssembly.CompileError("refused to compile")
    }
  }
}

const masked = (bytes: Uint8Array, key: number): Uint8Array => {
  const copy = bytes.slice()
  applyMask(copy, viewOf(copy), 0, copy.length, key)
  return copy
}

describe("Masking", () => {
  it("masks RFC 6455 section 5.7's example", () => {
    assert.strictEqual(toHex(masked(utf8("Hello"), 0x37fa213d)), "7f9f4d5158")
    assert.deepStrictEqual(masked(hex("7f9f4d5158"), 0x37fa213d), utf8("Hello"))
  })

  it("XORs octet i with key octet i modulo 4, at every offset and length", () => {
    for (const key of keys) {
      for (let start = 0; start <= 9; start++) {
        for (const length of lengths) {
          const bytes = bytesOf(start + length + 11)
          const expected = bytes.slice()
          applyMask(bytes, viewOf(bytes), start, start + length, keyNumber(key))
          expected.set(mask(expected.slice(start, start + length), key), start)
          if (toHex(bytes) !== toHex(expected)) assert.fail(`key ${key}, start ${start}, length ${length}`)
        }
      }
    }
  })

  it.each([
    { what: "by 128-bit words", wasm: WebAssembly, isFast: true },
    { what: "where there is no WebAssembly", wasm: undefined, isFast: false },
    { what: "where a policy forbids WebAssembly", wasm: forbidden, isFast: false }
  ])("masks long payloads and no byte around them: $what", ({ isFast, wasm }) =>
    withGlobal("WebAssembly", wasm, async () => {
      const { applyMask, viewOf } = await import("../../src/bytes/Masking.ts")
      const { maskBySimd } = await import("../../src/bytes/SimdMasking.ts")
      assert.strictEqual(maskBySimd(new Uint8Array(1), 0, 1, 0), isFast)
      for (const length of [4095, 4096, 4097, 4159, 16_383, 16_384, 16_385, 32_768, 50_001, 65_536]) {
        for (const start of [0, 1, 6, 64]) {
          const bytes = bytesOf(start + length + 70)
          const expected = bytes.slice()
          expected.set(mask(expected.slice(start, start + length), rfcKey), start)
          applyMask(bytes, viewOf(bytes), start, start + length, keyNumber(rfcKey))
          if (Buffer.compare(bytes, expected) !== 0) assert.fail(`start ${start}, length ${length}`)
        }
      }
    })
  )

  it("works on a view that starts at any offset of its buffer", () => {
    for (let offset = 0; offset < 9; offset++) {
      const buffer = bytesOf(64)
      const bytes = buffer.subarray(offset, offset + 37)
      applyMask(bytes, viewOf(bytes), 3, 30, keyNumber(rfcKey))
      const expected = bytesOf(64)
      expected.set(mask(expected.slice(offset + 3, offset + 30), rfcKey), offset + 3)
      assert.deepStrictEqual(buffer, expected)
    }
  })

  it("undoes itself", () => {
    for (const key of keys) {
      const bytes = bytesOf(101)
      assert.deepStrictEqual(masked(masked(bytes, keyNumber(key)), keyNumber(key)), bytes)
    }
  })

  it("a rotated key goes on where the cut was, at every pair of cuts", () => {
    const bytes = bytesOf(24)
    for (const key of keys) {
      const whole = toHex(mask(bytes, key))
      for (let first = 0; first <= bytes.length; first++) {
        for (let second = first; second <= bytes.length; second++) {
          const copy = bytes.slice()
          const view = viewOf(copy)
          const keyThen = rotateKey(keyNumber(key), first)
          applyMask(copy, view, 0, first, keyNumber(key))
          applyMask(copy, view, first, second, keyThen)
          applyMask(copy, view, second, bytes.length, rotateKey(keyThen, second - first))
          if (toHex(copy) !== whole) assert.fail(`key ${key}, cuts at ${first} and ${second}`)
        }
      }
    }
  })

  it("a rotated key stays an unsigned 32-bit number", () => {
    for (const key of keys) {
      for (let count = 0; count < 9; count++) {
        const octets = Array.from({ length: 4 }, (_, i) => key[(i + count) % 4]!)
        assert.deepStrictEqual([...keyOf(rotateKey(keyNumber(key), count))], octets)
      }
    }
    assert.strictEqual(rotateKey(0x37fa213d, 0x1_0000_0001), 0xfa213d37)
  })

  it("viewOf covers exactly the bytes", () => {
    const bytes = bytesOf(20).subarray(5, 12)
    const view = viewOf(bytes)
    assert.strictEqual(view.buffer, bytes.buffer)
    assert.deepStrictEqual([view.byteOffset, view.byteLength], [5, 7])
  })
})
