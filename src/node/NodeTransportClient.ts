/**
 * Opening transports with `node:net` and `node:tls`.
 */

import * as Net from "node:net"
import type * as Tls from "node:tls"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { ProxyFailure } from "../handshake/ProxyConnect.ts"
import {
  type ProxyTunnel,
  TransportClient,
  type TransportError,
  type TransportTarget
} from "../transport/Transport.ts"
import { cannot } from "./Failure.ts"
import { fromSocket } from "./NodeTransport.ts"

/** TLS of a client: a `ca` of one's own, a client certificate. The server is verified unless this says otherwise. */
export type TlsOptions = Tls.ConnectionOptions

/**
 * Connects with TCP, TLS, or to a Unix-domain socket, as the URL says, and through a proxy if there is one. A
 * server that was reached with TLS before is offered to resume its session.
 */
export const layer = (tls: TlsOptions = {}): Layer.Layer<TransportClient> =>
  Layer.sync(TransportClient, () => {
    const openTls = tlsOpener(tls)
    return {
      connect: Effect.fnUntraced(function* (target) {
        if (target.proxy !== undefined) return yield* throughProxy(target.proxy, target, openTls)
        const address = addressOf(target)
        return fromSocket(yield* target.secure ? openTls(target, address) : openPlain(target, address))
      })
    }
  })

/** A transport to the target that begins as one to the proxy. */
const throughProxy = Effect.fnUntraced(function* (
  proxy: ProxyTunnel,
  target: TransportTarget,
  openTls: OpenTls
) {
  const { host, port } = proxy
  const to = { host, port, socketPath: undefined }
  const socket = yield* Effect.mapError(
    openPlain(to, addressOf(to)),
    ({ cause, message }) => new ProxyFailure({ message: `the proxy: ${message}`, cause })
  )
  const transport = fromSocket(socket)
  const rest = yield* proxy.open(transport)
  // The target's first bytes: the next reader gets them, TLS included.
  if (rest.length > 0) socket.unshift(rest)
  return target.secure ? fromSocket(yield* openTls(target, { socket })) : transport
})

type Endpoint = Pick<TransportTarget, "host" | "port" | "socketPath">

const addressOf = ({ host, port, socketPath }: Endpoint): Net.NetConnectOpts =>
  socketPath === undefined ? { host, port } : { path: socketPath }

// A connection ends its own side when it is ready to, not when the peer does.
const halfOpen = { allowHalfOpen: true }

// An IP address must not be sent as server name (RFC 6066 section 3).
const sni = (host: string): { readonly servername?: string } =>
  Net.isIP(host) === 0 ? { servername: host } : {}

const openPlain = (endpoint: Endpoint, address: Net.NetConnectOpts) =>
  openSocket(endpoint, "connect", () => Net.connect({ ...address, ...halfOpen }))

/** TLS on a new connection, or on one that is there. `host` is what the server is verified for, in either case. */
type OpenTls = (
  target: TransportTarget,
  on: Net.NetConnectOpts | { readonly socket: Net.Socket }
) => Effect.Effect<Net.Socket, TransportError, Scope.Scope>

const tlsOpener = (tls: TlsOptions): OpenTls => {
  const sessions = new Sessions()
  return (target, on) =>
    openSocket(target, "secureConnect", () => {
      // Loaded here, as it takes longer to load than all of this package.
      const { connect } = process.getBuiltinModule("node:tls")
      const resumed = sessions.with(target)
      const socket = connect({
        ...sni(target.host),
        ...resumed,
        ...tls,
        host: target.host,
        ...on,
        ...halfOpen
      })
      sessions.keepThoseOf(target, socket)
      return socket
    })
}

/** The last TLS session with each of the servers that were reached last. */
class Sessions {
  readonly #sessions = new Map<string, Buffer>()

  with(target: TransportTarget): { readonly session?: Buffer } {
    const session = this.#sessions.get(nameOf(target))
    return session === undefined ? {} : { session }
  }

  keepThoseOf(target: TransportTarget, socket: Tls.TLSSocket): void {
    const name = nameOf(target)
    socket.once("error", () => this.#sessions.delete(name))
    // A server is not verified again when its session is resumed: only one that has been verified is remembered.
    socket.once("secureConnect", () => {
      // Since TLS 1.3 sessions come later.
      const session = socket.getProtocol() === "TLSv1.3" ? undefined : socket.getSession()
      if (session !== undefined) this.#keep(name, session)
      socket.on("session", (session) => this.#keep(name, session))
    })
  }

  #keep(name: string, session: Buffer): void {
    this.#sessions.delete(name)
    this.#sessions.set(name, session)
    const [oldest = name] = this.#sessions.keys()
    if (this.#sessions.size > mostSessions) this.#sessions.delete(oldest)
  }
}

const mostSessions = 100

const nameOf = ({ host, port, socketPath = "" }: Endpoint): string => `${host} ${port} ${socketPath}`

/** A connected socket, which is destroyed when the scope closes. */
const openSocket = (
  { host, port, socketPath }: Endpoint,
  event: "connect" | "secureConnect",
  connect: () => Net.Socket
): Effect.Effect<Net.Socket, TransportError, Scope.Scope> => {
  const opening = Effect.callback<Net.Socket, TransportError>((resume) => {
    const where = socketPath ?? `${host}, port ${port}`
    const onError = (cause: unknown) => resume(Effect.fail(cannot(`connect to ${where}`, cause)))
    let socket: Net.Socket
    try {
      socket = connect()
    } catch (cause) {
      return onError(cause) // a certificate that cannot be read
    }
    socket.once("error", onError)
    socket.once(event, () => {
      socket.off("error", onError)
      resume(Effect.succeed(socket))
    })
    return Effect.sync(() => socket.destroy())
  })
  return Effect.acquireRelease(opening, (socket) => Effect.sync(() => socket.destroy()), {
    interruptible: true
  })
}
