/**
 * WebSocket endpoints as routes of Effect's `HttpRouter`, on one port with
 * everything else that Effect's `NodeHttpServer` serves.
 */

import type { IncomingMessage, Server } from "node:http"
import type { Http2SecureServer, Http2Server, Http2ServerRequest } from "node:http2"
import type { Duplex } from "node:stream"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpServer from "effect/http/HttpServer"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { InvalidOptions } from "../channel/Options.ts"
import type * as Protocol from "../channel/Protocol.ts"
import { fromLines } from "../handshake/ConnectionRequest.ts"
import { HeadReader } from "../handshake/HttpHead.ts"
import { parseStatusLine } from "../handshake/Response.ts"
import type { ServerOptionsInput } from "../server/ServerOptions.ts"
import * as WebSocketServer from "../server/WebSocketServer.ts"
import { TransportServer } from "../transport/Transport.ts"
import { headOf, mount } from "./NodeHttpUpgrade.ts"
import * as NodeProtocol from "./NodeProtocol.ts"
import { fromSocket } from "./NodeTransport.ts"

/** A server of `node:http` or `node:https`; one of `node:http2` upgrades where it has `allowHTTP1`. */
export type NodeServer = Server | Http2Server | Http2SecureServer

type NodeRequest = IncomingMessage | Http2ServerRequest

/** What an HTTP server hands over with an upgrade request. */
export interface Upgrade {
  readonly socket: Duplex
  /** Bytes that came after the head of the request. */
  readonly rest: Uint8Array
}

/** The upgrade requests of an HTTP server. */
export class Upgrades extends Context.Service<
  Upgrades,
  {
    /** Takes over an upgrade request, once; `undefined` for other requests. */
    readonly take: (request: NodeRequest) => Upgrade | undefined
  }
>()("effect-websocket/node/NodeWebSocketRoute/Upgrades") {}

/**
 * The handler of a route: `HttpRouter.add("GET", "/rooms/:room", handler({ onConnect, onOpen }))`.
 *
 * `onConnect` and `onOpen` may use what the router and its middleware provide,
 * such as `HttpRouter.params`; the scope of the HTTP request stays open until the
 * connection has ended. Then middleware gets a response with status 101, or with
 * the status, headers and body that the client was denied with: they have been
 * sent by then, so changes come too late. A request without Upgrade is answered
 * by that response.
 *
 * The `ConnectionRequest` is the request as it came, also where middleware or a
 * prefix has modified the `HttpServerRequest`. When the HTTP request is
 * interrupted, by a timeout of middleware for example, the connection is closed
 * with 1001.
 */
export const handler = <E = never, R = never, RC = never>(
  handlers: WebSocketServer.Handlers<E, R, RC>
): Effect.Effect<
  HttpServerResponse.HttpServerResponse,
  never,
  HttpServerRequest | WebSocketServer.WebSocketServer | Upgrades | WebSocketServer.Requirements<R, RC>
> =>
  Effect.gen(function* () {
    const server = yield* WebSocketServer.WebSocketServer
    const upgrades = yield* Upgrades
    // What `NodeHttpServer` makes its requests of.
    const request = (yield* HttpServerRequest).source as NodeRequest
    const upgrade = upgrades.take(request)
    const transport = upgrade === undefined ? undefined : fromSocket(upgrade.socket)
    const rest = upgrade?.rest ?? new Uint8Array(0)
    // The transport is gone when this has succeeded, so that Effect writes nothing to it.
    const refusal = yield* server.serveRequest(handlers, transport, { head: headOf(request), rest })
    return refusal === undefined ? switchedProtocols : yield* toResponse(refusal)
  })

const switchedProtocols = HttpServerResponse.empty({ status: 101 })

/** The response that an HTTP message is. */
const toResponse = (message: Uint8Array): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  const result = new HeadReader({ maxBytes: message.length, maxHeaders: Infinity }).push(message)
  if (result._tag !== "Complete") return Effect.die(new Error("a refusal is not an HTTP response"))
  const { head, rest } = result
  return Effect.fromResult(parseStatusLine(head.startLine)).pipe(
    Effect.map(({ status, statusText }) =>
      HttpServerResponse.uint8Array(rest, { status, statusText, headers: fromLines(head.headers) })
    ),
    Effect.orDie
  )
}

/**
 * What WebSocket routes need, under the `NodeHttpServer` that was made of `server`:
 *
 *     const server = createServer()
 *     HttpRouter.serve(Chat).pipe(
 *       Layer.provide(NodeWebSocketRoute.layer(server)),
 *       Layer.provide(NodeHttpServer.layer(() => server, { port: 9000 }))
 *     )
 *
 * The `WebSocketServer` counts and drains the connections of all routes; it serves
 * nothing else. The `HttpServer` is that of the context, but drains them before it
 * shuts down. While they are drained, it goes on accepting, and who asks for a
 * WebSocket is answered 503.
 */
export const layer = (
  server: NodeServer,
  options?: ServerOptionsInput
): Layer.Layer<
  HttpServer.HttpServer | WebSocketServer.WebSocketServer | Upgrades,
  InvalidOptions,
  HttpServer.HttpServer
> => Layer.effectContext(make(server, options)).pipe(Layer.provide(NodeProtocol.layer))

const make = Effect.fnUntraced(function* (
  server: NodeServer,
  options: ServerOptionsInput | undefined
): Effect.fn.Return<
  Context.Context<HttpServer.HttpServer | WebSocketServer.WebSocketServer | Upgrades>,
  InvalidOptions,
  HttpServer.HttpServer | Protocol.Protocol | Scope.Scope
> {
  const http = yield* HttpServer.HttpServer
  const sockets = yield* WebSocketServer.make(options).pipe(
    Effect.provideService(TransportServer, {
      address: http.address,
      accept: () => Effect.void,
      stop: Effect.void
    })
  )
  const untaken = new WeakMap<object, Upgrade>()
  yield* mount(server, (request, socket, head) => {
    untaken.set(request, { socket, rest: new Uint8Array(head) })
    return false
  })
  return Context.make(WebSocketServer.WebSocketServer, sockets).pipe(
    Context.add(Upgrades, {
      take: (request) => {
        const upgrade = untaken.get(request)
        untaken.delete(request)
        return upgrade
      }
    }),
    Context.add(
      HttpServer.HttpServer,
      HttpServer.make({
        address: http.address,
        // The HTTP server waits for the end of all connections, so they are drained first.
        serve: (app, middleware) =>
          Effect.andThen(
            middleware === undefined ? http.serve(app) : http.serve(app, middleware),
            Effect.addFinalizer(() => sockets.drain())
          )
      })
    )
  )
})
