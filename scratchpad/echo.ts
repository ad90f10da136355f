import { Effect, Stream } from "effect"
import { ConnectionDeny, WebSocketServer } from "effect-websocket"

/** Echoes on one path; every other one is denied with a 404. */
export const Echo = WebSocketServer.serve({
  onConnect: ({ path }) => (path === "/echo" ? Effect.void : Effect.fail(ConnectionDeny.notFound())),
  onOpen: (channel) => Stream.runForEach(channel.messages, channel.send)
})
