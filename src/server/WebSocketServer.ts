/**
 * A WebSocket server.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as NetAddress from "effect/net/NetAddress"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { LinkedList } from "../channel/LinkedList.ts"
import type { InvalidOptions } from "../channel/Options.ts"
import * as OptionsRef from "../channel/OptionsRef.ts"
import * as Protocol from "../channel/Protocol.ts"
import * as Timers from "../channel/Timers.ts"
import type { Channel, WebSocketChannel } from "../channel/WebSocketChannel.ts"
import * as CloseCode from "../frame/CloseCode.ts"
import {
  type AcceptedTransport,
  accepted,
  type ReceivedRequest,
  type Transport,
  TransportServer
} from "../transport/Transport.ts"
import { Places, Waiting } from "./Admission.ts"
import { type AnyServed, Served, type Service } from "./Served.ts"
import * as ServerHandshake from "./ServerHandshake.ts"
import * as ServerOptions from "./ServerOptions.ts"

export type { Accepted, OnConnect } from "./ServerHandshake.ts"

/** What an application does with connections. */
export interface Handlers<E = never, R = never, RC = never> {
  /**
   * Decides on a request: succeeds with a `ConnectionAccept`, one of the client's
   * subprotocols, or nothing, or fails with `ConnectionDeny`. Where it names no
   * subprotocol, the option `protocols` does. Default: accept all.
   */
  readonly onConnect?: ServerHandshake.OnConnect<RC> | undefined
  /**
   * Serves an open connection, in the connection's scope. When it succeeds, the
   * connection is closed with 1000; when it fails or dies, with 1011, and the cause
   * is logged. It should end when the connection has: `drain` waits for it.
   */
  readonly onOpen: (channel: Channel) => Effect.Effect<unknown, E, R>
}

/** What the handlers need of the application: the server provides the connection's scope, and the channel. */
export type Requirements<R, RC> = Exclude<R, WebSocketChannel | Scope.Scope> | Exclude<RC, Scope.Scope>

/** How a drain ended. */
export interface DrainResult {
  /** Connections whose handlers had finished in time. */
  readonly finished: number
  /** Connections that were dropped when the time was over. */
  readonly dropped: number
}

/** A server that listens: serve connections, count them, drain them. */
export class WebSocketServer extends Context.Service<
  WebSocketServer,
  {
    /** The address it is bound to: with port 0, the port that was given. */
    readonly address: NetAddress.SocketAddress
    /** The options, which may be changed: a connection gets them as they are when it is accepted. */
    readonly options: OptionsRef.OptionsRef<ServerOptions.ServerOptionsInput, ServerOptions.ServerOptions>
    /** The number of open connections. */
    readonly connections: Effect.Effect<number>
    /**
     * Serves connections until the scope closes, which drains the server within the option
     * `drainTimeout`: it is served once. See {@link serve} for the layer.
     */
    readonly serve: <E = never, R = never, RC = never>(
      handlers: Handlers<E, R, RC>
    ) => Effect.Effect<void, never, Requirements<R, RC> | Scope.Scope>
    /**
     * Serves the request that an HTTP server has read from `transport` as one of this server's connections, with
     * the services of the caller, until it has ended. Without a transport the request cannot become a connection.
     * Succeeds with the HTTP response that refused the request, a whole one: it has been sent on the transport
     * where there is one. Interruption closes the connection with 1001, and waits for its handler; during the
     * opening handshake it drops the transport.
     */
    readonly serveRequest: <E = never, R = never, RC = never>(
      handlers: Handlers<E, R, RC>,
      transport: Transport | undefined,
      received: ReceivedRequest
    ) => Effect.Effect<Uint8Array | undefined, never, Requirements<R, RC>>
    /**
     * Stops accepting, closes every connection with 1001, and waits for closing
     * handshakes and handlers. What has not ended within `limit` is dropped. Default:
     * the option `drainTimeout`.
     */
    readonly drain: (limit?: Duration.Input) => Effect.Effect<DrainResult>
  }
>()("effect-websocket/server/WebSocketServer") {}

/** Serves connections with the server in context: `Layer.provide` it with a server's layer. */
export const serve = <E = never, R = never, RC = never>(
  handlers: Handlers<E, R, RC>
): Layer.Layer<never, never, WebSocketServer | Requirements<R, RC>> =>
  Layer.effectDiscard(Effect.flatMap(WebSocketServer, (server) => server.serve(handlers)))

