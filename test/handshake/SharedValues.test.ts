import { assert, describe, it } from "@effect/vitest"
import { type Headers, HeadReader } from "../../src/handshake/HttpHead.ts"
import { shared } from "../../src/handshake/SharedValues.ts"
import { utf8 } from "../support/frames.ts"

describe("header values that come again", () => {
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
