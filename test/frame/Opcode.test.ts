import { assert, describe, it } from "@effect/vitest"
import * as Opcode from "../../src/frame/Opcode.ts"

describe("Opcode", () => {
  it("has RFC 6455 section 5.2's numbers", () => {
    const { Binary, Close, Continuation, Ping, Pong, Text } = Opcode
    assert.deepStrictEqual([Continuation, Text, Binary, Close, Ping, Pong], [0, 1, 2, 8, 9, 10])
  })

  it("knows those, and 8 to F as control frames", () => {
    const all = Array.from({ length: 16 }, (_, opcode) => opcode)
    assert.deepStrictEqual(all.filter(Opcode.isKnown), [0, 1, 2, 8, 9, 10])
    assert.deepStrictEqual(all.filter(Opcode.isControl), [8, 9, 10, 11, 12, 13, 14, 15])
    assert.strictEqual(Opcode.maxControlPayload, 125)
  })
})
