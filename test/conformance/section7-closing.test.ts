import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import { type RawPeer, requestHead } from "../support/RawPeer.ts"
import { hex } from "../support/rawFrames.ts"
import { itBothRoles } from "../support/rawRules.ts"
import { makeServer, open, received, roles, transportEnd } from "../support/rawSession.ts"

const clean = (code: number, reason = "") => ({ wasClean: true, code, reason })
const unclean = { wasClean: false, code: 1006, reason: "" }

describe("RFC 6455 section 7.1.1: close the WebSocket connection", () => {
  it.effect("server: ends the transport first when the client has started the closing handshake", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open("server")
      peer.send(peer.close(1000))
      assert.deepStrictEqual(yield* peer.rest, { frames: ["close 1000"], end: "fin" })
      peer.finish()
      assert.deepStrictEqual(yield* channel.closed, clean(1000))
    })
  )

  it.effect("server: ends the transport first when it has started the closing handshake", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open("server")
      const closing = yield* Effect.forkChild(channel.close(1000))
      assert.strictEqual(yield* peer.read, "close 1000")
      yield* TestClock.adjust("999 millis")
      assert.isUndefined(peer.end, "no FIN before the client's Close")
      peer.send(peer.close(1000))
      assert.deepStrictEqual(yield* peer.rest, { frames: [], end: "fin" })
      peer.finish()
      assert.deepStrictEqual(yield* Fiber.join(closing), clean(1000))
    })
  )

  it.effect("client: waits for the server's end when the server has started the closing handshake", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open("client")
      peer.send(peer.close(1001))
      assert.strictEqual(yield* peer.read, "close 1000")
      yield* TestClock.adjust("999 millis")
      assert.isUndefined(peer.end, "no FIN before the server's")
      peer.finish()
      assert.deepStrictEqual(yield* peer.rest, { frames: [], end: "fin" })
      assert.deepStrictEqual(yield* channel.closed, clean(1001))
    })
  )

  it.effect("client: waits for the server's end when it has started the closing handshake", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open("client")
      const closing = yield* Effect.forkChild(channel.close(1000))
      assert.strictEqual(yield* peer.read, "close 1000")
      peer.send(peer.close(1000))
      yield* TestClock.adjust("999 millis")
      assert.isUndefined(peer.end, "no FIN before the server's")
      peer.finish()
      assert.deepStrictEqual(yield* peer.rest, { frames: [], end: "fin" })
      assert.deepStrictEqual(yield* Fiber.join(closing), clean(1000))
    })
  )

  it.effect("client: drops the transport when the server does not end it in time", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open("client", transportEnd("client", "3 seconds"))
      peer.send(peer.close(1001))
      assert.strictEqual(yield* peer.read, "close 1000")
      yield* TestClock.adjust("2999 millis")
      assert.isUndefined(peer.end)
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* peer.rest, { frames: [], end: "drop" })
      assert.deepStrictEqual(yield* channel.closed, clean(1001))
    })
  )

  // Those who ended first: the server after a closing handshake, both after failing the connection.
  const ended: ReadonlyArray<
    readonly [name: string, roles: typeof roles, bytes: (peer: RawPeer) => Uint8Array]
  > = [
    ["a closing handshake", ["server"], (peer) => peer.close(1000)],
    ["a violation", roles, (peer) => peer.text("x", { rsv: 1 })]
  ]
  for (const [name, who, bytes] of ended) {
    for (const role of who) {
      it.effect(`${role}: after ${name} discards what comes, and drops a transport that does not end`, () =>
        Effect.gen(function* () {
          const { channel, peer } = yield* open(role, {
            ...transportEnd(role, "3 seconds"),
            failByDrop: false
          })
          peer.send(bytes(peer))
          assert.strictEqual((yield* peer.rest).end, "fin")
          yield* TestClock.adjust("2 seconds")
          peer.send(peer.text("late"), hex("ff ff ff"))
          yield* TestClock.adjust("999 millis")
          const waiting = yield* Effect.forkChild(channel.closed)
          assert.isUndefined(waiting.pollUnsafe(), "the transport is there up to the limit")
          yield* TestClock.adjust("1 millis")
          assert.strictEqual((yield* Fiber.join(waiting)).wasClean, name === "a closing handshake")
          assert.isTrue(peer.isClosed)
        })
      )

      it.effect(`${role}: after ${name} waits at most 30 seconds when no limit is set`, () =>
        Effect.gen(function* () {
          const { channel, peer } = yield* open(role, { ...transportEnd(role, 0), failByDrop: false })
          peer.send(bytes(peer))
          assert.strictEqual((yield* peer.rest).end, "fin")
          yield* TestClock.adjust("29999 millis")
          assert.isFalse(peer.isClosed)
          yield* TestClock.adjust("1 millis")
          yield* channel.closed
          assert.isTrue(peer.isClosed)
        })
      )
    }
  }
})

