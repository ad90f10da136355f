/**
 * A server and a client on one in-memory network, and that network in the test's hands too: for peers that
 * a test speaks for byte by byte.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Queue from "effect/Queue"
import {
  type CloseEvent,
  Protocol,
  Transport,
  type WebSocketChannel,
  WebSocketClient,
  WebSocketServer
} from "effect-websocket"
import { InMemoryNetwork, type WebSocketTest } from "effect-websocket/testing"
import { readyTransport } from "./apiSession.ts"
import { parseHead, RawPeer, requestHead, responseHead } from "./RawPeer.ts"

/** As `WebSocketTest.layer`, with the network's transports in context. */
export const layer = (options: WebSocketTest.WebSocketTestOptions = {}) =>
  Layer.mergeAll(WebSocketServer.layer(options.server), WebSocketClient.layer(options.client)).pipe(
    Layer.provideMerge(InMemoryNetwork.layer(options.network)),
    Layer.provide(Protocol.layer)
  )

const target: Transport.TransportTarget = { host: "test", port: 80, secure: false, socketPath: undefined }

/** Reaches the server as a client that has not said anything yet. It is gone when the scope closes. */
export const rawClient = Effect.gen(function* () {
  const network = yield* Transport.TransportClient
  return new RawPeer(yield* Effect.orDie(network.connect(target)), "client")
})

/** Reaches the server as a client, and performs the opening handshake. */
export const openRawClient = Effect.gen(function* () {
  const peer = yield* rawClient
  peer.send(requestHead())
  yield* peer.readHead
  return peer
})

/** What clients reach: the server's end of each connection, in the test's hands. */
export const rawServer = Effect.gen(function* () {
  const network = yield* Transport.TransportServer
  const peers = yield* Queue.unbounded<RawPeer>()
  yield* network.accept((accepted) => {
    Queue.offerUnsafe(peers, new RawPeer(readyTransport(accepted), "server"))
  })
  return peers
})

/** Performs the server's part of the opening handshake. */
export const answer = Effect.fnUntraced(function* (peer: RawPeer) {
  const request = parseHead(yield* peer.readHead)
  peer.send(responseHead(request.headers["sec-websocket-key"] ?? ""))
  return peer
})

/** Connects, and has the other end in the test's hands. */
export const connectToRawServer = Effect.fnUntraced(function* (peers: Queue.Dequeue<RawPeer>) {
  const [channel, peer] = yield* Effect.all(
    [WebSocketClient.connect("ws://test/"), Effect.flatMap(Queue.take(peers), answer)],
    { concurrency: "unbounded" }
  )
  return { channel, peer }
})

/** A server that tells how each connection ended. */
export const serveEnds = Effect.gen(function* () {
  const server = yield* WebSocketServer.WebSocketServer
  const ends = yield* Queue.unbounded<CloseEvent.CloseEvent>()
  yield* server.serve({
    onOpen: (channel) => Effect.flatMap(channel.closed, (end) => Queue.offer(ends, end))
  })
  return ends
})

/** How a connection ended, as a closing handshake of its own makes it. */
export const clean = (code: number, reason = ""): CloseEvent.CloseEvent => ({ wasClean: true, code, reason })

/** A handler that runs until its connection has ended. */
export const untilClosed = (channel: WebSocketChannel.Channel) => channel.closed

/** What is logged, from Info on, in one line each; and the layer that records it. */
export const recordLog = () => {
  const lines: Array<string> = []
  const logger = Logger.make(({ cause, logLevel, message }) => {
    const because = cause.reasons.length === 0 ? "" : `: ${Cause.prettyErrors(cause)[0]?.message}`
    lines.push(
      `${logLevel} ${[message]
        .flat()
        .filter((part) => typeof part === "string")
        .join(" ")}${because}`
    )
  })
  return { lines, layer: Logger.layer([logger]) }
}
