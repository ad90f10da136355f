/**
 * The server of the soak. Each order makes it drain, tell what it holds without a connection, and listen again.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as NetAddress from "effect/net/NetAddress"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { PerMessageDeflate, ServerOptions, type WebSocketChannel, WebSocketServer } from "effect-websocket"
import { NodeWebSocketServer } from "effect-websocket/node"
import { held, onOrder, tell } from "./report.ts"

const options: ServerOptions.ServerOptionsInput = {
  ...ServerOptions.hardened,
  maxFramePayloadSize: 1_048_576,
  maxMessagePayloadSize: 1_048_576,
  openHandshakeTimeout: "2 seconds",
  closeHandshakeTimeout: "10 seconds",
  autoPingInterval: "1 second",
  autoPingTimeout: "20 seconds",
  drainTimeout: "20 seconds",
  perMessageCompressionAccept: PerMessageDeflate.acceptOffer()
}

const echo = (channel: WebSocketChannel.Channel) => Stream.runForEach(channel.messages, channel.send)

/** Answers each message while it comes. */
const echoPieces = (channel: WebSocketChannel.Channel) =>
  Stream.runForEach(channel.streamed, ({ isBinary, payload }) => channel.sendStream(payload, { isBinary }))

let errors = 0
const counting = Logger.make(({ cause, logLevel, message }) => {
  if (logLevel !== "Warn" && logLevel !== "Error" && logLevel !== "Fatal") return
  errors++
  console.error("server:", message, String(cause))
})

/** Serves until the next order; succeeds with the port, and how many connections were dropped at the end. */
const serveOnce = Effect.fnUntraced(function* (port: number, orders: Queue.Dequeue<void>) {
  const layer = NodeWebSocketServer.layer({ host: "127.0.0.1", port }, options)
  const server = Context.get(yield* Layer.build(layer), WebSocketServer.WebSocketServer)
  yield* server.serve({
    onOpen: (channel) => (channel.request?.path === "/pieces" ? echoPieces(channel) : echo(channel))
  })
  const { address } = server
  const bound = NetAddress.isInetAddress(address) ? address.port : port
  if (port === 0) tell({ port: bound })
  yield* Queue.take(orders)
  const { dropped } = yield* server.drain()
  return { bound, dropped }
}, Effect.scoped)

Effect.gen(function* () {
  const orders = yield* Queue.unbounded<void>()
  onOrder(() => Queue.offerUnsafe(orders, undefined))
  let port = 0
  while (true) {
    const { bound, dropped } = yield* serveOnce(port, orders)
    port = bound
    tell({ ...held(), dropped, errors })
  }
}).pipe(Effect.provide(Logger.layer([counting])), Effect.runFork)
