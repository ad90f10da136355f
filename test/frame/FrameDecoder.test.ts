import { assert, describe, it } from "@effect/vitest"
import type { FrameDecoder } from "../../src/frame/FrameDecoder.ts"
import { framesOf, makeDecoder, stepThrough } from "../support/decoding.ts"
import {
  Binary,
  bytesOf,
  Close,
  Continuation,
  concat,
  cutAt,
  frame,
  hex,
  type Key,
  Ping,
  Pong,
  piecesOf,
  rfcKey,
  Text,
  toHex,
  utf8
} from "../support/frames.ts"
import { arrayBufferBytes } from "../support/memory.ts"

const decode = (bytes: Uint8Array, decoder: FrameDecoder = makeDecoder()) => {
  const { steps, violation } = stepThrough(decoder, bytes.slice())
  assert.isUndefined(violation)
  return framesOf(steps)
}

describe("FrameDecoder: RFC 6455 section 5.7's examples", () => {
  const hello = utf8("Hello")
  const plain = { fin: true, reservedBits: 0 }

  it.each([
    [
      "a single-frame unmasked text message",
      "81 05 48 65 6c 6c 6f",
      { ...plain, opcode: Text, payload: hello }
    ],
    [
      "a single-frame masked text message",
      "81 85 37 fa 21 3d 7f 9f 4d 51 58",
      { ...plain, opcode: Text, payload: hello }
    ],
    ["an unmasked Ping", "89 05 48 65 6c 6c 6f", { ...plain, opcode: Ping, payload: hello }],
    ["a masked Pong", "8a 85 37 fa 21 3d 7f 9f 4d 51 58", { ...plain, opcode: Pong, payload: hello }]
  ])("%s", (_name, digits, expected) => {
    assert.deepStrictEqual(decode(hex(digits)), [expected])
  })

  it("a fragmented unmasked text message", () => {
    assert.deepStrictEqual(decode(hex("01 03 48 65 6c  80 02 6c 6f")), [
      { opcode: Text, fin: false, reservedBits: 0, payload: utf8("Hel") },
      { opcode: Continuation, fin: true, reservedBits: 0, payload: utf8("lo") }
    ])
  })

  it("256 bytes of binary in a single unmasked frame", () => {
    const frames = decode(concat(hex("82 7e 01 00"), bytesOf(256)))
    assert.deepStrictEqual(frames, [{ ...plain, opcode: Binary, payload: bytesOf(256) }])
  })

  it("64 KiB of binary in a single unmasked frame", () => {
    const [decoded, ...rest] = decode(concat(hex("82 7f 00 00 00 00 00 01 00 00"), bytesOf(65_536)))
    assert.deepStrictEqual(rest, [])
    assert.strictEqual(decoded!.opcode, Binary)
    assert.strictEqual(Buffer.compare(decoded!.payload, bytesOf(65_536)), 0)
  })
})

describe("FrameDecoder: fields", () => {
  it("reads fin and every known opcode", () => {
    for (const opcode of [Continuation, Text, Binary, Close, Ping, Pong]) {
      assert.deepStrictEqual(decode(frame({ opcode, payload: "x" })), [
        { opcode, fin: true, reservedBits: 0, payload: utf8("x") }
      ])
    }
    for (const opcode of [Continuation, Text, Binary]) {
      assert.deepStrictEqual(decode(frame({ opcode, fin: false })), [
        { opcode, fin: false, reservedBits: 0, payload: utf8("") }
      ])
    }
  })

  it("hands out the reserved bits that extensions have claimed", () => {
    for (const allowedReservedBits of [0x40, 0x20, 0x10, 0x60, 0x70]) {
      for (let reservedBits = 0; reservedBits <= 0x70; reservedBits += 0x10) {
        const { steps, violation } = stepThrough(
          makeDecoder({ allowedReservedBits }),
          frame({ opcode: Text, reservedBits })
        )
        if ((reservedBits & allowedReservedBits) === reservedBits) {
          assert.strictEqual(steps[0]!.reservedBits, reservedBits)
        } else {
          assert.strictEqual(violation, "ReservedBits")
        }
      }
    }
  })

  it.each([0, 1, 124, 125, 126, 127, 65_535, 65_536, 65_537])("reads payloads of %d bytes", (length) => {
    for (const key of [undefined, rfcKey]) {
      const [decoded, ...rest] = decode(frame({ opcode: Binary, payload: bytesOf(length), key }))
      assert.deepStrictEqual(rest, [])
      assert.strictEqual(Buffer.compare(decoded!.payload, bytesOf(length)), 0)
    }
  })

  it("leaves a masked payload as it came where the mask is not to be applied", () => {
    const bytes = hex("81 85 37 fa 21 3d 7f 9f 4d 51 58")
    for (let cut = 1; cut < bytes.length; cut++) {
      const { steps } = stepThrough(makeDecoder({ applyMask: false }), ...cutAt(bytes, [cut]))
      assert.strictEqual(toHex(framesOf(steps)[0]!.payload), "7f9f4d5158")
    }
  })

  it("gives all frames of a chunk in one pass, in order", () => {
    const bytes = concat(...Array.from({ length: 1000 }, (_, i) => frame({ opcode: Text, payload: `${i}` })))
    assert.deepStrictEqual(
      decode(bytes).map(({ payload }) => Number(Buffer.from(payload).toString())),
      Array.from({ length: 1000 }, (_, i) => i)
    )
  })
})

