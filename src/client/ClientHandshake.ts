/**
 * The client's side of the opening handshake, on a transport (RFC 6455 section
 * 4.1).
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { Compression } from "../channel/Compression.ts"
import { Handshake } from "../channel/Handshake.ts"
import * as OpenedChannel from "../channel/OpenedChannel.ts"
import type { Protocol } from "../channel/Protocol.ts"
import type { Timers } from "../channel/Timers.ts"
import * as ExtensionHeader from "../extension/ExtensionHeader.ts"
import { type ConnectionResponse, fromLines } from "../handshake/ConnectionRequest.ts"
import { headSize } from "../handshake/HttpHead.ts"
import type { Transport } from "../transport/Transport.ts"
import type { ClientOptions } from "./ClientOptions.ts"
import {
  ConnectFailure,
  type HandshakeErrorReason,
  InvalidRequest,
  InvalidResponse,
  Rejected
} from "./HandshakeError.ts"
import { type ExchangeFailure, exchange } from "./ResponseExchange.ts"
import { type RequestParameters, userAgentOf } from "./Session.ts"

/** A request that can be sent, and what its response must match. */
export interface ClientRequest {
  readonly bytes: Uint8Array
  readonly key: string
  readonly version: number
  readonly protocols: ReadonlyArray<string>
}

/** The protocol version of a specification: hybi-13 was the first draft of version 13. */
const protocolVersion = (specification: number): number => (specification < 13 ? 8 : 13)

/** The request, if it can be sent. */
export const makeRequest = Effect.fnUntraced(function* (
  parameters: RequestParameters,
  options: ClientOptions
): Effect.fn.Return<ClientRequest, InvalidRequest, Handshake | Compression> {
  const handshake = yield* Handshake
  const compression = yield* Compression
  const key = handshake.makeKey()
  const version = protocolVersion(options.version)
  const request = handshake.request({
    ...parameters,
    key,
    version,
    extensions: ExtensionHeader.join(compression.offer(options.perMessageCompressionOffers)),
    userAgent: userAgentOf(parameters)
  })
  if (Result.isFailure(request)) return yield* new InvalidRequest({ message: request.failure })
  return { bytes: request.success, key, version, protocols: parameters.protocols }
})

/** An open connection, and the response that opened it. */
export interface ClientOpened extends OpenedChannel.OpenedChannel {
  readonly response: ConnectionResponse
}

/** Sends the request, checks the response, and opens the channel. */
export const perform = Effect.fnUntraced(function* (
  transport: Transport,
  request: ClientRequest,
  {
    options,
    startedAt,
    timers
  }: { readonly options: ClientOptions; readonly timers: Timers; readonly startedAt: bigint }
): Effect.fn.Return<ClientOpened, HandshakeErrorReason, Protocol> {
  const { head, rest } = yield* exchange(transport, request.bytes, (status) => status === 101, options).pipe(
    Effect.mapError(reasonOf)
  )
  const handshake = yield* Handshake
  const checked = handshake.checkResponse(head, request)
  if (Result.isFailure(checked)) return yield* new InvalidResponse({ message: checked.failure })
  const negotiated = (yield* Compression).acceptResponse(
    checked.success.extensions,
    options.perMessageCompressionOffers,
    options.perMessageCompressionAccept
  )
  if (Result.isFailure(negotiated)) return yield* new InvalidResponse({ message: negotiated.failure })

  const { subprotocol } = checked.success
  const response: ConnectionResponse = {
    peer: transport.peer,
    headers: fromLines(head.headers),
    version: request.version,
    protocol: subprotocol,
    extensions: negotiated.success.extensions
  }
  const agreement: OpenedChannel.Agreement = {
    role: "client",
    transport,
    options,
    timers,
    transportEndTimeout: options.serverConnectionDropTimeout,
    negotiated: negotiated.success,
    masking: options.acceptMaskedServerFrames ? "either" : "forbidden",
    maskOutgoing: options.maskClientFrames,
    subprotocol,
    request: undefined,
    response,
    answer: undefined,
    rest,
    handshake: {
      receivedOctets: headSize(head),
      sentOctets: request.bytes.length,
      nanos: Number((yield* Clock.monotonicTimeNanos) - startedAt)
    }
  }
  const context = yield* Effect.context<Protocol>()
  return { ...OpenedChannel.start(agreement, context), response }
})

const reasonOf = (failure: ExchangeFailure): HandshakeErrorReason => {
  switch (failure._tag) {
    case "Refused":
      return new Rejected(failure.refusal)
    case "Invalid":
      return new InvalidResponse({ message: failure.message })
    case "Ended":
      return new ConnectFailure({
        message: "the server ended the connection without a response",
        cause: failure.cause
      })
  }
}
