import { assert, describe, it } from "@effect/vitest"
import { LastPayloads } from "../../src/channel/LastPayloads.ts"

describe("LastPayloads", () => {
  it("gives the last 16 payloads of any length, in order, as copies", () => {
    const chunk = Uint8Array.from({ length: 500 }, (_, i) => i)
    const pushed = Array.from({ length: 126 }, (_, length) => chunk.subarray(length, 2 * length))
    const payloads = new LastPayloads()
    assert.deepStrictEqual(payloads.all, [])
    for (const [index, payload] of pushed.entries()) {
      payloads.push(payload)
      const { all } = payloads
      assert.deepStrictEqual(all, pushed.slice(Math.max(0, index - 15), index + 1))
      for (const copy of all) assert.strictEqual(copy.buffer.byteLength, copy.length)
    }
    payloads.push(chunk.subarray(0, 0))
    assert.deepStrictEqual(payloads.all.at(-1), new Uint8Array(0))
    chunk.fill(0)
    assert.strictEqual(payloads.all[0]?.[0], 111, "what was pushed may change")
  })
})
