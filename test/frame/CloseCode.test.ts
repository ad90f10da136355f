import { assert, describe, it } from "@effect/vitest"
import * as CloseCode from "../../src/frame/CloseCode.ts"
import { closePayload, hex, toHex, utf8 } from "../support/frames.ts"

// RFC 6455 sections 7.4.1 and 7.4.2; 1012 to 1014 from IANA's registry of WebSocket close codes.
const mayStandInACloseFrame = (code: number): boolean =>
  [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014].includes(code) ||
  (code >= 3000 && code <= 4999)

describe("CloseCode: the table", () => {
  it("says of every code from 0 to 5000, and 65535, whether a Close frame may carry it", () => {
    for (const code of [...Array.from({ length: 5001 }, (_, i) => i), 0xffff]) {
      const info = CloseCode.info(code)
      const expected = mayStandInACloseFrame(code)
      assert.strictEqual(info.sendable, expected, `sendable: ${code}`)
      assert.strictEqual(info.receivable, expected, `receivable: ${code}`)
      assert.strictEqual(CloseCode.isSendable(code), expected, `isSendable: ${code}`)
      assert.isNotEmpty(info.meaning)
    }
  })

  it.each([-1, -1000, 999.5, 1000.5, 3000.5, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    "%d is not a status code",
    (code) => {
      assert.deepStrictEqual(CloseCode.info(code), {
        sendable: false,
        receivable: false,
        meaning: "not a status code"
      })
    }
  )

  it("tells the ranges of section 7.4.2 apart", () => {
    const meanings = [999, 1016, 2999, 3000, 3999, 4000, 4999, 5000].map(
      (code) => CloseCode.info(code).meaning
    )
    const [unused, reserved, reservedEnd, library, libraryEnd, private_, privateEnd, beyond] = meanings
    assert.deepStrictEqual(
      [reservedEnd, libraryEnd, privateEnd, beyond],
      [reserved, library, private_, unused]
    )
    assert.strictEqual(new Set(meanings).size, 4)
  })

  it("every named code has a meaning of its own", () => {
    const meanings = Array.from({ length: 16 }, (_, i) => CloseCode.info(1000 + i).meaning)
    assert.strictEqual(new Set(meanings).size, 16)
  })

  it("names the codes that are only ever reported", () => {
    assert.strictEqual(CloseCode.noStatusReceived, 1005)
    assert.strictEqual(CloseCode.abnormalClosure, 1006)
  })
})

describe("CloseCode: the payload of a Close frame", () => {
  it.each([
    [1000, "", "03e8"],
    [1001, "bye", "03e9627965"],
    [3000, "é", "0bb8c3a9"],
    [4999, "\ufeff", "1387efbbbf"],
    [1009, "a\ud800b", "03f161efbfbd62"]
  ])("encodes %d %j", (code, reason, expected) => {
    assert.strictEqual(toHex(CloseCode.encodePayload(code, reason)), expected)
  })

  it("is empty without a code", () => {
    assert.strictEqual(CloseCode.encodePayload(undefined, "").length, 0)
    assert.strictEqual(CloseCode.encodePayload(undefined, "a reason").length, 0)
  })

  it("decodes what it encodes, for every code that may be sent", () => {
    for (let code = 1000; code <= 4999; code++) {
      if (!mayStandInACloseFrame(code)) continue
      assert.deepStrictEqual(CloseCode.decodePayload(CloseCode.encodePayload(code, "why é")), {
        code,
        reason: "why é"
      })
    }
  })

  it.each([
    ["ASCII that fits", "a".repeat(123), "a".repeat(123)],
    ["ASCII", "a".repeat(124), "a".repeat(123)],
    ["a two-byte character over the border", `${"a".repeat(122)}éz`, "a".repeat(122)],
    ["a two-byte character that fits", `${"a".repeat(121)}éz`, `${"a".repeat(121)}é`],
    ["a three-byte character, one byte over", `${"a".repeat(121)}€`, "a".repeat(121)],
    ["a three-byte character, two bytes over", `${"a".repeat(122)}€`, "a".repeat(122)],
    ["a four-byte character, one byte over", `${"a".repeat(120)}😀`, "a".repeat(120)],
    ["a four-byte character, three bytes over", `${"a".repeat(122)}😀`, "a".repeat(122)],
    ["a four-byte character that fits", `${"a".repeat(119)}😀😀`, `${"a".repeat(119)}😀`]
  ])("cuts the reason to 123 bytes at a code point: %s", (_name, reason, expected) => {
    const payload = CloseCode.encodePayload(1000, reason)
    assert.deepStrictEqual(payload, closePayload(1000, expected))
    assert.isAtMost(payload.length, 125)
    assert.deepStrictEqual(CloseCode.decodePayload(payload), { code: 1000, reason: expected })
  })

  it("an empty payload is 1005, without a reason", () => {
    assert.deepStrictEqual(CloseCode.decodePayload(hex("")), { code: 1005, reason: "" })
  })

  it("one byte is too short", () => {
    for (const byte of [0x00, 0x03, 0xff]) {
      assert.strictEqual(CloseCode.decodePayload(Uint8Array.of(byte)), "ClosePayloadTooShort")
    }
  })

  it("a code that must not be sent is not taken, for every code there is", () => {
    for (let code = 0; code <= 0xffff; code++) {
      const content = CloseCode.decodePayload(Uint8Array.of(code >> 8, code & 0xff))
      if (mayStandInACloseFrame(code)) assert.deepStrictEqual(content, { code, reason: "" })
      else assert.strictEqual(content, "CloseCodeInvalid", `${code}`)
    }
  })

  it.each(["ff", "c3", "e282", "eda080", "f4908080", "61c0af"])("a reason of %s is not UTF-8", (digits) => {
    assert.strictEqual(CloseCode.decodePayload(hex(`03e8${digits}`)), "CloseReasonNotUtf8")
  })

  it("a wrong code is told before a wrong reason", () => {
    assert.strictEqual(CloseCode.decodePayload(hex("03ecff")), "CloseCodeInvalid")
  })

  it("keeps a byte order mark in the reason", () => {
    assert.deepStrictEqual(CloseCode.decodePayload(closePayload(1000, "\ufeffbye")), {
      code: 1000,
      reason: "\ufeffbye"
    })
  })

  it("reads a payload that is a view inside a buffer", () => {
    const buffer = hex("ffff03e9627965ffff")
    assert.deepStrictEqual(CloseCode.decodePayload(buffer.subarray(2, 7)), { code: 1001, reason: "bye" })
    assert.deepStrictEqual(buffer.subarray(4, 7), utf8("bye"))
  })
})
