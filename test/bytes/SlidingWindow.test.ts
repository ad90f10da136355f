import { assert, describe, it } from "@effect/vitest"
import { SlidingWindow } from "../../src/bytes/SlidingWindow.ts"
import { bytesOf, concat } from "../support/frames.ts"
import { arrayBufferBytes } from "../support/memory.ts"

describe("SlidingWindow", () => {
  it("has the last bytes of all that were added, whatever their lengths", () => {
    for (const size of [3, 250, 256, 1000, 4096]) {
      for (const lengths of [[0], [1], [size], [size + 1], [3, size - 1, 1], [5 * size, 7, 0, size - 3, 9]]) {
        const window = new SlidingWindow()
        let all = new Uint8Array(0)
        for (const length of Array.from({ length: 5 }, () => lengths).flat()) {
          const bytes = bytesOf(length, all.length)
          window.append(bytes, size)
          bytes.fill(0)
          all = new Uint8Array(concat(all, bytesOf(length, all.length)))
          assert.deepStrictEqual(window.last(size), all.slice(-size), `${lengths} of ${size}`)
          assert.deepStrictEqual(
            window.last(size >> 1),
            all.slice(all.length - Math.min(size >> 1, all.length))
          )
        }
      }
    }
  })

  it("may get larger", () => {
    const window = new SlidingWindow()
    window.append(bytesOf(300), 200)
    window.append(bytesOf(500), 650)
    assert.deepStrictEqual(window.last(1000), concat(bytesOf(300).slice(100).slice(-150), bytesOf(500)))
  })

  it("holds no more than twice what it has, at most its size, and nothing once cleared", () => {
    const bytes = bytesOf(100_000)
    const before = arrayBufferBytes()
    const window = new SlidingWindow()
    const held = (): number => arrayBufferBytes() - before
    assert.strictEqual(held(), 0)
    for (const [length, atMost] of [
      [100, 256],
      [1000, 1100],
      [200, 2200],
      [100_000, 4096]
    ] as const) {
      window.append(bytes.subarray(0, length), 4096)
      assert.isAtMost(held(), atMost)
    }
    window.clear()
    assert.strictEqual(held(), 0)
    assert.strictEqual(window.last(10).length, 0)
    window.append(bytesOf(3), 4096)
    assert.deepStrictEqual(window.last(10), bytesOf(3))
  })
})
