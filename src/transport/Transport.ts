/**
 * The byte stream under a WebSocket connection.
 *
 * A transport calls back instead of being pulled: a connection reads on while
 * its application does not, because control frames must be answered and a Close
 * must be seen. Back pressure is `pause` and `resume` on the way in, and
 * `bufferedAmount` with `onDrain` on the way out.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as NetAddress from "effect/net/NetAddress"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { HttpHead } from "../handshake/HttpHead.ts"
import type { ProxyFailure, ProxyRefused } from "../handshake/ProxyConnect.ts"

/** What a transport tells its owner. No call is made from within a call on the transport. */
export interface TransportListener {
  /**
   * Bytes came; they belong to the listener, which may change them. Whether they are used up: if so, nothing refers
   * to them any more, and the transport may use their memory again.
   */
  onData(chunk: Uint8Array): boolean
  /** The peer has ended its side: no more bytes will come. */
  onEnd(): void
  /** `bufferedAmount` fell to 0 after it had been larger. */
  onDrain(): void
  /** The transport is gone, both ways; the last call. `cause` is set when it was lost by an error. */
  onClose(cause: unknown): void
}

/** What names a TLS connection to both its ends and to nobody else, for channel binding. */
export interface ChannelId {
  /**
   * How it is made: of the first Finished message up to TLS 1.2 (RFC 5929 section 3), of keying material of this
   * label in TLS 1.3 (RFC 9266, where the binding is named `tls-exporter`).
   */
  readonly type: "tls-unique" | "EXPORTER-Channel-Binding"
  readonly bytes: Uint8Array
}

/**
 * What is known of the TLS under a transport. `peerCertificate` and `channelId` are made when they are first
 * read, and `undefined` when that is after the end of the transport.
 */
export interface TlsFacts {
  /** `"TLSv1.3"`, for example. */
  readonly protocol: string
  readonly cipher: string
  /** Whether the peer's certificate was verified. */
  readonly authorized: boolean
  /** The peer's certificate (DER), if it has sent one. */
  readonly peerCertificate: Uint8Array | undefined
  readonly channelId: ChannelId | undefined
}

/**
 * What carries the bytes: `"tls"` over anything, a Unix-domain socket, the memory of this process, or a socket
 * of which no more is known.
 */
export type ChannelType = "tcp" | "tls" | "unix" | "memory" | "socket"

/** What is known of a transport (Autobahn's `TransportDetails`). */
export interface TransportDetails {
  readonly channelType: ChannelType
  /** This end's address, where it is known. */
  readonly local: NetAddress.SocketAddress | undefined
  /** The other end's address, where it is known: through a proxy, the proxy's. */
  readonly peer: NetAddress.SocketAddress | undefined
  /** Whether TLS is spoken. */
  readonly secure: boolean
  /** As in {@link TlsFacts}. */
  readonly peerCertificate: Uint8Array | undefined
  /** As in {@link TlsFacts}. */
  readonly channelId: ChannelId | undefined
}

/** A connected byte stream. All calls are synchronous and never fail: failures come as `onClose`. */
export interface Transport {
  readonly channelType: ChannelType
  readonly peer: NetAddress.SocketAddress | undefined
  readonly local: NetAddress.SocketAddress | undefined
  readonly tls: TlsFacts | undefined
  /** Bytes written that the network has not taken; one write that leaves in this turn of the event loop need not count. */
  readonly bufferedAmount: number
  /** Starts reading, or hands the transport on: a listener that comes after `onClose` is told again. */
  listen(listener: TransportListener): void
  /** Stops reading: no `onData` and no `onEnd` until `resume`. */
  pause(): void
  resume(): void
  /** Writes the chunks in order, in as few system calls as it can. They must not change any more. */
  write(chunks: ReadonlyArray<Uint8Array>): void
  /** Ends this side once everything is written (TCP FIN). Reading goes on. */
  end(): void
  /** Drops the transport both ways, at once. */
  abort(): void
  /** Send small packets without delay, where the transport knows of such a thing (TCP_NODELAY). */
  setNoDelay(enabled: boolean): void
}

/** What is known of a transport. */
export const detailsOf = ({ channelType, local, peer, tls }: Transport): TransportDetails => ({
  channelType,
  local,
  peer,
  secure: tls !== undefined,
  get peerCertificate() {
    return tls?.peerCertificate
  },
  get channelId() {
    return tls?.channelId
  }
})

/** A transport could not be opened, or a server could not listen. */
export class TransportError extends Schema.TaggedError<TransportError>()("TransportError", {
  /** What was tried. */
  message: Schema.String,
  cause: Schema.Defect()
}) {}

/** Where a client connects to. */
export interface TransportTarget {
  readonly host: string
  readonly port: number
  /** Use TLS, and verify the peer for `host`. */
  readonly secure: boolean
  /** A Unix-domain socket's path, instead of host and port. */
  readonly socketPath: string | undefined
  /** The HTTP proxy to go through. Default: none. */
  readonly proxy?: ProxyTunnel | undefined
}

/** An HTTP proxy, and how to get to a target through it. */
export interface ProxyTunnel {
  readonly host: string
  readonly port: number
  /**
   * Asks the proxy at the other end of the transport for a tunnel to the target. Succeeds with the bytes that
   * came after the proxy's answer: they are the target's.
   */
  readonly open: (transport: Transport) => Effect.Effect<Uint8Array, ProxyRefused | ProxyFailure>
}

/** Opens transports: the client's side of the network. */
export class TransportClient extends Context.Service<
  TransportClient,
  {
    /** Connects; the transport is dropped when the scope closes, unless it has closed before. */
    readonly connect: (
      target: TransportTarget
    ) => Effect.Effect<Transport, TransportError | ProxyRefused | ProxyFailure, Scope.Scope>
  }
>()("effect-websocket/transport/TransportClient") {}

/** The head of an opening request that an HTTP server read before it handed the transport over. */
export interface ReceivedRequest {
  readonly head: HttpHead
  /** Bytes that came after the head. */
  readonly rest: Uint8Array
}

/** A connection that a server has accepted. */
export interface AcceptedTransport {
  /** The transport, after what there is to do before: a TLS handshake. Interrupting it drops the connection. */
  readonly transport: Effect.Effect<Transport, TransportError>
  /** The request, where an HTTP server has read it already. */
  readonly request: ReceivedRequest | undefined
  /** Drops the connection at once, however far it has come. */
  readonly abort: () => void
}

/** An accepted transport with nothing left to do. */
export const accepted = (transport: Transport, request?: ReceivedRequest): AcceptedTransport => ({
  transport: Effect.succeed(transport),
  request,
  abort: () => transport.abort()
})

/** Takes over an accepted transport. */
export type OnTransport = (accepted: AcceptedTransport) => void

/** Accepts transports: the server's side of the network. */
export class TransportServer extends Context.Service<
  TransportServer,
  {
    /** The address it is bound to: with port 0, the port that was given. */
    readonly address: NetAddress.SocketAddress
    /**
     * Hands every transport to `onTransport` as soon as it is accepted, from now on until the scope closes.
     * What was accepted before is handed over first.
     */
    readonly accept: (onTransport: OnTransport) => Effect.Effect<void, never, Scope.Scope>
    /** Stops accepting; what was accepted stays. */
    readonly stop: Effect.Effect<void>
  }
>()("effect-websocket/transport/TransportServer") {}
