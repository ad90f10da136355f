/**
 * Draining a server: what it says, whom it waits for, and what it drops.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import { ConnectionDeny, type WebSocketChannel, WebSocketClient, WebSocketServer } from "effect-websocket"
import { settle } from "../support/apiSession.ts"
import { clean, layer, openRawClient, rawClient, recordLog, untilClosed } from "../support/bothEnds.ts"
import { requestHead } from "../support/RawPeer.ts"

const connect = WebSocketClient.connect("ws://test/")

const serve = (handlers: WebSocketServer.Handlers<unknown, Scope.Scope>) =>
  Effect.tap(WebSocketServer.WebSocketServer, (server) => server.serve(handlers))

/** Nothing but the limit of a drain ends what hangs. */
const patient = { server: { closeHandshakeTimeout: 0 } } as const

describe("drain", () => {
  it.effect("closes every connection with 1001, and tells how many have finished", () =>
    Effect.gen(function* () {
      const server = yield* serve({ onOpen: (channel) => Stream.runDrain(channel.messages) })
      const channels = yield* Effect.all([connect, connect, connect])
      assert.deepStrictEqual(yield* server.drain(), { finished: 3, dropped: 0 })
      assert.strictEqual(yield* server.connections, 0)
      for (const channel of channels) assert.deepStrictEqual(yield* channel.closed, clean(1001))
    }).pipe(Effect.provide(layer()))
  )

  it.effect("of a server without connections is over at once", () =>
    Effect.gen(function* () {
      const server = yield* serve({ onOpen: untilClosed })
      assert.deepStrictEqual(yield* server.drain(), { finished: 0, dropped: 0 })
    }).pipe(Effect.provide(layer()))
  )

  it.effect("that happens twice is harmless", () =>
    Effect.gen(function* () {
      const server = yield* serve({ onOpen: untilClosed })
      const peer = yield* openRawClient
      const first = yield* Effect.forkChild(server.drain())
      assert.strictEqual(yield* peer.read, "close 1001")
      const second = yield* Effect.forkChild(server.drain())
      peer.send(peer.close(1001))
      assert.deepStrictEqual((yield* peer.rest).frames, [], "one Close")
      peer.finish()
      assert.deepStrictEqual(yield* Fiber.join(first), { finished: 1, dropped: 0 })
      assert.deepStrictEqual(yield* Fiber.join(second), { finished: 1, dropped: 0 })
      assert.deepStrictEqual(yield* server.drain(), { finished: 0, dropped: 0 }, "when it is over")
    }).pipe(Effect.provide(layer(patient)))
  )

  it.effect("happens when the scope of serve closes", () =>
    Effect.gen(function* () {
      const server = yield* WebSocketServer.WebSocketServer
      const scope = yield* Scope.make()
      yield* Scope.provide(server.serve({ onOpen: untilClosed }), scope)
      const peer = yield* openRawClient
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      assert.strictEqual(yield* peer.read, "close 1001")
      yield* settle
      assert.isUndefined(closing.pollUnsafe(), "waits for the closing handshake")
      peer.send(peer.close(1001))
      yield* peer.rest
      peer.finish()
      yield* Fiber.join(closing)
      assert.strictEqual(yield* server.connections, 0)
    }).pipe(Effect.provide(layer(patient)))
  )

  it.effect("lets messages that `send` had accepted arrive before the Close", () =>
    Effect.gen(function* () {
      const opened = yield* Deferred.make<WebSocketChannel.Channel>()
      const server = yield* serve({
        onOpen: (channel) => Effect.andThen(Deferred.succeed(opened, channel), channel.closed)
      })
      const peer = yield* openRawClient
      const channel = yield* Deferred.await(opened)
      const messages = Array.from({ length: 100 }, (_, index) => `message ${index}`)
      yield* Effect.forEach(messages, channel.send)
      yield* Effect.forkChild(server.drain())
      for (const message of messages) assert.strictEqual(yield* peer.read, `text "${message}"`)
      assert.strictEqual(yield* peer.read, "close 1001")
    }).pipe(Effect.provide(layer()))
  )
})

