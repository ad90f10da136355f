import { assert } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as CloseCode from "../../../src/frame/CloseCode.ts"
import { int, oneOf, pick, text } from "../../support/arbitraries.ts"
import { closePayload, utf8 } from "../../support/frames.ts"
import { isUtf8 } from "../../support/utf8.ts"
import { bytesOfInput, inputOfBytes, splitAfter, type Target } from "../Target.ts"

const isOnTheWire = (code: number): boolean =>
  (code >= 1000 && code <= 1014 && ![1004, 1005, 1006].includes(code)) || (code >= 3000 && code <= 4999)

const expectedOf = (payload: Uint8Array): string | number => {
  if (payload.length === 0) return 1005
  if (payload.length === 1) return "ClosePayloadTooShort"
  const code = payload[0]! * 256 + payload[1]!
  if (!isOnTheWire(code)) return "CloseCodeInvalid"
  return isUtf8(payload.slice(2)) ? code : "CloseReasonNotUtf8"
}

/** The payload of a Close frame (RFC 6455 sections 5.5.1 and 7.4). */
export const close: Target = {
  name: "close",
  isText: false,
  generated: Arbitrary.map(
    Arbitrary.all([oneOf(pick(1000, 1004, 1005, 1015, 2999, 3000, 4999, 5000), int(0, 65_535)), text]),
    ([code, reason]) => inputOfBytes(closePayload(code, reason))
  ),
  dictionary: [
    "\x03\xe8",
    "\x03\xed",
    "\x0b\xb8",
    "\x13\x87",
    "\xed\xa0\x80",
    "\xf0\x9f\x98\x80",
    "\xe2\x82\xac",
    "\xc0\x80"
  ],
  split: splitAfter(/[\x80-\xff]/),
  check: (input) => {
    const payload = bytesOfInput(input).slice(0, 125)
    const content = CloseCode.decodePayload(payload)
    assert.strictEqual(typeof content === "string" ? content : content.code, expectedOf(payload))
    // Whatever reason an application gives, what is sent of it can be read, and is its start.
    const reason = typeof content === "string" ? payload.toString() : content.reason
    const sent = CloseCode.encodePayload(1000, reason + input)
    const read = CloseCode.decodePayload(sent)
    assert.isTrue(typeof read !== "string" && (reason + input).startsWith(read.reason))
    if (typeof content === "string" || payload.length === 0) return
    assert.deepStrictEqual(CloseCode.encodePayload(content.code, content.reason), payload)
  },
  work: (input) => {
    CloseCode.encodePayload(1000, input)
    CloseCode.decodePayload(utf8(`\x03\x00${input}`))
  }
}