/** A server on the transports in context. Fails with the first option that is wrong. */
export const make = Effect.fnUntraced(function* (
  input: ServerOptions.ServerOptionsInput = {}
): Effect.fn.Return<WebSocketServer["Service"], InvalidOptions, TransportServer | Protocol.Protocol> {
  const options = yield* OptionsRef.make(ServerOptions.decode, input)
  const transports = yield* TransportServer
  const services = yield* Protocol.services
  const connections = new LinkedList<AnyServed>()
  const waiting = new Waiting()
  const places = new Places()
  const timers = yield* Timers.make
  let isDraining = false

  /** What starts to serve a connection, which `drain` waits for. */
  const starter = <E, R, RC>(context: Context.Context<Requirements<R, RC>>, handlers: Handlers<E, R, RC>) => {
    const service: Service<E, R | RC> = {
      context: Context.merge(context, services),
      waiting,
      places,
      timers,
      onConnect: handlers.onConnect,
      onOpen: handlers.onOpen,
      isDraining: () => isDraining,
      onEnded: (served) => connections.delete(served)
    }
    return (accepted: AcceptedTransport): AnyServed => {
      const served = new Served(service)
      connections.add(served)
      served.start(accepted, options.getUnsafe())
      return served
    }
  }

  const drain = Effect.fnUntraced(function* (limit?: Duration.Input) {
    isDraining = true
    const { drainTimeout } = yield* options.get
    const configured = Duration.isZero(drainTimeout) ? Duration.infinity : drainTimeout
    yield* transports.stop
    const all: Array<AnyServed> = []
    for (const served of connections.all) {
      const { core, isRequested } = served
      // Who has not asked for anything yet is dropped, and is none of the connections that are counted.
      if (core === undefined && !isRequested) served.interrupt()
      else all.push(served)
      core?.closeUnsafe(CloseCode.goingAway, "")
    }
    const allEnded = Effect.forEach(all, ({ ended }) => ended, { concurrency: "unbounded", discard: true })
    const inTime = yield* Effect.timeoutOption(allEnded, limit ?? configured)
    if (Option.isSome(inTime)) return { finished: all.length, dropped: 0 }
    // Their transports are dropped now; what a handler does not let be interrupted is not waited for.
    const late = all.filter((served) => connections.has(served))
    for (const { core } of connections.all) core?.abort()
    for (const served of late) served.interrupt()
    return { finished: all.length - late.length, dropped: late.length }
  })

  return WebSocketServer.of({
    address: transports.address,
    options,
    connections: Effect.sync(() => {
      let open = 0
      for (const { core } of connections.all) if (core?.isClosed === false) open++
      return open
    }),
    drain,
    serve: Effect.fnUntraced(function* <E, R, RC>(handlers: Handlers<E, R, RC>) {
      const context = yield* Effect.context<Requirements<R, RC>>()
      const start = starter(context, handlers)
      yield* transports.accept((transport) => void start(transport))
      // Drained before it stops to accept: who still comes is told.
      yield* Effect.addFinalizer(() => drain())
    }, Effect.uninterruptible),
    serveRequest: <E, R, RC>(
      handlers: Handlers<E, R, RC>,
      transport: Transport | undefined,
      received: ReceivedRequest
    ) =>
      transport === undefined
        ? Effect.flatMap(options.get, (current) =>
            Effect.provideContext(ServerHandshake.refusalOf(received.head, current), services)
          )
        : Effect.uninterruptibleMask((restore) =>
            Effect.contextWith((context: Context.Context<Requirements<R, RC>>) => {
              const served = starter(context, handlers)(accepted(transport, received))
              return Effect.onInterrupt(restore(served.ended), () => {
                if (served.core === undefined) served.interrupt()
                else served.core.closeUnsafe(CloseCode.goingAway, "")
                return served.ended
              })
            })
          )
  })
})

/** A server with these options on the transports in context. */
export const layer = (
  options?: ServerOptions.ServerOptionsInput
): Layer.Layer<WebSocketServer, InvalidOptions, TransportServer | Protocol.Protocol> =>
  Layer.effect(WebSocketServer, make(options))
