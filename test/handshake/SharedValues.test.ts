import { assert, describe, it } from "@effect/vitest"
import { type Headers, HeadReader } from "../../src/handshake/HttpHead.ts"
import { shared } from "../../src/handshake/SharedValues.ts"
import { utf8 } from "../support/frames.ts"
import { heapBytes } from "../support/memory.ts"

/** Text of its own, as a head is decoded to. */
const textOf = (length: number): string => Buffer.alloc(length, "x").toString("latin1")

/** What `make` leaves in memory while its result is kept, in bytes. */
const bytesOf = (make: () => unknown): number => {
  const before = heapBytes()
  const kept = make()
  const after = heapBytes()
  return kept === undefined ? Number.NaN : after - before
}

describe("header values that come again", () => {
  it("are kept once", () => {
    const values = () => Array.from({ length: 20_000 }, () => shared("user-agent", textOf(200)))
    assert.isBelow(bytesOf(values), 1_000_000)
  })

  it("are not kept where that is of no use: of other names, and long ones", () => {
    const keep = () => {
      for (let index = 0; index < 20_000; index++) shared(`x-${index}`, textOf(200))
      shared("user-agent", textOf(4_000_000))
      return "done"
    }
    assert.isBelow(bytesOf(keep), 1_000_000)
  })

  it("are the values that came, whatever came before", () => {
    const long = "x".repeat(1000)
    for (const name of ["Host", "HOST", "host", "User-Agent", "Cookie", "X-Own", "__proto__"]) {
      for (const value of ["a", "b", "b", "", "", long, long, "a"]) {
        assert.strictEqual(shared(name, value), value)
      }
    }
  })

  it("of one head are not another's", () => {
    const read = (host: string, agent: string) => {
      const result = new HeadReader({ maxBytes: 1000, maxHeaders: 10 }).push(
        utf8(`GET / HTTP/1.1\r\nHost: ${host}\r\nuser-agent: ${agent}\r\nOrigin: ${host}\r\n\r\n`)
      )
      return result._tag === "Complete" ? result.head.headers : []
    }
    const expected = (host: string, agent: string): Headers => [
      ["Host", host],
      ["user-agent", agent],
      ["Origin", host]
    ]
    for (const [host, agent] of [
      ["a", "one"],
      ["a", "two"],
      ["b", "two"],
      ["a", "one"]
    ] as const) {
      assert.deepStrictEqual(read(host, agent), expected(host, agent))
    }
  })
})
