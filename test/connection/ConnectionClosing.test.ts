import { setImmediate } from "node:timers/promises"
import { assert, describe, it } from "@effect/vitest"
import type { ConnectionState } from "../../src/connection/Connection.ts"
import { type Settings, TestConnection } from "../support/connections.ts"
import {
  Binary,
  Close,
  Continuation,
  closePayload,
  concat,
  type FrameFields,
  frame,
  hex,
  Ping,
  Pong,
  piecesOf,
  rfcKey,
  Text,
  toHex,
  utf8
} from "../support/frames.ts"
import { collectGarbage } from "../support/memory.ts"

/** Frames of a client, masked. */
const masked = (...frames: ReadonlyArray<FrameFields>): Uint8Array =>
  concat(...frames.map((fields) => frame({ key: rfcKey, ...fields })))

const close = (code?: number, reason = ""): Uint8Array =>
  masked({ opcode: Close, payload: code === undefined ? "" : closePayload(code, reason) })

/** Opcodes and payloads of the frames sent since the last call. */
const sent = (end: TestConnection): ReadonlyArray<readonly [number, string]> =>
  end.sent().map(({ opcode, payload }) => [opcode, toHex(payload)] as const)

const closeSent = (settings: Settings = {}): TestConnection => {
  const end = new TestConnection(settings)
  end.connection.sendClose(1000, "")
  end.sentBytes()
  return end
}

const violating = masked({ opcode: 3 })

/** A connection in each state, by a way that leads there. */
const ways: ReadonlyArray<readonly [string, ConnectionState, () => TestConnection]> = [
  ["at first", "Open", () => new TestConnection()],
  ["our Close went out", "CloseSent", () => closeSent()],
  ["the peer's Close came", "Finished", () => new TestConnection().receive(close(1000))],
  ["the peer's Close answered ours", "Finished", () => closeSent().receive(close(1000))],
  ["a rule was violated", "Failed", () => new TestConnection().receive(violating)],
  ["a rule was violated after our Close", "Failed", () => closeSent().receive(violating)]
]

describe("Connection: states", () => {
  it.each(ways)("%s: %s", (_name, state, make) => {
    const { connection } = make()
    assert.strictEqual(connection.state, state)
    assert.strictEqual(connection.isReceiving, state === "Open" || state === "CloseSent")
  })

  it.each(ways)("%s: the transport's end leads from %s to Closed", (_name, _state, make) => {
    const end = make()
    const { mustDrop, remoteClose, violation, wasClean } = end.connection
    const length = end.received.length
    end.connection.transportClosed()
    end.sentBytes()
    end.receive(masked({ opcode: Text, payload: "late" }), close(1000), violating)
    const { connection } = end
    assert.strictEqual(connection.state, "Closed")
    assert.isFalse(connection.isReceiving)
    assert.lengthOf(end.received, length)
    assert.strictEqual(connection.outgoing.length, 0)
    assert.deepStrictEqual(
      [connection.mustDrop, connection.remoteClose, connection.violation, connection.wasClean],
      [mustDrop, remoteClose, violation, wasClean]
    )
  })

  it.each(ways.slice(2))("%s: %s discards all input", (_name, state, make) => {
    const end = make()
    const { remoteClose, violation, wasClean } = end.connection
    end.sentBytes()
    end.receive(
      masked({ opcode: Text, payload: "a" }, { opcode: Ping }, { opcode: Pong }),
      close(4000, "b"),
      violating
    )
    assert.deepStrictEqual(end.received, [])
    assert.strictEqual(end.connection.outgoing.length, 0)
    assert.strictEqual(end.connection.state, state)
    assert.strictEqual(end.connection.remoteClose, remoteClose)
    assert.strictEqual(end.connection.violation, violation)
    assert.strictEqual(end.connection.wasClean, wasClean)
  })

  it("what follows a Close frame in its chunk is discarded", () => {
    for (const start of [() => new TestConnection(), () => closeSent()]) {
      const end = start().receive(concat(close(1000), masked({ opcode: Ping }), violating))
      assert.deepStrictEqual(end.received, [])
      assert.strictEqual(end.connection.state, "Finished")
      assert.isUndefined(end.connection.violation)
    }
  })
})

