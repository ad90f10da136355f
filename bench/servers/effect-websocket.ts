/**
 * The echo server that a user of effect-websocket would write.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as NetAddress from "effect/net/NetAddress"
import * as Stream from "effect/Stream"
import { PerMessageDeflate, ServerOptions, WebSocketServer } from "effect-websocket"
import { NodeWebSocketServer } from "effect-websocket/node"
import { announce, deflates } from "../announce.ts"

const Echo = WebSocketServer.serve({
  onOpen: (channel) => Stream.runForEach(channel.messages, channel.send)
})

const Announce = Layer.effectDiscard(
  Effect.gen(function* () {
    const { address } = yield* WebSocketServer.WebSocketServer
    if (NetAddress.isInetAddress(address)) announce(address.port)
  })
)

const options: ServerOptions.ServerOptionsInput = deflates
  ? { ...ServerOptions.hardened, perMessageCompressionAccept: PerMessageDeflate.acceptOffer() }
  : ServerOptions.hardened

Layer.mergeAll(Echo, Announce).pipe(
  Layer.provide(NodeWebSocketServer.layer({ port: 0, host: "127.0.0.1" }, options)),
  Layer.launch,
  Effect.runFork
)