describe("FrameDecoder: cuts", () => {
  const content = [
    { opcode: Text, payload: "Hello", key: rfcKey },
    { opcode: Binary, fin: false, payload: "" },
    { opcode: Ping, payload: "ping", key: rfcKey },
    { opcode: Continuation, fin: false, payload: bytesOf(9), key: [1, 2, 3, 4] as const },
    { opcode: Pong },
    { opcode: Continuation, payload: bytesOf(130), key: rfcKey },
    { opcode: Text, payload: "", key: rfcKey },
    { opcode: Binary, payload: bytesOf(3), lengthForm: 7 as const },
    { opcode: Close, payload: hex("03e8"), key: rfcKey }
  ]
  const stream = concat(...content.map(frame))
  const expected = decode(stream)

  it("the frames are those that were put in", () => {
    assert.deepStrictEqual(
      expected,
      content.map(({ fin = true, opcode, payload = "" }) => ({
        opcode,
        fin,
        reservedBits: 0,
        payload: typeof payload === "string" ? utf8(payload) : payload
      }))
    )
  })

  const inPieces = (pieces: ReadonlyArray<Uint8Array>): string =>
    framesOf(stepThrough(makeDecoder(), ...pieces).steps)
      .map(({ fin, opcode, payload }) => `${opcode} ${fin} ${toHex(payload)}`)
      .join("\n")
  const whole = inPieces([stream.slice()])

  it("the same frames come at every pair of cuts", () => {
    for (let first = 0; first < stream.length; first++) {
      for (let second = first; second < stream.length; second++) {
        if (inPieces(cutAt(stream, [first, second])) !== whole) assert.fail(`cuts at ${first} and ${second}`)
      }
    }
  })

  it("the same frames come in pieces of any one size, from a byte on", () => {
    for (let size = 1; size <= stream.length; size++) {
      assert.strictEqual(inPieces(piecesOf(stream, size)), whole, `pieces of ${size}`)
    }
  })

  it("empty chunks change nothing", () => {
    const pieces = piecesOf(stream, 1).flatMap((piece) => [new Uint8Array(0), piece, new Uint8Array(0)])
    assert.strictEqual(inPieces(pieces), whole)
  })

  it("a 16-bit and a 64-bit length cut at every byte of the header", () => {
    for (const length of [300, 70_000]) {
      for (const key of [undefined, rfcKey]) {
        const bytes = frame({ opcode: Binary, payload: bytesOf(length), key })
        for (let cut = 1; cut <= 15; cut++) {
          const { steps } = stepThrough(makeDecoder(), ...cutAt(bytes, [cut]))
          assert.strictEqual(Buffer.compare(framesOf(steps)[0]!.payload, bytesOf(length)), 0)
        }
      }
    }
  })
})

