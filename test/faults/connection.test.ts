/**
 * What the network, or the peer, can do to an open connection: what the application sees of it, and that nobody
 * else does.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import type { WebSocketError } from "effect-websocket"
import { open, settle } from "../support/apiSession.ts"
import { type Faulty, harmsNobodyElse, reasonOf } from "../support/faults.ts"
import { mebibyte } from "../support/hazards.ts"
import { arrayBufferBytes } from "../support/memory.ts"
import { type CommonOptions, type Role, roles, type Surroundings } from "../support/rawSession.ts"

type Reason = WebSocketError.WebSocketErrorReason["_tag"]

const kibibyte = new Uint8Array(1024)

const otherSide = (role: Role): Role => (role === "server" ? "client" : "server")

/** Sends until it fails; tells what that was, and how much it had sent before. */
const sendForever = Effect.fnUntraced(function* ({ channel }: Faulty) {
  let sent = 0
  const sending = yield* Effect.forkChild(
    reasonOf(Effect.forever(Effect.map(channel.send(kibibyte), () => void sent++)))
  )
  yield* settle
  return { sent: () => sent, sending }
})

/** Does it every second. */
const inSeconds = (seconds: number, effect: Effect.Effect<void>) =>
  Effect.forEach(
    Array.from({ length: seconds }),
    () => Effect.andThen(Effect.andThen(TestClock.adjust("1 second"), settle), effect),
    { discard: true }
  )

interface Fault {
  readonly options?: CommonOptions
  readonly network?: Surroundings["network"]
  readonly happens: (faulty: Faulty, role: Role) => Effect.Effect<unknown, WebSocketError.WebSocketError>
  /** What who reads fails with. */
  readonly reason: Reason
}

