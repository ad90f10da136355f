import { assert, describe, it } from "@effect/vitest"
import * as Violation from "../../src/frame/Violation.ts"
import { type Received, type Settings, TestConnection } from "../support/connections.ts"
import {
  Binary,
  bytesOf,
  Close,
  Continuation,
  closePayload,
  concat,
  cutAt,
  type FrameFields,
  frame,
  hex,
  Ping,
  Pong,
  parseFrames,
  piecesOf,
  rfcKey,
  Text,
  utf8
} from "../support/frames.ts"
import { everyKind } from "../support/utf8.ts"

/** Frames of a client, masked. */
const masked = (...frames: ReadonlyArray<FrameFields>): Uint8Array =>
  concat(...frames.map((fields) => frame({ key: rfcKey, ...fields })))

/** Frames of a server, not masked. */
const unmasked = (...frames: ReadonlyArray<FrameFields>): Uint8Array => concat(...frames.map(frame))

describe("Connection: receiving", () => {
  const frames: ReadonlyArray<FrameFields> = [
    { opcode: Text, payload: everyKind },
    { opcode: Binary, payload: bytesOf(200) },
    { opcode: Text, fin: false, payload: "Hel" },
    { opcode: Ping, payload: "between" },
    { opcode: Continuation, fin: false },
    { opcode: Pong },
    { opcode: Continuation, payload: "lo" },
    { opcode: Text },
    { opcode: Ping },
    { opcode: Binary },
    { opcode: Pong, payload: bytesOf(125) }
  ]
  const expected: ReadonlyArray<Received> = [
    ["text", everyKind],
    ["binary", bytesOf(200)],
    ["ping", utf8("between")],
    ["pong", utf8("")],
    ["text", "Hello"],
    ["text", ""],
    ["ping", utf8("")],
    ["binary", utf8("")],
    ["pong", bytesOf(125)]
  ]

  it.each(["server", "client"] as const)("hands messages, pings and pongs on, in order: %s", (role) => {
    const stream = role === "server" ? masked(...frames) : unmasked(...frames)
    for (const size of [1, 2, 3, 7, 50, stream.length]) {
      const end = new TestConnection({ role }).receive(...piecesOf(stream, size))
      assert.deepStrictEqual(end.received, expected)
      assert.strictEqual(end.connection.state, "Open")
      assert.isUndefined(end.connection.violation)
      assert.deepStrictEqual(end.sent(), [])
    }
  })

  it("keeps a reader while a frame or message is unfinished, and none between messages", () => {
    const message = masked(
      { opcode: Text, fin: false, payload: "Hel" },
      { opcode: Ping, payload: "between" },
      { opcode: Continuation, payload: "lo" }
    )
    // Cut anywhere, it is read by one; so are all messages of a chunk.
    for (let at = 1; at < message.length; at++) {
      const end = new TestConnection().receive(...cutAt(message, [at]))
      assert.deepStrictEqual(end.received, [
        ["ping", utf8("between")],
        ["text", "Hello"]
      ])
      assert.strictEqual(end.readers, 1)
      end.receive(concat(message, message))
      assert.strictEqual(end.readers, 2)
      end.receive(masked({ opcode: Ping }))
      assert.strictEqual(end.readers, 3)
    }
  })

  it("answers no ping itself: that is its owner's", () => {
    const end = new TestConnection().receive(masked({ opcode: Ping, payload: "a" }))
    assert.deepStrictEqual(end.received, [["ping", utf8("a")]])
    assert.strictEqual(end.connection.outgoing.length, 0)
  })

  it("messages before a violation in the same chunk are handed on before it", () => {
    const stream = masked(
      { opcode: Text, payload: "a" },
      { opcode: Ping, payload: "b" },
      { opcode: 3 },
      { opcode: Text, payload: "c" }
    )
    for (let size = 1; size <= stream.length; size++) {
      const end = new TestConnection().receive(...piecesOf(stream, size))
      assert.deepStrictEqual(end.received, [
        ["text", "a"],
        ["ping", utf8("b")]
      ])
      assert.strictEqual(end.connection.violation, "ReservedOpcode")
    }
  })

  it("a 4 MiB message in 64-byte fragments passes", () => {
    const size = 0x40_0000
    const end = new TestConnection({ role: "client", maxMessagePayloadSize: size })
    for (let at = 0; at < size; at += 0x1_0000) {
      const fragments = Array.from({ length: 1024 }, (_, i) => {
        const start = at + i * 64
        const opcode = start === 0 ? Binary : Continuation
        return frame({ opcode, fin: start + 64 === size, payload: bytesOf(64, start) })
      })
      end.receive(concat(...fragments))
    }
    const [message, ...rest] = end.received
    assert.deepStrictEqual(rest, [])
    assert.strictEqual(message![0], "binary")
    assert.strictEqual(Buffer.compare(utf8OrBytes(message!), bytesOf(size)), 0)
  })

  it("a million empty fragments change nothing", () => {
    const end = new TestConnection({ role: "client", maxMessagePayloadSize: 2 })
    const flood = Buffer.alloc(200_000, frame({ opcode: Continuation, fin: false }))
    end.receive(unmasked({ opcode: Text, fin: false, payload: "a" }))
    for (let i = 0; i < 10; i++) end.receive(flood)
    end.receive(unmasked({ opcode: Continuation, payload: "b" }))
    assert.deepStrictEqual(end.received, [["text", "ab"]])
  })

  it("a text that no string can hold fails with TextTooLong", () => {
    // The longest string has 2^29 - 24 characters; all of them are U+0000 here.
    const chunk = new Uint8Array(0x2000_0000 + 10)
    chunk.set(frame({ opcode: Text, announced: 0x2000_0000n }))
    const end = new TestConnection({ role: "client" })
    end.connection.receive(chunk)
    assert.deepStrictEqual(end.received, [])
    assert.strictEqual(end.connection.violation, "TextTooLong")
    assert.deepStrictEqual(end.sent()[0]!.payload.slice(0, 2), hex("03f1"))
  }, 60_000)
})

