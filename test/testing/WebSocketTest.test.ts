/**
 * What applications test with: a server, a client and a network in memory.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import {
  Compression,
  Framing,
  Handshake,
  Protocol,
  Timeouts,
  type WebSocketChannel,
  WebSocketClient,
  WebSocketCrypto,
  WebSocketServer
} from "effect-websocket"
import { InMemoryNetwork, WebSocketTest } from "effect-websocket/testing"
import { settle } from "../support/apiSession.ts"

const echo = (channel: WebSocketChannel.Channel) => Stream.runForEach(channel.messages, channel.send)

const connected = Effect.gen(function* () {
  const server = yield* WebSocketServer.WebSocketServer
  yield* server.serve({ onOpen: echo })
  return yield* WebSocketClient.connect("ws://test/")
})

const failureOf = (channel: WebSocketChannel.Channel) =>
  Effect.map(Effect.flip(Stream.runDrain(channel.messages)), ({ reason }) => reason)

describe("WebSocketTest.layer", () => {
  it.effect("connects a client with a server, through handshake and framing", () =>
    Effect.gen(function* () {
      const channel = yield* connected
      yield* channel.send("hello")
      assert.strictEqual(yield* channel.receive, "hello")
      assert.deepStrictEqual(yield* channel.close(4000, "done"), { wasClean: true, code: 1000, reason: "" })
    }).pipe(Effect.provide(WebSocketTest.layer()))
  )

  it.effect("leads every URL to the one server", () =>
    Effect.gen(function* () {
      const { serve } = yield* WebSocketServer.WebSocketServer
      yield* serve({ onOpen: (channel) => channel.send(`${channel.request?.host}${channel.request?.path}`) })
      for (const [url, expected] of [
        ["ws://one/a", "one/a"],
        ["wss://two:8443/", "two:8443/"],
        ["ws://unix:/run/app.sock", "localhost/"]
      ] as const) {
        const channel = yield* WebSocketClient.connect(url)
        assert.strictEqual(yield* channel.receive, expected)
      }
    }).pipe(Effect.provide(WebSocketTest.layer()))
  )

  it.effect("gives each side its options", () =>
    Effect.gen(function* () {
      const channel = yield* connected
      yield* channel.send("1234")
      assert.strictEqual(yield* channel.receive, "1234", "in two frames")
      yield* channel.send("12345")
      const { reason } = yield* Effect.flip(channel.receive)
      assert.deepInclude(reason, { _tag: "ConnectionClosed", code: 1009 })
    }).pipe(
      Effect.provide(
        WebSocketTest.layer({
          server: { maxMessagePayloadSize: 4, failByDrop: false },
          client: { autoFragmentSize: 3 }
        })
      )
    )
  )

  it.effect("fails with the wrong option of either side", () =>
    Effect.gen(function* () {
      const options = (wrong: WebSocketTest.WebSocketTestOptions) =>
        Effect.map(Effect.flip(Layer.build(WebSocketTest.layer(wrong))), ({ option }) => option)
      assert.strictEqual(yield* options({ server: { maxSendBufferSize: 0 } }), "maxSendBufferSize")
      assert.strictEqual(yield* options({ client: { autoFragmentSize: -1 } }), "autoFragmentSize")
    })
  )

  it.effect("gives the network its options: a latency on the test clock", () =>
    Effect.gen(function* () {
      const fiber = yield* Effect.forkChild(connected)
      yield* TestClock.adjust("199 millis")
      yield* settle
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      const channel = yield* Fiber.join(fiber)
      const { connections } = yield* InMemoryNetwork.InMemoryNetwork
      for (const { reset } of yield* connections) yield* reset
      assert.isFalse((yield* channel.closed).wasClean)
    }).pipe(Effect.provide(WebSocketTest.layer({ network: { latency: "100 millis" } })))
  )

  it.effect("cuts the bytes as the network's options say, and nothing is lost", () =>
    Effect.gen(function* () {
      const channel = yield* connected
      const bytes = Uint8Array.from({ length: 1000 }, (_, i) => i)
      yield* channel.send("é".repeat(100))
      yield* channel.send(bytes)
      assert.strictEqual(yield* channel.receive, "é".repeat(100))
      assert.deepStrictEqual(yield* channel.receive, bytes)
    }).pipe(Effect.provide(WebSocketTest.layer({ network: { chunkSize: 1, capacity: 10 } })))
  )
})

describe("WebSocketTest.layerNoProtocol", () => {
  it.effect("takes the protocol's services from context, any of them a mock", () =>
    Effect.gen(function* () {
      const channel = yield* connected
      assert.strictEqual(channel.response?.headers["sec-websocket-accept"], "Kfh9QIsMVZcl6xEPYxPHzW8SZ8w=")
    }).pipe(
      Effect.provide(
        WebSocketTest.layerNoProtocol().pipe(
          Layer.provide(
            Layer.mergeAll(Handshake.layer, Framing.layer, Compression.layerNone, Timeouts.layer).pipe(
              Layer.provide(
                Layer.succeed(WebSocketCrypto.WebSocketCrypto, {
                  randomBytes: (size) => new Uint8Array(size),
                  maskingKey: () => 0,
                  // The digest of nothing is of 20 bytes too.
                  sha1: () => Uint8Array.from(Buffer.from("29f87d408b0c559725eb110f6313c7cd6f1267cc", "hex"))
                })
              )
            )
          )
        )
      )
    )
  )

  it.effect("works with the protocol as it is", () =>
    Effect.gen(function* () {
      const channel = yield* connected
      yield* channel.send("hello")
      assert.strictEqual(yield* channel.receive, "hello")
    }).pipe(Effect.provide(Layer.provide(WebSocketTest.layerNoProtocol(), Protocol.layer)))
  )
})

describe("InMemoryNetwork", () => {
  const faults = Effect.flatMap(InMemoryNetwork.InMemoryNetwork, ({ connections }) => connections)

  it.effect("has the faults of each connection, in the order they were made", () =>
    Effect.gen(function* () {
      const one = yield* connected
      const two = yield* WebSocketClient.connect("ws://test/")
      const [ofOne, ofTwo, ...others] = yield* faults
      assert.deepStrictEqual(others, [])
      yield* ofTwo?.reset ?? Effect.void
      assert.strictEqual((yield* failureOf(two))._tag, "TransportFailure")
      yield* one.send("still here")
      assert.strictEqual(yield* one.receive, "still here")
      yield* ofOne?.reset ?? Effect.void
      assert.strictEqual((yield* failureOf(one))._tag, "TransportFailure")
    }).pipe(Effect.provide(WebSocketTest.layer()))
  )

  it.effect("onConnection does something to the connections to come, before they are used", () =>
    Effect.gen(function* () {
      const one = yield* connected
      const network = yield* InMemoryNetwork.InMemoryNetwork
      yield* network.onConnection(({ resetAfter }) => resetAfter("server", 20))
      const { reason } = yield* Effect.flip(WebSocketClient.connect("ws://test/"))
      assert.strictEqual(reason._tag, "ConnectFailure")
      yield* network.onConnection(() => Effect.void)
      for (const channel of [one, yield* WebSocketClient.connect("ws://test/")]) {
        yield* channel.send("hello")
        assert.strictEqual(yield* channel.receive, "hello")
      }
      assert.lengthOf(yield* network.connections, 3)
    }).pipe(Effect.provide(WebSocketTest.layer()))
  )

  it.effect("a drop is what a dead network is: the closing handshake ends by its timeout", () =>
    Effect.gen(function* () {
      const channel = yield* connected
      const [connection] = yield* faults
      yield* connection?.drop ?? Effect.void
      const closing = yield* Effect.forkChild(channel.close(1000))
      yield* settle
      assert.isUndefined(closing.pollUnsafe())
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.join(closing), { wasClean: false, code: 1006, reason: "" })
      assert.strictEqual((yield* failureOf(channel))._tag, "CloseTimeout")
      yield* connection?.reset ?? Effect.void
    }).pipe(Effect.provide(WebSocketTest.layer()))
  )

  it.effect("refuses connections once the server has stopped, with a ConnectFailure", () =>
    Effect.gen(function* () {
      const { drain } = yield* WebSocketServer.WebSocketServer
      yield* drain()
      const { reason } = yield* Effect.flip(WebSocketClient.connect("ws://test/"))
      assert.strictEqual(reason._tag, "ConnectFailure")
      assert.strictEqual(reason.message, "the in-memory server does not accept connections")
    }).pipe(Effect.provide(WebSocketTest.layer()))
  )
})