describe("Connection: the peer closes", () => {
  // [what the peer sends, what it means, the answer, the answer with echoCloseCodeReason]
  it.each([
    [
      "a code and a reason",
      close(3000, "bye é"),
      { code: 3000, reason: "bye é" },
      closePayload(3000, "bye é")
    ],
    ["a code", close(1001), { code: 1001, reason: "" }, closePayload(1001)],
    ["the longest reason", close(4999, "r".repeat(123)), { code: 4999, reason: "r".repeat(123) }, undefined],
    ["neither", close(), { code: 1005, reason: "" }, hex("")]
  ] as const)("with %s", (_name, bytes, remoteClose, echo) => {
    for (const chunks of [[bytes], piecesOf(bytes, 1)]) {
      for (const echoCloseCodeReason of [false, true]) {
        const end = new TestConnection({ echoCloseCodeReason }).receive(...chunks)
        const { connection } = end
        assert.strictEqual(connection.state, "Finished")
        assert.isTrue(connection.wasClean)
        assert.isFalse(connection.mustDrop)
        assert.isUndefined(connection.violation)
        assert.deepStrictEqual(connection.remoteClose, remoteClose)
        const echoed = echo ?? closePayload(remoteClose.code, remoteClose.reason)
        assert.deepStrictEqual(sent(end), [[Close, echoCloseCodeReason ? toHex(echoed) : "03e8"]])
      }
    }
  })

  it("inside a fragmented message: what came of it is dropped", () => {
    const end = new TestConnection().receive(
      concat(masked({ opcode: Text, fin: false, payload: "Hel" }), close(1000))
    )
    assert.deepStrictEqual(end.received, [])
    assert.strictEqual(end.connection.state, "Finished")
  })

  it("a client answers masked", () => {
    const end = new TestConnection({ role: "client" }).receive(
      frame({ opcode: Close, payload: closePayload(1000) })
    )
    assert.deepStrictEqual(end.sent()[0]!.key, rfcKey)
  })

  it("what its owner has still to say goes before the answer", () => {
    const end = new TestConnection()
    end.onClosing = () => {
      assert.strictEqual(end.connection.state, "Open")
      end.connection.sendText("last")
    }
    end.receive(close(1000))
    assert.deepStrictEqual(
      sent(end).map(([opcode]) => opcode),
      [Text, Close]
    )
  })
})

