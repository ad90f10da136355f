/**
 * What a channel knows of its connection.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as NetAddress from "effect/net/NetAddress"
import { WebSocketChannel, WebSocketClient, WebSocketServer } from "effect-websocket"
import { WebSocketTest } from "effect-websocket/testing"

const portOf = (address: NetAddress.SocketAddress | undefined) =>
  address !== undefined && NetAddress.isInetAddress(address) ? address.port : undefined

/** Both ends of a connection. */
const connected = Effect.gen(function* () {
  const opened = yield* Deferred.make<WebSocketChannel.Channel>()
  const server = yield* WebSocketServer.WebSocketServer
  yield* server.serve({
    onConnect: ({ protocols }) =>
      Effect.succeed({
        subprotocol: protocols[1],
        headers: { "X-One": "1", "Set-Cookie": ["a=1", "b=2"] }
      }),
    onOpen: (channel) => Effect.andThen(Deferred.succeed(opened, channel), channel.closed)
  })
  const client = yield* WebSocketClient.connect("ws://test:8080/chat/room?a=1&b=2&a=3", {
    protocols: ["first", "second"],
    origin: "https://example.com",
    userAgent: "tests/1",
    headers: { "X-Two": ["2", "zwei"] }
  })
  return { client, server: yield* Deferred.await(opened) }
})

describe("the facts of a connection", () => {
  it.effect("a server's channel knows the request", () =>
    Effect.gen(function* () {
      const { server } = yield* connected
      assert.strictEqual(server.role, "server")
      assert.strictEqual(server.subprotocol, "second")
      assert.deepStrictEqual(server.extensions, [])
      assert.isUndefined(server.tls)
      assert.isUndefined(server.response)
      const { headers, params, peer, ...request } = server.request ?? assert.fail("no request")
      assert.deepStrictEqual(request, {
        host: "test:8080",
        path: "/chat/room",
        version: 13,
        origin: "https://example.com",
        protocols: ["first", "second"],
        extensions: []
      })
      assert.deepStrictEqual({ ...params }, { a: ["1", "3"], b: ["2"] })
      assert.strictEqual(headers["user-agent"], "tests/1")
      assert.strictEqual(headers["x-two"], "2, zwei")
      assert.strictEqual(portOf(peer), portOf(server.peer))
    }).pipe(Effect.provide(WebSocketTest.layer()))
  )

  it.effect("a client's channel knows the response", () =>
    Effect.gen(function* () {
      const { client } = yield* connected
      assert.strictEqual(client.role, "client")
      assert.strictEqual(client.subprotocol, "second")
      assert.deepStrictEqual(client.extensions, [])
      assert.isUndefined(client.request)
      const { headers, peer, ...response } = client.response ?? assert.fail("no response")
      assert.deepStrictEqual(response, { version: 13, protocol: "second", extensions: [] })
      assert.strictEqual(headers["x-one"], "1")
      assert.strictEqual(headers["set-cookie"], "a=1, b=2")
      assert.strictEqual(portOf(peer), 80)
    }).pipe(Effect.provide(WebSocketTest.layer()))
  )

  it.effect("each end's peer is the other's local address", () =>
    Effect.gen(function* () {
      const { client, server } = yield* connected
      assert.isNumber(portOf(client.local))
      assert.strictEqual(portOf(client.local), portOf(server.peer))
      assert.strictEqual(portOf(server.local), portOf(client.peer))
    }).pipe(Effect.provide(WebSocketTest.layer()))
  )

  it.effect("a handler finds its channel in context too", () =>
    Effect.gen(function* () {
      const seen = yield* Deferred.make<boolean>()
      const server = yield* WebSocketServer.WebSocketServer
      yield* server.serve({
        onOpen: (channel) =>
          Effect.flatMap(WebSocketChannel.WebSocketChannel, (inContext) =>
            Deferred.succeed(seen, inContext === channel)
          )
      })
      yield* WebSocketClient.connect("ws://test/")
      assert.isTrue(yield* Deferred.await(seen))
    }).pipe(Effect.provide(WebSocketTest.layer()))
  )
})
