/**
 * Effect's HTTP server with WebSocket routes.
 */
import * as Http from "node:http"
import { NodeHttpServer } from "@effect/platform-node"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import { type ServerOptions, WebSocketServer } from "effect-websocket"
import { NodeWebSocketRoute } from "effect-websocket/node/route"
import { anyPort, echo, portOf } from "./node.ts"

/** Routes that need nothing but what `NodeWebSocketRoute.layer` provides. */
export type Routes = Layer.Layer<
  never,
  never,
  | HttpRouter.HttpRouter
  | HttpRouter.Request.From<"Requires", WebSocketServer.WebSocketServer | NodeWebSocketRoute.Upgrades>
>

/** Serves routes on any free port, until the scope closes. */
export const serveRoutes = Effect.fnUntraced(function* (
  routes: Routes,
  options?: ServerOptions.ServerOptionsInput,
  server: NodeWebSocketRoute.NodeServer = Http.createServer(),
  listen: Parameters<typeof NodeHttpServer.layer>[1] = anyPort
) {
  const context = yield* Layer.build(
    HttpRouter.serve(routes, { disableListenLog: true, disableLogger: true }).pipe(
      Layer.provideMerge(NodeWebSocketRoute.layer(server, options)),
      Layer.provide(NodeHttpServer.layer(() => server, listen))
    )
  )
  const sockets = Context.get(context, WebSocketServer.WebSocketServer)
  return { sockets, port: portOf(sockets.address) }
})

/** An endpoint that sends every message back. */
export const echoAt = (path: HttpRouter.PathInput) =>
  HttpRouter.add("GET", path, NodeWebSocketRoute.handler({ onOpen: echo }))

/** Middleware of all routes that keeps the responses it sees. */
export const recordResponses = (into: Queue.Queue<HttpServerResponse.HttpServerResponse>) =>
  HttpRouter.middleware((app) => Effect.tap(app, (response) => Queue.offer(into, response)), { global: true })

export const makeResponses = Queue.unbounded<HttpServerResponse.HttpServerResponse>()
