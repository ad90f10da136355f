import { assert, describe, it } from "@effect/vitest"
import { EncodedText, toBytes, toIncomingMessage, toMessage } from "../../src/message/Message.ts"
import { bytesOf, utf8 } from "../support/frames.ts"

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