const faults: Readonly<Record<string, Fault>> = {
  "a reset": {
    happens: ({ faults }) => faults.reset,
    reason: "TransportFailure"
  },
  "a reset by the peer, which had sent a message before": {
    happens: ({ channel, peer }) =>
      Effect.gen(function* () {
        peer.send(peer.text("last"))
        yield* settle
        peer.drop()
        assert.strictEqual(yield* channel.receive, "last")
      }),
    reason: "TransportFailure"
  },
  "a peer that ends its side": {
    happens: ({ peer }) => Effect.sync(() => peer.finish()),
    reason: "ConnectionClosed"
  },
  "a peer that ends its side instead of answering the Close frame": {
    happens: ({ channel, peer }) =>
      Effect.gen(function* () {
        const closing = yield* Effect.forkChild(channel.close(4000))
        assert.strictEqual(yield* peer.read, "close 4000")
        peer.finish()
        assert.deepStrictEqual(yield* Fiber.join(closing), { wasClean: false, code: 1006, reason: "" })
      }),
    reason: "ConnectionClosed"
  },
  "a peer that does not answer the Close frame": {
    options: { closeHandshakeTimeout: "5 seconds" },
    happens: ({ channel, othersWork }) =>
      Effect.gen(function* () {
        const closing = yield* Effect.forkChild(channel.close(1000))
        yield* settle
        yield* othersWork
        yield* TestClock.adjust("5 seconds")
        assert.isFalse((yield* Fiber.join(closing)).wasClean)
      }),
    reason: "CloseTimeout"
  },
  "a peer that does not answer pings": {
    options: { autoPingInterval: "10 seconds", autoPingTimeout: "5 seconds" },
    happens: ({ othersWork, peer }) =>
      Effect.gen(function* () {
        yield* inSeconds(14, othersWork)
        assert.match(yield* peer.read, /^ping /)
        assert.isUndefined(peer.end)
        yield* inSeconds(1, othersWork)
      }),
    reason: "PingTimeout"
  },
  "a peer that does not read: who sends waits, with bounded memory, and is told when the pong does not come":
    {
      options: { autoPingInterval: "10 seconds", autoPingTimeout: "5 seconds", maxSendBufferSize: 4096 },
      network: { capacity: 2048 },
      happens: (faulty, role) =>
        Effect.gen(function* () {
          yield* faulty.faults.stall(otherSide(role))
          const { sending, sent } = yield* sendForever(faulty)
          const held = yield* faulty.channel.bufferedAmount
          assert.isTrue(held >= 4096 && held < 4096 + 1100, `${held} bytes wait`)
          const before = sent()
          yield* faulty.othersWork
          for (let second = 0; second < 16; second++) {
            yield* TestClock.adjust("1 second")
            yield* faulty.othersWork
          }
          assert.strictEqual((yield* Fiber.join(sending))._tag, "PingTimeout")
          assert.strictEqual(sent(), before)
        }),
      reason: "PingTimeout"
    },
  "a peer that does not read, and whose connection is closed": {
    options: { maxSendBufferSize: 4096 },
    network: { capacity: 2048 },
    happens: (faulty, role) =>
      Effect.gen(function* () {
        yield* faulty.faults.stall(otherSide(role))
        const { sending } = yield* sendForever(faulty)
        const closing = yield* Effect.forkChild(faulty.channel.close(1001))
        assert.deepInclude(yield* Fiber.join(sending), { _tag: "ConnectionClosed", code: 1001 })
        yield* TestClock.adjust("1 second")
        assert.isFalse((yield* Fiber.join(closing)).wasClean)
      }),
    reason: "CloseTimeout"
  },
  "a peer that reads a byte a second, and then no more": {
    options: { autoPingInterval: "10 seconds", autoPingTimeout: "5 seconds", maxSendBufferSize: 1 },
    network: { capacity: 1, chunkSize: 1 },
    happens: ({ channel, othersWork, peer }) =>
      Effect.gen(function* () {
        peer.isSipping = true
        yield* channel.send("slowly")
        const reading = yield* Effect.forkChild(peer.read)
        yield* settle
        for (let second = 0; second < 30 && reading.pollUnsafe() === undefined; second++) {
          peer.sip()
          yield* inSeconds(1, othersWork)
        }
        assert.strictEqual(yield* Fiber.join(reading), 'text "slowly"')
        yield* inSeconds(30, othersWork)
      }),
    reason: "PingTimeout"
  },
  "a write that fails midway": {
    options: { maxSendBufferSize: 4096 },
    network: { capacity: 2048 },
    happens: (faulty, role) =>
      Effect.gen(function* () {
        const { faults, peer } = faulty
        yield* faults.stall(otherSide(role))
        const { sending, sent } = yield* sendForever(faulty)
        const [before, received] = [sent(), peer.received]
        yield* faults.resetAfter(role, 3000)
        yield* faults.resume(otherSide(role))
        assert.strictEqual((yield* Fiber.join(sending))._tag, "TransportFailure")
        assert.strictEqual(peer.received - received, 3000)
        // What had arrived made room for as many.
        assert.isAtMost(sent() - before, 4)
      }),
    reason: "TransportFailure"
  }
}

describe.each(roles)(
  "an open connection of a %s survives nothing of this, and every other one does",
  (role) => {
    it.effect.each(Object.entries(faults))("%s", ([, { happens, network, options = {}, reason }]) =>
      harmsNobodyElse(
        role,
        options,
        (faulty) =>
          Effect.gen(function* () {
            yield* happens(faulty, role)
            const { channel } = faulty
            assert.strictEqual((yield* reasonOf(channel.receive))._tag, reason)
            assert.strictEqual((yield* reasonOf(channel.send("late")))._tag, reason)
            assert.deepStrictEqual(yield* channel.closed, { wasClean: false, code: 1006, reason: "" })
            assert.strictEqual(yield* channel.bufferedAmount, 0)
          }),
        { network }
      )
    )
  }
)

describe.each(roles)("a lost connection of a %s", (role) => {
  it.effect("lets go of what it could not send, though the application keeps the channel", () =>
    Effect.gen(function* () {
      const { channel, faults, peerEnd } = yield* open(role, { maxSendBufferSize: 8 * mebibyte })
      peerEnd.pause()
      for (let i = 0; i < 8; i++) yield* channel.send(new Uint8Array(mebibyte))
      yield* settle
      const before = arrayBufferBytes()
      assert.isAtLeast(yield* channel.bufferedAmount, 7 * mebibyte)
      yield* faults.reset
      yield* channel.closed
      yield* settle
      assert.isBelow(arrayBufferBytes(), before - 7 * mebibyte)
      assert.strictEqual(yield* channel.bufferedAmount, 0)
    })
  )
})
