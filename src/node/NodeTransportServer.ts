/**
 * Accepting transports with `node:net` and `node:tls`.
 */

import * as Net from "node:net"
import type * as Tls from "node:tls"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as NetAddress from "effect/net/NetAddress"
import type * as Scope from "effect/Scope"
import { acceptor } from "../transport/Acceptor.ts"
import {
  type AcceptedTransport,
  accepted,
  type Transport,
  TransportError,
  TransportServer
} from "../transport/Transport.ts"
import { cannot } from "./Failure.ts"
import { addressOf, fromSocket } from "./NodeTransport.ts"

/** Where to listen: `port` (0: any free one) and `host`, or `path` of a Unix-domain socket. */
export type ListenOptions = Net.ListenOptions

/**
 * TLS of a server: `key` and `cert` at least. Clients may resume their sessions; up to TLS 1.2 none may
 * renegotiate, as each time costs the server far more than the client.
 */
export type TlsOptions = Tls.TlsOptions

/** Listens with TCP or on a Unix-domain socket until the scope closes. */
export const make = (
  listen: ListenOptions
): Effect.Effect<TransportServer["Service"], TransportError, Scope.Scope> =>
  // A connection ends its own side when it is ready to, not when the peer does.
  listening(listen, { allowHalfOpen: true }, (socket, local) => accepted(fromSocket(socket, local)))

/** Listens with TLS until the scope closes. The TLS handshake is part of what it hands over. */
export const makeTls = Effect.fnUntraced(function* (
  listen: ListenOptions,
  tls: TlsOptions
): Effect.fn.Return<TransportServer["Service"], TransportError, Scope.Scope> {
  // A certificate that cannot be read is thrown.
  const acceptTls = yield* Effect.try({ try: () => tlsAcceptor(tls), catch: cannotListen(listen) })
  // Who ends its side during the TLS handshake is gone.
  return yield* listening(listen, { ...tls, allowHalfOpen: false }, acceptTls)
})

/** A TCP or Unix-domain server. */
export const layer = (listen: ListenOptions): Layer.Layer<TransportServer, TransportError> =>
  Layer.effect(TransportServer, make(listen))

/** A TLS server. */
export const layerTls = (
  listen: ListenOptions,
  tls: TlsOptions
): Layer.Layer<TransportServer, TransportError> => Layer.effect(TransportServer, makeTls(listen, tls))

const listening = Effect.fnUntraced(function* (
  options: ListenOptions,
  socketOptions: Net.ServerOpts,
  accept: (socket: Net.Socket, local: NetAddress.SocketAddress | undefined) => AcceptedTransport
): Effect.fn.Return<TransportServer["Service"], TransportError, Scope.Scope> {
  const accepting = acceptor()
  const server = yield* Effect.acquireRelease(
    // A socket reads when someone listens.
    Effect.sync(() => Net.createServer({ ...socketOptions, pauseOnConnect: true })),
    (server) =>
      Effect.callback<void>((resume) => {
        accepting.close()
        // The lookup of a host cannot be stopped: the server listens when it is over.
        server.once("listening", () => server.close())
        if (server.listening) server.close(() => resume(Effect.void))
        else resume(Effect.void)
      })
  )
  // That of all its sockets, unless it listens on all addresses.
  let local: NetAddress.SocketAddress | undefined
  server.on("connection", (socket) => accepting.onTransport(accept(socket, local)))
  yield* Effect.callback<void, TransportError>((resume) => {
    const fail = (cause: unknown) => resume(Effect.fail(cannotListen(options)(cause)))
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
  const address = boundAddress(server)
  if (NetAddress.isInetAddress(address) && !NetAddress.isUnspecified(address.address)) local = address
  return TransportServer.of({
    address,
    accept: accepting.accept,
    stop: Effect.sync(() => {
      if (server.listening) server.close()
    })
  })
})

/**
 * Accepts sockets for TLS. The handshakes, with the verification of certificates, are those of a `tls.Server`
 * that does not listen.
 */
const tlsAcceptor = (tls: TlsOptions): ((socket: Net.Socket) => AcceptedTransport) => {
  // Loaded here, as it takes longer to load than all of this package.
  const { createServer } = process.getBuiltinModule("node:tls")
  const { constants } = process.getBuiltinModule("node:crypto")
  const secureOptions = (tls.secureOptions ?? 0) | constants.SSL_OP_NO_RENEGOTIATION
  const server = createServer({ ...tls, secureOptions, pauseOnConnect: true })
  const handshakes = new WeakMap<Net.Socket, (outcome: Effect.Effect<Transport, TransportError>) => void>()
  const settle = (secured: Tls.TLSSocket, outcome: Effect.Effect<Transport, TransportError>) =>
    // Node documents no way from a TLS socket to the socket under it.
    handshakes.get(Reflect.get(secured, "_parent"))?.(outcome)
  server.on("secureConnection", (secured) => {
    secured.allowHalfOpen = true
    settle(secured, Effect.succeed(fromSocket(secured)))
  })
  server.on("tlsClientError", (cause, secured) => {
    secured.destroy()
    settle(secured, Effect.fail(handshakeFailed(cause)))
  })
  return (socket) => {
    // A reset while it waits; its end is told by the TLS socket.
    socket.on("error", () => {})
    return {
      transport: Effect.callback((resume) => {
        // It was dropped while it waited: nothing would be told of it.
        if (socket.destroyed) return resume(Effect.fail(handshakeFailed(undefined)))
        handshakes.set(socket, resume)
        server.emit("connection", socket)
        return Effect.sync(() => socket.destroy())
      }),
      request: undefined,
      abort: () => void socket.destroy()
    }
  }
}

const handshakeFailed = (cause: unknown) => new TransportError({ message: "the TLS handshake failed", cause })

const cannotListen =
  ({ host = "all addresses", path, port }: ListenOptions) =>
  (cause: unknown): TransportError =>
    cannot(`listen on ${path ?? `${host}, port ${port}`}`, cause)

/** The address that a listening server is bound to. */
export const boundAddress = (server: Net.Server): NetAddress.SocketAddress => {
  const address = server.address()
  if (typeof address === "string") return NetAddress.unixPathAddress(address)
  return addressOf(address?.address, address?.port) ?? unspecified
}

const unspecified = NetAddress.inetAddressUnsafe(NetAddress.ipv4Unspecified, 0)