describe("RFC 6455 sections 7.1.2 to 7.1.4: the closing handshake", () => {
  const starts: ReadonlyArray<readonly [code: number | undefined, reason: string, frame: string]> = [
    [undefined, "", "close"],
    [1000, "", "close 1000"],
    [1001, "going away", 'close 1001 "going away"'],
    [4999, "\u00e4\u20ac", 'close 4999 "\u00e4\u20ac"']
  ]
  for (const [code, reason, frame] of starts) {
    itBothRoles(`starts it with ${frame}`, (role) =>
      Effect.gen(function* () {
        const { channel, peer } = yield* open(role)
        const closing = yield* Effect.forkChild(channel.close(code, reason))
        assert.strictEqual(yield* peer.read, frame)
        peer.send(peer.close(code, reason))
        peer.finish()
        assert.deepStrictEqual(yield* Fiber.join(closing), clean(code ?? 1005, reason))
        assert.deepStrictEqual(yield* channel.closed, clean(code ?? 1005, reason))
      })
    )
  }

  itBothRoles("what was sent before close leaves before the Close", (role) =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      yield* channel.send("last words")
      yield* Effect.forkChild(channel.close(1000))
      assert.deepStrictEqual([yield* peer.read, yield* peer.read], ['text "last words"', "close 1000"])
    })
  )

  itBothRoles("messages that come between our Close and the peer's are discarded", (role) =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      const reading = yield* Effect.forkChild(received(channel))
      peer.send(peer.text("before"), peer.ping())
      assert.strictEqual(yield* peer.read, "pong")
      yield* Effect.forkChild(channel.close(1000))
      assert.strictEqual(yield* peer.read, "close 1000")
      peer.send(
        peer.text("crossed"),
        peer.text("a", { fin: false }),
        peer.continuation("b"),
        peer.close(1000)
      )
      peer.finish()
      const expected = { messages: ["before"], failure: undefined, closed: clean(1000) }
      assert.deepStrictEqual(yield* Fiber.join(reading), expected)
    })
  )

  itBothRoles("the peer that does not answer is dropped at closeHandshakeTimeout", (role) =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role, { closeHandshakeTimeout: "7 seconds" })
      const reading = yield* Effect.forkChild(received(channel))
      const closing = yield* Effect.forkChild(channel.close(1000))
      assert.strictEqual(yield* peer.read, "close 1000")
      peer.send(peer.text("no Close"))
      yield* TestClock.adjust("6999 millis")
      assert.isUndefined(peer.end)
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* peer.rest, { frames: [], end: "drop" })
      assert.deepStrictEqual(yield* Fiber.join(closing), unclean)
      const { closed, failure, messages } = yield* Fiber.join(reading)
      assert.deepStrictEqual(closed, unclean)
      assert.deepStrictEqual(messages, [])
      assert.strictEqual(failure?._tag, "CloseTimeout")
    })
  )

  itBothRoles("a closeHandshakeTimeout of 0 is no limit", (role) =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role, { closeHandshakeTimeout: 0 })
      const closing = yield* Effect.forkChild(channel.close(1000))
      assert.strictEqual(yield* peer.read, "close 1000")
      yield* TestClock.adjust("1 hour")
      assert.isUndefined(peer.end)
      peer.send(peer.close(1000))
      peer.finish()
      assert.deepStrictEqual(yield* Fiber.join(closing), clean(1000))
    })
  )

  itBothRoles("a violation after our Close sends no second Close", (role) =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role, { failByDrop: false })
      const reading = yield* Effect.forkChild(received(channel))
      yield* Effect.forkChild(channel.close(1000))
      assert.strictEqual(yield* peer.read, "close 1000")
      peer.send(peer.text("x", { rsv: 4 }), peer.close(1000))
      assert.deepStrictEqual((yield* peer.rest).frames, [])
      const { closed, failure } = yield* Fiber.join(reading)
      assert.deepStrictEqual(closed, unclean)
      assert.strictEqual(failure?._tag, "ProtocolViolation")
    })
  )

  itBothRoles("closing what is closed succeeds with how it ended", (role) =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      peer.send(peer.close(3000, "gone"))
      peer.finish()
      assert.deepStrictEqual(yield* channel.closed, clean(3000, "gone"))
      assert.deepStrictEqual(yield* channel.close(1000), clean(3000, "gone"))
      assert.deepStrictEqual(yield* peer.rest, { frames: ["close 1000"], end: "fin" })
    })
  )
})

