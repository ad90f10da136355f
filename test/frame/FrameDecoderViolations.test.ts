import { assert, describe, it } from "@effect/vitest"
import type { FrameDecoderOptions } from "../../src/frame/FrameDecoder.ts"
import type { Violation } from "../../src/frame/Violation.ts"
import { framesOf, makeDecoder, stepThrough } from "../support/decoding.ts"
import {
  Binary,
  bytesOf,
  Close,
  Continuation,
  concat,
  cutAt,
  type FrameFields,
  frame,
  Ping,
  Pong,
  piecesOf,
  rfcKey,
  Text,
  utf8
} from "../support/frames.ts"

/** The violation that `bytes` end in: the same for every cut into two and byte by byte. */
const violationOf = (
  bytes: Uint8Array,
  options: Partial<FrameDecoderOptions> = {}
): Violation | undefined => {
  const { violation } = stepThrough(makeDecoder(options), bytes.slice())
  const pieces = [piecesOf(bytes, 1), ...Array.from(bytes.subarray(0, 20), (_, cut) => cutAt(bytes, [cut]))]
  for (const chunks of pieces) {
    assert.strictEqual(stepThrough(makeDecoder(options), ...chunks).violation, violation)
  }
  return violation
}

/** Bytes from the frame's start after which the violation is told. */
const toldAfter = (bytes: Uint8Array, options: Partial<FrameDecoderOptions> = {}): number => {
  const decoder = makeDecoder(options)
  return piecesOf(bytes, 1).findIndex((byte) => stepThrough(decoder, byte).violation !== undefined) + 1
}

describe("FrameDecoder: violations told from the first two bytes", () => {
  it("reserved bits that no extension has claimed", () => {
    for (const reservedBits of [0x10, 0x20, 0x40, 0x30, 0x70]) {
      for (const opcode of [Continuation, Text, Binary, Close, Ping, Pong]) {
        const bytes = frame({ opcode, reservedBits, payload: bytesOf(20) })
        assert.strictEqual(violationOf(bytes), "ReservedBits")
        assert.strictEqual(violationOf(bytes, { allowedReservedBits: 0x70 & ~reservedBits }), "ReservedBits")
        assert.strictEqual(toldAfter(bytes), 2)
      }
    }
  })

  it("reserved opcodes, and no others", () => {
    for (let opcode = 0; opcode < 16; opcode++) {
      const reserved = (opcode >= 3 && opcode <= 7) || opcode >= 11
      for (const fin of opcode < 8 ? [true, false] : [true]) {
        const bytes = frame({ opcode, fin, payload: "abc" })
        assert.strictEqual(violationOf(bytes), reserved ? "ReservedOpcode" : undefined, `opcode ${opcode}`)
        if (reserved) assert.strictEqual(toldAfter(bytes), 2)
      }
    }
  })

  it("fragmented control frames", () => {
    for (const opcode of [Close, Ping, Pong]) {
      const bytes = frame({ opcode, fin: false, payload: "abc" })
      assert.strictEqual(violationOf(bytes), "FragmentedControlFrame")
      assert.strictEqual(toldAfter(bytes), 2)
    }
  })

  it("control frames of more than 125 bytes, whatever form the length has", () => {
    for (const opcode of [Close, Ping, Pong]) {
      assert.isUndefined(violationOf(frame({ opcode, payload: bytesOf(125) })))
      const cases: ReadonlyArray<FrameFields> = [
        { opcode, payload: bytesOf(126) },
        { opcode, payload: bytesOf(65_536) },
        { opcode, payload: bytesOf(5), lengthForm: 16 },
        { opcode, payload: bytesOf(5), lengthForm: 64 }
      ]
      for (const fields of cases) {
        const bytes = frame(fields).subarray(0, 20)
        assert.strictEqual(violationOf(bytes), "ControlFrameTooLong")
        assert.strictEqual(toldAfter(bytes), 2)
      }
    }
  })

  it("masking, in both directions and either", () => {
    for (const opcode of [Text, Binary, Continuation, Ping, Pong, Close]) {
      const masked = frame({ opcode, payload: "Hello", key: rfcKey })
      const unmasked = frame({ opcode, payload: "Hello" })
      assert.isUndefined(violationOf(masked, { masking: "required" }))
      assert.strictEqual(violationOf(unmasked, { masking: "required" }), "MaskMissing")
      assert.strictEqual(toldAfter(unmasked, { masking: "required" }), 2)
      assert.strictEqual(violationOf(masked, { masking: "forbidden" }), "MaskForbidden")
      assert.strictEqual(toldAfter(masked, { masking: "forbidden" }), 2)
      assert.isUndefined(violationOf(unmasked, { masking: "forbidden" }))
      assert.isUndefined(violationOf(masked))
      assert.isUndefined(violationOf(unmasked))
    }
  })

  it("empty frames must be masked too", () => {
    assert.strictEqual(violationOf(frame({ opcode: Text }), { masking: "required" }), "MaskMissing")
    assert.isUndefined(violationOf(frame({ opcode: Text, key: rfcKey }), { masking: "required" }))
  })
})

