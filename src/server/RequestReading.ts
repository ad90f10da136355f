/**
 * A server's reading of what a client sends first.
 */
import * as Result from "effect/Result"
import * as Utf8 from "../bytes/Utf8.ts"
import type { Handshake } from "../channel/Handshake.ts"
import { ConnectionDeny } from "../handshake/ConnectionDeny.ts"
import { isPolicyRequest } from "../handshake/FlashPolicy.ts"
import { HeadReader, type HttpHead, headSize } from "../handshake/HttpHead.ts"
import { type HandshakeRequest, parseRequestLine, parseTarget, type Rejection } from "../handshake/Request.ts"
import type { ReceivedRequest } from "../transport/Transport.ts"
import type { Answer } from "./Refusal.ts"
import type { ServerOptions } from "./ServerOptions.ts"
import * as StatusPage from "./StatusPage.ts"

/** Reads the head of a request from the chunks that come, in front of which Flash may ask for its policy. */
export class RequestReader {
  readonly #options: ServerOptions
  readonly #reader: HeadReader
  // What has come while it is not clear whether the policy is asked for.
  #start: Uint8Array | undefined

  constructor(options: ServerOptions) {
    const { maxHandshakeHeaders, maxHandshakeSize, serveFlashSocketPolicy } = options
    this.#options = options
    this.#reader = new HeadReader({ maxBytes: maxHandshakeSize, maxHeaders: maxHandshakeHeaders })
    if (serveFlashSocketPolicy) this.#start = new Uint8Array(0)
  }

  /** The head, or how it is answered that there is none; `undefined`: more must come. */
  push(chunk: Uint8Array): Result.Result<ReceivedRequest, Answer> | undefined {
    if (this.#start === undefined) return this.#read(chunk)
    const start = new Uint8Array(this.#start.length + chunk.length)
    start.set(this.#start)
    start.set(chunk, this.#start.length)
    const isAsked = isPolicyRequest(start)
    this.#start = isAsked === undefined ? start : undefined
    if (isAsked === undefined) return undefined
    return isAsked ? Result.fail(Utf8.encode(this.#options.flashSocketPolicy)) : this.#read(start)
  }

  #read(chunk: Uint8Array): Result.Result<ReceivedRequest, Answer> | undefined {
    const result = this.#reader.push(chunk)
    if (result._tag === "Incomplete") return undefined
    if (result._tag === "Complete") return Result.succeed(result)
    const { kind, message } = result.error
    return Result.fail(
      kind === "Malformed" ? ConnectionDeny.badRequest({ body: message }) : headTooLarge(message)
    )
  }
}

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

const headTooLarge = (message: string): ConnectionDeny => new ConnectionDeny({ status: 431, body: message })

const fromRejection = ({ headers, reason, status }: Rejection): ConnectionDeny =>
  new ConnectionDeny({ status, headers: Object.fromEntries(headers), body: reason })
