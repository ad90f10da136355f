import { NodeRuntime } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { PerMessageDeflate, ServerOptions, WebSocketClient } from "effect-websocket"
import { NodeWebSocketClient, NodeWebSocketServer } from "effect-websocket/node"
import { Echo } from "./echo.ts"

const Server = NodeWebSocketServer.layer(
  { host: "127.0.0.1", port: 9003 },
  { ...ServerOptions.hardened, perMessageCompressionAccept: PerMessageDeflate.acceptOffer() }
)

const Client = NodeWebSocketClient.layer({
  perMessageCompressionOffers: [new PerMessageDeflate.PerMessageDeflateOffer()]
})

Effect.gen(function* () {
  const channel = yield* WebSocketClient.connect("ws://127.0.0.1:9003/echo")
  yield* channel.send("again ".repeat(1000))
  yield* channel.receive
  const { payloadOctets, messageOctets } = (yield* channel.statistics).received
  yield* Effect.log(channel.extensions, `${messageOctets} bytes came as ${payloadOctets}`)
}).pipe(
  Effect.scoped,
  Effect.provide(Layer.mergeAll(Client, Layer.provide(Echo, Server))),
  NodeRuntime.runMain
)