const utf8OrBytes = ([, content]: Received): Uint8Array =>
  typeof content === "string" ? utf8(content) : content

describe("Connection: text as bytes", () => {
  const wrong = hex("61ff62")

  it("with utf8validateIncoming off, text comes as bytes, valid or not, in one frame or more", () => {
    const stream = masked(
      { opcode: Text, payload: "é" },
      { opcode: Text, payload: wrong },
      { opcode: Text, fin: false, payload: wrong },
      { opcode: Continuation, payload: hex("e2") },
      { opcode: Binary, payload: wrong }
    )
    for (let size = 1; size <= stream.length; size++) {
      const end = new TestConnection({ utf8validateIncoming: false }).receive(...piecesOf(stream, size))
      assert.deepStrictEqual(end.received, [
        ["encodedText", utf8("é")],
        ["encodedText", wrong],
        ["encodedText", concat(wrong, hex("e2"))],
        ["binary", wrong]
      ])
      assert.strictEqual(end.connection.state, "Open")
    }
  })

  it("where the owner wants bytes, text comes as bytes that were validated", () => {
    for (const size of [1, 5, 1000]) {
      const end = new TestConnection()
      end.connection.keepBytes = true
      end.receive(...piecesOf(masked({ opcode: Text, payload: everyKind }), size))
      assert.deepStrictEqual(end.received, [["encodedText", utf8(everyKind)]])
      end.receive(...piecesOf(masked({ opcode: Text, payload: wrong }), size))
      assert.strictEqual(end.connection.violation, "TextNotUtf8")
      assert.lengthOf(end.received, 1)
    }
  })
})

