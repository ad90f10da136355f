/**
 * An open channel, and at the other end of its in-memory network a peer that a test speaks for byte by
 * byte, with the network's means in the test's hands: back pressure, faults, and a record of the writes.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as NetAddress from "effect/net/NetAddress"
import {
  type ClientOptions,
  Protocol,
  type ServerOptions,
  Transport,
  type WebSocketChannel,
  WebSocketClient,
  WebSocketServer
} from "effect-websocket"
import { InMemoryTransport } from "effect-websocket/testing"
import { parseHead, RawPeer, requestHead, responseHead } from "./RawPeer.ts"

export type Role = "client" | "server"

export const roles: ReadonlyArray<Role> = ["server", "client"]

/** Options that both roles have. */
export type CommonOptions = Omit<ServerOptions.ServerOptionsInput, "perMessageCompressionAccept"> &
  Omit<ClientOptions.ClientOptionsInput, "perMessageCompressionAccept">

export interface Surroundings {
  readonly network?: InMemoryTransport.InMemoryOptions
  /** Default: the protocol as it is. */
  readonly protocol?: Layer.Layer<Protocol.Protocol>
  /** The peer's Sec-WebSocket-Extensions. Default: none. */
  readonly extensions?: string
}

export interface Session {
  readonly channel: WebSocketChannel.Channel
  readonly peer: RawPeer
  /** The peer's end of the network: pause it to hold back the channel. */
  readonly peerEnd: Transport.Transport
  /** Bytes of each write of the channel, since it is open. */
  readonly writes: ReadonlyArray<number>
  readonly faults: InMemoryTransport.Faults
}

/** Lets everything happen that can happen without time passing or anybody acting. */
export const settle: Effect.Effect<void> = Effect.promise(async () => {
  for (let turn = 0; turn < 25; turn++) await new Promise((resolve) => setImmediate(resolve))
})

/** The same transport, with each write's bytes told to `onWrite`. */
export const observed = (
  transport: Transport.Transport,
  onWrite: (bytes: number) => void
): Transport.Transport => ({
  channelType: transport.channelType,
  peer: transport.peer,
  local: transport.local,
  tls: transport.tls,
  get bufferedAmount() {
    return transport.bufferedAmount
  },
  listen: (listener) => transport.listen(listener),
  pause: () => transport.pause(),
  resume: () => transport.resume(),
  write: (chunks) => {
    onWrite(chunks.reduce((sum, chunk) => sum + chunk.length, 0))
    transport.write(chunks)
  },
  end: () => transport.end(),
  abort: () => transport.abort(),
  setNoDelay: (enabled) => transport.setNoDelay(enabled)
})

/** What an in-memory network hands over is ready at once. */
export const readyTransport = ({ transport }: Transport.AcceptedTransport): Transport.Transport =>
  Effect.runSync(transport)

/** A server's network with one connection: this one. */
export const accepting = (transport: Transport.Transport): Layer.Layer<Transport.TransportServer> =>
  Layer.succeed(Transport.TransportServer, {
    address: NetAddress.inetAddressUnsafe(NetAddress.ipv4Loopback, 80),
    accept: (onTransport) => Effect.sync(() => onTransport(Transport.accepted(transport))),
    stop: Effect.void
  })

/** A client's network that leads to the other end of this connection. */
export const connecting = (transport: Transport.Transport): Layer.Layer<Transport.TransportClient> =>
  Layer.succeed(Transport.TransportClient, { connect: () => Effect.succeed(transport) })

/** Opens a channel in `role`; a server's handler waits for the end of the connection. */
export const open = Effect.fnUntraced(function* (
  role: Role,
  options: CommonOptions = {},
  surroundings: Surroundings = {}
) {
  const { protocol = Protocol.layer } = surroundings
  const pair = yield* InMemoryTransport.makePair(surroundings.network)
  const writes: Array<number> = []
  const own = observed(role === "server" ? pair.server : pair.client, (bytes) => void writes.push(bytes))
  const peerEnd = role === "server" ? pair.client : pair.server
  const peer = new RawPeer(peerEnd, role === "server" ? "client" : "server")
  const open = role === "server" ? openServer : openClient
  const channel = yield* open(own, peer, options, protocol, {
    "Sec-WebSocket-Extensions": surroundings.extensions
  })
  // Runs before the channel's own end, which would wait for a peer that is gone.
  yield* Effect.addFinalizer(() => pair.faults.reset)
  writes.length = 0
  const session: Session = { channel, peer, peerEnd, writes, faults: pair.faults }
  return session
})

type HeaderLines = Readonly<Record<string, string | undefined>>

const openServer = Effect.fnUntraced(function* (
  own: Transport.Transport,
  peer: RawPeer,
  options: CommonOptions,
  protocol: Layer.Layer<Protocol.Protocol>,
  lines: HeaderLines
) {
  const opened = yield* Deferred.make<WebSocketChannel.Channel>()
  yield* WebSocketServer.serve({
    onOpen: (channel) => Effect.andThen(Deferred.succeed(opened, channel), channel.closed)
  }).pipe(
    Layer.provide(WebSocketServer.layer(options)),
    Layer.provide([protocol, accepting(own)]),
    Layer.build,
    Effect.orDie
  )
  peer.send(requestHead(lines))
  yield* peer.readHead
  return yield* Deferred.await(opened)
})

const openClient = Effect.fnUntraced(function* (
  own: Transport.Transport,
  peer: RawPeer,
  options: CommonOptions,
  protocol: Layer.Layer<Protocol.Protocol>,
  lines: HeaderLines
) {
  const fiber = yield* WebSocketClient.make(options).pipe(
    Effect.flatMap((client) => client.connect("ws://test/")),
    Effect.provide([protocol, connecting(own)]),
    Effect.orDie,
    Effect.forkChild
  )
  const request = parseHead(yield* peer.readHead)
  peer.send(responseHead(request.headers["sec-websocket-key"] ?? "", lines))
  return yield* Fiber.join(fiber)
})
