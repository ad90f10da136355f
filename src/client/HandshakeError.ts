/**
 * How a client's opening handshake can fail.
 */
import * as Schema from "effect/Schema"
import { ProxyFailure, ProxyRefused } from "../handshake/ProxyConnect.ts"

export { ProxyFailure, ProxyRefused }

/** The URL, a header, a subprotocol, the proxy or another part of the request cannot be sent. The server got nothing. */
export class InvalidRequest extends Schema.TaggedError<InvalidRequest>()("InvalidRequest", {
  message: Schema.String
}) {}

/** The server answered with an HTTP response instead of a connection. */
export class Rejected extends Schema.TaggedError<Rejected>()("Rejected", {
  status: Schema.Int,
  /** The reason phrase. */
  statusText: Schema.String,
  /** By lower-case name. */
  headers: Schema.Record(Schema.String, Schema.String),
  /** The body as text, at most its first 64 KiB. */
  body: Schema.String
}) {
  override get message() {
    return `the server rejected the connection: ${this.status} ${this.statusText}`.trimEnd()
  }
}

/** The server's answer is not a valid response to the request (RFC 6455 section 4.1). */
export class InvalidResponse extends Schema.TaggedError<InvalidResponse>()("InvalidResponse", {
  message: Schema.String
}) {}

/** There was no valid response within `openHandshakeTimeout`. */
export class HandshakeTimeout extends Schema.TaggedError<HandshakeTimeout>()("HandshakeTimeout", {
  message: Schema.String
}) {}

/** The server could not be reached, was not who it should be, or the connection to it was lost. */
export class ConnectFailure extends Schema.TaggedError<ConnectFailure>()("ConnectFailure", {
  message: Schema.String,
  cause: Schema.Defect()
}) {}

/** All reasons of a {@link HandshakeError}. */
export const HandshakeErrorReason = Schema.Union([
  InvalidRequest,
  Rejected,
  InvalidResponse,
  HandshakeTimeout,
  ConnectFailure,
  ProxyRefused,
  ProxyFailure
])

/** All reasons of a {@link HandshakeError}. */
export type HandshakeErrorReason = typeof HandshakeErrorReason.Type

/** The failure of a client's opening handshake. */
export class HandshakeError extends Schema.TaggedError<HandshakeError>()("HandshakeError", {
  /** The URL that was connected to, without user information. */
  url: Schema.String,
  reason: HandshakeErrorReason
}) {
  override get message() {
    // A query may hold a token, and messages are logged.
    return `${this.url.split("?", 1)[0]}: ${this.reason.message}`
  }
}
