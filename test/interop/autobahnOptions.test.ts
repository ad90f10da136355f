/**
 * Options that both ends have, with Autobahn at the other one: automatic pings, and the end of a connection.
 */
import { assert, describe, layer } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { bytesOf, exchange } from "../support/interopCases.ts"
import { arePythonPeersThere, layer as peerLayer } from "../support/interopPython.ts"
import { onBothSides, sides } from "../support/interopSides.ts"

/** The sequence number in an automatic ping: the send time is in front of it where there is room for both. */
const sequenceIn = (payload: Uint8Array): number =>
  Buffer.from(payload).readUInt32BE(payload.length >= 12 ? 8 : 0)

const fromBase64 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "base64"))

/** Nothing came from the other side that ended the connection. */
const dropped = { wasClean: false, code: 1006, reason: "" }

describe.skipIf(!arePythonPeersThere)("Autobahn", () => {
  layer(peerLayer("autobahn_peer.py"), { excludeTestServices: true })("the options", (it) => {
    describe("autoPing of Autobahn", () => {
      // Its timers are rounded down to whole seconds: it pings as often as it is answered, and waits up to a second less.
      it.effect.each(onBothSides([{ size: 12 }, { size: 125 }]))(
        "$side answers pings of $size bytes, and the connection stays",
        ({ size, start }) =>
          Effect.gen(function* () {
            const options = { autoPingInterval: 0.05, autoPingTimeout: 30, autoPingSize: size }
            const pair = yield* (yield* start({}, { peer: { options } })).open()
            const pings = yield* Stream.runCollect(Stream.take(pair.ours.pings, 3))
            for (const ping of pings) assert.lengthOf(ping, size)
            for (const sequence of [1, 2, 3]) {
              const pong = fromBase64(yield* pair.peer.nextPong)
              assert.lengthOf(pong, size)
              assert.strictEqual(sequenceIn(pong), sequence)
            }
            yield* exchange(pair, "still here")
          })
      )

      it.effect.each(sides)("$side does not answer, and is dropped", ({ start }) =>
        Effect.gen(function* () {
          const options = { autoPingInterval: 0.05, autoPingTimeout: 1 }
          const { ours, peer } = yield* (yield* start({}, { peer: { options } })).open()
          yield* ours.onPing(() => Effect.void)
          const { code, reason, wasClean } = yield* peer.closed
          assert.deepStrictEqual([wasClean, code], [false, 1006])
          assert.include(reason, "peer did not respond with pong in time")
          assert.deepStrictEqual(yield* ours.closed, dropped)
        })
      )
    })

    describe("autoPing of ours", () => {
      it.effect.each(onBothSides([{ size: 4 }, { size: 12 }, { size: 125 }]))(
        "$side pings with $size bytes, and knows the round trip when Autobahn answers",
        ({ size, start }) =>
          Effect.gen(function* () {
            const pair = yield* (yield* start({
              autoPingInterval: "50 millis",
              autoPingTimeout: "30 seconds",
              autoPingSize: size
            })).open()
            for (const sequence of [1, 2]) {
              const ping = fromBase64(yield* pair.peer.nextPing)
              assert.lengthOf(ping, size)
              assert.strictEqual(sequenceIn(ping), sequence)
            }
            yield* Stream.runDrain(Stream.take(pair.ours.pongs, 1))
            const { roundTripTime } = yield* pair.ours.statistics
            assert.isTrue(roundTripTime !== undefined && Duration.isPositive(roundTripTime))
            yield* exchange(pair, "still here")
          })
      )

      it.effect.each(sides)("$side drops an Autobahn that does not answer", ({ start }) =>
        Effect.gen(function* () {
          const { ours, peer } = yield* (yield* start(
            { autoPingInterval: "50 millis", autoPingTimeout: "50 millis" },
            { peer: { isSilent: true } }
          )).open()
          const { reason } = yield* Effect.flip(Stream.runDrain(ours.messages))
          assert.strictEqual(reason._tag, "PingTimeout")
          assert.deepStrictEqual(yield* ours.closed, dropped)
          assert.strictEqual((yield* ours.closeFacts).timeout, "autoPing")
          assert.strictEqual((yield* peer.closed).code, 1006)
        })
      )

      it.effect.each(sides)("without autoPingTimeout, $side pings on when no pong comes", ({ start }) =>
        Effect.gen(function* () {
          const { ours, peer } = yield* (yield* start(
            { autoPingInterval: "50 millis", autoPingTimeout: 0, closeHandshakeTimeout: "50 millis" },
            { peer: { isSilent: true } }
          )).open()
          for (const sequence of [1, 2, 3]) {
            assert.strictEqual(sequenceIn(fromBase64(yield* peer.nextPing)), sequence)
          }
          assert.isUndefined((yield* ours.statistics).roundTripTime)
        })
      )
    })

    describe("echoCloseCodeReason", () => {
      const rows = onBothSides([
        { echo: true, answer: { wasClean: true, code: 3001, reason: "tschüß" } },
        { echo: false, answer: { wasClean: true, code: 1000, reason: "" } }
      ])
      it.effect.each(rows)("$side answers Autobahn's Close with it: $echo", ({ answer, echo, start }) =>
        Effect.gen(function* () {
          const { ours, peer } = yield* (yield* start({ echoCloseCodeReason: echo })).open()
          peer.close(3001, "tschüß")
          assert.deepStrictEqual(yield* ours.closed, { wasClean: true, code: 3001, reason: "tschüß" })
          assert.deepStrictEqual(yield* peer.closed, answer)
        })
      )

      it.effect.each(rows)("Autobahn answers the Close of $side with it: $echo", ({ answer, echo, start }) =>
        Effect.gen(function* () {
          const options = { echoCloseCodeReason: echo }
          const { ours, peer } = yield* (yield* start({}, { peer: { options } })).open()
          assert.deepStrictEqual(yield* ours.close(3001, "tschüß"), answer)
          assert.deepStrictEqual(yield* peer.closed, { wasClean: true, code: 3001, reason: "tschüß" })
        })
      )
    })

    describe("failByDrop, with a limit that a message exceeds", () => {
      const limits = onBothSides([
        { limit: "maxMessagePayloadSize", what: "message", failByDrop: true },
        { limit: "maxMessagePayloadSize", what: "message", failByDrop: false },
        { limit: "maxFramePayloadSize", what: "frame", failByDrop: true },
        { limit: "maxFramePayloadSize", what: "frame", failByDrop: false }
      ])
      it.effect.each(limits)(
        "$side, by Autobahn's $limit: dropped $failByDrop",
        ({ failByDrop, limit, start, what }) =>
          Effect.gen(function* () {
            const options = { [limit]: 1000, failByDrop }
            const { ours, peer } = yield* (yield* start({}, { peer: { options } })).open()
            yield* ours.send(bytesOf(1001))
            const problem = `received WebSocket ${what} size 1001 exceeds payload limit of 1000 octets`
            const seen = yield* peer.closed
            assert.include(seen.reason, problem)
            if (failByDrop) {
              assert.deepStrictEqual([seen.wasClean, seen.code], [false, 1006])
              assert.deepStrictEqual(yield* ours.closed, dropped)
            } else {
              assert.deepStrictEqual(yield* ours.closed, { wasClean: true, code: 1009, reason: problem })
              assert.deepStrictEqual([seen.wasClean, seen.code], [true, 1009])
            }
          })
      )

      it.effect.each(limits)(
        "Autobahn, by $limit of $side: dropped $failByDrop",
        ({ failByDrop, limit, start }) =>
          Effect.gen(function* () {
            const { ours, peer } = yield* (yield* start({ [limit]: 1000, failByDrop })).open()
            peer.send(bytesOf(1001))
            const { reason } = yield* Effect.flip(Stream.runDrain(ours.messages))
            assert.strictEqual(reason._tag, "MessageTooBig")
            const { code, wasClean } = yield* peer.closed
            assert.deepStrictEqual([wasClean, code], failByDrop ? [false, 1006] : [true, 1009])
            assert.deepStrictEqual(yield* ours.closed, dropped)
            assert.strictEqual((yield* ours.closeFacts).localClose?.code, failByDrop ? undefined : 1009)
          })
      )
    })

    describe("closeHandshakeTimeout", () => {
      it.effect.each(sides)("$side drops an Autobahn that does not answer its Close", ({ start }) =>
        Effect.gen(function* () {
          const { ours, peer } = yield* (yield* start(
            { closeHandshakeTimeout: "50 millis" },
            { peer: { isSilent: true } }
          )).open()
          assert.deepStrictEqual(yield* ours.close(1000, "bye"), dropped)
          assert.strictEqual((yield* ours.closeFacts).timeout, "closeHandshake")
          const { reason } = yield* Effect.flip(Stream.runDrain(ours.messages))
          assert.strictEqual(reason._tag, "CloseTimeout")
          assert.strictEqual((yield* peer.closed).code, 1006)
        })
      )

      it.effect.each(sides)("Autobahn drops $side, which does not read its Close", ({ start }) =>
        Effect.gen(function* () {
          const options = { closeHandshakeTimeout: 0.1 }
          const { ours, peer } = yield* (yield* start(
            { maxReceiveBufferSize: 1 },
            { peer: { options } }
          )).open()
          // The first message pauses the reading; the second is more than the kernel keeps, so the Close stays behind it.
          peer.send("x")
          peer.send(bytesOf(16 * 1024 * 1024))
          peer.close(1000, "bye")
          const { code, reason, wasClean } = yield* peer.closed
          assert.deepStrictEqual([wasClean, code], [false, 1006])
          assert.include(reason, "closing handshake timeout")
          assert.strictEqual(yield* ours.receive, "x")
          const error = yield* Effect.flip(ours.receive)
          assert.include(["ConnectionClosed", "TransportFailure"], error.reason._tag)
          assert.deepStrictEqual(yield* ours.closed, dropped)
        })
      )
    })
  })
})
