/**
 * The servers that a user of effect-websocket would write: an echo, and a room.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { type Message, WebSocketChannel, WebSocketServer } from "effect-websocket"
import { hasMode } from "../announce.ts"
import { launch } from "../launch.ts"

const Echo = WebSocketServer.serve({
  onOpen: (channel) => Stream.runForEach(channel.messages, channel.send)
})

const members = new Set<WebSocketChannel.Channel>()

const toEveryone = (message: Message) => WebSocketChannel.broadcast(members, message, "suspend")

const Room = WebSocketServer.serve({
  onOpen: (channel) =>
    Effect.acquireUseRelease(
      Effect.sync(() => members.add(channel)),
      () => Stream.runForEach(channel.messages, toEveryone),
      () => Effect.sync(() => members.delete(channel))
    )
})

launch(hasMode("room") ? Room : Echo, ["deflate", "room"])
