/**
 * Opening transports with `node:net` and `node:tls`.
 */

import * as Net from "node:net"
import * as Tls from "node:tls"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { TransportClient, TransportError, type TransportTarget } from "../transport/Transport.ts"
import { fromSocket } from "./NodeTransport.ts"

/** TLS of a client: a `ca` of one's own, a client certificate. The server is verified unless this says otherwise. */
export type TlsOptions = Tls.ConnectionOptions

/** Connects with TCP, TLS, or to a Unix-domain socket, as the URL says. */
export const layer = (tls: TlsOptions = {}): Layer.Layer<TransportClient> =>
  Layer.succeed(TransportClient, {
    connect: (target) =>
      Effect.acquireRelease(openSocket(target, tls), (socket) => Effect.sync(() => socket.destroy()), {
        interruptible: true
      }).pipe(Effect.map(fromSocket))
  })

// A connection ends its own side when it is ready to, not when the peer does.
const halfOpen = { allowHalfOpen: true }

// An IP address must not be sent as server name (RFC 6066 section 3).
const sni = (host: string): { readonly servername?: string } =>
  Net.isIP(host) === 0 ? { servername: host } : {}

const openSocket = (target: TransportTarget, tls: TlsOptions): Effect.Effect<Net.Socket, TransportError> =>
  Effect.callback<Net.Socket, TransportError>((resume) => {
    const { host, port, secure, socketPath } = target
    const address = socketPath === undefined ? { host, port } : { path: socketPath }
    const where = socketPath ?? `${host}, port ${port}`
    const onError = (cause: unknown) => {
      const why = cause instanceof Error ? cause.message : String(cause)
      resume(Effect.fail(new TransportError({ message: `cannot connect to ${where}: ${why}`, cause })))
    }
    let socket: Net.Socket
    try {
      socket = secure
        ? Tls.connect({ ...sni(host), ...tls, ...address, ...halfOpen })
        : Net.connect({ ...address, ...halfOpen })
    } catch (cause) {
      return onError(cause) // a certificate that cannot be read
    }
    socket.once("error", onError)
    socket.once(secure ? "secureConnect" : "connect", () => {
      socket.off("error", onError)
      resume(Effect.succeed(socket))
    })
    return Effect.sync(() => socket.destroy())
  })
