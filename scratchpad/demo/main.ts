/**
 * The demo that `npm start` runs: a page, an echo endpoint and a chat room on
 * one port, under Effect's own HTTP server.
 */
import { createServer } from "node:http"
import { NodeHttpServer } from "@effect/platform-node"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import type { ServeError } from "effect/http/HttpServerError"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import { type Options, ServerOptions } from "effect-websocket"
import { NodeShutdown } from "effect-websocket/node"
import { NodeWebSocketRoute } from "effect-websocket/node/route"
import { Endpoints } from "./endpoints.ts"

const host = "127.0.0.1"
const firstPort = 9000

const Page = HttpRouter.add(
  "GET",
  "/",
  HttpServerResponse.file(new URL("page.html", import.meta.url).pathname)
)

const Ready = (port: number) =>
  Layer.effectDiscard(Effect.log(`Open http://${host}:${port}/ in a browser. Ctrl-C ends the server.`))

/** Everything on one port. */
const onPort = (port: number): Layer.Layer<never, ServeError | Options.InvalidOptions> => {
  const server = createServer()
  return Layer.mergeAll(
    HttpRouter.serve(Layer.mergeAll(Page, Endpoints), { disableListenLog: true, disableLogger: true }),
    Ready(port)
  ).pipe(
    Layer.provide(NodeWebSocketRoute.layer(server, ServerOptions.hardened)),
    Layer.provide(NodeHttpServer.layer(() => server, { port, host }))
  )
}

const isPortTaken = ({ cause }: ServeError): boolean =>
  cause instanceof Error && "code" in cause && cause.code === "EADDRINUSE"

const fromPort = (port: number): Layer.Layer<never, ServeError | Options.InvalidOptions> =>
  onPort(port).pipe(
    Layer.catchTag("ServeError", (error) =>
      isPortTaken(error) && port < firstPort + 100
        ? Layer.unwrap(
            Effect.as(Effect.log(`Port ${port} is taken, trying ${port + 1}.`), fromPort(port + 1))
          )
        : Layer.effectDiscard(Effect.fail(error))
    )
  )

NodeShutdown.runMain(Layer.launch(fromPort(firstPort)))
