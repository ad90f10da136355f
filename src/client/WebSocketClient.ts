/**
 * A WebSocket client.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import type { OpenedChannel } from "../channel/OpenedChannel.ts"
import type { InvalidOptions } from "../channel/Options.ts"
import * as OptionsRef from "../channel/OptionsRef.ts"
import * as Protocol from "../channel/Protocol.ts"
import { longestTransportEnd, Timeouts } from "../channel/Timeouts.ts"
import * as Timers from "../channel/Timers.ts"
import type { Channel } from "../channel/WebSocketChannel.ts"
import * as CloseCode from "../frame/CloseCode.ts"
import { parseUrl, withoutUserInformation } from "../handshake/WebSocketUrl.ts"
import { detailsOf, type Transport, TransportClient } from "../transport/Transport.ts"
import * as ClientHandshake from "./ClientHandshake.ts"
import * as ClientOptions from "./ClientOptions.ts"
import {
  ConnectFailure,
  HandshakeError,
  type HandshakeErrorReason,
  HandshakeTimeout,
  InvalidRequest
} from "./HandshakeError.ts"
import * as ProxyTunnel from "./ProxyTunnel.ts"
import * as Session from "./Session.ts"

export type { Proxy } from "../handshake/ProxyConnect.ts"
export type { SessionParameters } from "./Session.ts"

/** Opens a connection: fails and needs as the session's effects do. */
export type Connect<R = never> = <
  EHeaders = never,
  RHeaders = never,
  EConnecting = never,
  RConnecting = never,
  EConnect = never,
  RConnect = never
>(
  url: string,
  session?: Session.SessionParameters<EHeaders, RHeaders, EConnecting, RConnecting, EConnect, RConnect>
) => Effect.Effect<
  Channel,
  HandshakeError | EHeaders | EConnecting | EConnect,
  RHeaders | RConnecting | RConnect | R | Scope.Scope
>

/** Connects to servers. */
export class WebSocketClient extends Context.Service<
  WebSocketClient,
  {
    /** The options, which may be changed: a connection gets them as they are when `connect` is run. */
    readonly options: OptionsRef.OptionsRef<ClientOptions.ClientOptionsInput, ClientOptions.ClientOptions>
    /**
     * Connects to `ws://host[:port]/path?query`, `wss://...`, or
     * `ws://unix:/path/of/the.sock[:/path?query]`. When the scope closes, the connection is closed
     * with 1000, or with 1001 when the scope's effect did not succeed.
     */
    readonly connect: Connect
  }
>()("effect-websocket/client/WebSocketClient") {}

/** Connects with the client in context. */
export const connect: Connect<WebSocketClient> = (url, session) =>
  Effect.flatMap(WebSocketClient, (client) => client.connect(url, session))

