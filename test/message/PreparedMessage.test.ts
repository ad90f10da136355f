import { assert, describe, it } from "@effect/vitest"
import * as PreparedMessage from "../../src/message/PreparedMessage.ts"
import { TestConnection } from "../support/connections.ts"
import {
  Binary,
  bytesOf,
  concat,
  frame,
  type Key,
  parseFrames,
  rfcKey,
  Text,
  toHex,
  utf8
} from "../support/frames.ts"

const lengths = [0, 1, 125, 126, 127, 4096, 4097, 65_535, 65_536, 100_000]

const sizes = [1, 5, 125, 126, 65_535, 65_536]

/** Lengths around the multiples of a fragment's size. */
const cases = sizes.flatMap((size) =>
  [0, 1, size - 1, size, size + 1, 2 * size, 2 * size + 1].map((length) => [length, size] as const)
)

describe("PreparedMessage", () => {
  it.each(lengths)("of %i bytes is the frame that it should be", (length) => {
    const bytes = bytesOf(length)
    const text = "é".repeat(length)
    const made = [PreparedMessage.make(bytes).framed(0), PreparedMessage.make(text).framed(0)]
    const expected = [frame({ opcode: Binary, payload: bytes }), frame({ opcode: Text, payload: text })]
    assert.deepStrictEqual(
      made.map(({ bytes }) => toHex(bytes)),
      expected.map(toHex)
    )
    assert.deepStrictEqual(
      made.map(({ frames }) => frames),
      [1, 1]
    )
  })

  it.each(cases)(
    "of %i bytes in fragments of %i is what a message sent so is",
    (length, autoFragmentSize) => {
      const payload = bytesOf(length)
      const end = new TestConnection({ autoFragmentSize })
      end.connection.sendBytes(Binary, payload)
      const { bytes, frames } = PreparedMessage.make(payload).framed(autoFragmentSize)
      assert.strictEqual(toHex(bytes), toHex(end.sentBytes()))
      const parsed = parseFrames(bytes)
      assert.lengthOf(parsed, frames)
      assert.strictEqual(frames, Math.max(1, Math.ceil(length / autoFragmentSize)), "no empty last frame")
    }
  )

  it("takes a string or any view of bytes, which are copied", () => {
    const bytes = Uint8Array.of(1, 2, 3, 4)
    const message = PreparedMessage.make(new DataView(bytes.buffer, 1, 2))
    bytes.fill(9)
    assert.strictEqual(toHex(message.framed(0).bytes), "82020203")
    bytes.fill(8)
    assert.strictEqual(toHex(message.framed(1).bytes), "020102800103")
    assert.strictEqual(toHex(PreparedMessage.make("\ufeffé").framed(0).bytes), "8105efbbbfc3a9")
  })

  it("is framed once for each size of fragments", () => {
    const message = PreparedMessage.make(bytesOf(10))
    assert.strictEqual(message.framed(0), message.framed(0))
    assert.strictEqual(message.framed(3), message.framed(3))
    assert.notStrictEqual(message.framed(0), message.framed(3))
  })

  it("a large one leaves each server as the same memory", () => {
    const message = PreparedMessage.make(bytesOf(100_000))
    for (let i = 0; i < 2; i++) {
      const { connection } = new TestConnection()
      connection.sendPrepared(message)
      assert.deepStrictEqual(connection.outgoing.take(), [message.framed(0).bytes])
      connection.sendPrepared(message)
      assert.strictEqual(connection.outgoing.take()[0], message.framed(0).bytes)
    }
  })

  const keys: ReadonlyArray<Key> = [rfcKey, [1, 2, 3, 4]]

  it.each(["client", "server"] as const)(
    "a %s sends it as it does the message itself, and counts it so",
    (role) => {
      for (const payload of ["été", "", bytesOf(20_000)]) {
        for (const autoFragmentSize of [0, 2, 10_000]) {
          const plain = new TestConnection({ role, keys, autoFragmentSize })
          const prepared = new TestConnection({ role, keys, autoFragmentSize })
          const message = PreparedMessage.make(payload)
          for (let i = 0; i < 2; i++) {
            if (typeof payload === "string") plain.connection.sendText(payload)
            else plain.connection.sendBytes(Binary, payload)
            prepared.connection.sendPrepared(message)
          }
          assert.deepStrictEqual(prepared.connection.sent, plain.connection.sent)
          assert.strictEqual(toHex(prepared.sentBytes()), toHex(plain.sentBytes()))
        }
      }
    }
  )

  it("a client masks it afresh each time", () => {
    const end = new TestConnection({ role: "client", keys })
    const message = PreparedMessage.make("été")
    end.connection.sendPrepared(message)
    end.connection.sendPrepared(message)
    assert.deepStrictEqual(
      end.sentBytes(),
      concat(...keys.map((key) => frame({ opcode: Text, payload: utf8("été"), key })))
    )
    assert.deepStrictEqual(message.payload, utf8("été"))
  })

  it("is compressed once for all with one key, and again when that has thrown", () => {
    const message = PreparedMessage.make("a")
    const given: Array<string> = []
    const give = (name: string) => (compressed: Uint8Array) => given.push(`${name} ${toHex(compressed)}`)
    assert.throws(() =>
      message.compressed(
        "key",
        () => {
          throw new Error("no memory")
        },
        give("first")
      )
    )
    let finish = (_: Uint8Array): void => assert.fail("not compressed again")
    message.compressed("key", (done) => (finish = done), give("second"))
    message.compressed("key", () => assert.fail("compressed twice"), give("third"))
    assert.deepStrictEqual(given, [])
    finish(Uint8Array.of(7))
    message.compressed("key", () => assert.fail("compressed twice"), give("fourth"))
    assert.deepStrictEqual(given, ["second 07", "third 07", "fourth 07"])
  })
})
