/**
 * Accepting transports with `node:net` and `node:tls`.
 */

import * as Net from "node:net"
import * as Tls from "node:tls"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as NetAddress from "effect/net/NetAddress"
import type * as Scope from "effect/Scope"
import { acceptor } from "../transport/Acceptor.ts"
import { TransportError, TransportServer } from "../transport/Transport.ts"
import { addressOf, fromSocket } from "./NodeTransport.ts"

/** Where to listen: `port` (0: any free one) and `host`, or `path` of a Unix-domain socket. */
export type ListenOptions = Net.ListenOptions

/** TLS of a server: `key` and `cert` at least. */
export type TlsOptions = Tls.TlsOptions

/** Listens with TCP or on a Unix-domain socket until the scope closes. */
export const make = (
  listen: ListenOptions
): Effect.Effect<TransportServer["Service"], TransportError, Scope.Scope> =>
  listening(() => Net.createServer(socketOptions), "connection", listen)

/** Listens with TLS until the scope closes. */
export const makeTls = (
  listen: ListenOptions,
  tls: TlsOptions
): Effect.Effect<TransportServer["Service"], TransportError, Scope.Scope> =>
  listening(() => Tls.createServer({ ...tls, ...socketOptions }), "secureConnection", listen)

/** A TCP or Unix-domain server. */
export const layer = (listen: ListenOptions): Layer.Layer<TransportServer, TransportError> =>
  Layer.effect(TransportServer, make(listen))

/** A TLS server. */
export const layerTls = (
  listen: ListenOptions,
  tls: TlsOptions
): Layer.Layer<TransportServer, TransportError> => Layer.effect(TransportServer, makeTls(listen, tls))

// A connection ends its own side when it is ready to, not when the peer does; and it
// reads when someone listens.
const socketOptions = { allowHalfOpen: true, pauseOnConnect: true }

const listening = Effect.fnUntraced(function* (
  createServer: () => Net.Server,
  connectionEvent: "connection" | "secureConnection",
  options: ListenOptions
): Effect.fn.Return<TransportServer["Service"], TransportError, Scope.Scope> {
  const accepting = acceptor()
  // By peer, the connections whose TLS handshake is under way: nobody else knows them.
  const unfinished = new Map<string, Net.Socket>()
  const dropUnfinished = () => {
    for (const socket of unfinished.values()) socket.destroy()
  }
  const failure = (cause: unknown) =>
    new TransportError({
      message: `cannot listen on ${describe(options)}: ${cause instanceof Error ? cause.message : String(cause)}`,
      cause
    })
  // A certificate that cannot be read is thrown.
  const server = yield* Effect.acquireRelease(Effect.try({ try: createServer, catch: failure }), (server) =>
    Effect.callback<void>((resume) => {
      accepting.close()
      dropUnfinished()
      if (server.listening) server.close(() => resume(Effect.void))
      else resume(Effect.void)
    })
  )
  if (connectionEvent === "secureConnection") {
    server.on("connection", (socket: Net.Socket) => {
      const peer = peerOf(socket)
      unfinished.set(peer, socket)
      socket.once("close", () => unfinished.delete(peer))
    })
    server.on("secureConnection", (socket: Net.Socket) => unfinished.delete(peerOf(socket)))
  }
  server.on(connectionEvent, (socket: Net.Socket) => accepting.onTransport(fromSocket(socket), undefined))
  // A client that fails its TLS handshake is its own affair.
  server.on("tlsClientError", (_error, socket: Net.Socket) => socket.destroy())
  yield* Effect.callback<void, TransportError>((resume) => {
    const fail = (cause: unknown) => resume(Effect.fail(failure(cause)))
    server.once("error", fail)
    try {
      server.listen(options, () => resume(Effect.void))
    } catch (cause) {
      fail(cause) // a port that cannot be
    }
  })
  // Running out of file descriptors, for example: the connection is lost, the server goes on.
  const context = yield* Effect.context<never>()
  server.on("error", (error) => Effect.runForkWith(context)(Effect.logWarning("server error", error)))
  return TransportServer.of({
    address: boundAddress(server),
    accept: accepting.accept,
    stop: Effect.sync(() => {
      if (server.listening) server.close()
      dropUnfinished()
    })
  })
})

const peerOf = ({ remoteAddress, remotePort }: Net.Socket): string => `${remoteAddress} ${remotePort}`

const describe = ({ host = "all addresses", path, port }: ListenOptions): string =>
  path ?? `${host}, port ${port}`

/** The address that a listening server is bound to. */
export const boundAddress = (server: Net.Server): NetAddress.SocketAddress => {
  const address = server.address()
  if (typeof address === "string") return NetAddress.unixPathAddress(address)
  return addressOf(address?.address, address?.port) ?? unspecified
}

const unspecified = NetAddress.inetAddressUnsafe(NetAddress.ipv4Unspecified, 0)
