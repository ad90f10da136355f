import { assert, describe, it } from "@effect/vitest"
import type { Violation } from "../../src/frame/Violation.ts"
import { MessageAssembler, type MessageAssemblerOptions } from "../../src/message/MessageAssembler.ts"
import { makeDecoder } from "../support/decoding.ts"
import {
  Binary,
  bytesOf,
  Continuation,
  concat,
  cutAt,
  type FrameFields,
  frame,
  hex,
  piecesOf,
  rfcKey,
  Text,
  toHex,
  utf8
} from "../support/frames.ts"
import { arrayBufferBytes } from "../support/memory.ts"
import { everyKind } from "../support/utf8.ts"

interface Assembled {
  readonly isBinary: boolean
  readonly isValidated: boolean
  readonly payload: Uint8Array
}

interface Outcome {
  readonly messages: ReadonlyArray<Assembled>
  readonly violation: Violation | undefined
  /** Bytes received until the violation, in whole chunks. */
  readonly consumed: number
}

/** Data frames, in chunks, through a decoder into an assembler; stops at a violation. */
const assemble = (options: Partial<MessageAssemblerOptions>, chunks: Iterable<Uint8Array>): Outcome => {
  const decoder = makeDecoder()
  const assembler = new MessageAssembler({ maxMessagePayloadSize: 0, utf8validateIncoming: true, ...options })
  const messages: Array<Assembled> = []
  let consumed = 0
  for (const chunk of chunks) {
    decoder.push(chunk)
    consumed += chunk.length
    for (let step = decoder.next(); step !== "NeedMore"; step = decoder.next()) {
      if (step === "Violation") assert.fail(`the frames violate ${decoder.violation}`)
      const event = assembler.accept(decoder)
      if (event === "Violation") return { messages, violation: assembler.violation, consumed }
      if (event === "Incomplete") continue
      const { isBinary, isValidated } = assembler
      const payload = assembler.take(decoder)
      messages.push({ isBinary, isValidated, payload })
    }
  }
  return { messages, violation: undefined, consumed }
}

const stream = (...frames: ReadonlyArray<FrameFields>): Uint8Array => concat(...frames.map(frame))

const outcome = (bytes: Uint8Array, options: Partial<MessageAssemblerOptions> = {}): string => {
  const { messages, violation } = assemble(options, [bytes.slice()])
  const told = `${messages.map((m) => `${m.isBinary} ${toHex(m.payload)}`).join()} ${violation}`
  for (let size = 1; size <= bytes.length; size++) {
    const cut = assemble(options, piecesOf(bytes, size))
    const toldThen = `${cut.messages.map((m) => `${m.isBinary} ${toHex(m.payload)}`).join()} ${cut.violation}`
    assert.strictEqual(toldThen, told, `in pieces of ${size}`)
  }
  return told
}

