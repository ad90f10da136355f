/**
 * Limits on what a peer may send that need time or a codec to be judged.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { open, roles, settle } from "../support/apiSession.ts"
import { closeCode, compressedFrame } from "../support/limitProbes.ts"
import { openXor } from "../support/xorExtension.ts"

describe.each(roles)("maxControlFramesPerSecond of a %s", (role) => {
  const options = { failByDrop: false, maxControlFramesPerSecond: 2 }

  it.effect("what came before the frame that is too many is answered and delivered", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role, options)
      peer.send(peer.ping("1"), peer.pong("2"), peer.text("data"), peer.ping("3"), peer.text("late"))
      assert.strictEqual(yield* channel.receive, "data")
      const { reason } = yield* Effect.flip(channel.receive)
      assert.deepInclude(reason, { _tag: "PolicyViolation", code: 1008, violation: "TooManyControlFrames" })
      assert.deepStrictEqual((yield* peer.rest).frames, [
        "pong 31",
        'close 1008 "more pings and pongs than allowed"'
      ])
    })
  )

  it.effect("is one over time: a steady peer stays, one that is a little faster does not", () =>
    Effect.gen(function* () {
      const steady = yield* open(role, options)
      const faster = yield* open(role, options)
      for (let i = 0; i < 100; i++) {
        steady.peer.send(steady.peer.ping())
        yield* TestClock.adjust("500 millis")
        yield* settle
      }
      assert.isUndefined(steady.peer.end)
      let sent = 0
      while (faster.peer.end === undefined) {
        faster.peer.send(faster.peer.ping())
        sent++
        yield* TestClock.adjust("400 millis")
        yield* settle
      }
      assert.isBelow(sent, 100)
      assert.strictEqual(yield* closeCode(faster.peer), 1008)
    })
  )

  it.effect("lets what was not used add up, to ten seconds' worth", () =>
    Effect.gen(function* () {
      for (const [pings, code] of [
        [22, 1000],
        [23, 1008]
      ] as const) {
        const { peer } = yield* open(role, options)
        yield* TestClock.adjust("1 hour")
        for (let i = 0; i < pings; i++) peer.send(peer.ping())
        peer.send(peer.close(1000))
        assert.strictEqual(yield* closeCode(peer), code)
      }
    })
  )

  it.effect("counts no pong that was asked for", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role, options)
      for (let i = 0; i < 10; i++) {
        yield* channel.sendPing()
        assert.strictEqual(yield* peer.read, "ping")
      }
      for (let i = 0; i < 10; i++) peer.send(peer.pong())
      peer.send(peer.pong(), peer.pong())
      yield* settle
      assert.isUndefined(peer.end)
      peer.send(peer.pong())
      assert.strictEqual(yield* closeCode(peer), 1008)
    })
  )

  it.effect("drops the transport while it waits for the peer's Close, or with failByDrop", () =>
    Effect.gen(function* () {
      const closing = yield* open(role, options)
      yield* Effect.forkChild(closing.channel.close(1000))
      assert.strictEqual(yield* closing.peer.read, "close 1000")
      const dropping = yield* open(role, { ...options, failByDrop: true })
      for (const { peer } of [closing, dropping]) {
        peer.send(peer.ping(), peer.ping(), peer.ping())
        assert.strictEqual((yield* peer.rest).end, "drop")
      }
      const { violation } = yield* dropping.channel.closeFacts
      assert.strictEqual(violation, "TooManyControlFrames")
    })
  )
})

describe.each(roles)("maxDecompressionRatio of a %s", (role) => {
  // Of `length` bytes come 10,000 times as many.
  const growth = { growth: 10_000 }
  const options = { failByDrop: false, maxDecompressionRatio: 9999 }

  it.effect(
    "fails the connection with an error that says so; a limit on size that is lower comes first",
    () =>
      Effect.gen(function* () {
        for (const [size, violation] of [
          [0, "DecompressionRatioTooHigh"],
          [80_000, "DecompressionRatioTooHigh"],
          [79_990, "MessageTooBig"],
          [70_000, "MessageTooBig"]
        ] as const) {
          const { channel, peer } = yield* openXor(role, { ...options, maxMessagePayloadSize: size }, growth)
          peer.send(compressedFrame(peer, 6))
          assert.lengthOf(yield* channel.receive, 60_000)
          peer.send(compressedFrame(peer, 8))
          const { reason } = yield* Effect.flip(channel.receive)
          assert.deepInclude(reason, { _tag: "MessageTooBig", code: 1009, violation })
        }
      })
  )

  it.effect("counts the pieces of a message together, and each message anew", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* openXor(role, options, growth)
      const sizes: Array<number> = []
      const reading = channel.streamed.pipe(
        Stream.runForEach(({ payload }) =>
          Stream.runForEach(payload, (piece) => Effect.sync(() => void sizes.push(piece.length)))
        ),
        Effect.flip
      )
      const fiber = yield* Effect.forkChild(reading)
      const four = new Uint8Array(4).fill(1)
      const three = four.subarray(1)
      for (let i = 0; i < 3; i++) {
        peer.send(peer.binary(three, { fin: false, rsv: 4 }), peer.continuation(three))
      }
      yield* settle
      assert.deepStrictEqual(sizes, Array(6).fill(30_000))
      peer.send(peer.binary(four, { fin: false, rsv: 4 }), peer.continuation(four))
      assert.strictEqual(yield* closeCode(peer), 1009)
      yield* settle
      assert.strictEqual(fiber.pollUnsafe()?._tag, "Success")
      assert.deepStrictEqual(sizes.slice(6), [40_000])
    })
  )
})