describe("Connection: we close", () => {
  it.each([
    [undefined, "", ""],
    [1000, "", "03e8"],
    [1001, "going", "03e9676f696e67"],
    [4999, "", "1387"]
  ])("with %s %j", (code, reason, payload) => {
    const end = new TestConnection()
    end.connection.sendClose(code, reason)
    assert.strictEqual(end.connection.state, "CloseSent")
    assert.isTrue(end.connection.isReceiving)
    assert.isFalse(end.connection.wasClean)
    assert.deepStrictEqual(sent(end), [[Close, payload]])
  })

  it("the peer's Close finishes it, and gets no second answer", () => {
    for (const echoCloseCodeReason of [false, true]) {
      const end = closeSent({ echoCloseCodeReason }).receive(close(1001, "too"))
      assert.strictEqual(end.connection.state, "Finished")
      assert.isTrue(end.connection.wasClean)
      assert.deepStrictEqual(end.connection.remoteClose, { code: 1001, reason: "too" })
      assert.strictEqual(end.connection.outgoing.length, 0)
    }
  })

  it("data that comes then is discarded, pings and pongs are not", () => {
    const stream = concat(
      masked(
        { opcode: Text, payload: "a" },
        { opcode: Ping, payload: "b" },
        { opcode: Binary, fin: false, payload: "c" },
        { opcode: Pong, payload: "d" },
        { opcode: Continuation, payload: "e" }
      ),
      close(1000)
    )
    for (let size = 1; size <= stream.length; size++) {
      const end = closeSent().receive(...piecesOf(stream, size))
      assert.deepStrictEqual(end.received, [
        ["ping", utf8("b")],
        ["pong", utf8("d")]
      ])
      assert.strictEqual(end.connection.state, "Finished")
      assert.strictEqual(end.connection.outgoing.length, 0)
    }
  })

  it("a ping can still be answered", () => {
    const end = closeSent()
    end.onReceived = (event) => {
      if (event[0] === "ping") end.connection.sendPong(event[1])
    }
    end.receive(masked({ opcode: Ping, payload: "a" }))
    assert.deepStrictEqual(sent(end), [[Pong, "61"]])
  })

  it("in the middle of the peer's message, the rest of it is discarded", () => {
    const end = new TestConnection().receive(masked({ opcode: Text, fin: false, payload: "Hel" }))
    end.connection.sendClose(1000, "")
    end.receive(masked({ opcode: Continuation, payload: "lo" }), close(1000))
    assert.deepStrictEqual(end.received, [])
    assert.strictEqual(end.connection.state, "Finished")
  })

  it("from inside a callback, the messages behind in the same chunk are discarded", () => {
    const end = new TestConnection()
    end.onReceived = () => end.connection.sendClose(1000, "")
    end.receive(masked({ opcode: Text, payload: "a" }, { opcode: Text, payload: "b" }))
    assert.deepStrictEqual(end.received, [["text", "a"]])
    assert.strictEqual(end.connection.state, "CloseSent")
  })

  it("before the peer's Close is taken in, from the last chance to send: it is not answered twice", () => {
    const end = new TestConnection()
    end.onClosing = () => end.connection.sendClose(4000, "ours")
    end.receive(close(1000))
    assert.deepStrictEqual(sent(end), [[Close, toHex(closePayload(4000, "ours"))]])
    assert.strictEqual(end.connection.state, "Finished")
    assert.isTrue(end.connection.wasClean)
  })

  it.each([
    ["a frame", violating, "ReservedOpcode"],
    ["a Close frame's code", close(1006), "CloseCodeInvalid"],
    ["a Close frame's reason", masked({ opcode: Close, payload: hex("03e8ff") }), "CloseReasonNotUtf8"],
    ["a Close frame of one byte", masked({ opcode: Close, payload: "x" }), "ClosePayloadTooShort"]
  ] as const)(
    "a rule that %s violates then drops the transport: no second Close frame",
    (_name, bytes, violation) => {
      for (const failByDrop of [false, true]) {
        const end = closeSent({ failByDrop }).receive(bytes)
        const { connection } = end
        assert.strictEqual(connection.state, "Failed")
        assert.strictEqual(connection.violation, violation)
        assert.isTrue(connection.mustDrop)
        assert.isFalse(connection.wasClean)
        assert.isUndefined(connection.remoteClose)
        assert.strictEqual(connection.outgoing.length, 0)
      }
    }
  )

  it.each([
    ["the peer's Close", [{ opcode: Close }]],
    ["a violation", [{ opcode: 3 }]],
    ["the transport's end", []]
  ] as const)("lets go of an unfinished message with %s", async (_name, frames) => {
    const end = new TestConnection()
    end.receive(masked({ opcode: Binary, fin: false, payload: "a" }, ...frames))
    if (frames.length === 0) end.connection.transportClosed()
    assert.isDefined(end.reader)
    // What a WeakRef was made of is kept until the end of the turn.
    await setImmediate()
    collectGarbage()
    assert.isUndefined(end.reader?.deref())
    assert.notStrictEqual(end.connection.state, "Open")
  })

  it("stops in a chunk where its owner finds the transport ended", () => {
    const end = new TestConnection()
    end.onReceived = () => end.connection.transportClosed()
    end.receive(masked({ opcode: Ping, payload: "a" }, { opcode: Ping, payload: "b" }))
    assert.deepStrictEqual(end.received, [["ping", utf8("a")]])
  })
})
