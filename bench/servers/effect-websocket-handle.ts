/**
 * The echo server with callbacks in place of a Stream.
 */
import { WebSocketChannel, WebSocketServer } from "effect-websocket"
import { launch } from "../launch.ts"

const Echo = WebSocketServer.serve({
  onOpen: WebSocketChannel.handle({
    onMessage: (payload, isBinary, channel) => channel.send({ payload, isBinary })
  })
})

launch(Echo, ["deflate"])
