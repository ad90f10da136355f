/**
 * Opening handshakes that end in the same turn, or while something else begins.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import { ConnectionMetrics, WebSocketServer } from "effect-websocket"
import { settle } from "../support/apiSession.ts"
import { layer, rawClient, recordLog, untilClosed } from "../support/bothEnds.ts"
import { requestHead } from "../support/RawPeer.ts"

const observedBy = (observe: Effect.Effect<void>) =>
  Layer.succeed(ConnectionMetrics.ConnectionObserver, () => observe)

const askedFor = Effect.gen(function* () {
  const peer = yield* rawClient
  peer.send(requestHead())
  yield* settle
  return peer
})

const server = { openHandshakeTimeout: "1 seconds" } as const

describe("an opening handshake", () => {
  it.effect("that succeeds in the turn in which its time would be up stays open", () =>
    Effect.gen(function* () {
      const firstIsOver = yield* Deferred.make<void>()
      const { connections, serve } = yield* WebSocketServer.WebSocketServer
      let count = 0
      yield* serve({
        onConnect: () =>
          count++ === 0
            ? Effect.onInterrupt(Effect.never, () => Deferred.succeed(firstIsOver, undefined))
            : Deferred.await(firstIsOver),
        onOpen: untilClosed
      })
      const first = yield* askedFor
      const second = yield* askedFor
      yield* TestClock.adjust("1 seconds")
      yield* settle
      assert.match(yield* first.readHead, /^HTTP\/1.1 408 /)
      assert.match(yield* second.readHead, /^HTTP\/1.1 101 /)
      second.send(second.ping("still"))
      assert.strictEqual(yield* second.read, "pong 7374696c6c")
      assert.strictEqual(yield* connections, 1)
    }).pipe(Effect.provide(layer({ server })))
  )

  it.effect("is answered before the fibers end that onConnect has forked", () =>
    Effect.gen(function* () {
      const { serve } = yield* WebSocketServer.WebSocketServer
      const slow = Effect.uninterruptible(Effect.sleep("5 seconds"))
      yield* serve({
        onConnect: () => Effect.asVoid(Effect.forkChild(slow, { startImmediately: true })),
        onOpen: (channel) => Effect.andThen(channel.send("open"), untilClosed(channel))
      })
      const peer = yield* askedFor
      assert.match(yield* peer.readHead, /^HTTP\/1.1 101 /)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* peer.read, 'text "open"')
    }).pipe(Effect.provide(layer({ server })))
  )

  it.effect("during which a drain begins is closed as all others are", () =>
    Effect.gen(function* () {
      const drained = yield* Deferred.make<WebSocketServer.DrainResult>()
      const { drain, serve } = yield* WebSocketServer.WebSocketServer
      const draining = Effect.flatMap(drain("3 seconds"), (result) => Deferred.succeed(drained, result))
      const observer = observedBy(Effect.asVoid(Effect.forkDetach(draining, { startImmediately: true })))
      yield* Effect.provide(serve({ onOpen: untilClosed }), observer)
      const peer = yield* askedFor
      assert.match(yield* peer.readHead, /^HTTP\/1.1 101 /)
      assert.strictEqual(yield* peer.read, "close 1001")
      peer.send(peer.close(1001))
      peer.finish()
      assert.deepStrictEqual(yield* Deferred.await(drained), { finished: 1, dropped: 0 })
    }).pipe(Effect.provide(layer()))
  )

  it.effect("whose observer dies later is not disturbed, and that is logged", () => {
    const log = recordLog()
    return Effect.gen(function* () {
      const { serve } = yield* WebSocketServer.WebSocketServer
      const observer = observedBy(Effect.andThen(Effect.yieldNow, Effect.die(new Error("late"))))
      yield* Effect.provide(serve({ onOpen: untilClosed }), observer)
      const peer = yield* askedFor
      assert.match(yield* peer.readHead, /^HTTP\/1.1 101 /)
      assert.deepStrictEqual(log.lines, ["Error what observes a connection died: late"])
    }).pipe(Effect.provide([layer(), log.layer]))
  })
})