describe("FrameDecoder: lengths", () => {
  const header = (announced: bigint, lengthForm: 16 | 64, key?: typeof rfcKey): Uint8Array =>
    frame({ opcode: Binary, announced, lengthForm, key })

  it.each([
    [126n, 16],
    [127n, 16],
    [65_535n, 16],
    [65_536n, 64],
    [2n ** 31n - 1n, 64],
    [2n ** 31n, 64],
    [2n ** 32n - 1n, 64],
    [2n ** 32n, 64],
    [2n ** 32n + 1n, 64],
    [2n ** 53n - 1n, 64]
  ] as const)("a length of %d is exact", (announced, form) => {
    for (const key of [undefined, rfcKey]) {
      for (const chunks of [[header(announced, form, key)], piecesOf(header(announced, form, key), 1)]) {
        const { steps, violation } = stepThrough(makeDecoder(), ...chunks)
        assert.isUndefined(violation)
        assert.deepStrictEqual(
          steps.map((step) => [step.event, BigInt(step.length), step.isFirst, step.isLast]),
          [["Piece", announced, true, false]]
        )
      }
    }
  })

  it("goes on counting a payload beyond 2^32", () => {
    const decoder = makeDecoder()
    stepThrough(decoder, header(2n ** 32n + 5n, 64))
    const chunk = new Uint8Array(1 << 24)
    for (let i = 0; i < 256; i++) {
      const [step, ...rest] = stepThrough(decoder, chunk).steps
      assert.deepStrictEqual([step!.payload.length, step!.isLast, rest.length], [chunk.length, false, 0])
    }
    const last = stepThrough(decoder, concat(bytesOf(5), frame({ opcode: Text, payload: "next" }))).steps
    assert.deepStrictEqual(
      last.map((step) => [step.event, step.isLast, step.payload]),
      [
        ["Piece", true, bytesOf(5)],
        ["Frame", true, utf8("next")]
      ]
    )
  })

  it.each([
    ["LengthNotMinimal", 0n, 16],
    ["LengthNotMinimal", 1n, 16],
    ["LengthNotMinimal", 125n, 16],
    ["LengthNotMinimal", 0n, 64],
    ["LengthNotMinimal", 125n, 64],
    ["LengthNotMinimal", 126n, 64],
    ["LengthNotMinimal", 65_535n, 64],
    ["FrameTooBig", 2n ** 53n, 64],
    ["FrameTooBig", 2n ** 53n + 1n, 64],
    ["FrameTooBig", 2n ** 63n - 1n, 64],
    ["LengthSignBit", 2n ** 63n, 64],
    ["LengthSignBit", 2n ** 63n + 1n, 64],
    ["LengthSignBit", 2n ** 63n + 2n ** 32n, 64],
    ["LengthSignBit", 2n ** 64n - 1n, 64]
  ] as const)("%s: %d in %d bits", (violation, announced, form) => {
    for (const key of [undefined, rfcKey]) {
      assert.strictEqual(violationOf(header(announced, form, key)), violation)
      // Continuation frames and text are under the same rule, and a limit does not hide it.
      for (const opcode of [Text, Continuation]) {
        const bytes = frame({ opcode, announced, lengthForm: form, key })
        assert.strictEqual(violationOf(bytes, { maxFramePayloadSize: 10 }), violation)
      }
    }
  })
})

describe("FrameDecoder: the limit on a frame's payload", () => {
  it.each([1, 10, 125, 126, 1000, 65_535, 65_536, 100_000])("%d bytes pass, one more does not", (limit) => {
    const options = { maxFramePayloadSize: limit }
    for (const opcode of [Text, Binary, Continuation]) {
      const fits = frame({ opcode, payload: bytesOf(limit), key: rfcKey })
      const { steps, violation } = stepThrough(makeDecoder(options), fits)
      assert.isUndefined(violation)
      assert.strictEqual(Buffer.compare(framesOf(steps)[0]!.payload, bytesOf(limit)), 0)
      const header = frame({ opcode, announced: BigInt(limit + 1), key: rfcKey })
      assert.strictEqual(violationOf(header, options), "FrameTooBig")
    }
  })

  it("is checked before any payload is there, and before any of it is handed out", () => {
    const bytes = frame({ opcode: Binary, payload: bytesOf(200), key: rfcKey })
    assert.strictEqual(toldAfter(bytes, { maxFramePayloadSize: 199 }), 8)
    assert.deepStrictEqual(stepThrough(makeDecoder({ maxFramePayloadSize: 199 }), bytes).steps, [])
  })

  it("does not concern control frames", () => {
    for (const opcode of [Close, Ping, Pong]) {
      const bytes = frame({ opcode, payload: bytesOf(125) })
      assert.isUndefined(violationOf(bytes, { maxFramePayloadSize: 1 }))
    }
  })

  it("0 is no limit", () => {
    assert.isUndefined(violationOf(frame({ opcode: Binary, announced: 2n ** 40n })))
  })
})

describe("FrameDecoder: what came before a violation", () => {
  it("was handed out before it", () => {
    const good = concat(frame({ opcode: Text, payload: "a" }), frame({ opcode: Ping, payload: "b" }))
    const bytes = concat(good, frame({ opcode: 3 }), frame({ opcode: Text, payload: "c" }))
    for (let size = 1; size <= bytes.length; size++) {
      const { steps, violation } = stepThrough(makeDecoder(), ...piecesOf(bytes, size))
      assert.strictEqual(violation, "ReservedOpcode")
      assert.deepStrictEqual(
        framesOf(steps).map(({ payload }) => payload),
        [utf8("a"), utf8("b")]
      )
    }
  })
})
