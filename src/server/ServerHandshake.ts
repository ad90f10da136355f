/**
 * The server's side of the opening handshake, on a transport (RFC 6455 section
 * 4.2): a channel, or an HTTP response and the end of the transport.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Utf8 from "../bytes/Utf8.ts"
import { Compression } from "../channel/Compression.ts"
import { Handshake } from "../channel/Handshake.ts"
import { endWith, readHead } from "../channel/HeadExchange.ts"
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
import { type HttpHead, headSize } from "../handshake/HttpHead.ts"
import { type HandshakeRequest, parseRequestLine, type Rejection } from "../handshake/Request.ts"
import type { ReceivedRequest, Transport } from "../transport/Transport.ts"
import type { ServerOptions } from "./ServerOptions.ts"
import * as StatusPage from "./StatusPage.ts"

/** What `onConnect` may succeed with: how to accept, a subprotocol, or nothing. */
export type Accepted = ConnectionAccept | string | undefined | void

/** Decides on a request. */
export type OnConnect<R> = (request: ConnectionRequest) => Effect.Effect<Accepted, ConnectionDeny, R>

export interface ServerHandshake<R> {
  readonly transport: Transport
  /** The request, where an HTTP server has read it already. */
  readonly received: ReceivedRequest | undefined
  readonly options: ServerOptions
  readonly onConnect: OnConnect<R> | undefined
}

/** No connection: the client gets a response. */
type Answerable = ConnectionDeny | "StatusPage"

/** No connection: the client gets a response, or is gone. */
type Refusal = Answerable | "Gone"

/**
 * Performs the handshake. Without a connection the transport has ended, and there is the HTTP response that was
 * sent, or `undefined` when the client was gone.
 */
export const perform = Effect.fnUntraced(function* <R>(handshake: ServerHandshake<R>) {
  const { openHandshakeTimeout, tcpNoDelay } = handshake.options
  handshake.transport.setNoDelay(tcpNoDelay)
  const timeouts = yield* Timeouts
  const timeUp = Effect.andThen(
    timeouts.after("openHandshake", openHandshakeTimeout),
    Effect.failSync(() => ConnectionDeny.requestTimeout())
  )
  return yield* Effect.raceFirst(open(handshake), timeUp).pipe(
    Effect.catch((refusal) => refuse(refusal, handshake)),
    Effect.onError(() => Effect.sync(() => handshake.transport.abort()))
  )
})

const open = Effect.fnUntraced(function* <R>(
  options: ServerHandshake<R>
): Effect.fn.Return<OpenedChannel.OpenedChannel, Refusal, R | Protocol> {
  const startedAt = yield* Clock.monotonicTimeNanos
  const requested = yield* readRequest(options)
  const connectionRequest = fromHandshake(requested.request, options.transport.peer)
  const accepted = yield* decide(connectionRequest, options.onConnect)
  return yield* accept({ ...options, ...requested, connectionRequest, accepted, startedAt }).pipe(
    // The application's headers may be anything at run time, and services can be replaced.
    Effect.catchCauseIf(Cause.hasDies, (cause) => applicationDefect("accepting the connection died", cause))
  )
})

/** Reads the request, and answers what is none. */
const readRequest = Effect.fnUntraced(function* ({
  options,
  received,
  transport
}: Omit<ServerHandshake<never>, "onConnect">): Effect.fn.Return<
  { readonly request: HandshakeRequest } & ReceivedRequest,
  Refusal,
  Handshake
> {
  const { head, rest } = received ?? (yield* readRequestHead(transport, options))
  return { request: yield* judge(head, options), head, rest }
})

/** Whether this is an opening request. */
const judge = Effect.fnUntraced(function* (
  head: HttpHead,
  options: ServerOptions
): Effect.fn.Return<HandshakeRequest, Answerable, Handshake> {
  const handshake = yield* Handshake
  if (head.headers.length > options.maxHandshakeHeaders || headSize(head) > options.maxHandshakeSize) {
    return yield* headTooLarge("too many or too large headers")
  }
  const line = parseRequestLine(head.startLine)
  if (Result.isFailure(line)) return yield* fromRejection(line.failure)
  const parsed = handshake.parseRequest({ ...line.success, headers: head.headers }, options)
  if (Result.isSuccess(parsed)) return parsed.success
  const refusal: Answerable =
    options.webStatus && parsed.failure.status === 426 ? "StatusPage" : fromRejection(parsed.failure)
  return yield* Effect.fail(refusal)
})