describe("FrameDecoder: an unfinished frame", () => {
  it("surfaces piece by piece, first and last marked, with the whole frame's length", () => {
    const bytes = frame({ opcode: Text, fin: false, payload: "abcdefghi", key: rfcKey })
    const { steps } = stepThrough(makeDecoder(), ...cutAt(bytes, [9, 12]))
    const piece = { event: "Piece", opcode: Text, fin: false, reservedBits: 0, length: 9 } as const
    assert.deepStrictEqual(steps, [
      { ...piece, isFirst: true, isLast: false, payload: utf8("abc") },
      { ...piece, isFirst: false, isLast: false, payload: utf8("def") },
      { ...piece, isFirst: false, isLast: true, payload: utf8("ghi") }
    ])
  })

  it("surfaces as soon as its header is there, before any payload", () => {
    const bytes = frame({ opcode: Binary, payload: bytesOf(300), key: rfcKey })
    const decoder = makeDecoder()
    assert.deepStrictEqual(stepThrough(decoder, ...piecesOf(bytes.slice(0, 7), 1)).steps, [])
    const [first, ...rest] = stepThrough(decoder, bytes.slice(7, 8)).steps
    assert.deepStrictEqual(rest, [])
    assert.deepStrictEqual(
      [first!.event, first!.isFirst, first!.isLast, first!.length, first!.payload.length],
      ["Piece", true, false, 300, 0]
    )
  })

  it("a frame within one chunk is one Frame, also behind a cut header", () => {
    const bytes = frame({ opcode: Text, payload: "abc", key: rfcKey })
    for (const cut of [0, 1, 2, 5, 6]) {
      const { steps } = stepThrough(makeDecoder(), ...cutAt(bytes, [cut]))
      assert.strictEqual(
        steps.map((step) => step.event).join(),
        cut < 6 ? "Frame" : "Piece,Piece",
        `cut ${cut}`
      )
    }
  })

  it("an empty data frame is a Frame as soon as its header is there", () => {
    for (const piece of [1, 2, 6]) {
      const { steps } = stepThrough(makeDecoder(), ...piecesOf(frame({ opcode: Text, key: rfcKey }), piece))
      assert.deepStrictEqual(
        steps.map((step) => [step.event, step.isFirst, step.isLast]),
        [["Frame", true, true]]
      )
    }
  })

  it("control frames are always whole, wherever they are cut", () => {
    for (const opcode of [Close, Ping, Pong]) {
      for (const key of [undefined, rfcKey]) {
        const bytes = frame({ opcode, payload: bytesOf(125), key })
        for (let size = 1; size <= bytes.length; size++) {
          const { steps } = stepThrough(makeDecoder(), ...piecesOf(bytes, size))
          assert.deepStrictEqual(steps, [
            {
              event: "Frame",
              opcode,
              fin: true,
              reservedBits: 0,
              length: 125,
              isFirst: true,
              isLast: true,
              payload: bytesOf(125)
            }
          ])
        }
      }
    }
  })

  it("control frames that were cut do not share memory with the next ones", () => {
    const pings = ["one", "two", "six"].map((payload) => frame({ opcode: Ping, payload, key: rfcKey }))
    const { steps } = stepThrough(makeDecoder(), ...piecesOf(concat(...pings), 4))
    assert.deepStrictEqual(
      steps.map((step) => Buffer.from(step.payload).toString()),
      ["one", "two", "six"]
    )
  })
})

describe("FrameDecoder: ownership", () => {
  it("copies no byte of a frame within one chunk, masked or not", () => {
    for (const key of [undefined, rfcKey]) {
      for (const opcode of [Text, Binary, Ping]) {
        const bytes = frame({ opcode, payload: "Hello", key })
        const buffer = concat(hex("00 00 00"), bytes, hex("ff"))
        const chunk = buffer.subarray(3, 3 + bytes.length)
        const { steps } = stepThrough(makeDecoder(), chunk)
        assert.strictEqual(steps[0]!.payload.buffer, chunk.buffer)
        assert.strictEqual(steps[0]!.payload.byteOffset, 3 + bytes.length - 5)
        assert.deepStrictEqual(steps[0]!.payload, utf8("Hello"))
        assert.deepStrictEqual([...buffer.subarray(0, 3), buffer.at(-1)], [0, 0, 0, 0xff])
      }
    }
  })

  it("copies no byte of a data frame's pieces", () => {
    const chunks = cutAt(frame({ opcode: Binary, payload: bytesOf(100), key: rfcKey }), [40, 80])
    const { steps } = stepThrough(makeDecoder(), ...chunks)
    assert.deepStrictEqual(
      steps.map((step) => step.payload.buffer === chunks[steps.indexOf(step)]!.buffer),
      [true, true, true]
    )
    assert.deepStrictEqual(framesOf(steps)[0]!.payload, bytesOf(100))
  })

  it("lets the chunk go after the last step", () => {
    const decoder = makeDecoder()
    const before = arrayBufferBytes()
    const size = 0x40_0000
    // The chunk is made in a call of its own: nothing here may hold it.
    const step = (key: Key | undefined, missing: number): number => {
      const chunk = frame({ opcode: Binary, payload: new Uint8Array(size), key })
      return stepThrough(decoder, chunk.subarray(0, chunk.length - missing)).steps.length
    }
    for (const key of [undefined, rfcKey]) {
      assert.strictEqual(step(key, 0), 1)
      assert.isBelow(arrayBufferBytes() - before, size / 2)
    }
    assert.strictEqual(step(rfcKey, 1), 1)
    assert.isBelow(arrayBufferBytes() - before, size / 2)
    assert.strictEqual(decoder.payload.length, 0)
  })
})
