import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as NetAddress from "effect/net/NetAddress"
import { PerMessageDeflate, ServerOptions, WebSocketServer } from "effect-websocket"
import { NodeWebSocketServer } from "effect-websocket/node"
import { announce, hasMode, type Mode } from "./announce.ts"

// All load comes from one address, with as many connections as a scenario wants.
const unlimited: ServerOptions.ServerOptionsInput = {
  ...ServerOptions.hardened,
  maxConnections: 0,
  maxConnectionsPerPeer: 0
}

const options: ServerOptions.ServerOptionsInput = hasMode("deflate")
  ? { ...unlimited, perMessageCompressionAccept: PerMessageDeflate.acceptOffer() }
  : unlimited

const announceAddress = (modes: ReadonlyArray<Mode>) =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const { address } = yield* WebSocketServer.WebSocketServer
      if (NetAddress.isInetAddress(address)) announce(address.port, modes)
    })
  )

/** Serves with the preset for the public internet, but for the limits of connections, and announces the port. */
export const launch = (
  served: Layer.Layer<never, never, WebSocketServer.WebSocketServer>,
  modes: ReadonlyArray<Mode>
): void => {
  Layer.mergeAll(served, announceAddress(modes)).pipe(
    Layer.provide(NodeWebSocketServer.layer({ port: 0, host: "127.0.0.1" }, options)),
    Layer.launch,
    Effect.runFork
  )
}