describe("a drain waits for", () => {
  it.effect("handlers that have work left after the connection has ended", () =>
    Effect.gen(function* () {
      const written = yield* Deferred.make<void>()
      const server = yield* serve({
        onOpen: (channel) => Effect.andThen(Stream.runDrain(channel.messages), Deferred.await(written))
      })
      const channel = yield* connect
      const draining = yield* Effect.forkChild(server.drain())
      assert.deepStrictEqual(yield* channel.closed, clean(1001))
      yield* settle
      assert.isUndefined(draining.pollUnsafe())
      yield* Deferred.succeed(written, undefined)
      assert.deepStrictEqual(yield* Fiber.join(draining), { finished: 1, dropped: 0 })
    }).pipe(Effect.provide(layer()))
  )

  it.effect(
    "a handler that never ends only up to the limit; then it is interrupted, and its resources released",
    () =>
      Effect.gen(function* () {
        const events: Array<string> = []
        const server = yield* serve({
          onOpen: () =>
            Effect.acquireRelease(Effect.void, () => Effect.sync(() => void events.push("released"))).pipe(
              Effect.andThen(Effect.never),
              Effect.onInterrupt(() => Effect.sync(() => void events.push("interrupted")))
            )
        })
        const channel = yield* connect
        const draining = yield* Effect.forkChild(server.drain("3 seconds"))
        assert.deepStrictEqual(yield* channel.closed, clean(1001))
        yield* TestClock.adjust("2999 millis")
        assert.isUndefined(draining.pollUnsafe())
        assert.deepStrictEqual(events, [])
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(yield* Fiber.join(draining), { finished: 0, dropped: 1 })
        assert.deepStrictEqual(events, ["interrupted", "released"])
        assert.strictEqual(yield* server.connections, 0)
      }).pipe(Effect.provide(layer()))
  )

  it.effect("a peer that never answers only up to the limit; then its transport is dropped", () =>
    Effect.gen(function* () {
      const server = yield* serve({ onOpen: untilClosed })
      const silent = yield* openRawClient
      const answering = yield* openRawClient
      const draining = yield* Effect.forkChild(server.drain("3 seconds"))
      assert.strictEqual(yield* answering.read, "close 1001")
      answering.send(answering.close(1001))
      yield* answering.rest
      answering.finish()
      assert.strictEqual(yield* silent.read, "close 1001")
      yield* TestClock.adjust("2999 millis")
      assert.isUndefined(draining.pollUnsafe())
      assert.isUndefined(silent.end)
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* Fiber.join(draining), { finished: 1, dropped: 1 })
      assert.deepStrictEqual(yield* silent.rest, { frames: [], end: "drop" })
    }).pipe(Effect.provide(layer(patient)))
  )

  it.effect("10 seconds when no limit is given", () =>
    Effect.gen(function* () {
      const server = yield* serve({ onOpen: () => Effect.never })
      yield* openRawClient
      const draining = yield* Effect.forkChild(server.drain())
      yield* TestClock.adjust("9999 millis")
      assert.isUndefined(draining.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* Fiber.join(draining), { finished: 0, dropped: 1 })
    }).pipe(Effect.provide(layer()))
  )

  it.effect("a silent peer no longer than its closeHandshakeTimeout", () =>
    Effect.gen(function* () {
      const server = yield* serve({ onOpen: untilClosed })
      const peer = yield* openRawClient
      const draining = yield* Effect.forkChild(server.drain())
      assert.strictEqual(yield* peer.read, "close 1001")
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* Fiber.join(draining), { finished: 1, dropped: 0 })
    }).pipe(Effect.provide(layer({ server: { closeHandshakeTimeout: "2 seconds" } })))
  )

  it.effect("a dropped handler's end is no news", () => {
    const log = recordLog()
    return Effect.gen(function* () {
      const server = yield* serve({ onOpen: () => Effect.never })
      yield* openRawClient
      const draining = yield* Effect.forkChild(server.drain("1 second"))
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(draining)).dropped, 1)
      assert.deepStrictEqual(log.lines, [])
    }).pipe(Effect.provide(layer()), Effect.provide(log.layer))
  })
})

describe("from a drain on", () => {
  it.effect("nobody can connect, while it lasts and after it", () =>
    Effect.gen(function* () {
      const server = yield* serve({ onOpen: untilClosed })
      const peer = yield* openRawClient
      const draining = yield* Effect.forkChild(server.drain())
      yield* peer.read
      assert.strictEqual((yield* Effect.flip(connect)).reason._tag, "ConnectFailure")
      peer.drop()
      yield* Fiber.join(draining)
      assert.strictEqual((yield* Effect.flip(connect)).reason._tag, "ConnectFailure")
    }).pipe(Effect.provide(layer(patient)))
  )

  const decisions: ReadonlyArray<
    readonly [what: string, status: number, decision: Effect.Effect<void, ConnectionDeny>]
  > = [
    ["would accept", 503, Effect.void],
    ["denies", 403, Effect.fail(ConnectionDeny.forbidden())]
  ]

  it.effect.each(decisions)("an onConnect under way that %s leads to a %i", ([, status, decision]) =>
    Effect.gen(function* () {
      const asked = yield* Deferred.make<void>()
      const decide = yield* Deferred.make<void>()
      let opened = 0
      const server = yield* serve({
        onConnect: () =>
          Deferred.succeed(asked, undefined).pipe(
            Effect.andThen(Deferred.await(decide)),
            Effect.andThen(decision)
          ),
        onOpen: () => Effect.sync(() => void opened++)
      })
      const peer = yield* rawClient
      peer.send(requestHead())
      yield* Deferred.await(asked)
      const draining = yield* Effect.forkChild(server.drain())
      yield* settle
      assert.isUndefined(draining.pollUnsafe(), "waits for the answer")
      yield* Deferred.succeed(decide, undefined)
      const { end, startLine } = yield* peer.readMessage
      assert.strictEqual(startLine.slice(0, 13), `HTTP/1.1 ${status} `)
      assert.strictEqual(end, "fin")
      peer.finish()
      yield* Fiber.join(draining)
      assert.strictEqual(opened, 0)
    }).pipe(Effect.provide(layer(patient)))
  )

  const begun: ReadonlyArray<readonly [what: string, bytes: string]> = [
    ["has not begun", ""],
    ["is halfway", requestHead().slice(0, -10)]
  ]

  it.effect.each(begun)(
    "a request that %s is dropped at once, holds nothing up and does not count",
    ([, bytes]) =>
      Effect.gen(function* () {
        const server = yield* serve({ onOpen: untilClosed })
        const peer = yield* rawClient
        const channel = yield* connect
        if (bytes !== "") peer.send(bytes)
        yield* settle
        assert.deepStrictEqual(yield* server.drain(), { finished: 1, dropped: 0 })
        assert.strictEqual(yield* peer.readBody, "")
        assert.strictEqual(peer.end, "drop")
        assert.deepStrictEqual(yield* channel.closed, clean(1001))
      }).pipe(Effect.provide(layer(patient)))
  )
})
