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
  const { head, rest } = received ?? (yield* readRequestHead(transport, options))
  return { request: yield* judge(head, options), head, rest }
})

/** Whether this is an opening request, and if not, how it is answered. */
export const judge = Effect.fnUntraced(function* (
  head: HttpHead,
  options: ServerOptions
): Effect.fn.Return<HandshakeRequest, Answer, Handshake> {
  const handshake = yield* Handshake
  if (head.headers.length > options.maxHandshakeHeaders || headSize(head) > options.maxHandshakeSize) {
    return yield* headTooLarge("too many or too large headers")
  }
  const line = parseRequestLine(head.startLine)
  if (Result.isFailure(line)) return yield* fromRejection(line.failure)
  const parsed = handshake.parseRequest({ ...line.success, headers: head.headers }, options)
  if (Result.isSuccess(parsed)) return parsed.success
  const refusal: Answer =
    options.webStatus && parsed.failure.status === 426
      ? StatusPage.response(parseTarget(line.success.target)?.params ?? {}, options)
      : fromRejection(parsed.failure)
  return yield* Effect.fail(refusal)
})

const readRequestHead = Effect.fnUntraced(function* (
  transport: Transport,
  options: ServerOptions
): Effect.fn.Return<ReceivedRequest, Refusal> {
  const start = options.serveFlashSocketPolicy ? yield* readStart(transport, options) : undefined
  return yield* Effect.mapError(readHead(transport, options, start), (failure): Refusal => {
    if (failure._tag === "Ended") return "Gone"
    const { kind, message } = failure.error
    return kind === "Malformed" ? ConnectionDeny.badRequest({ body: message }) : headTooLarge(message)
  })
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
