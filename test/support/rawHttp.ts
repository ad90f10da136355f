/**
 * A server of the library under raw opening requests.
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type { ConnectionRequest, ServerOptions, WebSocketChannel, WebSocketServer } from "effect-websocket"
import { acceptFor, type End, exampleKey, type HttpMessage, parseHead, requestHead } from "./RawPeer.ts"
import { makeServer, type Surroundings } from "./rawSession.ts"

/** A response that is no connection. */
export interface Refusal extends HttpMessage {
  readonly status: number
  readonly end: End
}

/** Serves, and keeps what the application was asked. */
export const serveRaw = Effect.fnUntraced(function* (
  options: ServerOptions.ServerOptionsInput = {},
  onConnect: WebSocketServer.OnConnect<never> = () => Effect.void,
  surroundings: Surroundings = {}
) {
  const requests: Array<ConnectionRequest> = []
  const channels = yield* Queue.unbounded<WebSocketChannel.Channel>()
  const server = yield* makeServer(
    {
      onConnect: (request) => {
        requests.push(request)
        return onConnect(request)
      },
      onOpen: (channel) => {
        Queue.offerUnsafe(channels, channel)
        return channel.closed
      }
    },
    options,
    surroundings
  )

  /** Sends the request, and reads the response that refuses it. */
  const refusal = Effect.fnUntraced(function* (request: string | Uint8Array) {
    const peer = yield* server.connect
    peer.send(request)
    const message = yield* peer.readMessage
    peer.finish()
    const status = Number(/^HTTP\/1\.1 ([0-9]{3}) /.exec(message.startLine)?.[1])
    // Section 4.2.2 and RFC 7230: a whole HTTP response, after which the server ends the transport.
    assert.strictEqual(message.headers["content-length"], String(Buffer.byteLength(message.body)))
    assert.match(message.headers["connection"] ?? "", /^close\b/)
    assert.strictEqual(message.end, "fin")
    const refused: Refusal = { ...message, status }
    return refused
  })

  /** Sends the request, and reads the 101 that answers it. */
  const acceptance = Effect.fnUntraced(function* (request: string | Uint8Array, key = exampleKey) {
    const peer = yield* server.connect
    peer.send(request)
    const { headers, startLine } = parseHead(yield* peer.readHead)
    assert.strictEqual(startLine, "HTTP/1.1 101 Switching Protocols")
    assert.strictEqual(headers["upgrade"]?.toLowerCase(), "websocket")
    assert.strictEqual(headers["connection"]?.toLowerCase(), "upgrade")
    assert.strictEqual(headers["sec-websocket-accept"], acceptFor(key))
    return { peer, headers, channel: yield* Queue.take(channels) }
  })

  return {
    requests,
    connect: server.connect,
    connections: server.connections,
    network: server.network,
    refusal,
    acceptance,
    /** A further client finds the server as it was. */
    goesOn: Effect.asVoid(acceptance(requestHead()))
  }
})
