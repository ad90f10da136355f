import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { RawPeer } from "../support/RawPeer.ts"
import { concat, hex, Opcode, show, utf8 } from "../support/rawFrames.ts"
import { itBothRoles, itFailsTheConnection } from "../support/rawRules.ts"
import { open, received, roles, take } from "../support/rawSession.ts"

/** A message in fragments: `"a|b|"` is `a`, `b` and an empty final one. */
const fragments = (peer: RawPeer, text: string, opcode: number = Opcode.text): ReadonlyArray<Uint8Array> => {
  const parts = text.split("|")
  return parts.map((payload, index) =>
    peer.frame({
      opcode: index === 0 ? opcode : Opcode.continuation,
      payload,
      fin: index === parts.length - 1
    })
  )
}

describe("RFC 6455 section 5.4: fragmentation", () => {
  describe("a fragmented message is its fragments' payloads in order", () => {
    const messages = ["Hel|lo", "H|e|l|l|o", "|Hello", "Hello|", "He||llo", "||", "|", "||||x||"]
    for (const message of messages) {
      for (const chunkSize of [undefined, 1, 3]) {
        itBothRoles(`${JSON.stringify(message)}, cut to ${chunkSize ?? "any"} bytes`, (role) =>
          Effect.gen(function* () {
            const network = chunkSize === undefined ? undefined : { chunkSize }
            const { channel, peer } = yield* open(role, {}, { network })
            const whole = message.replaceAll("|", "")
            peer.send(
              peer.text("before"),
              ...fragments(peer, message),
              ...fragments(peer, message, Opcode.binary),
              peer.text("after")
            )
            assert.deepStrictEqual(yield* take(channel, 4), ["before", whole, utf8(whole), "after"])
          })
        )
      }
    }

    itBothRoles("fragments of all lengths at which the header changes", (role) =>
      Effect.gen(function* () {
        const { channel, peer } = yield* open(role)
        const parts = [0, 1, 125, 126, 65_535, 65_536, 0, 70_000, 3].map((length, index) =>
          new Uint8Array(length).fill(index)
        )
        for (const [index, payload] of parts.entries()) {
          const opcode = index === 0 ? Opcode.binary : Opcode.continuation
          peer.send(peer.frame({ opcode, payload, fin: index === parts.length - 1 }))
        }
        assert.deepStrictEqual(yield* take(channel, 1), [concat(...parts)])
      })
    )

    itBothRoles("a message of 10,000 fragments of one byte", (role) =>
      Effect.gen(function* () {
        const { channel, peer } = yield* open(role)
        peer.send(...fragments(peer, Array.from("x".repeat(10_000)).join("|")))
        assert.deepStrictEqual(yield* take(channel, 1), ["x".repeat(10_000)])
      })
    )

    itBothRoles("an unfinished message is not delivered when the connection ends", (role) =>
      Effect.gen(function* () {
        const { channel, peer } = yield* open(role)
        peer.send(peer.text("whole"), peer.text("a", { fin: false }), peer.continuation("b", { fin: false }))
        peer.finish()
        const { closed, failure, messages } = yield* received(channel)
        assert.deepStrictEqual(messages, ["whole"])
        assert.strictEqual(failure?._tag, "ConnectionClosed")
        assert.strictEqual(closed.wasClean, false)
      })
    )
  })

  describe("control frames may be injected in the middle of a fragmented message", () => {
    for (const chunkSize of [undefined, 1]) {
      itBothRoles(`pings and pongs between fragments, cut to ${chunkSize ?? "any"} bytes`, (role) =>
        Effect.gen(function* () {
          const network = chunkSize === undefined ? undefined : { chunkSize }
          const { channel, peer } = yield* open(role, {}, { network })
          const [first = hex(""), second = hex(""), third = hex("")] = fragments(peer, "a|b|c")
          peer.send(first, peer.ping("1"), second, peer.pong("x"), peer.ping("2"), third, peer.ping("3"))
          assert.deepStrictEqual(yield* take(channel, 1), ["abc"])
          const answers = yield* Effect.all([peer.read, peer.read, peer.read])
          assert.deepStrictEqual(answers, ["pong 31", "pong 32", "pong 33"])
        })
      )
    }

    itBothRoles("a ping is answered before the message is finished", (role) =>
      Effect.gen(function* () {
        const { channel, peer } = yield* open(role)
        peer.send(peer.text("a", { fin: false }), peer.ping("now"))
        assert.strictEqual(yield* peer.read, "pong 6e6f77")
        peer.send(peer.continuation("b"))
        assert.deepStrictEqual(yield* take(channel, 1), ["ab"])
      })
    )

    itBothRoles("a Close between fragments closes cleanly and drops the unfinished message", (role) =>
      Effect.gen(function* () {
        const { channel, peer } = yield* open(role)
        peer.send(
          peer.text("whole"),
          peer.text("a", { fin: false }),
          peer.close(1001),
          peer.continuation("b")
        )
        peer.finish()
        const expected = { wasClean: true, code: 1001, reason: "" }
        assert.deepStrictEqual(yield* received(channel), {
          messages: ["whole"],
          failure: undefined,
          closed: expected
        })
        assert.deepStrictEqual(yield* peer.rest, { frames: ["close 1000"], end: "fin" })
      })
    )
  })

  describe("control frames must not be fragmented", () => {
    itFailsTheConnection(
      (["close", "ping", "pong"] as const).flatMap((name) => [
        {
          rule: `a ${name} that is not final`,
          violation: "FragmentedControlFrame" as const,
          code: 1002 as const,
          bytes: (peer: RawPeer) => [
            peer.frame({ opcode: Opcode[name], payload: hex("03e8"), fin: false }),
            peer.continuation("")
          ]
        },
        {
          rule: `an empty ${name} that is not final, within a message`,
          violation: "FragmentedControlFrame" as const,
          code: 1002 as const,
          bytes: (peer: RawPeer) => [
            peer.text("a", { fin: false }),
            peer.frame({ opcode: Opcode[name], fin: false })
          ]
        }
      ])
    )
  })

  describe("a continuation frame continues a message, and only that", () => {
    itFailsTheConnection([
      {
        rule: "a final continuation frame without a message",
        violation: "ContinuationWithoutMessage",
        code: 1002,
        bytes: (peer) => [peer.continuation("x")]
      },
      {
        rule: "an unfinished continuation frame without a message",
        violation: "ContinuationWithoutMessage",
        code: 1002,
        bytes: (peer) => [peer.continuation("x", { fin: false })]
      },
      {
        rule: "an empty continuation frame without a message",
        violation: "ContinuationWithoutMessage",
        code: 1002,
        bytes: (peer) => [peer.continuation("")]
      },
      {
        rule: "a continuation frame after a message's only frame and a ping",
        violation: "ContinuationWithoutMessage",
        code: 1002,
        bytes: (peer) => [peer.pong(), peer.continuation("x")]
      }
    ])

    itBothRoles("a continuation frame after a message's final fragment fails the connection", (role) =>
      Effect.gen(function* () {
        const { channel, peer } = yield* open(role, { failByDrop: false })
        const reading = yield* Effect.forkChild(received(channel))
        peer.send(...fragments(peer, "a|b|c"), peer.continuation("d"))
        const { end, frames } = yield* peer.rest
        assert.match(frames.join(), /^close 1002 "[^"]+"$/)
        assert.strictEqual(end, "fin")
        peer.finish()
        const { failure, messages } = yield* Fiber.join(reading)
        assert.deepStrictEqual(messages, ["abc"])
        assert.strictEqual(failure?._tag, "ProtocolViolation")
      })
    )
  })

  describe("fragments of one message are not interleaved with another message", () => {
    const cases = [
      ["text", Opcode.text, Opcode.text],
      ["binary within text", Opcode.text, Opcode.binary],
      ["text within binary", Opcode.binary, Opcode.text],
      ["binary", Opcode.binary, Opcode.binary]
    ] as const
    itFailsTheConnection(
      cases.flatMap(([name, first, second]) =>
        [true, false].map((fin) => ({
          rule: `a new ${fin ? "" : "fragmented "}message (${name}) before the last was finished`,
          violation: "MessageNotFinished" as const,
          code: 1002 as const,
          bytes: (peer: RawPeer) => [
            peer.frame({ opcode: first, payload: "a", fin: false }),
            peer.pong("between"),
            peer.frame({ opcode: second, payload: "b", fin })
          ]
        }))
      )
    )

    itFailsTheConnection([
      {
        rule: "a new message after an empty first fragment",
        violation: "MessageNotFinished",
        code: 1002,
        bytes: (peer) => [peer.text("", { fin: false }), peer.text("b")]
      },
      {
        rule: "a new message after an unfinished continuation frame",
        violation: "MessageNotFinished",
        code: 1002,
        bytes: (peer) => [
          peer.text("a", { fin: false }),
          peer.continuation("", { fin: false }),
          peer.text("b")
        ]
      }
    ])
  })

  describe("fragmenting what is sent (autoFragmentSize)", () => {
    const cases: ReadonlyArray<readonly [size: number, text: string, frames: ReadonlyArray<string>]> = [
      [5, "", ["text"]],
      [5, "Hello", ['text "Hello"']],
      [5, "Hello!", ["text... 48656c6c6f", "continuation 21"]],
      [3, "Hello!", ["text... 48656c", "continuation 6c6f21"]],
      [2, "Hello", ["text... 4865", "continuation... 6c6c", "continuation 6f"]],
      [1, "a\u00e4", ["text... 61", "continuation... c3", "continuation a4"]]
    ]
    for (const role of roles) {
      for (const [size, text, frames] of cases) {
        it.effect(
          `${role}: ${JSON.stringify(text)} in fragments of ${size}: first, continuations, FIN last`,
          () =>
            Effect.gen(function* () {
              const { channel, peer } = yield* open(role, { autoFragmentSize: size })
              yield* channel.send(text)
              yield* channel.send(text)
              const sent = yield* Effect.forEach([...frames, ...frames], () => peer.read)
              assert.deepStrictEqual(sent, [...frames, ...frames])
            })
        )
      }
    }

    itBothRoles("messages of several fibers are not interleaved", (role) =>
      Effect.gen(function* () {
        const { channel, peer } = yield* open(role, { autoFragmentSize: 2 })
        const texts = ["aaaa", "bbbb", "cccc", "dddd"]
        yield* Effect.forEach(texts, (text) => channel.send(text), { concurrency: "unbounded" })
        const frames = yield* Effect.forEach([...texts, ...texts], () => peer.readFrame)
        const payloads = frames.map(({ payload }) => String.fromCharCode(...payload))
        assert.deepStrictEqual(payloads, ["aa", "aa", "bb", "bb", "cc", "cc", "dd", "dd"])
      })
    )
  })
})

