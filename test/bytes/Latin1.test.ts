import { assert, describe, it } from "@effect/vitest"
import * as Latin1 from "../../src/bytes/Latin1.ts"
import { withGlobal } from "../support/withGlobal.ts"

const everyByte = Uint8Array.from({ length: 256 }, (_, byte) => byte)
const everyCharacter = Array.from(everyByte, (byte) => String.fromCharCode(byte)).join("")

describe.each([
  ["Latin1", Latin1],
  [
    "Latin1 where there is no Buffer",
    await withGlobal("Buffer", undefined, () => import("../../src/bytes/Latin1.ts"))
  ]
])("%s", (_name, Latin1) => {
  it("has a byte for each of 256 characters, windows-1252's among them as controls", () => {
    assert.deepStrictEqual(Latin1.encode(everyCharacter), everyByte)
    assert.strictEqual(Latin1.decode(everyByte), everyCharacter)
  })

  it("reads and writes nothing, and what is in the middle of a buffer", () => {
    assert.strictEqual(Latin1.encode("").length, 0)
    assert.strictEqual(Latin1.decode(new Uint8Array(0)), "")
    assert.strictEqual(Latin1.decode(everyByte.subarray(0x41, 0x44)), "ABC")
    assert.strictEqual(Latin1.decode(everyByte, 0x41, 0x44), "ABC")
    assert.strictEqual(Latin1.decode(everyByte.subarray(0x40), 1, 4), "ABC")
  })

  it("writes text that was put together of parts", () => {
    const parts = Array.from({ length: 100 }, (_, i) => `part ${i}`)
    const text = parts.reduce((before, part) => `${before}${part}`)
    assert.strictEqual(Latin1.decode(Latin1.encode(text)), parts.join(""))
  })
})
