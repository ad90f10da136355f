import { NodeRuntime } from "@effect/platform-node"
import { Layer } from "effect"
import { ServerOptions } from "effect-websocket"
import { NodeWebSocketServer } from "effect-websocket/node"
import { Echo } from "./echo.ts"

Echo.pipe(
  Layer.provide(NodeWebSocketServer.layer({ host: "127.0.0.1", port: 9001 }, ServerOptions.hardened)),
  Layer.launch,
  NodeRuntime.runMain
)
