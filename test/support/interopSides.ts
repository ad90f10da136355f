/**
 * Our side of a connection with a peer, in either role.
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as NetAddress from "effect/net/NetAddress"
import type * as Scope from "effect/Scope"
import {
  ClientOptions,
  Compression,
  ConnectionDeny,
  type HandshakeError,
  type Options,
  Protocol,
  ServerOptions,
  type Transport,
  type WebSocketChannel,
  WebSocketClient,
  WebSocketServer
} from "effect-websocket"
import { NodeCompression, NodeTransportClient, NodeTransportServer } from "effect-websocket/node"
import { bzip2 } from "effect-websocket/node/bzip2"
import {
  idHeader,
  type ListenCommand,
  type Outcome,
  Peer,
  type PeerConnection,
  PeerFailure,
  type PeerHeaders,
  type PeerSetup,
  temporarySocketPath
} from "./interop.ts"

/** One connection, from both ends. */
export interface Pair {
  readonly ours: WebSocketChannel.Channel
  readonly peer: PeerConnection
}

/** How the client, whoever it is, opens the connection. */
export interface OpenOptions {
  readonly protocols?: ReadonlyArray<string>
  readonly headers?: PeerHeaders
  /** Only of Autobahn and of our client. */
  readonly origin?: string
  /** The HTTP proxy to connect through. Only of Autobahn and of our client. */
  readonly proxy?: { readonly host: string; readonly port: number }
  /** The path and query to ask for. Only of Autobahn and of our client. Default: `/`. */
  readonly resource?: string
  /** Over the Unix-domain socket. */
  readonly unix?: boolean
}

type Session<E> = WebSocketClient.SessionParameters<never, never, never, never, E>

/** What else our client can be told of one connection. */
export interface ClientOpenOptions<E>
  extends Omit<OpenOptions, "proxy">,
    Pick<Session<E>, "proxy" | "onConnecting" | "onConnect"> {
  /** The identifier in the header, for who makes the headers or waits for the peer. Default: a new one. */
  readonly id?: string
}

/** Our server or client, and a peer that is the other role. */
export interface Side {
  readonly open: (
    options?: OpenOptions
  ) => Effect.Effect<Pair, PeerFailure | HandshakeError.HandshakeError, Scope.Scope>
}

/** Options of both roles. */
export type CommonOptions = Pick<ServerOptions.ServerOptionsInput, keyof typeof Options.common>

/** What is special about our server, and about the peer that connects to it. */
export interface ServerSetup {
  readonly peer?: PeerSetup
  /** Listen here. Default: `127.0.0.1`. */
  readonly host?: string
  readonly tls?: NodeTransportServer.TlsOptions
  /** Default: denies one path; knows one subprotocol. */
  readonly onConnect?: WebSocketServer.OnConnect<never>
}

/** What is special about our client, and about the peer's server: without a `peer`, it is the one that peers have. */
export interface ClientSetup {
  readonly peer?: Omit<ListenCommand, "host">
  /** Where the peer listens. Default: `127.0.0.1`. */
  readonly host?: string
  /** The host in the URL. Default: where the peer listens. */
  readonly name?: string
  readonly tls?: NodeTransportClient.TlsOptions
}

let connections = 0
const nextId = (): string => `c${++connections}`

/** The connection that was made, if it was. */
export const connectionIn = (outcome: Outcome): Effect.Effect<PeerConnection, PeerFailure> =>
  outcome.connection === undefined
    ? Effect.fail(new PeerFailure({ message: `no connection: ${outcome.denial.message}` }))
    : Effect.succeed(outcome.connection)

/** The path of requests that our server and every peer's server deny. */
const denied = "/deny"

/** How our server denies them. */
export const denial = {
  status: 403,
  headers: { "x-denied-by": "effect-websocket" },
  body: "Not für you\n"
} as const

const accept: WebSocketServer.OnConnect<never> = (request) =>
  request.path === denied
    ? Effect.fail(new ConnectionDeny(denial))
    : Effect.succeed({
        subprotocol: request.protocols.find((protocol) => protocol === "beta"),
        headers: { "X-Interop-Server": "effect-websocket" }
      })

/** The protocol, with what we compress with where it is negotiated. */
const protocol = Layer.merge(Protocol.layer, Compression.layer([NodeCompression.deflate, bzip2]))

const localhost = "127.0.0.1"

const urlOf = (host: string, port: number, isSecure: boolean): string =>
  `${isSecure ? "wss" : "ws"}://${host.includes(":") ? `[${host}]` : host}:${port}`