describe("RFC 6455 sections 5.6 and 5.7: data frames", () => {
  itBothRoles("a text frame is delivered as a string, a binary frame as bytes", (role) =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      peer.send(peer.text("Hello"), peer.binary(utf8("Hello")), peer.text(""), peer.binary(hex("")))
      assert.deepStrictEqual(yield* take(channel, 4), ["Hello", utf8("Hello"), "", hex("")])
    })
  )

  itBothRoles("binary data is arbitrary bytes", (role) =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      const all = Uint8Array.from({ length: 256 }, (_, byte) => byte)
      peer.send(peer.binary(all), ...[peer.binary(all, { fin: false }), peer.continuation(all)])
      assert.deepStrictEqual(yield* take(channel, 2), [all, concat(all, all)])
    })
  )

  itBothRoles("a string is sent as a text frame, bytes as a binary frame", (role) =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      yield* channel.send("Hello")
      yield* channel.send(utf8("Hello"))
      yield* channel.send({ payload: utf8("Hello"), isBinary: false })
      yield* channel.send({ payload: "Hello", isBinary: true })
      const sent = yield* Effect.all([peer.readFrame, peer.readFrame, peer.readFrame, peer.readFrame])
      assert.deepStrictEqual(sent.map(show), [
        'text "Hello"',
        "binary 48656c6c6f",
        'text "Hello"',
        "binary 48656c6c6f"
      ])
    })
  )

  // The examples of section 5.7, byte for byte.
  const fromServer: ReadonlyArray<readonly [name: string, bytes: string, message: string | Uint8Array]> = [
    ["a single-frame unmasked text message", "81 05 48 65 6c 6c 6f", "Hello"],
    ["a fragmented unmasked text message", "01 03 48 65 6c 80 02 6c 6f", "Hello"],
    [
      "256 bytes binary message in a single unmasked frame",
      `82 7e 01 00 ${"ab".repeat(256)}`,
      new Uint8Array(256).fill(0xab)
    ],
    [
      "64 KiB binary message in a single unmasked frame",
      `82 7f 00 00 00 00 00 01 00 00 ${"cd".repeat(65_536)}`,
      new Uint8Array(65_536).fill(0xcd)
    ]
  ]
  for (const [name, bytes, message] of fromServer) {
    it.effect(`client: reads ${name}`, () =>
      Effect.gen(function* () {
        const { channel, peer } = yield* open("client")
        peer.send(hex(bytes))
        assert.deepStrictEqual(yield* take(channel, 1), [message])
      })
    )
  }

  it.effect("server: reads a single-frame masked text message", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open("server")
      peer.send(hex("81 85 37 fa 21 3d 7f 9f 4d 51 58"))
      assert.deepStrictEqual(yield* take(channel, 1), ["Hello"])
    })
  )

  it.effect("client: answers the unmasked ping with the same body", () =>
    Effect.gen(function* () {
      const { peer } = yield* open("client")
      peer.send(hex("89 05 48 65 6c 6c 6f"))
      assert.strictEqual(yield* peer.read, "pong 48656c6c6f")
    })
  )

  it.effect("server: takes the masked pong, which nobody asked for", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open("server")
      peer.send(hex("8a 85 37 fa 21 3d 7f 9f 4d 51 58"), peer.text("next"))
      assert.deepStrictEqual(yield* take(channel, 1), ["next"])
    })
  )
})
