import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { Protocol, Timeouts, WebSocketClient, WebSocketCrypto, WebSocketServer } from "effect-websocket"
import { InMemoryNetwork, WebSocketTest } from "effect-websocket/testing"
import { settle } from "../support/apiSession.ts"
import { echo, roundTrip } from "../support/node.ts"

const serveEcho = Effect.flatMap(WebSocketServer.WebSocketServer, (server) => server.serve({ onOpen: echo }))

const faultsOf = Effect.fnUntraced(function* (index: number) {
  const network = yield* InMemoryNetwork.InMemoryNetwork
  const faults = (yield* network.connections)[index]
  if (faults === undefined) return yield* Effect.die(new Error(`no connection ${index}`))
  return faults
})

describe("WebSocketTest", () => {
  it.effect("a client reaches the server, whatever the URL", () =>
    Effect.gen(function* () {
      yield* serveEcho
      for (const url of ["ws://test/", "wss://example.com:1234/a?b=c", "ws://unix:/the.sock"]) {
        const channel = yield* WebSocketClient.connect(url)
        assert.strictEqual(yield* roundTrip(channel, url), url)
        assert.deepStrictEqual(yield* channel.close(1000), { wasClean: true, code: 1000, reason: "" })
      }
    }).pipe(Effect.provide(WebSocketTest.layer()))
  )

  it.effect("options of server, client and network are used", () =>
    Effect.gen(function* () {
      yield* serveEcho
      const connecting = yield* Effect.forkChild(WebSocketClient.connect("ws://test/"), {
        startImmediately: true
      })
      yield* TestClock.adjust("2 seconds")
      const channel = yield* Fiber.join(connecting)
      // The server's limit, with the client's fragments.
      yield* Effect.forEach(["abcd", "efghi"], channel.send)
      const reading = yield* Effect.forkChild(channel.messages.pipe(Stream.take(1), Stream.runCollect))
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* Fiber.join(reading), ["abcd"])
      const closed = yield* Effect.forkChild(channel.closed)
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual((yield* Fiber.join(closed)).code, 1009)
    }).pipe(
      Effect.provide(
        WebSocketTest.layer({
          server: { maxMessagePayloadSize: 4, maxFramePayloadSize: 2, failByDrop: false },
          client: { autoFragmentSize: 2 },
          network: { latency: "1 second", chunkSize: 1 }
        })
      )
    )
  )

  it.effect("a wrong option fails the layer", () =>
    Effect.gen(function* () {
      for (const options of [
        { server: { maxFramePayloadSize: -1 } },
        { client: { maxFramePayloadSize: -1 } }
      ]) {
        const error = yield* Effect.flip(Layer.build(WebSocketTest.layer(options)))
        assert.deepStrictEqual([error._tag, error.option], ["InvalidOptions", "maxFramePayloadSize"])
      }
    })
  )

  it.effect("a connection made before anyone serves is served", () =>
    Effect.gen(function* () {
      const connecting = yield* Effect.forkChild(WebSocketClient.connect("ws://test/"))
      yield* settle
      assert.isUndefined(connecting.pollUnsafe())
      yield* serveEcho
      assert.strictEqual(yield* roundTrip(yield* Fiber.join(connecting), "x"), "x")
    }).pipe(Effect.provide(WebSocketTest.layer()))
  )

  it.effect("layerNoProtocol takes the protocol from the test", () =>
    Effect.gen(function* () {
      const key = yield* Ref.make<string | undefined>(undefined)
      const server = yield* WebSocketServer.WebSocketServer
      yield* server.serve({
        onConnect: ({ headers }) => Ref.set(key, headers["sec-websocket-key"]),
        onOpen: echo
      })
      const channel = yield* WebSocketClient.connect("ws://test/")
      assert.strictEqual(yield* roundTrip(channel, "x"), "x")
      assert.strictEqual(yield* Ref.get(key), "AQEBAQEBAQEBAQEBAQEBAQ==")
    }).pipe(
      Effect.provide(
        WebSocketTest.layerNoProtocol().pipe(
          Layer.provide(Protocol.layerNoCrypto),
          Layer.provide(
            Layer.effect(
              WebSocketCrypto.WebSocketCrypto,
              Effect.map(WebSocketCrypto.WebSocketCrypto, (crypto) => ({
                ...crypto,
                randomBytes: (size: number) => new Uint8Array(size).fill(1)
              }))
            ).pipe(Layer.provide(WebSocketCrypto.layer))
          )
        )
      )
    )
  )

  it.effect("layerNoProtocol takes each service of the protocol", () =>
    Effect.gen(function* () {
      const connecting = yield* Effect.flip(WebSocketClient.connect("ws://test/"))
      assert.strictEqual(connecting.reason._tag, "HandshakeTimeout")
    }).pipe(
      Effect.provide(
        WebSocketTest.layerNoProtocol().pipe(
          Layer.provide(Layer.succeed(Timeouts.Timeouts, { after: () => Effect.void })),
          Layer.provide(Protocol.layer)
        )
      )
    )
  )
})

