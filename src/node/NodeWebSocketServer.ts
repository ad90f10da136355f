/**
 * WebSocket servers on Node, ready to use.
 */

import type { Server } from "node:http"
import * as Layer from "effect/Layer"
import type { InvalidOptions } from "../channel/Options.ts"
import type { ServerOptionsInput } from "../server/ServerOptions.ts"
import * as WebSocketServer from "../server/WebSocketServer.ts"
import type { TransportError } from "../transport/Transport.ts"
import * as NodeHttpUpgrade from "./NodeHttpUpgrade.ts"
import * as NodeProtocol from "./NodeProtocol.ts"
import * as NodeTransportServer from "./NodeTransportServer.ts"

/** `ws://` on a port, or on a Unix-domain socket's `path`. */
export const layer = (
  listen: NodeTransportServer.ListenOptions,
  options?: ServerOptionsInput
): Layer.Layer<WebSocketServer.WebSocketServer, InvalidOptions | TransportError> =>
  WebSocketServer.layer(options).pipe(Layer.provide([NodeProtocol.layer, NodeTransportServer.layer(listen)]))

/** `wss://` on a port. */
export const layerTls = (
  listen: NodeTransportServer.ListenOptions,
  tls: NodeTransportServer.TlsOptions,
  options?: ServerOptionsInput
): Layer.Layer<WebSocketServer.WebSocketServer, InvalidOptions | TransportError> =>
  WebSocketServer.layer(options).pipe(
    Layer.provide([NodeProtocol.layer, NodeTransportServer.layerTls(listen, tls)])
  )

/** On the port of an HTTP or HTTPS server, which someone else has listen. */
export const layerUpgrade = (
  server: Server,
  upgrade?: NodeHttpUpgrade.UpgradeOptions,
  options?: ServerOptionsInput
): Layer.Layer<WebSocketServer.WebSocketServer, InvalidOptions> =>
  WebSocketServer.layer(options).pipe(
    Layer.provide([NodeProtocol.layer, NodeHttpUpgrade.layer(server, upgrade)])
  )