describe("MessageAssembler: fragmentation", () => {
  it("a message in one frame within one chunk is the view it came as", () => {
    const chunk = frame({ opcode: Binary, payload: bytesOf(10_000), key: rfcKey })
    const { messages } = assemble({}, [chunk])
    assert.strictEqual(messages[0]!.payload.buffer, chunk.buffer)
    assert.isTrue(messages[0]!.isBinary)
  })

  it("hands a payload over once: an idle connection keeps none", () => {
    const decoder = makeDecoder()
    const assembler = new MessageAssembler({ maxMessagePayloadSize: 0, utf8validateIncoming: true })
    for (const frames of [
      [{ opcode: Binary, payload: "whole" }],
      [
        { opcode: Text, fin: false, payload: "who" },
        { opcode: Continuation, payload: "le" }
      ]
    ]) {
      decoder.push(stream(...frames))
      const events = frames.map(() => {
        decoder.next()
        return assembler.accept(decoder)
      })
      assert.strictEqual(events.at(-1), "Message")
      assert.deepStrictEqual(assembler.take(decoder), utf8("whole"))
      assert.strictEqual(decoder.next(), "NeedMore")
      assert.strictEqual(assembler.take(decoder).length, 0)
    }
  })

  it("joins the fragments of text and binary, whatever their number, empty ones too", () => {
    for (const opcode of [Text, Binary]) {
      for (const parts of [[""], ["", ""], ["Hel", "lo"], ["", "a", "", "", "b", ""], [..."fragments"]]) {
        const frames = parts.map((payload, i) => ({
          opcode: i === 0 ? opcode : Continuation,
          fin: i === parts.length - 1,
          payload
        }))
        const expected = toHex(utf8(parts.join("")))
        assert.strictEqual(outcome(stream(...frames)), `${opcode === Binary} ${expected} undefined`)
      }
    }
  })

  it("messages follow one another, whole and fragmented, text and binary", () => {
    const bytes = stream(
      { opcode: Text, fin: false, payload: "a" },
      { opcode: Continuation, payload: "b" },
      { opcode: Binary, payload: "c", key: rfcKey },
      { opcode: Binary, fin: false },
      { opcode: Continuation, payload: "d", key: rfcKey },
      { opcode: Text, payload: "" },
      { opcode: Text, payload: "e" }
    )
    assert.strictEqual(outcome(bytes), "false 6162,true 63,true 64,false ,false 65 undefined")
  })

  it.each([
    ["ContinuationWithoutMessage", "at first", [{ opcode: Continuation }], ""],
    ["ContinuationWithoutMessage", "not final, at first", [{ opcode: Continuation, fin: false }], ""],
    [
      "ContinuationWithoutMessage",
      "after a whole message",
      [{ opcode: Text, payload: "a" }, { opcode: Continuation }],
      "false 61"
    ],
    [
      "ContinuationWithoutMessage",
      "after a fragmented message",
      [{ opcode: Text, fin: false }, { opcode: Continuation, payload: "a" }, { opcode: Continuation }],
      "false 61"
    ],
    ["MessageNotFinished", "text in text", [{ opcode: Text, fin: false }, { opcode: Text }], ""],
    ["MessageNotFinished", "binary in text", [{ opcode: Text, fin: false }, { opcode: Binary }], ""],
    [
      "MessageNotFinished",
      "text in binary, after a continuation",
      [
        { opcode: Binary, fin: false },
        { opcode: Continuation, fin: false },
        { opcode: Text, fin: false }
      ],
      ""
    ]
  ] as const)("%s: %s", (violation, _name, frames, messages) => {
    assert.strictEqual(outcome(stream(...frames)), `${messages} ${violation}`)
  })

  it("tells a rule of fragmentation from the header alone", () => {
    const bytes = frame({ opcode: Continuation, payload: bytesOf(200) })
    assert.strictEqual(assemble({}, piecesOf(bytes, 1)).consumed, 4)
  })
})

