/**
 * A WebSocket server.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type * as NetAddress from "effect/net/NetAddress"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { ChannelCore } from "../channel/ChannelCore.ts"
import * as Heartbeats from "../channel/Heartbeats.ts"
import type { OpenedChannel } from "../channel/OpenedChannel.ts"
import type { InvalidOptions } from "../channel/Options.ts"
import * as OptionsRef from "../channel/OptionsRef.ts"
import * as Protocol from "../channel/Protocol.ts"
import { type Channel, WebSocketChannel } from "../channel/WebSocketChannel.ts"
import { WebSocketError } from "../channel/WebSocketError.ts"
import * as CloseCode from "../frame/CloseCode.ts"
import { ConnectionDeny } from "../handshake/ConnectionDeny.ts"
import {
  type AcceptedTransport,
  accepted,
  type ReceivedRequest,
  type Transport,
  TransportServer
} from "../transport/Transport.ts"
import { Places, Waiting } from "./Admission.ts"
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

/** A connection from its accepted transport to its end. */
interface Served {
  /** The request has been read. */
  isRequested: boolean
  /** Set once the connection is open. */
  core: ChannelCore | undefined
}

// What stands on the fiber's stack while a handler runs is made here, where it keeps nothing else.

const logDeath = (cause: Cause.Cause<never>) =>
  Effect.as(Effect.logError("a connection died", cause), undefined)

const inScope = <A, R>(served: Effect.Effect<A, never, R>) =>
  Effect.catchCauseIf(Effect.scoped(served), Cause.hasDies, logDeath)

/** Runs the handler, then closes the connection. */
const runHandler = <E, R>(
  onOpen: Handlers<E, R>["onOpen"],
  { channel, core, span }: OpenedChannel
): Effect.Effect<undefined, never, Exclude<R, WebSocketChannel>> =>
  Effect.suspend(() => onOpen(channel)).pipe(
    Effect.matchCauseEffect({
      onSuccess: () => closeWith(core, CloseCode.normalClosure),
      onFailure: (cause) => {
        // The end of the connection is what most handlers fail with: no news.
        const error = Cause.squash(cause)
        const expected = error instanceof WebSocketError && core.isClosing
        const log = expected
          ? Effect.logDebug("connection ended", cause)
          : Effect.logError("onOpen failed", cause)
        return Effect.andThen(log, closeWith(core, CloseCode.unexpectedCondition))
      }
    }),
    Effect.onInterrupt(() => Effect.sync(() => core.abort())),
    Effect.provideService(WebSocketChannel, channel),
    (served) => (span === undefined ? served : Effect.withParentSpan(served, span))
  )

const closeWith = (core: ChannelCore, code: number): Effect.Effect<undefined> =>
  Effect.as(Effect.ignore(core.close(code, "")), undefined)

/** A server on the transports in context. Fails with the first option that is wrong. */
export const make = Effect.fnUntraced(function* (
  input: ServerOptions.ServerOptionsInput = {}
): Effect.fn.Return<WebSocketServer["Service"], InvalidOptions, TransportServer | Protocol.Protocol> {
  const options = yield* OptionsRef.make(ServerOptions.decode, input)
  const transports = yield* TransportServer
  const services = yield* Protocol.services
  const fibers = new Map<Served, Fiber.Fiber<unknown>>()
  const waiting = new Waiting()
  const places = new Places()
  const heartbeats = yield* Heartbeats.make
  let isDraining = false

  const refuseIfDraining = Effect.suspend(() =>
    isDraining ? Effect.fail(ConnectionDeny.serviceUnavailable()) : Effect.void
  )

  const serveConnection = <E, R, RC>(
    handlers: Handlers<E, R, RC>,
    accepted: AcceptedTransport,
    served: Served
  ) =>
    Effect.flatMap(options.get, (current) => {
      const opening = ServerHandshake.perform<RC>({
        accepted,
        options: current,
        waiting,
        places,
        heartbeats,
        onConnect: (request) => {
          served.isRequested = true
          return refuseIfDraining.pipe(
            Effect.flatMap(() => handlers.onConnect?.(request) ?? Effect.void),
            Effect.tap(refuseIfDraining)
          )
        }
      })
      return inScope(
        Effect.flatMap(opening, (opened) => {
          if (opened === undefined || opened instanceof Uint8Array) return Effect.succeed(opened)
          served.core = opened.core
          if (isDraining) opened.core.closeUnsafe(CloseCode.goingAway, "")
          return runHandler(handlers.onOpen, opened)
        })
      )
    })

  const remember = (served: Served, fiber: Fiber.Fiber<unknown>) => {
    fibers.set(served, fiber)
    fiber.addObserver(() => fibers.delete(served))
  }

  /** What starts to serve a connection in a fiber of its own, which `drain` waits for. */
  const starter = <E, R, RC>(context: Context.Context<Requirements<R, RC>>, handlers: Handlers<E, R, RC>) => {
    const run = Effect.runForkWith(
      Context.merge(context, services) as Context.Context<
        Effect.Services<ReturnType<typeof serveConnection<E, R, RC>>>
      >
    )
    return (transport: AcceptedTransport) => {
      const served: Served = { isRequested: false, core: undefined }
      const fiber = run(serveConnection(handlers, transport, served))
      if (fiber.pollUnsafe() === undefined) remember(served, fiber)
      return { served, fiber }
    }
  }

  const drain = Effect.fnUntraced(function* (limit?: Duration.Input) {
    isDraining = true
    const { drainTimeout } = yield* options.get
    const configured = Duration.isZero(drainTimeout) ? Duration.infinity : drainTimeout
    yield* transports.stop
    const all: Array<Fiber.Fiber<unknown>> = []
    for (const [{ core, isRequested }, fiber] of fibers) {
      // Who has not asked for anything yet is dropped, and is none of the connections that are counted.
      if (core === undefined && !isRequested) fiber.interruptUnsafe()
      else all.push(fiber)
      core?.closeUnsafe(CloseCode.goingAway, "")
    }
    const ended = yield* Effect.timeoutOption(Fiber.awaitAll(all), limit ?? configured)
    if (Option.isSome(ended)) return { finished: all.length, dropped: 0 }
    // Their transports are dropped now; what a handler does not let be interrupted is not waited for.
    const late = all.filter((fiber) => fiber.pollUnsafe() === undefined)
    for (const { core } of fibers.keys()) core?.abort()
    for (const fiber of late) fiber.interruptUnsafe()
    return { finished: all.length - late.length, dropped: late.length }
  })

  return WebSocketServer.of({
    address: transports.address,
    options,
    connections: Effect.sync(() => {
      let open = 0
      for (const { core } of fibers.keys()) if (core?.isClosed === false) open++
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
              const { fiber, served } = starter(context, handlers)(accepted(transport, received))
              return Effect.onInterrupt(restore(Fiber.join(fiber)), () => {
                if (served.core === undefined) fiber.interruptUnsafe()
                else served.core.closeUnsafe(CloseCode.goingAway, "")
                return Fiber.await(fiber)
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
