import { assert, describe, it } from "@effect/vitest"
import { type Settings, TestConnection } from "../support/connections.ts"
import {
  Binary,
  bytesOf,
  Continuation,
  concat,
  frame,
  type Key,
  Ping,
  Pong,
  rfcKey,
  Text,
  toHex,
  utf8
} from "../support/frames.ts"

const roles = [
  ["server", undefined],
  ["client", rfcKey]
] as const

/** [opcode, fin, payload] of the frames that `send` makes. */
const framesOf = (settings: Settings, send: (end: TestConnection) => void) => {
  const end = new TestConnection(settings)
  send(end)
  return end.sent().map(({ fin, opcode, payload }) => [opcode, fin, toHex(payload)] as const)
}

describe("Connection: sending", () => {
  it.each(roles)("a %s sends text, bytes, pings and pongs in one frame each", (role, key) => {
    const end = new TestConnection({ role })
    end.connection.sendText("Hé")
    end.connection.sendBytes(Binary, bytesOf(200))
    end.connection.sendBytes(Text, utf8("as bytes"))
    end.connection.sendPing(utf8("ping"))
    end.connection.sendPong(bytesOf(125))
    end.connection.sendText("")
    end.connection.sendBytes(Binary, bytesOf(0))
    const expected = [
      { opcode: Text, payload: "Hé", key },
      { opcode: Binary, payload: bytesOf(200), key },
      { opcode: Text, payload: "as bytes", key },
      { opcode: Ping, payload: "ping", key },
      { opcode: Pong, payload: bytesOf(125), key },
      { opcode: Text, key },
      { opcode: Binary, key }
    ]
    assert.deepStrictEqual(end.sentBytes(), concat(...expected.map(frame)))
    assert.strictEqual(end.connection.state, "Open")
  })

  it("a client takes a new masking key for each frame, fragments too", () => {
    const keys: ReadonlyArray<Key> = [[1, 2, 3, 4], rfcKey, [0xff, 0, 0xff, 0], [0, 0, 0, 0]]
    const end = new TestConnection({ role: "client", keys, autoFragmentSize: 4 })
    end.connection.sendText("Hello")
    end.connection.sendPing(utf8("a"))
    end.connection.sendBytes(Binary, bytesOf(4))
    const frames = end.sent()
    assert.deepStrictEqual(
      frames.map(({ key }) => key),
      [...keys]
    )
    assert.deepStrictEqual(
      frames.map(({ payload }) => payload),
      [utf8("Hell"), utf8("o"), utf8("a"), bytesOf(4)]
    )
  })
})

describe("Connection: autoFragmentSize", () => {
  it("cuts binary and text into frames of at most that size, the last one never empty", () => {
    for (const [role] of roles) {
      for (const size of [1, 2, 3, 7, 100, 5000]) {
        for (const length of [
          0,
          1,
          size - 1,
          size,
          size + 1,
          2 * size - 1,
          2 * size,
          2 * size + 1,
          5 * size
        ]) {
          for (const opcode of [Text, Binary]) {
            // "abc…" is as many bytes as characters.
            const text = Array.from({ length }, (_, i) => String.fromCharCode(97 + (i % 26))).join("")
            const end = new TestConnection({ role, autoFragmentSize: size })
            if (opcode === Text) end.connection.sendText(text)
            else end.connection.sendBytes(Binary, utf8(text))
            const frames = end.sent()
            const count = Math.max(1, Math.ceil(length / size))
            assert.lengthOf(frames, count, `${length} bytes in frames of ${size}`)
            frames.forEach(({ fin, opcode: actual, payload }, i) => {
              assert.strictEqual(actual, i === 0 ? opcode : Continuation)
              assert.strictEqual(fin, i === count - 1)
              assert.strictEqual(payload.length, i < count - 1 ? size : length - size * (count - 1))
            })
            assert.strictEqual(Buffer.concat(frames.map(({ payload }) => payload)).toString(), text)
          }
        }
      }
    }
  })

  it("counts bytes, not characters, and may cut a character", () => {
    assert.deepStrictEqual(
      framesOf({ autoFragmentSize: 4 }, (end) => end.connection.sendText("€€")),
      [
        [Text, false, "e282ace2"],
        [Continuation, true, "82ac"]
      ]
    )
    assert.deepStrictEqual(
      framesOf({ autoFragmentSize: 6 }, (end) => end.connection.sendText("€€")),
      [[Text, true, "e282ace282ac"]]
    )
    assert.deepStrictEqual(
      framesOf({ autoFragmentSize: 5 }, (end) => end.connection.sendText("aé")),
      [[Text, true, "61c3a9"]]
    )
  })

  it("text given as bytes is cut the same way", () => {
    assert.deepStrictEqual(
      framesOf({ autoFragmentSize: 3 }, (end) => end.connection.sendBytes(Text, utf8("Hello"))),
      [
        [Text, false, "48656c"],
        [Continuation, true, "6c6f"]
      ]
    )
  })

  it("leaves control frames whole", () => {
    assert.deepStrictEqual(
      framesOf({ autoFragmentSize: 2 }, (end) => {
        end.connection.sendPing(utf8("Hello"))
        end.connection.sendPong(utf8("Hello"))
        end.connection.sendClose(1000, "abc")
      }),
      [
        [9, true, "48656c6c6f"],
        [10, true, "48656c6c6f"],
        [8, true, "03e8616263"]
      ]
    )
  })

  it("0 never cuts", () => {
    const [only, ...rest] = framesOf({ autoFragmentSize: 0 }, (end) =>
      end.connection.sendText("a".repeat(100_000))
    )
    assert.deepStrictEqual(rest, [])
    assert.deepStrictEqual(only!.slice(0, 2), [Text, true])
  })

  it("large fragments of a server go out without a copy", () => {
    const payload = bytesOf(30_000)
    const end = new TestConnection({ autoFragmentSize: 10_000 })
    end.connection.sendBytes(Binary, payload)
    const shared = end.connection.outgoing.take().filter((segment) => segment.buffer === payload.buffer)
    assert.lengthOf(shared, 3)
  })
})