/** Our server, on a port and on a Unix-domain socket. */
export const ourServer = Effect.fnUntraced(function* (
  options: ServerOptions.ServerOptionsInput = {},
  { host = localhost, onConnect = accept, peer: peerSetup, tls }: ServerSetup = {}
) {
  const peer = yield* Peer
  const socketPath = yield* temporarySocketPath
  const opened = new Map<string, Deferred.Deferred<WebSocketChannel.Channel>>()
  const openedOf = (id: string) => {
    const channel = opened.get(id) ?? Deferred.makeUnsafe<WebSocketChannel.Channel>()
    opened.set(id, channel)
    return channel
  }
  const handlers: WebSocketServer.Handlers = {
    onConnect,
    onOpen: (channel) =>
      Deferred.succeed(openedOf(channel.request?.headers[idHeader] ?? ""), channel).pipe(
        Effect.andThen(channel.closed)
      )
  }
  const serve = Effect.fnUntraced(function* (transport: ReturnType<typeof NodeTransportServer.layer>) {
    const layer = WebSocketServer.layer({ ...ServerOptions.hardened, ...options })
    const context = yield* Layer.build(Layer.provide(layer, [protocol, transport]))
    const server = Context.get(context, WebSocketServer.WebSocketServer)
    yield* server.serve(handlers)
    return server
  })
  const listen = { port: 0, host }
  const { address, drain } = yield* serve(
    tls === undefined ? NodeTransportServer.layer(listen) : NodeTransportServer.layerTls(listen, tls)
  )
  yield* serve(NodeTransportServer.layer({ path: socketPath }))
  const url = NetAddress.isInetAddress(address) ? urlOf(host, address.port, tls !== undefined) : ""

  const connect = (
    id: string,
    { headers, protocols = [], resource = "/", unix = false, ...session }: OpenOptions
  ) =>
    peer.connect(id, {
      ...peerSetup,
      ...session,
      url: `${url}${resource}`,
      protocols,
      headers: { ...headers, [idHeader]: id },
      ...(unix ? { socketPath } : {})
    })

  return {
    /** Where it listens, too. */
    socketPath,
    open: (options: OpenOptions = {}) =>
      Effect.suspend(() => {
        const id = nextId()
        return Effect.all(
          {
            ours: Deferred.await(openedOf(id)),
            peer: Effect.flatMap(connect(id, options), connectionIn)
          },
          { concurrency: "unbounded" }
        )
      }),
    /** Ends the connections on the port. */
    drain: drain(),
    /** Has the peer connect, and tells what became of it. */
    connect: (options: OpenOptions = {}) => Effect.suspend(() => connect(nextId(), options)),
    /** Has the peer ask for what is denied. */
    openDenied: Effect.suspend(() => connect(nextId(), { resource: denied }))
  }
})

/** Our client, for the server that the peer is. */
export const ourClient = Effect.fnUntraced(function* (
  options: ClientOptions.ClientOptionsInput = {},
  { host = localhost, name = host, peer: peerSetup, tls }: ClientSetup = {}
) {
  const peer = yield* Peer
  const context = yield* Layer.build(
    WebSocketClient.layer({ ...ClientOptions.hardened, ...options }).pipe(
      Layer.provide([protocol, NodeTransportClient.layer(tls)])
    )
  )
  const client = Context.get(context, WebSocketClient.WebSocketClient)
  const port = peerSetup === undefined ? peer.port : yield* peer.listen(nextId(), { ...peerSetup, host })
  const url = urlOf(name, port ?? 0, peerSetup?.tls !== undefined)

  const connect = <E>(
    id: string,
    { headers, resource = "/", unix = false, ...session }: ClientOpenOptions<E>
  ) =>
    client.connect(`${unix ? `ws://unix:${peer.socketPath}:` : url}${resource}`, {
      ...session,
      headers: { ...headers, [idHeader]: id }
    })

  return {
    open: <E = never>(options: ClientOpenOptions<E> = {}) =>
      Effect.suspend(() => {
        const { id = nextId() } = options
        return Effect.all(
          { ours: connect(id, options), peer: Effect.flatMap(peer.accepted(id), connectionIn) },
          { concurrency: "unbounded" }
        )
      }),
    /** Connects, with nothing known of the peer's side. */
    connect: <E = never>(options: ClientOpenOptions<E> = {}) =>
      Effect.suspend(() => connect(options.id ?? nextId(), options)),
    /** Asks for what is denied. */
    openDenied: client.connect(`${url}${denied}`)
  }
})

/** Either of them: what most tests need no more of. */
export type StartSide = (
  options?: CommonOptions,
  setup?: { readonly peer?: PeerSetup }
) => Effect.Effect<Side, Options.InvalidOptions | Transport.TransportError | PeerFailure, Peer | Scope.Scope>

/** Both of them. */
export const sides = [
  { side: "our server", start: ourServer },
  { side: "our client", start: ourClient }
] as const

/** Each row of a table on both sides. */
export const onBothSides = <const Row extends object>(rows: ReadonlyArray<Row>) =>
  sides.flatMap((side) => rows.map((row) => ({ ...side, ...row })))
