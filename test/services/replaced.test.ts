/**
 * Each service of the protocol replaced by a mock layer, one at a time.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import {
  Compression,
  Framing,
  Handshake,
  Protocol,
  Timeouts,
  Transport,
  WebSocketClient,
  WebSocketCrypto,
  WebSocketServer
} from "effect-websocket"
import { InMemoryNetwork, InMemoryTransport, WebSocketTest } from "effect-websocket/testing"
import { readyTransport } from "../support/apiSession.ts"

/** Server and client in memory, with one of the protocol's services replaced. */
const replacing = <Service extends Protocol.Protocol>(mock: Layer.Layer<Service>) =>
  WebSocketTest.layerNoProtocol({ client: { failByDrop: false } }).pipe(
    Layer.provide(mock),
    Layer.provide(Protocol.layer)
  )

const serveEcho = Effect.flatMap(WebSocketServer.WebSocketServer, (server) =>
  server.serve({ onOpen: (channel) => Stream.runForEach(channel.messages, channel.send) })
)

describe("a mock of", () => {
  it.effect("Handshake decides what a request is", () =>
    Effect.gen(function* () {
      yield* serveEcho
      const { reason } = yield* Effect.flip(WebSocketClient.connect("ws://test/"))
      assert.strictEqual(reason._tag === "Rejected" && reason.status, 418)
    }).pipe(
      Effect.provide(
        replacing(
          Layer.effect(
            Handshake.Handshake,
            Effect.map(Handshake.Handshake, (handshake) => ({
              ...handshake,
              parseRequest: () => Result.fail({ status: 418, reason: "I brew tea", headers: [] })
            }))
          ).pipe(Layer.provide(Protocol.layer))
        )
      )
    )
  )

  it.effect("Framing makes each connection's codec", () => {
    const made: Array<boolean> = []
    return Effect.gen(function* () {
      yield* serveEcho
      const channel = yield* WebSocketClient.connect("ws://test/")
      yield* channel.send("hello")
      assert.deepStrictEqual(yield* channel.messages.pipe(Stream.take(1), Stream.runCollect), ["hello"])
      assert.deepStrictEqual(made.sort(), [false, true])
    }).pipe(
      Effect.provide(
        replacing(
          Layer.effect(
            Framing.Framing,
            Effect.map(Framing.Framing, ({ make }) => ({
              make: (options: Framing.FramingOptions) => {
                made.push(options.maskOutgoing)
                return make(options)
              }
            }))
          ).pipe(Layer.provide(Protocol.layer))
        )
      )
    )
  })

  it.effect("Compression negotiates an extension of its own", () => {
    const negotiated = { ...Compression.none, extensions: ["x-test; level=9"] }
    return Effect.gen(function* () {
      const seen = yield* Deferred.make<ReadonlyArray<string>>()
      const server = yield* WebSocketServer.WebSocketServer
      yield* server.serve({
        onOpen: (channel) =>
          Effect.andThen(
            Deferred.succeed(seen, channel.extensions),
            Stream.runForEach(channel.messages, channel.send)
          )
      })
      const channel = yield* WebSocketClient.connect("ws://test/")
      assert.deepStrictEqual(channel.extensions, ["x-test; level=9"])
      assert.deepStrictEqual(yield* Deferred.await(seen), ["x-test; level=9"])
      assert.strictEqual(channel.response?.headers["sec-websocket-extensions"], "x-test; level=9")
    }).pipe(
      Effect.provide(
        replacing(
          Layer.succeed(Compression.Compression, {
            offer: () => negotiated.extensions,
            accept: () => Result.succeed(negotiated),
            acceptResponse: () => Result.succeed(negotiated)
          })
        )
      )
    )
  })

  it.effect("Timeouts is over at once", () =>
    Effect.gen(function* () {
      const { reason } = yield* Effect.flip(WebSocketClient.connect("ws://test/"))
      assert.strictEqual(reason._tag, "HandshakeTimeout")
    }).pipe(Effect.provide(replacing(Layer.succeed(Timeouts.Timeouts, { after: () => Effect.void }))))
  )

  it.effect("WebSocketCrypto fixes keys and masks", () =>
    Effect.gen(function* () {
      const transports = yield* Transport.TransportServer
      const received: Array<number> = []
      const done = yield* Deferred.make<void>()
      yield* transports.accept((accepted) => {
        const transport = readyTransport(accepted)
        transport.listen({
          onData: (chunk) => {
            received.push(...chunk)
            Deferred.doneUnsafe(done, Effect.void)
            return true
          },
          onEnd: () => {},
          onDrain: () => {},
          onClose: () => {}
        })
        transport.resume()
      })
      yield* Effect.forkScoped(WebSocketClient.connect("ws://test/"))
      yield* Deferred.await(done)
      // RFC 6455 section 1.3's key.
      assert.include(String.fromCharCode(...received), "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")
    }).pipe(
      Effect.provide(
        WebSocketClient.layer().pipe(
          Layer.provideMerge(InMemoryNetwork.layer()),
          Layer.provide(Protocol.layerNoCrypto),
          Layer.provide(
            Layer.succeed(WebSocketCrypto.WebSocketCrypto, {
              randomBytes: () => new TextEncoder().encode("the sample nonce"),
              maskingKey: () => 0x37fa213d,
              sha1: () => new Uint8Array(20)
            })
          )
        )
      )
    )
  )

  it.effect("TransportClient leads to another network", () =>
    Effect.gen(function* () {
      const { client, server } = yield* InMemoryTransport.makePair()
      const targets: Array<Transport.TransportTarget> = []
      const network = Layer.succeed(Transport.TransportClient, {
        connect: (target) =>
          Effect.sync(() => {
            targets.push(target)
            return client
          })
      })
      server.abort()
      const { reason } = yield* Effect.flip(WebSocketClient.connect("wss://example.test/chat")).pipe(
        Effect.provide(WebSocketClient.layer().pipe(Layer.provide([network, Protocol.layer])))
      )
      assert.strictEqual(reason._tag, "ConnectFailure")
      assert.containsSubset(targets, [
        { host: "example.test", port: 443, secure: true, socketPath: undefined }
      ])
    })
  )
})