describe("InMemoryNetwork", () => {
  it.effect("tells the faults of each connection, in order", () =>
    Effect.gen(function* () {
      const network = yield* InMemoryNetwork.InMemoryNetwork
      assert.deepStrictEqual(yield* network.connections, [])
      yield* serveEcho
      const first = yield* WebSocketClient.connect("ws://test/")
      const second = yield* WebSocketClient.connect("ws://test/")
      assert.strictEqual((yield* network.connections).length, 2)
      yield* (yield* faultsOf(0)).reset
      assert.deepStrictEqual(yield* first.closed, { wasClean: false, code: 1006, reason: "" })
      assert.strictEqual(yield* roundTrip(second, "x"), "x")
    }).pipe(Effect.provide(WebSocketTest.layer()))
  )

  it.effect("a reset fails both ends with TransportFailure", () =>
    Effect.gen(function* () {
      const atServer = yield* Deferred.make<string>()
      const server = yield* WebSocketServer.WebSocketServer
      yield* server.serve({
        onOpen: (channel) =>
          Effect.tapError(echo(channel), ({ reason }) => Deferred.succeed(atServer, reason._tag))
      })
      const channel = yield* WebSocketClient.connect("ws://test/")
      yield* roundTrip(channel, "x")
      yield* (yield* faultsOf(0)).reset
      const { reason } = yield* Effect.flip(Stream.runDrain(channel.messages))
      assert.strictEqual(reason._tag, "TransportFailure")
      assert.strictEqual(yield* Deferred.await(atServer), "TransportFailure")
    }).pipe(Effect.provide(WebSocketTest.layer()))
  )

  it.effect("after a drop nothing comes, and the closing handshake times out", () =>
    Effect.gen(function* () {
      yield* serveEcho
      const channel = yield* WebSocketClient.connect("ws://test/")
      yield* (yield* faultsOf(0)).drop
      yield* channel.send("lost")
      const reading = yield* Effect.forkChild(Effect.flip(Stream.runDrain(channel.messages)))
      yield* TestClock.adjust("1 hour")
      assert.isUndefined(reading.pollUnsafe())
      const closing = yield* Effect.forkChild(channel.close(1000))
      yield* TestClock.adjust("4999 millis")
      assert.isUndefined(closing.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* Fiber.join(closing), { wasClean: false, code: 1006, reason: "" })
      assert.strictEqual((yield* Fiber.join(reading)).reason._tag, "CloseTimeout")
      // The server does not know: it drops the connection when it goes.
      const server = yield* WebSocketServer.WebSocketServer
      assert.strictEqual(yield* server.connections, 1)
      const draining = yield* Effect.forkChild(server.drain())
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.join(draining), { finished: 1, dropped: 0 })
    }).pipe(Effect.provide(WebSocketTest.layer({ client: { closeHandshakeTimeout: "5 seconds" } })))
  )

  it.effect("a drained server is refused by the network", () =>
    Effect.gen(function* () {
      yield* serveEcho
      const channel = yield* WebSocketClient.connect("ws://test/")
      const server = yield* WebSocketServer.WebSocketServer
      assert.deepStrictEqual(yield* server.drain(), { finished: 1, dropped: 0 })
      assert.deepStrictEqual(yield* channel.closed, { wasClean: true, code: 1001, reason: "" })
      const error = yield* Effect.flip(WebSocketClient.connect("ws://test/"))
      assert.strictEqual(error.reason._tag, "ConnectFailure")
    }).pipe(Effect.provide(WebSocketTest.layer()))
  )

  it.effect("a connection is dropped with the client's scope when the handshake has not been answered", () =>
    Effect.gen(function* () {
      const connecting = yield* Effect.forkChild(WebSocketClient.connect("ws://test/"), {
        startImmediately: true
      })
      yield* settle
      yield* Fiber.interrupt(connecting)
      const paths: Array<string> = []
      const server = yield* WebSocketServer.WebSocketServer
      yield* server.serve({
        onConnect: ({ path }) => Effect.sync(() => void paths.push(path)),
        onOpen: echo
      })
      yield* settle
      assert.strictEqual(yield* server.connections, 0)
      assert.deepStrictEqual(paths, [])
    }).pipe(Effect.provide(WebSocketTest.layer()))
  )
})
