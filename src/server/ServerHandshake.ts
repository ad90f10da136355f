/**
 * The server's side of the opening handshake, on an accepted transport (RFC 6455
 * section 4.2): a channel, or an HTTP response and the end of the transport.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { Compression } from "../channel/Compression.ts"
import { Handshake } from "../channel/Handshake.ts"
import type { Heartbeats } from "../channel/Heartbeats.ts"
import * as OpenedChannel from "../channel/OpenedChannel.ts"
import type { Protocol } from "../channel/Protocol.ts"
import { Timeouts } from "../channel/Timeouts.ts"
import * as ExtensionHeader from "../extension/ExtensionHeader.ts"
import { ConnectionDeny } from "../handshake/ConnectionDeny.ts"
import {
  type ConnectionAccept,
  type ConnectionRequest,
  fromHandshake,
  toLines
} from "../handshake/ConnectionRequest.ts"
import { forwardedFor } from "../handshake/ForwardedFor.ts"
import { type HttpHead, header, headSize } from "../handshake/HttpHead.ts"
import type { AcceptedTransport, Transport } from "../transport/Transport.ts"
import { checkRequest, type Places, type Waiting } from "./Admission.ts"
import { answerTo, type Refusal, refuse, withServer } from "./Refusal.ts"
import { judge, type ReadRequest, readRequest } from "./RequestReading.ts"
import type { ServerOptions } from "./ServerOptions.ts"

/** What `onConnect` may succeed with: how to accept, a subprotocol, or nothing. */
export type Accepted = ConnectionAccept | string | undefined | void

/** Decides on a request. */
export type OnConnect<R> = (request: ConnectionRequest) => Effect.Effect<Accepted, ConnectionDeny, R>

export interface ServerHandshake<R> {
  readonly accepted: AcceptedTransport
  readonly options: ServerOptions
  readonly waiting: Waiting
  readonly places: Places
  readonly heartbeats: Heartbeats
  readonly onConnect: OnConnect<R>
}

/**
 * Performs the handshake. Without a connection the transport has ended, and there is the HTTP response that was
 * sent, or `undefined` when the client was gone.
 */
export const perform = Effect.fnUntraced(function* <R>(handshake: ServerHandshake<R>) {
  const { accepted, options, waiting } = handshake
  const startedAt = yield* Clock.monotonicTimeNanos
  const timeouts = yield* Timeouts
  const timeUp = Effect.andThen(
    timeouts.after("openHandshake", options.openHandshakeTimeout),
    Effect.failSync((): Refusal => ConnectionDeny.requestTimeout())
  )
  const progress: Progress = { startedAt, transport: undefined, opened: undefined }
  waiting.add(accepted, options)
  const opening = accepted.transport.pipe(
    Effect.tapError((error) => Effect.logDebug("a transport was not accepted", error)),
    Effect.mapError((): Refusal => "Gone"),
    Effect.flatMap((ready) => {
      progress.transport = ready
      ready.setNoDelay(options.tcpNoDelay)
      return open(handshake, ready, progress)
    })
  )
  return yield* Effect.raceFirst(opening, timeUp).pipe(
    Effect.catch((refusal): Effect.Effect<Outcome, never, Handshake | Timeouts> => {
      const { opened, transport } = progress
      // The time was up when the 101 had just been sent.
      if (opened !== undefined) return Effect.succeed(opened)
      // While TLS is unfinished, nothing can be answered.
      if (transport === undefined) return Effect.as(Effect.sync(accepted.abort), undefined)
      if (refusal !== "Gone") waiting.add(accepted, options)
      return refuse(refusal, transport, options)
    }),
    Effect.onError(() => Effect.sync(accepted.abort)),
    Effect.ensuring(Effect.sync(() => waiting.delete(accepted)))
  )
})

/** A connection, the response that refused it, or nothing: the client was gone. */
export type Outcome = OpenedChannel.OpenedChannel | Uint8Array | undefined

/** How far a handshake has come. */
interface Progress {
  readonly startedAt: bigint
  transport: Transport | undefined
  opened: OpenedChannel.OpenedChannel | undefined
}