describe("Connection: failing", () => {
  const server: Settings = { role: "server" }
  const client: Settings = { role: "client" }

  // [violation, settings, the frames that end in it]
  const cases: ReadonlyArray<readonly [Violation.Violation, Settings, Uint8Array]> = [
    ["ReservedBits", server, masked({ opcode: Text, reservedBits: 0x40 })],
    ["ReservedBits", client, unmasked({ opcode: Ping, reservedBits: 0x10 })],
    ["ReservedOpcode", server, masked({ opcode: 3 })],
    ["ReservedOpcode", client, unmasked({ opcode: 11 })],
    ["FragmentedControlFrame", server, masked({ opcode: Ping, fin: false })],
    ["ControlFrameTooLong", server, masked({ opcode: Ping, payload: bytesOf(126) })],
    ["LengthNotMinimal", server, masked({ opcode: Binary, payload: bytesOf(5), lengthForm: 16 })],
    ["LengthSignBit", server, masked({ opcode: Binary, announced: 1n << 63n })],
    ["MaskMissing", server, unmasked({ opcode: Text, payload: "Hello" })],
    ["MaskForbidden", client, masked({ opcode: Text, payload: "Hello" })],
    ["ContinuationWithoutMessage", server, masked({ opcode: Continuation })],
    ["MessageNotFinished", server, masked({ opcode: Text, fin: false }, { opcode: Text })],
    ["ClosePayloadTooShort", server, masked({ opcode: Close, payload: hex("03") })],
    ["CloseCodeInvalid", server, masked({ opcode: Close, payload: closePayload(1005) })],
    ["CloseReasonNotUtf8", server, masked({ opcode: Close, payload: hex("03e8ff") })],
    ["TextNotUtf8", server, masked({ opcode: Text, payload: hex("ff") })],
    ["TextNotUtf8", client, unmasked({ opcode: Text, payload: hex("c3") })],
    ["FrameTooBig", { maxFramePayloadSize: 10 }, masked({ opcode: Binary, payload: bytesOf(11) })],
    ["MessageTooBig", { maxMessagePayloadSize: 10 }, masked({ opcode: Binary, payload: bytesOf(11) })],
    [
      "MessageTooBig",
      { maxMessagePayloadSize: 10 },
      masked(
        { opcode: Text, fin: false, payload: "abcdef" },
        { opcode: Ping },
        { opcode: Continuation, payload: "ghijk" }
      )
    ]
  ]

  it("the cases have every violation but TextTooLong, which takes half a GiB, and those of others", () => {
    const compressionAndOwner = [
      "CompressedDataCorrupt",
      "DecompressionRatioTooHigh",
      "TooManyControlFrames"
    ] as const
    assert.deepStrictEqual(
      new Set([...cases.map(([violation]) => violation), "TextTooLong", ...compressionAndOwner]),
      new Set(Violation.all)
    )
  })

  it.each(cases)("%s closes with its status code and says why: case %#", (violation, settings, stream) => {
    for (const chunks of [[stream], piecesOf(stream, 1)]) {
      const end = new TestConnection(settings).receive(...chunks)
      const { connection } = end
      assert.strictEqual(connection.state, "Failed")
      assert.strictEqual(connection.violation, violation)
      assert.isFalse(connection.mustDrop)
      assert.isFalse(connection.wasClean)
      assert.isUndefined(connection.remoteClose)
      assert.isFalse(connection.isReceiving)
      assert.deepStrictEqual(end.sent(), [
        {
          opcode: Close,
          fin: true,
          reservedBits: 0,
          key: settings.role === "client" ? rfcKey : undefined,
          payload: closePayload(Violation.statusCode(violation), Violation.description(violation))
        }
      ])
    }
  })

  it.each(cases)("%s with failByDrop drops without a word: case %#", (violation, settings, stream) => {
    for (const chunks of [[stream], piecesOf(stream, 1)]) {
      const end = new TestConnection({ ...settings, failByDrop: true }).receive(...chunks)
      assert.strictEqual(end.connection.state, "Failed")
      assert.strictEqual(end.connection.violation, violation)
      assert.isTrue(end.connection.mustDrop)
      assert.isFalse(end.connection.wasClean)
      assert.strictEqual(end.connection.outgoing.length, 0)
    }
  })

  it.each(cases)(
    "after %s everything is discarded, a Close frame too: case %#",
    (violation, settings, stream) => {
      const role = settings.role ?? "server"
      const more = role === "server" ? masked : unmasked
      const end = new TestConnection(settings).receive(stream)
      const before = end.received.length
      end.sentBytes()
      end.receive(
        more({ opcode: Text, payload: "more" }, { opcode: Ping }),
        more({ opcode: 3 }),
        more({ opcode: Close, payload: closePayload(1000) }),
        bytesOf(1000)
      )
      assert.lengthOf(end.received, before)
      assert.strictEqual(end.connection.outgoing.length, 0)
      assert.strictEqual(end.connection.state, "Failed")
      assert.strictEqual(end.connection.violation, violation)
      assert.isUndefined(end.connection.remoteClose)
    }
  )

  it("limits are told before the payload that would break them", () => {
    const single = masked({ opcode: Binary, payload: bytesOf(200) })
    const fragments = masked(
      { opcode: Binary, fin: false, payload: bytesOf(100) },
      { opcode: Ping },
      { opcode: Continuation, payload: bytesOf(100) }
    )
    const told: ReadonlyArray<readonly [Settings, Uint8Array, number]> = [
      [{ maxFramePayloadSize: 199 }, single, 8],
      [{ maxMessagePayloadSize: 199 }, single, 8],
      [{ maxMessagePayloadSize: 199 }, fragments, 106 + 6 + 6]
    ]
    for (const [settings, stream, at] of told) {
      const end = new TestConnection(settings).receive(...piecesOf(stream.slice(0, at - 1), 1))
      assert.strictEqual(end.connection.state, "Open")
      assert.strictEqual(end.receive(stream.slice(at - 1, at)).connection.state, "Failed")
    }
  })

  it("text fails at its first wrong byte, inside a frame and across chunks", () => {
    const stream = masked({
      opcode: Text,
      fin: false,
      payload: concat(utf8("Hé"), hex("e28241"), bytesOf(500))
    })
    const wrongAt = 8 + 5 // the header, and what is right of the payload
    for (let cut = 0; cut <= wrongAt; cut++) {
      const end = new TestConnection().receive(...cutAt(stream.slice(0, wrongAt), [cut]))
      assert.strictEqual(end.connection.state, "Open")
      assert.strictEqual(end.receive(stream.slice(wrongAt, wrongAt + 1)).connection.violation, "TextNotUtf8")
    }
  })

  it("control frames between the fragments of a text do not disturb its validation", () => {
    const end = new TestConnection().receive(
      masked(
        { opcode: Text, fin: false, payload: hex("f09f") },
        { opcode: Ping, payload: hex("ff") },
        { opcode: Continuation, payload: hex("9880") }
      )
    )
    assert.deepStrictEqual(end.received, [
      ["ping", hex("ff")],
      ["text", "😀"]
    ])
  })

  it("sends what its owner has still to say before the Close frame", () => {
    const end = new TestConnection()
    end.onClosing = () => end.connection.sendPong(utf8("last"))
    end.receive(masked({ opcode: Ping, payload: "last" }, { opcode: 3 }))
    assert.deepStrictEqual(
      parseFrames(end.sentBytes()).map(({ opcode }) => opcode),
      [Pong, Close]
    )
  })
})
