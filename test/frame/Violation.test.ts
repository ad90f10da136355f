import { assert, describe, it } from "@effect/vitest"
import * as CloseCode from "../../src/frame/CloseCode.ts"
import * as Violation from "../../src/frame/Violation.ts"
import { utf8 } from "../support/frames.ts"

describe("Violation", () => {
  it("has this table of status codes", () => {
    assert.deepStrictEqual(
      Object.fromEntries(Violation.all.map((name) => [name, Violation.statusCode(name)])),
      {
        ReservedBits: 1002,
        ReservedOpcode: 1002,
        FragmentedControlFrame: 1002,
        ControlFrameTooLong: 1002,
        LengthNotMinimal: 1002,
        LengthSignBit: 1002,
        MaskMissing: 1002,
        MaskForbidden: 1002,
        ContinuationWithoutMessage: 1002,
        MessageNotFinished: 1002,
        ClosePayloadTooShort: 1002,
        CloseCodeInvalid: 1002,
        CloseReasonNotUtf8: 1007,
        TextNotUtf8: 1007,
        CompressedDataCorrupt: 1007,
        TextTooLong: 1009,
        FrameTooBig: 1009,
        MessageTooBig: 1009,
        DecompressionRatioTooHigh: 1009,
        TooManyControlFrames: 1008
      }
    )
  })

  it("fails with codes that may be sent", () => {
    for (const name of Violation.all) assert.isTrue(CloseCode.isSendable(Violation.statusCode(name)), name)
  })

  it("describes each in words of its own that fit into a Close frame", () => {
    const descriptions = Violation.all.map(Violation.description)
    assert.strictEqual(new Set(descriptions).size, Violation.all.length)
    for (const description of descriptions) {
      assert.isNotEmpty(description)
      assert.isAtMost(utf8(description).length, CloseCode.maxReasonLength)
    }
  })
})
