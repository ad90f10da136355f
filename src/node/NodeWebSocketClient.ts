/**
 * A WebSocket client on Node, ready to use.
 */
import * as Layer from "effect/Layer"
import type { InvalidOptions } from "../channel/Options.ts"
import type { ClientOptionsInput } from "../client/ClientOptions.ts"
import * as WebSocketClient from "../client/WebSocketClient.ts"
import * as NodeProtocol from "./NodeProtocol.ts"
import * as NodeTransportClient from "./NodeTransportClient.ts"

/** `ws://`, `wss://` and Unix-domain sockets. */
export const layer = (
  options?: ClientOptionsInput,
  tls?: NodeTransportClient.TlsOptions
): Layer.Layer<WebSocketClient.WebSocketClient, InvalidOptions> =>
  WebSocketClient.layer(options).pipe(Layer.provide([NodeProtocol.layer, NodeTransportClient.layer(tls)]))
