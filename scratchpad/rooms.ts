import { createServer } from "node:http"
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Effect, Layer, Stream } from "effect"
import { HttpRouter } from "effect/http"
import { ServerOptions, WebSocketChannel } from "effect-websocket"
import { NodeWebSocketRoute } from "effect-websocket/node/route"

const rooms = new Map<string, Set<WebSocketChannel.Channel>>()

/** Enters the room, until the connection's scope closes. */
const enter = (name: string, channel: WebSocketChannel.Channel) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const members = rooms.get(name) ?? new Set()
      rooms.set(name, members.add(channel))
      return members
    }),
    (members) =>
      Effect.sync(() => {
        members.delete(channel)
        if (members.size === 0) rooms.delete(name)
      })
  )

const Rooms = HttpRouter.add(
  "GET",
  "/rooms/:room",
  NodeWebSocketRoute.handler({
    onOpen: Effect.fn(function* (channel) {
      const { room = "" } = yield* HttpRouter.params
      const members = yield* enter(room, channel)
      yield* channel.send(`welcome to ${room}`)
      // Who does not keep up is disconnected, so that nobody waits for them.
      yield* Stream.runForEach(channel.messages, (message) =>
        WebSocketChannel.broadcast(members, message, { close: 1013 })
      )
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