const readRequestHead = (
  transport: Transport,
  options: ServerOptions
): Effect.Effect<ReceivedRequest, Refusal> =>
  Effect.mapError(readHead(transport, options), (failure) => {
    if (failure._tag === "Ended") return "Gone"
    const { kind, message } = failure.error
    return kind === "Malformed" ? ConnectionDeny.badRequest({ body: message }) : headTooLarge(message)
  })

const headTooLarge = (message: string): ConnectionDeny => new ConnectionDeny({ status: 431, body: message })

const fromRejection = ({ headers, reason, status }: Rejection): ConnectionDeny =>
  new ConnectionDeny({ status, headers: Object.fromEntries(headers), body: reason })

/** Asks the application. Whatever goes wrong there is a 500, and in the log. */
const decide = <R>(
  request: ConnectionRequest,
  onConnect: OnConnect<R> | undefined
): Effect.Effect<ConnectionAccept, ConnectionDeny, R> =>
  onConnect === undefined
    ? Effect.succeed({})
    : Effect.suspend(() => onConnect(request)).pipe(
        Effect.map((accepted) =>
          typeof accepted === "string" ? { subprotocol: accepted } : (accepted ?? {})
        ),
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

const accept = Effect.fnUntraced(function* ({
  accepted,
  connectionRequest,
  head,
  options,
  request,
  rest,
  startedAt,
  transport
}: Omit<ServerHandshake<never>, "onConnect"> & {
  readonly request: HandshakeRequest
  readonly connectionRequest: ConnectionRequest
  readonly accepted: ConnectionAccept
  readonly startedAt: bigint
} & ReceivedRequest): Effect.fn.Return<OpenedChannel.OpenedChannel, Refusal, Protocol> {
  const { headers, subprotocol } = accepted
  if (subprotocol !== undefined && !request.protocols.includes(subprotocol)) {
    return yield* applicationDefect(
      `onConnect chose the subprotocol ${subprotocol}, which the client did not announce`
    )
  }
  const negotiated = (yield* Compression).accept(request.extensions)
  const response = (yield* Handshake).accept({
    key: request.key,
    subprotocol,
    extensions: ExtensionHeader.formatAll(negotiated.extensions),
    headers: toLines(headers)
  })
  if (Result.isFailure(response))
    return yield* applicationDefect(`onConnect's acceptance: ${response.failure}`)

  return yield* OpenedChannel.start({
    role: "server",
    transport,
    options,
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
      duration: Duration.nanos((yield* Clock.monotonicTimeNanos) - startedAt)
    }
  })
})

/** The HTTP response to a request that cannot become a connection, whatever it asks for. */
export const refusalOf = (
  head: HttpHead,
  options: ServerOptions
): Effect.Effect<Uint8Array, never, Handshake> =>
  judge(head, options).pipe(
    Effect.flatMap(() =>
      Effect.fail(
        ConnectionDeny.notImplemented({ body: "the HTTP server does not hand over its connections" })
      )
    ),
    Effect.catch(answerTo)
  )

/** Answers, and ends the transport. */
const refuse = Effect.fnUntraced(function* (
  refusal: Refusal,
  { options, transport }: Omit<ServerHandshake<never>, "onConnect">
) {
  if (refusal === "Gone") {
    transport.abort()
    return undefined
  }
  const answer = yield* answerTo(refusal)
  const timeouts = yield* Timeouts
  yield* Effect.raceFirst(
    endWith(transport, answer),
    timeouts.after("transportEnd", options.closeHandshakeTimeout)
  )
  transport.abort()
  return answer
})

const answerTo = (refusal: Answerable): Effect.Effect<Uint8Array, never, Handshake> =>
  refusal === "StatusPage" ? Effect.succeed(StatusPage.response) : denial(refusal)

const denial = Effect.fnUntraced(function* (
  deny: ConnectionDeny
): Effect.fn.Return<Uint8Array, never, Handshake> {
  const handshake = yield* Handshake
  const { body = "", headers, reason, status } = deny
  const response = handshake.deny({
    status,
    reason,
    headers: toLines(headers),
    body: typeof body === "string" ? Utf8.encode(body) : body
  })
  if (Result.isSuccess(response)) return response.success
  yield* Effect.logError(`ConnectionDeny: ${response.failure}`)
  return yield* denial(ConnectionDeny.internalServerError())
})
