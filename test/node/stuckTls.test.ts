/**
 * A client that connects to a TLS server and never starts its TLS handshake.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { Transport, type WebSocketServer } from "effect-websocket"
import { NodeTransportServer, NodeWebSocketServer } from "effect-websocket/node"
import { anyPort, echo, makeClient, portOf, rawTcp, serve } from "../support/node.ts"
import { hasOpenssl, makeCertificates } from "../support/nodeCertificates.ts"

describe.skipIf(!hasOpenssl)("a client that is silent where TLS is spoken", () => {
  const { ca, valid } = hasOpenssl ? makeCertificates() : { ca: "", valid: {} }

  /** When a later client has got through, the silent one has been accepted. */
  const isAccepted = (server: WebSocketServer.WebSocketServer["Service"]) =>
    Effect.flatMap(makeClient({}, { ca }), (client) =>
      client.connect(`wss://localhost:${portOf(server.address)}/`)
    ).pipe(Effect.scoped)

  it.effect("is dropped when the server drains", () =>
    Effect.gen(function* () {
      const server = yield* serve(NodeWebSocketServer.layerTls(anyPort, valid), { onOpen: echo })
      const silent = yield* rawTcp(portOf(server.address))
      yield* isAccepted(server)
      yield* server.drain()
      yield* silent.gone
      assert.strictEqual(silent.text, "")
    })
  )

  it.effect("is dropped when openHandshakeTimeout is over, which began with its TCP connection", () =>
    Effect.gen(function* () {
      const layer = NodeWebSocketServer.layerTls(anyPort, valid, { openHandshakeTimeout: "10 seconds" })
      const server = yield* serve(layer, { onOpen: echo })
      const silent = yield* rawTcp(portOf(server.address))
      yield* isAccepted(server)
      yield* TestClock.adjust("9999 millis")
      yield* isAccepted(server)
      assert.isFalse(silent.closed)
      yield* TestClock.adjust("1 millis")
      yield* silent.gone
      assert.strictEqual(silent.text, "")
    })
  )

  it.effect("is dropped when newer ones are more than maxOpenHandshakes", () =>
    Effect.gen(function* () {
      const layer = NodeWebSocketServer.layerTls(anyPort, valid, { maxOpenHandshakes: 2 })
      const server = yield* serve(layer, { onOpen: echo })
      const oldest = yield* rawTcp(portOf(server.address))
      yield* isAccepted(server)
      const newer = yield* rawTcp(portOf(server.address))
      // Its own handshake is one more.
      yield* isAccepted(server)
      yield* oldest.gone
      assert.isFalse(newer.closed)
      assert.strictEqual(oldest.text, "")
    })
  )

  it.effect("is dropped when it ends its side", () =>
    Effect.gen(function* () {
      const server = yield* serve(NodeWebSocketServer.layerTls(anyPort, valid), { onOpen: echo })
      const silent = yield* rawTcp(portOf(server.address), { allowHalfOpen: true })
      yield* isAccepted(server)
      silent.socket.end()
      yield* silent.gone
    })
  )

  it.effect("does not hold up the end of a server that nobody serves", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const built = yield* Scope.provide(Layer.build(NodeTransportServer.layerTls(anyPort, valid)), scope)
      const { address } = Context.get(built, Transport.TransportServer)
      const silent = yield* rawTcp(portOf(address))
      const other = yield* rawTcp(portOf(address))
      other.send("no TLS")
      yield* Scope.close(scope, Exit.void)
      yield* Effect.all([silent.gone, other.gone])
      assert.strictEqual(silent.text, "")
    })
  )

  it.effect("that was dropped while it waited fails when it is taken after all", () =>
    Effect.gen(function* () {
      const built = yield* Layer.build(NodeTransportServer.layerTls(anyPort, valid))
      const { accept, address } = Context.get(built, Transport.TransportServer)
      const taken = yield* Queue.unbounded<Transport.AcceptedTransport>()
      yield* accept((accepted) => void Queue.offerUnsafe(taken, accepted))
      const silent = yield* rawTcp(portOf(address))
      const accepted = yield* Queue.take(taken)
      accepted.abort()
      yield* silent.gone
      assert.strictEqual((yield* Effect.flip(accepted.transport)).message, "the TLS handshake failed")
    })
  )
})
