/**
 * A server's reading of what a client sends first.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Utf8 from "../bytes/Utf8.ts"
import { Handshake } from "../channel/Handshake.ts"
import { readHead, readUntil } from "../channel/HeadExchange.ts"
import { ConnectionDeny } from "../handshake/ConnectionDeny.ts"
import { isPolicyRequest } from "../handshake/FlashPolicy.ts"
import { type HttpHead, headSize } from "../handshake/HttpHead.ts"
import { type HandshakeRequest, parseRequestLine, parseTarget, type Rejection } from "../handshake/Request.ts"
import type { ReceivedRequest, Transport } from "../transport/Transport.ts"
import type { Answer, Refusal } from "./Refusal.ts"
import type { ServerOptions } from "./ServerOptions.ts"
import * as StatusPage from "./StatusPage.ts"

/** A valid opening request, as it came. */
export interface ReadRequest extends ReceivedRequest {
  readonly request: HandshakeRequest
}

/** Reads the request, unless an HTTP server has done so, and answers what is none. */
export const readRequest = Effect.fnUntraced(function* (
  transport: Transport,
  received: ReceivedRequest | undefined,
  options: ServerOptions
): Effect.fn.Return<ReadRequest, Refusal, Handshake> {
  const handshake = yield* Handshake
  const { head, rest } = received ?? (yield* readRequestHead(transport, options))
  return { request: yield* Effect.fromResult(judge(handshake, head, options)), head, rest }
})

/** Whether this is an opening request, and if not, how it is answered. */
export const judge = (
  handshake: Handshake["Service"],
  head: HttpHead,
  options: ServerOptions
): Result.Result<HandshakeRequest, Answer> => {
  if (head.headers.length > options.maxHandshakeHeaders || headSize(head) > options.maxHandshakeSize) {
    return Result.fail(headTooLarge("too many or too large headers"))
  }
  const line = parseRequestLine(head.startLine)
  if (Result.isFailure(line)) return Result.fail(fromRejection(line.failure))
  const { method, target } = line.success
  const parsed = handshake.parseRequest({ method, target, headers: head.headers }, options)
  if (Result.isSuccess(parsed)) return Result.succeed(parsed.success)
  return Result.fail(
    options.webStatus && parsed.failure.status === 426
      ? StatusPage.response(parseTarget(target)?.params ?? {}, options)
      : fromRejection(parsed.failure)
  )
}

const readRequestHead = (
  transport: Transport,
  options: ServerOptions
): Effect.Effect<ReceivedRequest, Refusal> =>
  options.serveFlashSocketPolicy
    ? Effect.flatMap(readStart(transport, options), (start) => readRestOfHead(transport, options, start))
    : readRestOfHead(transport, options)

const readRestOfHead = (
  transport: Transport,
  options: ServerOptions,
  start?: Uint8Array
): Effect.Effect<ReceivedRequest, Refusal> =>
  Effect.mapError(readHead(transport, options, start), (failure) => {
    if (failure._tag === "Ended") return "Gone"
    const { kind, message } = failure.error
    return kind === "Malformed" ? ConnectionDeny.badRequest({ body: message }) : headTooLarge(message)
  })

/** Reads until it is clear whether the policy for Flash is asked for, and gives what has come if it is not. */
const readStart = Effect.fnUntraced(function* (
  transport: Transport,
  options: ServerOptions
): Effect.fn.Return<Uint8Array, Refusal> {
  let start = new Uint8Array(0)
  yield* readUntil(transport, (chunk) => {
    const longer = new Uint8Array(start.length + chunk.length)
    longer.set(start)
    longer.set(chunk, start.length)
    start = longer
    return isPolicyRequest(start) !== undefined
  })
  const isAsked = isPolicyRequest(start)
  if (isAsked === false) return start
  const refusal: Refusal = isAsked === undefined ? "Gone" : Utf8.encode(options.flashSocketPolicy)
  return yield* Effect.fail(refusal)
})

const headTooLarge = (message: string): ConnectionDeny => new ConnectionDeny({ status: 431, body: message })

const fromRejection = ({ headers, reason, status }: Rejection): ConnectionDeny =>
  new ConnectionDeny({ status, headers: Object.fromEntries(headers), body: reason })
