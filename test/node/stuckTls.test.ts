/**
 * A client that connects to a TLS server and never starts its TLS handshake.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
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

  it.effect("does not hold up the end of a server that nobody serves", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const built = yield* Scope.provide(Layer.build(NodeTransportServer.layerTls(anyPort, valid)), scope)
      const { address } = Context.get(built, Transport.TransportServer)
      const silent = yield* rawTcp(portOf(address))
      const other = yield* rawTcp(portOf(address))
      other.send("no TLS")
      yield* other.gone
      yield* Scope.close(scope, Exit.void)
      yield* silent.gone
      assert.strictEqual(silent.text, "")
    })
  )
})
