import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { hex, show, utf8 } from "../support/rawFrames.ts"
import { itBothRoles } from "../support/rawRules.ts"
import { open, received, take } from "../support/rawSession.ts"

describe("RFC 6455 section 6.1: sending data", () => {
  itBothRoles("each message is one final frame, in the order of the sends", (role) =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      yield* channel.send("1")
      yield* channel.send(hex("02"))
      yield* Effect.all([channel.send("3"), channel.send("4")])
      const frames = yield* Effect.all([peer.readFrame, peer.readFrame, peer.readFrame, peer.readFrame])
      assert.deepStrictEqual(frames.map(show), ['text "1"', "binary 02", 'text "3"', 'text "4"'])
      assert.isTrue(frames.every(({ fin }) => fin))
    })
  )

  const texts = ["", "\u0000", "\u00e4\u20ac", "\u{1f600}\u{10ffff}", "\ufeff", "\u{1f600}".repeat(2000)]
  for (const text of texts) {
    itBothRoles(`text is sent as UTF-8: ${JSON.stringify(text.slice(0, 8))} (${text.length} units)`, (role) =>
      Effect.gen(function* () {
        const { channel, peer } = yield* open(role)
        yield* channel.send(text)
        const { opcode, payload } = yield* peer.readFrame
        assert.strictEqual(opcode, 1)
        assert.deepStrictEqual(payload, utf8(text))
      })
    )
  }

  itBothRoles("a lone surrogate, which has no UTF-8, is sent as U+FFFD", (role) =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      yield* channel.send("a\ud800b")
      assert.deepStrictEqual((yield* peer.readFrame).payload, utf8("a\ufffdb"))
    })
  )

  itBothRoles("bytes that are no UTF-8 are not sent as text", (role) =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      const error = yield* Effect.flip(channel.send({ payload: hex("80"), isBinary: false }))
      assert.strictEqual(error.reason._tag, "InvalidCall")
      yield* channel.send("next")
      assert.strictEqual(yield* peer.read, 'text "next"')
    })
  )

  itBothRoles("nothing is sent once the peer's FIN has closed the connection", (role) =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      peer.finish()
      yield* channel.closed
      const { reason } = yield* Effect.flip(channel.send("late"))
      assert.deepInclude(reason, { _tag: "ConnectionClosed", code: 1006, wasClean: false })
      assert.deepStrictEqual(yield* peer.rest, { frames: [], end: "fin" })
    })
  )
})

describe("RFC 6455 section 6.2: receiving data", () => {
  for (const chunkSize of [undefined, 1, 2, 7]) {
    itBothRoles(`messages are delivered in order, cut to ${chunkSize ?? "any"} bytes`, (role) =>
      Effect.gen(function* () {
        const network = chunkSize === undefined ? undefined : { chunkSize }
        const { channel, peer } = yield* open(role, {}, { network })
        peer.send(peer.text("one"), peer.binary(hex("02 02")), peer.text("three", { fin: false }))
        peer.send(peer.ping(), peer.continuation("..."), peer.text(""), peer.binary(hex("")))
        peer.send(peer.close(1000))
        peer.finish()
        const { messages } = yield* received(channel)
        assert.deepStrictEqual(messages, ["one", hex("02 02"), "three...", "", hex("")])
      })
    )
  }

  itBothRoles("messages wait for an application that reads later, up to the Close", (role) =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      peer.send(peer.text("a"), peer.text("b"), peer.close(1001, "bye"))
      peer.finish()
      const closed = { wasClean: true, code: 1001, reason: "bye" }
      assert.deepStrictEqual(yield* channel.closed, closed)
      const expected = { messages: ["a", "b"], failure: undefined, closed }
      assert.deepStrictEqual(yield* received(channel), expected)
    })
  )

  itBothRoles("the payload of a text is at hand as bytes too, with the frame's type", (role) =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      peer.send(peer.text("\u00e4"), peer.binary(utf8("\u00e4")))
      assert.deepStrictEqual(yield* Stream.runCollect(Stream.take(channel.incoming, 2)), [
        { payload: utf8("\u00e4"), isBinary: false },
        { payload: utf8("\u00e4"), isBinary: true }
      ])
    })
  )

  it.effect("server: the masking is removed", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open("server")
      peer.send(peer.text("Hello", { maskingKey: hex("01 02 03 04") }))
      assert.deepStrictEqual(yield* take(channel, 1), ["Hello"])
    })
  )
})
