/**
 * The servers that a user of effect-websocket would write: an echo, and a room.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { type Message, PreparedMessage, type WebSocketChannel, WebSocketServer } from "effect-websocket"
import { hasMode } from "../announce.ts"
import { launch } from "../launch.ts"

const Echo = WebSocketServer.serve({
  onOpen: (channel) => Stream.runForEach(channel.messages, channel.send)
})

const members = new Set<WebSocketChannel.Channel>()

const toEveryone = (message: Message) => {
  const prepared = PreparedMessage.make(message)
  return Effect.forEach(members, (member) => Effect.ignore(member.send(prepared)), { discard: true })
}

const Room = WebSocketServer.serve({
  onOpen: (channel) =>
    Effect.acquireUseRelease(
      Effect.sync(() => members.add(channel)),
      () => Stream.runForEach(channel.messages, toEveryone),
      () => Effect.sync(() => members.delete(channel))
    )
})

launch(hasMode("room") ? Room : Echo, ["deflate", "room"])
