import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import {
  EncodedText,
  IncomingMessage,
  Message,
  OutgoingMessage,
  Payload,
  toBytes,
  toIncomingMessage,
  toMessage
} from "../../src/message/Message.ts"
import { bytesOf, utf8 } from "../support/frames.ts"
import { refusedJson, throughJson } from "../support/json.ts"

describe("Message", () => {
  it("toMessage gives text as a string and binary as its bytes", () => {
    const bytes = bytesOf(5)
    assert.strictEqual(toMessage("Hello"), "Hello")
    assert.strictEqual(toMessage(bytes), bytes)
    assert.strictEqual(toMessage(new EncodedText(utf8("\ufeffé😀"))), "\ufeffé😀")
  })

  it("toMessage puts U+FFFD where text that nobody validated is not UTF-8", () => {
    assert.strictEqual(toMessage(new EncodedText(Uint8Array.of(0x61, 0xff, 0x62))), "a\ufffdb")
  })

  it("toIncomingMessage gives bytes, and whether they are binary", () => {
    const bytes = bytesOf(5)
    assert.deepStrictEqual(toIncomingMessage("é"), { payload: utf8("é"), isBinary: false })
    assert.deepStrictEqual(toIncomingMessage(""), { payload: new Uint8Array(0), isBinary: false })
    for (const [received, isBinary] of [[bytes, true] as const, [new EncodedText(bytes), false] as const]) {
      const message = toIncomingMessage(received)
      assert.strictEqual(message.payload, bytes)
      assert.strictEqual(message.isBinary, isBinary)
    }
  })

  it("toBytes shows the bytes of any view, without a copy", () => {
    const { buffer } = bytesOf(64)
    const views = [
      new Uint8Array(buffer, 8, 16),
      new Int8Array(buffer, 8, 16),
      new Uint8ClampedArray(buffer, 8, 16),
      new Uint16Array(buffer, 8, 8),
      new Float32Array(buffer, 8, 4),
      new Float64Array(buffer, 8, 2),
      new BigInt64Array(buffer, 8, 2),
      new DataView(buffer, 8, 16)
    ]
    for (const view of views) {
      const bytes = toBytes(view)
      assert.strictEqual(bytes.buffer, buffer)
      assert.deepStrictEqual([bytes.byteOffset, bytes.byteLength], [8, 16])
    }
    assert.strictEqual(toBytes(views[0]!), views[0])
    const node = Buffer.from(buffer, 8, 16)
    assert.strictEqual(toBytes(node), node)
  })
})

describe("the Schemas of messages", () => {
  it("have the types beside them", () => {
    expectTypeOf<(typeof Message)["Type"]>().toEqualTypeOf<Message>()
    expectTypeOf<(typeof IncomingMessage)["Type"]>().toEqualTypeOf<IncomingMessage>()
    expectTypeOf<(typeof OutgoingMessage)["Type"]>().toEqualTypeOf<OutgoingMessage>()
    expectTypeOf<(typeof Payload)["Type"]>().toEqualTypeOf<Payload>()
  })

  it.each<readonly [Message, unknown]>([
    ["", ""],
    ["AQID", "AQID"],
    ["\ufeffé😀\0", "\ufeffé😀\0"],
    ["\ud800", "\ud800"],
    [bytesOf(0), { base64: "" }],
    [Uint8Array.of(1, 2, 3), { base64: "AQID" }],
    [Uint8Array.of(0, 1, 2, 3, 4).subarray(1, 4), { base64: "AQID" }],
    [Uint8Array.of(251, 255), { base64: "+/8=" }]
  ])("the message %j is JSON, and comes back", (message, expected) => {
    for (const schema of [Message, Payload]) {
      const { decoded, json } = throughJson(schema, message)
      assert.deepStrictEqual(json, expected)
      assert.deepStrictEqual(decoded, typeof message === "string" ? message : Uint8Array.from(message))
    }
    const outgoing = { payload: message, isBinary: true, skipCompress: undefined }
    assert.deepStrictEqual(throughJson(OutgoingMessage, outgoing).json, {
      ...outgoing,
      payload: expected,
      skipCompress: null
    })
    assert.deepStrictEqual(throughJson(OutgoingMessage, { payload: message }).decoded.payload, message)
    const incoming = toIncomingMessage(message)
    assert.deepStrictEqual(throughJson(IncomingMessage, incoming).decoded, incoming)
  })

  it("bytes in any view come back as a Uint8Array", () => {
    const { buffer } = Uint8Array.of(0, 0, 1, 2, 3, 4)
    for (const view of [new DataView(buffer, 2), new Uint16Array(buffer, 2, 2), Buffer.from(buffer, 2)]) {
      assert.deepStrictEqual(throughJson(Payload, view).decoded, Uint8Array.of(1, 2, 3, 4))
    }
  })

  it.each([null, 1, [], [1], {}, { base64: 1 }, { base64: "A" }, { base64: "A===" }, { base64: "\ud800" }])(
    "the JSON %j is no message",
    (json) => {
      refusedJson(Message, json)
      refusedJson(Payload, json)
      refusedJson(IncomingMessage, json)
      refusedJson(IncomingMessage, { payload: json, isBinary: true })
      refusedJson(OutgoingMessage, { payload: json })
    }
  )

  it("flags are true or false", () => {
    assert.include(refusedJson(IncomingMessage, { payload: "" }), '"isBinary"')
    assert.include(refusedJson(IncomingMessage, { payload: "", isBinary: null }), '"isBinary"')
    assert.include(refusedJson(OutgoingMessage, { payload: "", isBinary: 1 }), '"isBinary"')
    assert.include(refusedJson(OutgoingMessage, { payload: "", skipCompress: "no" }), '"skipCompress"')
  })
})