/** A client on the transports in context. Fails with the first option that is wrong. */
export const make = Effect.fnUntraced(function* (
  input: ClientOptions.ClientOptionsInput = {}
): Effect.fn.Return<WebSocketClient["Service"], InvalidOptions, TransportClient | Protocol.Protocol> {
  const options = yield* OptionsRef.make(ClientOptions.decode, input)
  const transports = yield* TransportClient
  const services = yield* Protocol.services
  const timeouts = Context.get(services, Timeouts)
  const timers = yield* Timers.make

  const open = Effect.fnUntraced(function* <E, R>(
    url: string,
    session: Session.AnySession<E, R>,
    options: ClientOptions.ClientOptions
  ): Effect.fn.Return<
    OpenedChannel,
    HandshakeErrorReason | Session.ApplicationFailure<E>,
    R | Protocol.Protocol | Scope.Scope
  > {
    const parsed = parseUrl(url)
    if (Result.isFailure(parsed)) return yield* new InvalidRequest({ message: parsed.failure.message })
    const target = parsed.success
    const { onConnect, proxy } = session
    const parameters = yield* Session.parametersOf(target, session)
    // Before anything is opened, so that nobody is bothered with what cannot be sent.
    const asked = yield* ClientHandshake.makeRequest(parameters, options)
    const tunnel = proxy === undefined ? undefined : yield* ProxyTunnel.make(proxy, target, options)
    const startedAt = yield* Clock.monotonicTimeNanos
    const transport = yield* transports
      .connect({ ...target, proxy: tunnel })
      .pipe(Effect.catchTag("TransportError", ({ cause, message }) => new ConnectFailure({ cause, message })))
    transport.setNoDelay(options.tcpNoDelay)

    const opened = yield* Effect.flatMap(
      requestOn(transport, session, parameters, asked, options),
      (request) => ClientHandshake.perform(transport, request, { options, startedAt, timers })
    ).pipe(Effect.onError(() => Effect.sync(() => transport.abort())))
    const { core, response } = opened
    yield* Effect.addFinalizer((exit) =>
      core
        .close(Exit.isSuccess(exit) ? CloseCode.normalClosure : CloseCode.goingAway, "")
        .pipe(Effect.timeoutOption(longestTransportEnd), Effect.ignore)
    )
    if (onConnect !== undefined) {
      // The finalizer waits for the end of a closing handshake that is started here.
      const end = (cause: Cause.Cause<unknown>) =>
        Effect.sync(() =>
          Cause.hasFails(cause) ? core.closeUnsafe(CloseCode.normalClosure, "") : core.abort()
        )
      yield* Effect.onError(Session.ask(onConnect(response)), end)
    }
    return opened
  })

  const timeUp = ({ openHandshakeTimeout }: ClientOptions.ClientOptions) =>
    Effect.andThen(
      timeouts.after("openHandshake", openHandshakeTimeout),
      Effect.failSync(() => new HandshakeTimeout({ message: "no response within openHandshakeTimeout" }))
    )

  const openInScope = Effect.fnUntraced(function* <E, R>(url: string, session: Session.AnySession<E, R>) {
    // A scope of its own: a connection that has ended leaves nothing in the caller's.
    const scope = yield* Scope.fork(yield* Effect.scope)
    const current = yield* options.get
    const { channel, core } = yield* Effect.raceFirst(open(url, session, current), timeUp(current)).pipe(
      Scope.provide(scope),
      Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
    )
    core.holder = { onGone: () => Effect.runFork(Scope.close(scope, Exit.void)) }
    if (core.isClosed) core.holder.onGone()
    return channel
  })

  const attempt = <E, R>(
    url: string,
    session: Session.AnySession<E, R>
  ): Effect.Effect<Channel, HandshakeError | E, R | Scope.Scope> =>
    openInScope(url, session).pipe(
      Effect.mapError((reason) =>
        reason instanceof Session.ApplicationFailure
          ? reason.failure
          : new HandshakeError({ url: withoutUserInformation(url), reason })
      ),
      Effect.updateContext((context: Context.Context<R | Scope.Scope>) => Context.merge(context, services))
    )

  return WebSocketClient.of({
    options,
    connect: <EH, RH, EI, RI, EO, RO>(
      url: string,
      session: Session.SessionParameters<EH, RH, EI, RI, EO, RO> = {}
    ) => attempt<EH | EI | EO, RH | RI | RO>(url, session)
  })
})

/** The request to send, once the application has seen the transport. */
const requestOn = Effect.fnUntraced(function* <E, R>(
  transport: Transport,
  { onConnecting }: Session.AnySession<E, R>,
  parameters: Session.RequestParameters,
  asked: ClientHandshake.ClientRequest,
  options: ClientOptions.ClientOptions
) {
  if (onConnecting === undefined) return asked
  const instead = yield* Session.ask(onConnecting(detailsOf(transport)))
  if (!instead) return asked
  return yield* ClientHandshake.makeRequest(Session.replaced(parameters, instead), options)
})

/** A client with these options on the transports in context. */
export const layer = (
  options?: ClientOptions.ClientOptionsInput
): Layer.Layer<WebSocketClient, InvalidOptions, TransportClient | Protocol.Protocol> =>
  Layer.effect(WebSocketClient, make(options))