describe("MessageAssembler: the limit on a message", () => {
  const options = { maxMessagePayloadSize: 10 }

  it.each([
    ["one frame", [{ opcode: Binary, payload: bytesOf(10) }], true],
    ["one frame", [{ opcode: Binary, payload: bytesOf(11) }], false],
    ["text in one frame", [{ opcode: Text, payload: "é".repeat(5) }], true],
    ["text in one frame, fewer characters than bytes", [{ opcode: Text, payload: "é".repeat(6) }], false],
    [
      "fragments",
      [
        { opcode: Text, fin: false, payload: "abcd" },
        { opcode: Continuation, fin: false, payload: "efgh" },
        { opcode: Continuation, payload: "ij" }
      ],
      true
    ],
    [
      "fragments",
      [
        { opcode: Text, fin: false, payload: "abcd" },
        { opcode: Continuation, fin: false, payload: "efgh" },
        { opcode: Continuation, payload: "ijk" }
      ],
      false
    ]
  ] as const)("counts %s, case %#", (_name, frames, fits) => {
    assert.match(
      outcome(stream(...frames), options),
      fits ? /^\w+ [0-9a-f]{20} undefined$/ : /^ MessageTooBig$/
    )
  })

  it("starts anew with each message", () => {
    const bytes = stream(
      ...Array.from({ length: 5 }, () => [
        { opcode: Binary, fin: false, payload: bytesOf(9) },
        { opcode: Continuation, payload: bytesOf(1) },
        { opcode: Binary, payload: bytesOf(10) }
      ]).flat()
    )
    assert.strictEqual(assemble(options, [bytes]).messages.length, 10)
  })

  it("is checked when a fragment's header is there, before its payload", () => {
    const first = frame({ opcode: Binary, fin: false, payload: bytesOf(6) })
    const second = frame({ opcode: Continuation, payload: bytesOf(5) })
    const { consumed, violation } = assemble(options, piecesOf(concat(first, second), 1))
    assert.strictEqual(violation, "MessageTooBig")
    assert.strictEqual(consumed, first.length + 2)
  })

  it("announced lengths add up without loss", () => {
    const limit = 2 ** 40
    const bytes = frame({ opcode: Binary, announced: BigInt(limit) })
    assert.isUndefined(assemble({ maxMessagePayloadSize: limit }, [bytes]).violation)
    const more = frame({ opcode: Binary, announced: BigInt(limit) + 1n })
    assert.strictEqual(assemble({ maxMessagePayloadSize: limit }, [more]).violation, "MessageTooBig")
  })

  it("without a limit, a message that no typed array need hold is too big at its header", () => {
    const bytes = frame({ opcode: Binary, announced: 2n ** 31n })
    assert.strictEqual(assemble({}, [bytes]).violation, "MessageTooBig")
    assert.isUndefined(assemble({}, [frame({ opcode: Binary, announced: 2n ** 31n - 1n })]).violation)
  })
})