const open = Effect.fnUntraced(function* <R>(
  { accepted, heartbeats, onConnect, options, places, waiting }: ServerHandshake<R>,
  transport: Transport,
  progress: Progress
): Effect.fn.Return<OpenedChannel.OpenedChannel, Refusal, R | Protocol> {
  const received = yield* readRequest(transport, accepted.request, options)
  const { request } = received
  yield* Effect.fromResult(checkRequest(request, options))
  const forwarded = forwardedFor(header(request.headers, "X-Forwarded-For"), options.trustXForwardedFor)
  const connectionRequest = fromHandshake(request, forwarded ?? transport.peer)
  waiting.delete(accepted)
  // Taken before the application is asked, so that nobody takes it in between.
  return yield* Effect.acquireUseRelease(
    Effect.suspend(() => Effect.fromResult(places.take(connectionRequest.peer, options))),
    (giveBack) =>
      Effect.flatMap(decide(connectionRequest, onConnect), (acceptance) =>
        accept({
          received,
          transport,
          options,
          heartbeats,
          connectionRequest,
          acceptance,
          startedAt: progress.startedAt
        }).pipe(
          Effect.tap((opened) =>
            Effect.sync(() => {
              progress.opened = opened
              opened.core.onGone = giveBack
              if (opened.core.isClosed) giveBack()
            })
          ),
          // What has been sent cannot be taken back.
          Effect.uninterruptible,
          // The application's headers may be anything at run time, and services can be replaced.
          Effect.catchCauseIf(Cause.hasDies, (cause) =>
            applicationDefect("accepting the connection died", cause)
          )
        )
      ),
    (giveBack) => Effect.sync(() => progress.opened === undefined && giveBack())
  )
})

/** Asks the application. Whatever goes wrong there is a 500, and in the log. */
const decide = <R>(
  request: ConnectionRequest,
  onConnect: OnConnect<R>
): Effect.Effect<ConnectionAccept, ConnectionDeny, R> =>
  Effect.suspend(() => onConnect(request)).pipe(
    Effect.map((accepted) => (typeof accepted === "string" ? { subprotocol: accepted } : (accepted ?? {}))),
    Effect.catchCauseIf(Cause.hasDies, (cause) => applicationDefect("onConnect died", cause))
  )

const applicationDefect = (
  message: string,
  cause?: Cause.Cause<unknown>
): Effect.Effect<never, ConnectionDeny> =>
  Effect.andThen(
    Effect.logError(message, cause ?? Cause.empty),
    Effect.fail(ConnectionDeny.internalServerError())
  )

/** Makes the channel and sends the 101. */
const accept = Effect.fnUntraced(function* ({
  acceptance,
  connectionRequest,
  heartbeats,
  options,
  received,
  startedAt,
  transport
}: {
  readonly transport: Transport
  readonly options: ServerOptions
  readonly heartbeats: Heartbeats
  readonly received: ReadRequest
  readonly connectionRequest: ConnectionRequest
  readonly acceptance: ConnectionAccept
  readonly startedAt: bigint
}): Effect.fn.Return<OpenedChannel.OpenedChannel, ConnectionDeny, Protocol> {
  const { headers, subprotocol: chosen } = acceptance
  const { head, request, rest } = received
  if (chosen !== undefined && !request.protocols.includes(chosen)) {
    return yield* applicationDefect(
      `onConnect chose the subprotocol ${chosen}, which the client did not announce`
    )
  }
  const subprotocol = chosen ?? request.protocols.find((protocol) => options.protocols.includes(protocol))
  const compression = (yield* Compression).accept(request.extensions, options.perMessageCompressionAccept)
  if (Result.isFailure(compression))
    return yield* applicationDefect(`perMessageCompressionAccept: ${compression.failure}`)
  const negotiated = compression.success
  const response = (yield* Handshake).accept({
    key: request.key,
    subprotocol,
    extensions: ExtensionHeader.join(negotiated.extensions),
    headers: withServer(options, [...toLines(options.headers), ...toLines(headers)])
  })
  if (Result.isFailure(response))
    return yield* applicationDefect(`onConnect's acceptance: ${response.failure}`)

  return yield* OpenedChannel.start({
    role: "server",
    transport,
    options,
    heartbeats,
    transportEndTimeout: options.closeHandshakeTimeout,
    negotiated,
    masking: options.requireMaskedClientFrames ? "required" : "either",
    maskOutgoing: options.maskServerFrames,
    subprotocol,
    request: connectionRequest,
    response: undefined,
    answer: response.success,
    rest,
    handshake: {
      receivedOctets: headSize(head),
      sentOctets: response.success.length,
      nanos: Number((yield* Clock.monotonicTimeNanos) - startedAt)
    }
  })
})

/** The HTTP response to a request that cannot become a connection, whatever it asks for. */
export const refusalOf = (
  head: HttpHead,
  options: ServerOptions
): Effect.Effect<Uint8Array, never, Handshake> =>
  Effect.flatMap(Handshake, (handshake) => {
    const judged = judge(handshake, head, options)
    const answer = Result.isFailure(judged)
      ? judged.failure
      : ConnectionDeny.notImplemented({ body: "the HTTP server does not hand over its connections" })
    return answerTo(answer, options)
  })
