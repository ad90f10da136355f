import { NodeRuntime } from "@effect/platform-node"
import { Effect, Stream } from "effect"
import { ClientOptions, WebSocketClient } from "effect-websocket"
import { NodeWebSocketClient } from "effect-websocket/node"

Effect.gen(function* () {
  const channel = yield* WebSocketClient.connect("ws://127.0.0.1:9001/echo")
  yield* channel.send("hello")
  yield* channel.send(new Uint8Array([1, 2, 3]))
  yield* channel.messages.pipe(Stream.take(2), Stream.runForEach(Effect.log))
  const { code, wasClean } = yield* channel.close(1000, "bye")
  yield* Effect.log(wasClean, code)
}).pipe(
  Effect.scoped,
  Effect.catchReason("HandshakeError", "Rejected", ({ body, status }) => Effect.logError(status, body)),
  Effect.provide(NodeWebSocketClient.layer(ClientOptions.hardened)),
  NodeRuntime.runMain
)
