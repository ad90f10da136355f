import { assert, describe, it } from "@effect/vitest"
import { isPolicyRequest } from "../../src/handshake/FlashPolicy.ts"
import { utf8 } from "../support/rawFrames.ts"

const request = "<policy-file-request/>\0"

describe("isPolicyRequest", () => {
  it("is not known before the whole request or a byte of something else is there", () => {
    for (let length = 0; length < request.length; length++) {
      assert.isUndefined(isPolicyRequest(utf8(request.slice(0, length))))
      assert.isFalse(isPolicyRequest(utf8(`${request.slice(0, length)}!`)))
    }
    assert.isTrue(isPolicyRequest(utf8(request)))
    assert.isTrue(isPolicyRequest(utf8(`${request}more`)))
    assert.isFalse(isPolicyRequest(utf8("GET / HTTP/1.1\r\n")))
  })
})
