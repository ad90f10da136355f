/**
 * A server and a client connected in memory, for an application's own tests.
 */
import * as Layer from "effect/Layer"
import type { InvalidOptions } from "../channel/Options.ts"
import * as Protocol from "../channel/Protocol.ts"
import type { ClientOptionsInput } from "../client/ClientOptions.ts"
import * as WebSocketClient from "../client/WebSocketClient.ts"
import type { ServerOptionsInput } from "../server/ServerOptions.ts"
import * as WebSocketServer from "../server/WebSocketServer.ts"
import type { InMemoryOptions } from "../transport/InMemoryTransport.ts"
import * as InMemoryNetwork from "./InMemoryNetwork.ts"

export interface WebSocketTestOptions {
  readonly server?: ServerOptionsInput
  readonly client?: ClientOptionsInput
  readonly network?: InMemoryOptions
}

/** What the test layers provide. */
export type Services =
  | WebSocketServer.WebSocketServer
  | WebSocketClient.WebSocketClient
  | InMemoryNetwork.InMemoryNetwork

/** Server, client and network, with the protocol's services in context: for tests that replace one of them. */
export const layerNoProtocol = (
  options: WebSocketTestOptions = {}
): Layer.Layer<Services, InvalidOptions, Protocol.Protocol> =>
  Layer.mergeAll(WebSocketServer.layer(options.server), WebSocketClient.layer(options.client)).pipe(
    Layer.provideMerge(InMemoryNetwork.layer(options.network))
  )

/** Server, client and the network between them. */
export const layer = (options?: WebSocketTestOptions): Layer.Layer<Services, InvalidOptions> =>
  Layer.provide(layerNoProtocol(options), Protocol.layer)
