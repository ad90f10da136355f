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
  ConnectionDeny,
  type HandshakeError,
  type Options,
  ServerOptions,
  type Transport,
  type WebSocketChannel,
  WebSocketClient,
  WebSocketServer
} from "effect-websocket"
import { NodeWebSocketClient, NodeWebSocketServer } from "effect-websocket/node"
import {
  idHeader,
  type Outcome,
  Peer,
  type PeerConnection,
  PeerFailure,
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
  readonly headers?: Readonly<Record<string, string>>
  /** Over the Unix-domain socket. */
  readonly unix?: boolean
}

/** Our server or client, and a peer that is the other role. */
export interface Side {
  readonly open: (
    options?: OpenOptions
  ) => Effect.Effect<Pair, PeerFailure | HandshakeError.HandshakeError, Scope.Scope>
}

/** Options of both roles. */
export type CommonOptions = Partial<
  Pick<
    ServerOptions.ServerOptionsInput & ClientOptions.ClientOptionsInput,
    "autoFragmentSize" | "maxMessagePayloadSize"
  >
>

let connections = 0
const nextId = (): string => `c${++connections}`

const connectionIn = (outcome: Outcome): Effect.Effect<PeerConnection, PeerFailure> =>
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

/** Our server, on a port and on a Unix-domain socket. */
export const ourServer = Effect.fnUntraced(function* (options: CommonOptions = {}) {
  const peer = yield* Peer
  const socketPath = yield* temporarySocketPath
  const opened = new Map<string, Deferred.Deferred<WebSocketChannel.Channel>>()
  const openedOf = (id: string) => {
    const channel = opened.get(id) ?? Deferred.makeUnsafe<WebSocketChannel.Channel>()
    opened.set(id, channel)
    return channel
  }
  const handlers: WebSocketServer.Handlers = {
    onConnect: (request) =>
      request.path === denied
        ? Effect.fail(new ConnectionDeny(denial))
        : Effect.succeed({
            subprotocol: request.protocols.find((protocol) => protocol === "beta"),
            headers: { "X-Interop-Server": "effect-websocket" }
          }),
    onOpen: (channel) =>
      Deferred.succeed(openedOf(channel.request?.headers[idHeader] ?? ""), channel).pipe(
        Effect.andThen(channel.closed)
      )
  }
  const serve = Effect.fnUntraced(function* (
    listen: { readonly port: 0; readonly host: string } | { readonly path: string }
  ) {
    const context = yield* Layer.build(
      NodeWebSocketServer.layer(listen, { ...ServerOptions.hardened, ...options })
    )
    const server = Context.get(context, WebSocketServer.WebSocketServer)
    yield* server.serve(handlers)
    return server
  })
  const { address, drain } = yield* serve({ port: 0, host: "127.0.0.1" })
  yield* serve({ path: socketPath })
  const url = NetAddress.isInetAddress(address) ? `ws://127.0.0.1:${address.port}` : ""

  const connect = (path: string, id: string, { headers, protocols = [], unix = false }: OpenOptions) =>
    peer.connect(id, {
      url: `${url}${path}`,
      protocols,
      headers: { ...headers, [idHeader]: id },
      ...(unix ? { socketPath } : {})
    })

  return {
    open: (options: OpenOptions = {}) =>
      Effect.suspend(() => {
        const id = nextId()
        return Effect.all(
          {
            ours: Deferred.await(openedOf(id)),
            peer: Effect.flatMap(connect("/", id, options), connectionIn)
          },
          { concurrency: "unbounded" }
        )
      }),
    /** Ends the connections on the port. */
    drain: drain(),
    /** Has the peer ask for what is denied. */
    openDenied: Effect.suspend(() => connect(denied, nextId(), {}))
  }
})

/** Our client, for the server that the peer is. */
export const ourClient = Effect.fnUntraced(function* (options: CommonOptions = {}) {
  const peer = yield* Peer
  const context = yield* Layer.build(NodeWebSocketClient.layer({ ...ClientOptions.hardened, ...options }))
  const client = Context.get(context, WebSocketClient.WebSocketClient)
  const url = `ws://127.0.0.1:${peer.port}`
  return {
    open: ({ headers, protocols = [], unix = false }: OpenOptions = {}) =>
      Effect.suspend(() => {
        const id = nextId()
        return Effect.all(
          {
            ours: client.connect(unix ? `ws://unix:${peer.socketPath}` : `${url}/`, {
              protocols,
              headers: { ...headers, [idHeader]: id }
            }),
            peer: Effect.flatMap(peer.accepted(id), connectionIn)
          },
          { concurrency: "unbounded" }
        )
      }),
    /** Asks for what is denied. */
    openDenied: client.connect(`${url}${denied}`)
  }
})

/** Either of them: what most tests need no more of. */
export type StartSide = (
  options?: CommonOptions
) => Effect.Effect<Side, Options.InvalidOptions | Transport.TransportError, Peer | Scope.Scope>
