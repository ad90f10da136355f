/**
 * What a client gets instead of a connection.
 */
import * as Result from "effect/Result"
import * as Utf8 from "../bytes/Utf8.ts"
import type { Handshake } from "../channel/Handshake.ts"
import type { ConnectionDeny } from "../handshake/ConnectionDeny.ts"
import { toLines } from "../handshake/ConnectionRequest.ts"
import { encodeHead, type Headers, header } from "../handshake/HttpHead.ts"
import type { ServerOptions } from "./ServerOptions.ts"

/** What the client gets: a denial, or these bytes. */
export type Answer = ConnectionDeny | Uint8Array

/** The whole HTTP response. `log` is told why a denial cannot be sent. */
export const answerTo = (
  answer: Answer,
  options: ServerOptions,
  handshake: Handshake["Service"],
  log: (problem: string) => void
): Uint8Array => {
  if (answer instanceof Uint8Array) return answer
  const { body = "", headers, reason, status } = answer
  const lines = toLines(headers)
  const isUntypedText = typeof body === "string" && body !== "" && header(lines, "Content-Type").length === 0
  const response = handshake.deny({
    status,
    reason,
    headers: withServer(options, isUntypedText ? [plainText, ...lines] : lines),
    body: typeof body === "string" ? Utf8.encode(body) : body
  })
  if (Result.isSuccess(response)) return response.success
  log(`ConnectionDeny: ${response.failure}`)
  return internalServerError
}

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