describe("MessageAssembler: text", () => {
  // [what it is, the text's bytes, index of the first wrong byte]
  const wrong: ReadonlyArray<readonly [string, string, number]> = [
    ["an FF", "4865ff6c6f", 2],
    ["a surrogate", "48eda08061", 2],
    ["an overlong form", "c08061", 0],
    ["beyond U+10FFFF", "61f490808061", 2],
    ["a sequence broken off", "e28241424344", 2]
  ]

  it.each(wrong)("fails at the first wrong byte inside an unfinished frame: %s", (_name, digits, index) => {
    const payload = hex(digits)
    for (const fin of [true, false]) {
      for (const key of [undefined, rfcKey]) {
        const bytes = frame({ opcode: Text, fin, payload: concat(payload, bytesOf(300)), key })
        const header = bytes.length - payload.length - 300
        const { consumed, violation } = assemble({}, piecesOf(bytes, 1))
        assert.strictEqual(violation, "TextNotUtf8")
        assert.strictEqual(consumed, header + index + 1)
      }
    }
  })

  it.each(wrong)("fails at the fragment with the first wrong byte: %s", (_name, digits, index) => {
    const payload = hex(digits)
    const frames = Array.from(payload, (byte, i) =>
      frame({ opcode: i === 0 ? Text : Continuation, fin: false, payload: Uint8Array.of(byte) })
    )
    const { consumed, violation } = assemble({}, frames)
    assert.strictEqual(violation, "TextNotUtf8")
    assert.strictEqual(consumed, (index + 1) * 3)
  })

  it("passes every kind of character over fragments and chunks cut at any byte, and says it is validated", () => {
    const payload = utf8(everyKind)
    for (let cut = 0; cut <= payload.length; cut++) {
      const bytes = stream(
        { opcode: Text, fin: false, payload: payload.slice(0, cut), key: rfcKey },
        { opcode: Continuation, payload: payload.slice(cut) }
      )
      const { messages, violation } = assemble({}, cutAt(bytes, [cut + 3, cut + 20]))
      assert.isUndefined(violation)
      assert.deepStrictEqual(messages, [{ isBinary: false, isValidated: true, payload }])
    }
  })

  it("a frame cut by a chunk is validated as it comes", () => {
    const bytes = frame({ opcode: Text, payload: everyKind })
    const { messages } = assemble({}, piecesOf(bytes, 1))
    assert.deepStrictEqual(messages, [{ isBinary: false, isValidated: true, payload: utf8(everyKind) }])
  })

  it("fails where the last fragment leaves a character unfinished", () => {
    for (const payload of ["c3", "e282", "f09f98"].map(hex)) {
      assert.strictEqual(
        outcome(stream({ opcode: Text, fin: false, payload }, { opcode: Continuation })),
        " TextNotUtf8"
      )
      const { consumed, violation } = assemble({}, piecesOf(frame({ opcode: Text, payload }), 1))
      assert.strictEqual(violation, "TextNotUtf8")
      assert.strictEqual(consumed, 2 + payload.length)
    }
  })

  it("leaves the validation of a whole text in one piece to who decodes it", () => {
    for (const payload of [utf8("Hello"), hex("ff")]) {
      const { messages } = assemble({}, [frame({ opcode: Text, payload })])
      assert.deepStrictEqual(messages, [{ isBinary: false, isValidated: false, payload }])
    }
  })

  it("does not carry what a text left due into the next message", () => {
    const bytes = stream(
      { opcode: Text, fin: false, payload: "é" },
      { opcode: Continuation, payload: "€" },
      { opcode: Binary, fin: false, payload: hex("e2") },
      { opcode: Continuation },
      { opcode: Text, fin: false, payload: "😀" },
      { opcode: Continuation }
    )
    assert.strictEqual(outcome(bytes), "false c3a9e282ac,true e2,false f09f9880 undefined")
  })

  it("does not validate binary", () => {
    const bytes = stream(
      { opcode: Binary, fin: false, payload: hex("ff") },
      { opcode: Continuation, payload: hex("c0") }
    )
    const { messages } = assemble({}, piecesOf(bytes, 1))
    assert.deepStrictEqual(messages, [{ isBinary: true, isValidated: false, payload: hex("ffc0") }])
  })

  it("does not validate at all where it is not to", () => {
    const bytes = stream(
      { opcode: Text, fin: false, payload: hex("ff") },
      { opcode: Continuation, payload: hex("e2") }
    )
    const { messages } = assemble({ utf8validateIncoming: false }, piecesOf(bytes, 1))
    assert.deepStrictEqual(messages, [{ isBinary: false, isValidated: false, payload: hex("ffe2") }])
  })
})

describe("MessageAssembler: floods", () => {
  it("a 4 MiB message in 64-byte fragments passes and pins none of its chunks", () => {
    const size = 0x40_0000
    function* chunks(): Generator<Uint8Array> {
      for (let at = 0; at < size; at += 64) {
        const chunk = new Uint8Array(8192)
        const bytes = frame({
          opcode: at === 0 ? Binary : Continuation,
          fin: at + 64 === size,
          payload: bytesOf(64, at)
        })
        chunk.set(bytes)
        if (at + 64 === size) used = arrayBufferBytes() - before
        yield chunk.subarray(0, bytes.length)
      }
    }
    const before = arrayBufferBytes()
    let used = 0
    const { messages, violation } = assemble({}, chunks())
    assert.isUndefined(violation)
    assert.strictEqual(Buffer.compare(messages[0]!.payload, bytesOf(size)), 0)
    assert.isBelow(used, 6 * 0x10_0000)
  })

  it("a million empty fragments change nothing", () => {
    const empty = frame({ opcode: Continuation, fin: false })
    const flood = Buffer.alloc(empty.length * 100_000, empty)
    const chunks = [frame({ opcode: Text, fin: false, payload: "Hel" })]
    for (let i = 0; i < 10; i++) chunks.push(flood)
    chunks.push(frame({ opcode: Continuation, payload: "lo" }))
    const { messages, violation } = assemble({ maxMessagePayloadSize: 5 }, chunks)
    assert.isUndefined(violation)
    assert.deepStrictEqual(messages, [{ isBinary: false, isValidated: true, payload: utf8("Hello") }])
  })
})
