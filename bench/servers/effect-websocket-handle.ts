/**
 * The echo server with callbacks in place of a Stream.
 */
import * as Effect from "effect/Effect"
import { WebSocketChannel, WebSocketServer } from "effect-websocket"
import { launch } from "../launch.ts"

const { handle, WebSocketChannel: CurrentChannel } = WebSocketChannel

const Echo = WebSocketServer.serve({
  onOpen: handle({
    onMessage: (payload, isBinary) =>
      Effect.flatMap(CurrentChannel, (channel) => channel.send({ payload, isBinary }))
  })
})

launch(Echo, ["deflate"])
