import { Layer } from "effect"
import { ServerOptions } from "effect-websocket"
import { NodeShutdown, NodeWebSocketServer } from "effect-websocket/node"
import { Echo } from "./echo.ts"

Echo.pipe(
  Layer.provide(NodeWebSocketServer.layer({ host: "127.0.0.1", port: 9001 }, ServerOptions.hardened)),
  Layer.launch,
  NodeShutdown.runMain
)
