/**
 * The opening handshake as an application sees it, in Autobahn's terms. Each type has a Schema of the same name, for
 * logs and RPC: `Schema.toCodecJson` makes JSON of it, with all headers, `Authorization` and `Cookie` among them.
 */
import * as Headers from "effect/http/Headers"
import type * as NetAddress from "effect/net/NetAddress"
import * as Schema from "effect/Schema"
import * as ExtensionHeader from "../extension/ExtensionHeader.ts"
import type { Headers as HeaderLines } from "./HttpHead.ts"
import { Params } from "./Query.ts"
import type { HandshakeRequest } from "./Request.ts"
import { SocketAddress } from "./SocketAddress.ts"

/** What a client asks for (Autobahn's `ConnectionRequest`). */
export interface ConnectionRequest {
  /**
   * The client's address, where the transport knows it, or by X-Forwarded-For as far as the server trusts that;
   * its port is then 0 where the header names none.
   */
  readonly peer: NetAddress.SocketAddress | undefined
  /** All request headers, by lower-case name; several of one name are joined by `, `. */
  readonly headers: Headers.Headers
  /** The Host header. */
  readonly host: string
  /** The path of the request target, percent-encoded: `/chat` for `/chat?room=1`. */
  readonly path: string
  /** The decoded query: `{ room: ["1"] }`, without a prototype. */
  readonly params: Params
  /** The protocol version: 13 or 8. */
  readonly version: number
  /** The Origin header. Only browsers are bound to tell the truth here. */
  readonly origin: string | undefined
  /** The subprotocols the client speaks, most wanted first. */
  readonly protocols: ReadonlyArray<string>
  /** The extensions the client offers, as they stand in Sec-WebSocket-Extensions. */
  readonly extensions: ReadonlyArray<string>
}

/** {@link ConnectionRequest}, field by field. */
export const ConnectionRequest = Schema.Struct({
  peer: Schema.UndefinedOr(SocketAddress),
  headers: Schema.Headers,
  host: Schema.String,
  path: Schema.String,
  params: Params,
  version: Schema.Int,
  origin: Schema.UndefinedOr(Schema.String),
  protocols: Schema.Array(Schema.String),
  extensions: Schema.Array(Schema.String)
}) satisfies Schema.Codec<ConnectionRequest>

/**
 * What a client asks for instead of what the URL and the session say (Autobahn's `ConnectingRequest`). What is
 * left out stays as it was.
 */
export interface ConnectingRequest {
  /** The name in the Host header; an IPv6 address is without brackets. */
  readonly host?: string | undefined
  /** The port in the Host header, which names it when it is not the scheme's default. */
  readonly port?: number | undefined
  /** The request target: path and query. */
  readonly resource?: string | undefined
  readonly headers?: HeadersInput | undefined
  readonly userAgent?: string | undefined
  readonly origin?: string | undefined
  readonly protocols?: ReadonlyArray<string> | undefined
}

/** What a server answered (Autobahn's `ConnectionResponse`). */
export interface ConnectionResponse {
  /** The server's address, where the transport knows it. */
  readonly peer: NetAddress.SocketAddress | undefined
  /** All response headers, by lower-case name; several of one name are joined by `, `. */
  readonly headers: Headers.Headers
  /** The protocol version that is spoken. */
  readonly version: number
  /** The subprotocol that is spoken. */
  readonly protocol: string | undefined
  /** The extensions that are spoken, as they stand in Sec-WebSocket-Extensions. */
  readonly extensions: ReadonlyArray<string>
}

/** {@link ConnectionResponse}, field by field. */
export const ConnectionResponse = Schema.Struct({
  peer: Schema.UndefinedOr(SocketAddress),
  headers: Schema.Headers,
  version: Schema.Int,
  protocol: Schema.UndefinedOr(Schema.String),
  extensions: Schema.Array(Schema.String)
}) satisfies Schema.Codec<ConnectionResponse>

/** Headers to send: a list of values becomes one line each. */
export type HeadersInput = Readonly<Record<string, string | ReadonlyArray<string>>>

/** {@link HeadersInput}, name by name. */
export const HeadersInput = Schema.Record(
  Schema.String,
  Schema.Union([Schema.String, Schema.Array(Schema.String)])
) satisfies Schema.Codec<HeadersInput>

/** How a server accepts a connection (Autobahn's `ConnectionAccept`). */
export interface ConnectionAccept {
  /** One of the request's `protocols`. Default: the first that is in the server's option `protocols`. */
  readonly subprotocol?: string | undefined
  /** Further headers of the response, cookies for example. */
  readonly headers?: HeadersInput | undefined
}

/** {@link ConnectionAccept}, field by field. */
export const ConnectionAccept = Schema.Struct({
  subprotocol: Schema.optional(Schema.String),
  headers: Schema.optional(HeadersInput)
}) satisfies Schema.Codec<ConnectionAccept>

/** Header lines as the wire has them. */
export const toLines = (input: HeadersInput = {}): HeaderLines =>
  Object.entries(input).flatMap(([name, value]) =>
    typeof value === "string" ? [[name, value] as const] : value.map((line) => [name, line] as const)
  )

/** Header lines as Effect's `Headers`. */
export const fromLines = (lines: HeaderLines): Headers.Headers => {
  const headers = Headers.fromInput(lines)
  // It keeps the last of several lines.
  return Object.keys(headers).length === lines.length ? headers : Headers.fromInput(joined(lines))
}

const joined = (lines: HeaderLines): ReadonlyMap<string, string> => {
  const joined = new Map<string, string>()
  for (const [name, value] of lines) {
    const key = name.toLowerCase()
    const before = joined.get(key)
    // RFC 6265 section 5.4: cookies are told apart by semicolons.
    const separator = key === "cookie" ? "; " : ", "
    joined.set(key, before === undefined ? value : `${before}${separator}${value}`)
  }
  return joined
}

const none: ReadonlyArray<never> = []

/** A valid opening request, with what the transport knows. */
export const fromHandshake = (
  request: HandshakeRequest,
  peer: NetAddress.SocketAddress | undefined
): ConnectionRequest => ({
  peer,
  headers: fromLines(request.headers),
  host: request.host,
  path: request.path,
  params: request.params,
  version: request.version,
  origin: request.origin,
  protocols: request.protocols,
  extensions: request.extensions.length === 0 ? none : request.extensions.map(ExtensionHeader.format)
})
