import { createServer } from "node:http"
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Effect, Layer, Stream } from "effect"
import { HttpRouter } from "effect/http"
import { ServerOptions } from "effect-websocket"
import { NodeWebSocketRoute } from "effect-websocket/node"

const Rooms = HttpRouter.add(
  "GET",
  "/rooms/:room",
  NodeWebSocketRoute.handler({
    onOpen: (channel) =>
      Effect.gen(function* () {
        const { room } = yield* HttpRouter.params
        yield* channel.send(`welcome to ${room}`)
        yield* Stream.runForEach(channel.messages, channel.send)
      })
  })
)

const server = createServer()

HttpRouter.serve(Rooms).pipe(
  Layer.provide(NodeWebSocketRoute.layer(server, ServerOptions.hardened)),
  Layer.provide(NodeHttpServer.layer(() => server, { host: "127.0.0.1", port: 9002 })),
  Layer.launch,
  NodeRuntime.runMain
)
