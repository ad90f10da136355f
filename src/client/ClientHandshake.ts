/**
 * The client's side of the opening handshake, on a transport (RFC 6455 section
 * 4.1).
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { Compression } from "../channel/Compression.ts"
import { Handshake } from "../channel/Handshake.ts"
import { type ReadHead, readHead, readUntil } from "../channel/HeadExchange.ts"
import * as OpenedChannel from "../channel/OpenedChannel.ts"
import type { Protocol } from "../channel/Protocol.ts"
import { Timeouts } from "../channel/Timeouts.ts"
import * as ExtensionHeader from "../extension/ExtensionHeader.ts"
import { fromLines, type HeadersInput, toLines } from "../handshake/ConnectionRequest.ts"
import { headSize } from "../handshake/HttpHead.ts"
import { parseStatusLine, ResponseBodyReader } from "../handshake/Response.ts"
import type { WebSocketUrl } from "../handshake/WebSocketUrl.ts"
import type { Transport } from "../transport/Transport.ts"
import type { ClientOptions } from "./ClientOptions.ts"
import {
  ConnectFailure,
  type HandshakeErrorReason,
  InvalidRequest,
  InvalidResponse,
  Rejected
} from "./HandshakeError.ts"

/** What one connection asks for. */
export interface SessionParameters {
  /** Subprotocols to offer, most wanted first. Default: none. */
  readonly protocols?: ReadonlyArray<string>
  /** The Origin header, of an application that runs in a browser's place. Default: none. */
  readonly origin?: string
  /** The User-Agent header. Default: none. */
  readonly userAgent?: string
  /** Further headers of the request. */
  readonly headers?: HeadersInput
}

const protocolVersion = 13
const largestBody = 65_536
const lossy = new TextDecoder()

/** The request's bytes, and the key that the response must answer. */
export const makeRequest = Effect.fnUntraced(function* (
  url: WebSocketUrl,
  session: SessionParameters
): Effect.fn.Return<
  { readonly key: string; readonly bytes: Uint8Array },
  InvalidRequest,
  Handshake | Compression
> {
  const handshake = yield* Handshake
  const { offers } = yield* Compression
  const key = handshake.makeKey()
  const request = handshake.request({
    url,
    key,
    version: protocolVersion,
    protocols: session.protocols ?? [],
    extensions: ExtensionHeader.formatAll(offers),
    origin: session.origin,
    userAgent: session.userAgent,
    headers: toLines(session.headers)
  })
  if (Result.isFailure(request)) return yield* new InvalidRequest({ message: request.failure })
  return { key, bytes: request.success }
})

/** Sends the request, checks the response, and opens the channel. */
export const perform = Effect.fnUntraced(function* (
  transport: Transport,
  request: { readonly key: string; readonly bytes: Uint8Array },
  protocols: ReadonlyArray<string>,
  options: ClientOptions,
  startedAt: bigint
): Effect.fn.Return<OpenedChannel.OpenedChannel, HandshakeErrorReason, Protocol> {
  transport.write([request.bytes])
  const { head, rest } = yield* readResponse(transport, options)
  const handshake = yield* Handshake
  const checked = handshake.checkResponse(head, { key: request.key, protocols })
  if (Result.isFailure(checked)) return yield* new InvalidResponse({ message: checked.failure })
  const negotiated = (yield* Compression).acceptResponse(checked.success.extensions)
  if (Result.isFailure(negotiated)) return yield* new InvalidResponse({ message: negotiated.failure })

  const { subprotocol } = checked.success
  return yield* OpenedChannel.start({
    role: "client",
    transport,
    options,
    negotiated: negotiated.success,
    masking: options.acceptMaskedServerFrames ? "either" : "forbidden",
    maskOutgoing: options.maskClientFrames,
    subprotocol,
    request: undefined,
    response: {
      peer: transport.peer,
      headers: fromLines(head.headers),
      version: protocolVersion,
      protocol: subprotocol,
      extensions: negotiated.success.extensions.map(ExtensionHeader.format)
    },
    answer: undefined,
    rest,
    handshake: {
      receivedOctets: headSize(head),
      sentOctets: request.bytes.length,
      duration: Duration.nanos((yield* Clock.monotonicTimeNanos) - startedAt)
    }
  })
})

const readResponse = Effect.fnUntraced(function* (
  transport: Transport,
  options: ClientOptions
): Effect.fn.Return<ReadHead, HandshakeErrorReason, Timeouts> {
  let { head, rest } = yield* readResponseHead(transport, options)
  let line = parseStatusLine(head.startLine)
  // Informational responses may come first (RFC 7231 section 6.2).
  while (Result.isSuccess(line) && line.success.status < 200 && line.success.status !== 101) {
    ;({ head, rest } = yield* readResponseHead(transport, options, rest))
    line = parseStatusLine(head.startLine)
  }
  if (Result.isFailure(line)) return yield* new InvalidResponse({ message: line.failure })
  const { status, statusText } = line.success
  if (status === 101) return { head, rest }
  const reader = new ResponseBodyReader(head, largestBody)
  if (!reader.push(rest)) {
    // A body that does not end is cut: its status is what matters.
    const { after } = yield* Timeouts
    yield* Effect.raceFirst(
      readUntil(transport, (chunk) => reader.push(chunk)),
      after("transportEnd", options.closeHandshakeTimeout)
    )
  }
  return yield* new Rejected({
    status,
    statusText,
    headers: fromLines(head.headers),
    body: lossy.decode(reader.body)
  })
})

const readResponseHead = (
  transport: Transport,
  options: ClientOptions,
  rest?: Uint8Array
): Effect.Effect<ReadHead, HandshakeErrorReason> =>
  Effect.mapError(readHead(transport, options, rest), (failure) =>
    failure._tag === "Invalid"
      ? new InvalidResponse({ message: failure.error.message })
      : new ConnectFailure({
          message: "the server ended the connection without a response",
          cause: failure.cause
        })
  )
