/**
 * A WebSocket client on Node, ready to use.
 */
import * as Layer from "effect/Layer"
import type { InvalidOptions } from "../channel/Options.ts"
import * as Protocol from "../channel/Protocol.ts"
import type { ClientOptionsInput } from "../client/ClientOptions.ts"
import * as WebSocketClient from "../client/WebSocketClient.ts"
import * as NodeTransportClient from "./NodeTransportClient.ts"

/** `ws://`, `wss://` and Unix-domain sockets. */
export const layer = (
  options?: ClientOptionsInput,
  tls?: NodeTransportClient.TlsOptions
): Layer.Layer<WebSocketClient.WebSocketClient, InvalidOptions> =>
  WebSocketClient.layer(options).pipe(Layer.provide([Protocol.layer, NodeTransportClient.layer(tls)]))
