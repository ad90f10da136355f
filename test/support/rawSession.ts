/**
 * The library in one role, a raw peer in the other, the in-memory transport between them.
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import {
  type ClientOptions,
  type CloseEvent,
  type Message,
  type Options,
  Protocol,
  type ServerOptions,
  Transport,
  type WebSocketChannel,
  WebSocketClient,
  WebSocketCrypto,
  type WebSocketError,
  WebSocketServer
} from "effect-websocket"
import { InMemoryNetwork, type InMemoryTransport } from "effect-websocket/testing"
import { readyTransport } from "./apiSession.ts"
import { parseHead, RawPeer, requestHead, responseHead } from "./RawPeer.ts"

/** The role that the library plays. */
export type Role = "client" | "server"

export const roles: ReadonlyArray<Role> = ["server", "client"]

/** Options that both roles have, and those of {@link transportEnd}. */
export type CommonOptions = Pick<ServerOptions.ServerOptionsInput, keyof typeof Options.common> &
  Pick<ClientOptions.ClientOptionsInput, "serverConnectionDropTimeout">

/** How long a role waits for the end of the transport, by the option that it has for that. */
export const transportEnd = (role: Role, limit: "3 seconds" | "5 seconds" | 0): CommonOptions =>
  role === "client" ? { serverConnectionDropTimeout: limit } : { closeHandshakeTimeout: limit }

/** What a test sets beside the options. */
export interface Surroundings {
  readonly network?: InMemoryTransport.InMemoryOptions | undefined
  /** Replaces the randomness. Default: the platform's. */
  readonly crypto?: Layer.Layer<WebSocketCrypto.WebSocketCrypto>
}

/** Violations close with a Close frame. */
export const failByClose: CommonOptions = { failByDrop: false }

const target: Transport.TransportTarget = { host: "test", port: 80, secure: false, socketPath: undefined }

const protocol = ({ crypto = WebSocketCrypto.layer }: Surroundings) =>
  Layer.provide(Protocol.layerNoCrypto, crypto)

/** A library's server. `connect` gives a raw client, before its opening handshake. */
export const makeServer = Effect.fnUntraced(function* <E, R>(
  handlers: WebSocketServer.Handlers<E, R>,
  options: ServerOptions.ServerOptionsInput = {},
  surroundings: Surroundings = {}
) {
  const context = yield* WebSocketServer.layer(options).pipe(
    Layer.provideMerge(InMemoryNetwork.layer(surroundings.network)),
    Layer.provide(protocol(surroundings)),
    Layer.build,
    Effect.orDie
  )
  const server = Context.get(context, WebSocketServer.WebSocketServer)
  yield* server.serve(handlers)
  const connect = Context.get(context, Transport.TransportClient)
    .connect(target)
    .pipe(
      Effect.orDie,
      Effect.map((transport) => new RawPeer(transport, "client"))
    )
  const network = Context.get(context, InMemoryNetwork.InMemoryNetwork)
  return { connect, drain: server.drain, connections: server.connections, network }
})

/** A library's client, with a raw server in the network's other end. */
export const makeClient = Effect.fnUntraced(function* (
  options: ClientOptions.ClientOptionsInput = {},
  surroundings: Surroundings = {}
) {
  const context = yield* WebSocketClient.layer(options).pipe(
    Layer.provideMerge(InMemoryNetwork.layer(surroundings.network)),
    Layer.provide(protocol(surroundings)),
    Layer.build,
    Effect.orDie
  )
  const accepted = yield* Queue.unbounded<RawPeer>()
  yield* Context.get(context, Transport.TransportServer).accept((transport) => {
    Queue.offerUnsafe(accepted, new RawPeer(readyTransport(transport), "server"))
  })
  return {
    connect: Context.get(context, WebSocketClient.WebSocketClient).connect,
    /** The next connection that the client makes. */
    accept: Queue.take(accepted),
    /** The connections that the client has made and nobody has taken. */
    waiting: Queue.size(accepted),
    network: Context.get(context, InMemoryNetwork.InMemoryNetwork)
  }
})

/** What a client connects with. */
export interface Setup extends Surroundings {
  /** Default: `ws://test/`. */
  readonly url?: string
  readonly options?: ClientOptions.ClientOptionsInput
  readonly session?: WebSocketClient.SessionParameters
}

/** A client that has sent its request and waits. */
export const pending = Effect.fnUntraced(function* (setup: Setup = {}) {
  const client = yield* makeClient(setup.options, setup)
  const connecting = yield* Effect.forkChild(
    Effect.result(client.connect(setup.url ?? "ws://test/", setup.session))
  )
  const peer = yield* client.accept
  const request = yield* peer.readHead
  return { peer, request, key: parseHead(request).headers["sec-websocket-key"] ?? "", connecting }
})

/** A client's whole opening handshake; `respond` plays the server once the request is there. */
export const attempt = Effect.fnUntraced(function* (
  respond: (peer: RawPeer, key: string) => void,
  setup?: Setup
) {
  const { connecting, key, peer, request } = yield* pending(setup)
  respond(peer, key)
  const result = yield* Fiber.join(connecting)
  // Runs before the client's own finalizer, which waits for a closing handshake.
  yield* Effect.addFinalizer(() => Effect.sync(() => peer.drop()))
  return { peer, request, result }
})

/** An open connection between the library in `role` and a raw peer. */
export interface Session {
  readonly peer: RawPeer
  readonly channel: WebSocketChannel.Channel
}

/** Opens a connection with the library in `role`; the server's handler waits for its end. */
export const open = Effect.fnUntraced(function* (
  role: Role,
  options: CommonOptions = {},
  surroundings: Surroundings = {}
) {
  const session: Session = yield* role === "server"
    ? openServer(options, surroundings)
    : openClient(options, surroundings)
  return session
})

const openServer = Effect.fnUntraced(function* (options: CommonOptions, surroundings: Surroundings) {
  const opened = yield* Deferred.make<WebSocketChannel.Channel>()
  const server = yield* makeServer(
    { onOpen: (channel) => Effect.andThen(Deferred.succeed(opened, channel), channel.closed) },
    options,
    surroundings
  )
  const peer = yield* server.connect
  peer.send(requestHead())
  yield* peer.readHead
  return { peer, channel: yield* Deferred.await(opened) }
})

const openClient = Effect.fnUntraced(function* (options: CommonOptions, surroundings: Surroundings) {
  const { peer, result } = yield* attempt((server, key) => server.send(responseHead(key)), {
    ...surroundings,
    options
  })
  return { peer, channel: yield* Effect.orDie(Effect.fromResult(result)) }
})

/** What an application gets of a connection up to its end. */
export interface Received {
  readonly messages: ReadonlyArray<Message>
  /** Why the stream failed; `undefined` when it ended. */
  readonly failure: WebSocketError.WebSocketErrorReason | undefined
  readonly closed: CloseEvent.CloseEvent
}

/** Reads the channel to its end. */
export const received = Effect.fnUntraced(function* (channel: WebSocketChannel.Channel) {
  const messages: Array<Message> = []
  const result = yield* channel.messages.pipe(
    Stream.runForEach((message) => Effect.sync(() => void messages.push(message))),
    Effect.result
  )
  const outcome: Received = {
    messages,
    failure: Result.isFailure(result) ? result.failure.reason : undefined,
    closed: yield* channel.closed
  }
  return outcome
})

/** The next `count` messages. */
export const take = (channel: WebSocketChannel.Channel, count: number) =>
  Stream.runCollect(Stream.take(channel.messages, count))
