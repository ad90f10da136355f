/**
 * Clocks that jump: the machine slept, the process was stopped or busy, somebody has set the time.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import type { WebSocketChannel } from "effect-websocket"
import { NodeWebSocketServer } from "effect-websocket/node"
import { open, roles, settle } from "../support/apiSession.ts"
import { anyPort, portOf, rawTcp, serve } from "../support/node.ts"
import { requestHead } from "../support/RawPeer.ts"
import { encodeFrame, Opcode } from "../support/rawFrames.ts"

const hour = Duration.toNanosUnsafe("1 hour")

/** A clock that stands still, and whose sleepers are woken by hand, at once. */
const standing = Effect.map(Clock.Clock, (clock) => {
  let now = 0n
  let sleepers: Array<() => void> = []
  return {
    clock: {
      ...clock,
      monotonicTimeNanosUnsafe: () => now,
      monotonicTimeNanos: Effect.sync(() => now),
      sleep: () => Effect.callback<void>((resume) => void sleepers.push(() => resume(Effect.void)))
    },
    /** Jumps, and lets everyone who sleeps wake up later than they wanted. */
    jump: (by: bigint) => {
      now += by
      const woken = sleepers
      sleepers = []
      for (const wake of woken) wake()
    }
  }
})

/** Goes on where the event loop runs its timers, as who wakes up does. */
const asTimer = Effect.callback<void>((resume) => void setTimeout(() => resume(Effect.void), 0))

describe("a process that stood still for an hour", () => {
  const options = { autoPingInterval: "30 seconds", autoPingTimeout: "10 seconds" } as const

  it.effect("reads the pong that came meanwhile, before it takes the peer for dead", () =>
    Effect.gen(function* () {
      const { clock, jump } = yield* standing
      const channels: Array<WebSocketChannel.Channel> = []
      const server = yield* serve(NodeWebSocketServer.layer(anyPort, options), {
        onOpen: (channel) => {
          channels.push(channel)
          return channel.closed
        }
      }).pipe(Effect.provideService(Clock.Clock, clock))
      const peer = yield* rawTcp(portOf(server.address))
      peer.send(requestHead())
      yield* peer.reads("\r\n\r\n")
      yield* peer.until(() => channels.length > 0)
      yield* settle
      jump(hour)
      const ping = (yield* peer.reads("\x89\x04")).slice(-4)
      // In one turn: the pong is in the kernel's hands, nobody has read it, and the hour is over.
      yield* asTimer
      peer.send(encodeFrame({ opcode: Opcode.pong, payload: ping, masked: true }))
      jump(hour)
      yield* settle
      assert.isFalse(peer.closed)
      assert.strictEqual(yield* server.connections, 1)
      assert.isDefined((yield* channels[0]!.statistics).roundTripTime)
      // And a peer that has not answered is dead.
      jump(hour)
      yield* peer.until(() => peer.text.split("\x89\x04").length > 2)
      jump(hour)
      yield* peer.gone
      assert.strictEqual((yield* channels[0]!.closeFacts).timeout, "autoPing")
    })
  )
})

describe.each(roles)("a %s", (role) => {
  it.effect("has one ping to send, however many were due in the hours that are over", () =>
    Effect.gen(function* () {
      const { clock, jump } = yield* standing
      const { peer } = yield* open(role, { autoPingInterval: "10 seconds" }).pipe(
        Effect.provideService(Clock.Clock, clock)
      )
      jump(24n * hour)
      assert.match(yield* peer.read, /^ping /)
      const before = peer.received
      yield* settle
      assert.strictEqual(peer.received, before)
      assert.isUndefined(peer.end)
    })
  )

  it.effect("pings, times out and measures as ever when somebody sets the time back", () =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      let back = 0n
      const setBack = {
        ...clock,
        currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe() - back,
        currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe() - Number(back / 1_000_000n)
      }
      const options = { autoPingInterval: "10 seconds", autoPingTimeout: "5 seconds", autoPingSize: 12 }
      const { channel, peer } = yield* open(role, options).pipe(Effect.provideService(Clock.Clock, setBack))
      yield* TestClock.adjust("10 seconds")
      const { payload } = yield* peer.readFrame
      back = hour
      yield* TestClock.adjust("2 seconds")
      peer.send(peer.pong(payload))
      yield* settle
      const { roundTripTime } = yield* channel.statistics
      assert.strictEqual(roundTripTime && Duration.toMillis(roundTripTime), 2000)
      yield* TestClock.adjust("10 seconds")
      assert.match(yield* peer.read, /^ping /)
      yield* TestClock.adjust("4999 millis")
      yield* settle
      assert.isUndefined(peer.end)
      yield* TestClock.adjust("1 millis")
      assert.isFalse((yield* channel.closed).wasClean)
    })
  )
})
