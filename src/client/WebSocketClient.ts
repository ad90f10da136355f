/**
 * A WebSocket client.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import type { OpenedChannel } from "../channel/OpenedChannel.ts"
import type { InvalidOptions } from "../channel/Options.ts"
import * as Protocol from "../channel/Protocol.ts"
import { longestTransportEnd, Timeouts } from "../channel/Timeouts.ts"
import type { Channel } from "../channel/WebSocketChannel.ts"
import { parseUrl } from "../handshake/WebSocketUrl.ts"
import { TransportClient } from "../transport/Transport.ts"
import * as ClientHandshake from "./ClientHandshake.ts"
import * as ClientOptions from "./ClientOptions.ts"
import {
  ConnectFailure,
  HandshakeError,
  type HandshakeErrorReason,
  HandshakeTimeout,
  InvalidRequest
} from "./HandshakeError.ts"

export type { SessionParameters } from "./ClientHandshake.ts"

/** Connects to servers. */
export class WebSocketClient extends Context.Service<
  WebSocketClient,
  {
    /**
     * Connects to `ws://host[:port]/path?query`, `wss://...`, or
     * `ws://unix:/path/of/the.sock[:/path?query]`. When the scope closes, the connection is closed
     * with 1000, or with 1001 when the scope's effect did not succeed.
     */
    readonly connect: (
      url: string,
      session?: ClientHandshake.SessionParameters
    ) => Effect.Effect<Channel, HandshakeError, Scope.Scope>
  }
>()("effect-websocket/client/WebSocketClient") {}

/** Connects with the client in context. */
export const connect = (
  url: string,
  session?: ClientHandshake.SessionParameters
): Effect.Effect<Channel, HandshakeError, WebSocketClient | Scope.Scope> =>
  Effect.flatMap(WebSocketClient, (client) => client.connect(url, session))

/** A client on the transports in context. Fails with the first option that is wrong. */
export const make = Effect.fnUntraced(function* (
  input: ClientOptions.ClientOptionsInput = {}
): Effect.fn.Return<WebSocketClient["Service"], InvalidOptions, TransportClient | Protocol.Protocol> {
  const options = yield* Effect.fromResult(ClientOptions.decode(input))
  const transports = yield* TransportClient
  const services = yield* Protocol.services
  const timeouts = Context.get(services, Timeouts)

  const open = Effect.fnUntraced(function* (
    url: string,
    session: ClientHandshake.SessionParameters
  ): Effect.fn.Return<OpenedChannel, HandshakeErrorReason, Protocol.Protocol | Scope.Scope> {
    const parsed = parseUrl(url)
    if (Result.isFailure(parsed)) return yield* new InvalidRequest({ message: parsed.failure.message })
    const target = parsed.success
    const request = yield* ClientHandshake.makeRequest(target, session)
    const startedAt = yield* Clock.monotonicTimeNanos
    const transport = yield* transports
      .connect(target)
      .pipe(Effect.mapError(({ cause, message }) => new ConnectFailure({ cause, message })))
    transport.setNoDelay(options.tcpNoDelay)
    return yield* ClientHandshake.perform(
      transport,
      request,
      session.protocols ?? [],
      options,
      startedAt
    ).pipe(Effect.onError(() => Effect.sync(() => transport.abort())))
  })

  const timeUp = Effect.andThen(
    timeouts.after("openHandshake", options.openHandshakeTimeout),
    Effect.failSync(() => new HandshakeTimeout({ message: "no response within openHandshakeTimeout" }))
  )

  return WebSocketClient.of({
    connect: (url, session = {}) =>
      Effect.gen(function* () {
        // A scope of its own: a connection that has ended leaves nothing in the caller's.
        const scope = yield* Scope.fork(yield* Effect.scope)
        const { channel, core } = yield* Effect.raceFirst(open(url, session), timeUp).pipe(
          Scope.provide(scope),
          Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
        )
        yield* Scope.addFinalizerExit(scope, (exit) =>
          core
            .close(Exit.isSuccess(exit) ? 1000 : 1001, "")
            .pipe(Effect.timeoutOption(longestTransportEnd), Effect.ignore)
        )
        core.onGone = () => Effect.runFork(Scope.close(scope, Exit.void))
        if (core.isClosed) core.onGone()
        return channel
      }).pipe(
        Effect.mapError((reason) => new HandshakeError({ url, reason })),
        Effect.updateContext((context: Context.Context<Scope.Scope>) => Context.merge(context, services))
      )
  })
})

/** A client with these options on the transports in context. */
export const layer = (
  options?: ClientOptions.ClientOptionsInput
): Layer.Layer<WebSocketClient, InvalidOptions, TransportClient | Protocol.Protocol> =>
  Layer.effect(WebSocketClient, make(options))
