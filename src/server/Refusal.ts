/**
 * The end of an opening handshake that opens no connection.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Utf8 from "../bytes/Utf8.ts"
import { Handshake } from "../channel/Handshake.ts"
import { endWith } from "../channel/HeadExchange.ts"
import { Timeouts } from "../channel/Timeouts.ts"
import type { ConnectionDeny } from "../handshake/ConnectionDeny.ts"
import { toLines } from "../handshake/ConnectionRequest.ts"
import { encodeHead, type Headers, header } from "../handshake/HttpHead.ts"
import type { Transport } from "../transport/Transport.ts"
import type { ServerOptions } from "./ServerOptions.ts"

/** What the client gets: a denial, or these bytes. */
export type Answer = ConnectionDeny | Uint8Array

/** What the client gets, unless it is gone. */
export type Refusal = Answer | "Gone"

/** Answers, and ends the transport. Succeeds with the answer. */
export const refuse = Effect.fnUntraced(function* (
  refusal: Refusal,
  transport: Transport,
  options: ServerOptions
) {
  const answer = refusal === "Gone" ? undefined : yield* answerTo(refusal, options)
  if (answer !== undefined) {
    const timeouts = yield* Timeouts
    yield* Effect.raceFirst(
      endWith(transport, answer),
      timeouts.after("transportEnd", options.closeHandshakeTimeout)
    )
  }
  transport.abort()
  return answer
})

/** The whole HTTP response. */
export const answerTo = (
  answer: Answer,
  options: ServerOptions
): Effect.Effect<Uint8Array, never, Handshake> =>
  answer instanceof Uint8Array ? Effect.succeed(answer) : denial(answer, options)

const denial = Effect.fnUntraced(function* (
  deny: ConnectionDeny,
  options: ServerOptions
): Effect.fn.Return<Uint8Array, never, Handshake> {
  const handshake = yield* Handshake
  const { body = "", headers, reason, status } = deny
  const lines = toLines(headers)
  const isUntypedText = typeof body === "string" && body !== "" && header(lines, "Content-Type").length === 0
  const response = handshake.deny({
    status,
    reason,
    headers: withServer(options, isUntypedText ? [plainText, ...lines] : lines),
    body: typeof body === "string" ? Utf8.encode(body) : body
  })
  if (Result.isSuccess(response)) return response.success
  yield* Effect.logError(`ConnectionDeny: ${response.failure}`)
  return internalServerError
})

// Or a browser guesses.
const plainText = ["Content-Type", "text/plain; charset=utf-8"] as const

/** The answer to what cannot be answered as the application wants. */
const internalServerError = encodeHead("HTTP/1.1 500 Internal Server Error", [
  ["Connection", "close"],
  ["Content-Length", "0"]
])

/** The headers of a response with the Server header before them, unless there is one among them. */
export const withServer = ({ server }: ServerOptions, headers: Headers): Headers =>
  server === "" || header(headers, "Server").length > 0 ? headers : [["Server", server], ...headers]