describe("RFC 6455 sections 7.1.5 and 7.1.6: status code and reason of the close", () => {
  const frames: ReadonlyArray<readonly [name: string, code: number | undefined, reason: string]> = [
    ["without a payload: 1005", undefined, ""],
    ["with a code", 1000, ""],
    ["with a code and a reason", 4000, "why \u20ac"]
  ]
  for (const [name, code, reason] of frames) {
    itBothRoles(`are those of the first Close received, ${name}`, (role) =>
      Effect.gen(function* () {
        const { channel, peer } = yield* open(role)
        peer.send(peer.close(code, reason), peer.close(1011, "second"))
        peer.finish()
        assert.deepStrictEqual(yield* channel.closed, clean(code ?? 1005, reason))
      })
    )
  }
})

describe("RFC 6455 sections 7.1.7 and 7.2: abnormal closure", () => {
  const starts: ReadonlyArray<readonly [where: string, bytes: (peer: RawPeer) => Uint8Array]> = [
    ["between frames", () => hex("")],
    ["within a header", (peer) => peer.text("x".repeat(200)).subarray(0, 3)],
    ["after the first byte", (peer) => peer.text("x").subarray(0, 1)],
    ["within a payload", (peer) => peer.text("x".repeat(200)).subarray(0, 50)],
    ["within a Close", (peer) => peer.close(1000, "bye").subarray(0, -1)],
    ["within a fragmented message", (peer) => peer.text("a", { fin: false })]
  ]
  for (const [where, bytes] of starts) {
    itBothRoles(`the peer's FIN ${where}: 1006, and our FIN without a Close`, (role) =>
      Effect.gen(function* () {
        const { channel, peer } = yield* open(role)
        const reading = yield* Effect.forkChild(received(channel))
        peer.send(peer.text("before"), bytes(peer))
        peer.finish()
        const { closed, failure, messages } = yield* Fiber.join(reading)
        assert.deepStrictEqual(messages, ["before"])
        assert.deepInclude(failure, {
          _tag: "ConnectionClosed",
          code: 1006,
          closeReason: "",
          wasClean: false
        })
        assert.deepStrictEqual(closed, unclean)
        assert.deepStrictEqual(yield* peer.rest, { frames: [], end: "fin" })
      })
    )
  }

  itBothRoles("a lost transport: 1006, and the stream fails with the transport's failure", (role) =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      const reading = yield* Effect.forkChild(received(channel))
      peer.send(peer.text("before"), peer.ping())
      assert.strictEqual(yield* peer.read, "pong")
      peer.drop()
      const { closed, failure, messages } = yield* Fiber.join(reading)
      assert.deepStrictEqual(messages, ["before"])
      assert.strictEqual(failure?._tag, "TransportFailure")
      assert.deepStrictEqual(closed, unclean)
      const { reason } = yield* Effect.flip(channel.send("late"))
      assert.strictEqual(reason._tag, "TransportFailure")
    })
  )

  itBothRoles("the peer's FIN instead of an answer to our Close: 1006", (role) =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      const reading = yield* Effect.forkChild(received(channel))
      const closing = yield* Effect.forkChild(channel.close(1000))
      assert.strictEqual(yield* peer.read, "close 1000")
      peer.finish()
      assert.deepStrictEqual(yield* Fiber.join(closing), unclean)
      const { failure } = yield* Fiber.join(reading)
      assert.deepInclude(failure, { _tag: "ConnectionClosed", code: 1006, wasClean: false })
      assert.deepStrictEqual(yield* peer.rest, { frames: [], end: "fin" })
    })
  )

  itBothRoles("a transport lost after the closing handshake was clean", (role) =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      const reading = yield* Effect.forkChild(received(channel))
      peer.send(peer.close(1000, "bye"))
      assert.strictEqual(yield* peer.read, "close 1000")
      peer.drop()
      const expected = { messages: [], failure: undefined, closed: clean(1000, "bye") }
      assert.deepStrictEqual(yield* Fiber.join(reading), expected)
    })
  )

  it.effect("server: the failure of one connection leaves the others alone", () =>
    Effect.gen(function* () {
      const server = yield* makeServer(
        { onOpen: (channel) => Stream.runForEach(channel.messages, channel.send) },
        { failByDrop: false }
      )
      const peers = [yield* server.connect, yield* server.connect] as const
      for (const peer of peers) {
        peer.send(requestHead())
        yield* peer.readHead
      }
      peers[0].send(hex("ff ff"))
      assert.strictEqual((yield* peers[0].rest).end, "fin")
      peers[1].send(peers[1].text("echo"))
      assert.strictEqual(yield* peers[1].read, 'text "echo"')
    })
  )
})
