import { assert, describe, it } from "@effect/vitest"
import { isToken, isTokenCode } from "../../src/bytes/Token.ts"

describe("Token", () => {
  it("isTokenCode admits exactly RFC 7230 section 3.2.6's tchar", () => {
    const tchar = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]$/
    for (let code = 0; code <= 0xffff; code++) {
      if (isTokenCode(code) !== tchar.test(String.fromCharCode(code))) assert.fail(`character ${code}`)
    }
    for (const code of [-1, 0.5, 65.5, Number.NaN, Number.POSITIVE_INFINITY, 0x10041]) {
      assert.isFalse(isTokenCode(code))
    }
  })

  it.each(["chat", "v1.superchat", "X", "!#$%&'*+-.^_`|~", "0"])("%s is a token", (text) => {
    assert.isTrue(isToken(text))
  })

  it.each([
    "",
    " ",
    "a b",
    "chat,",
    "a/b",
    '"a"',
    "a\t",
    "\u0000",
    "é",
    "a\u0141",
    "😀",
    "(",
    "a=b",
    "a;",
    "[",
    "{"
  ])("%j is not a token", (text) => {
    assert.isFalse(isToken(text))
  })
})
