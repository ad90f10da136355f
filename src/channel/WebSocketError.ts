/**
 * How a connection can fail after its opening handshake.
 *
 * Every failure is one `WebSocketError` with a `reason`: catch them all with
 * `Effect.catchTag("WebSocketError", ...)`, or one with
 * `Effect.catchReason("WebSocketError", "ConnectionClosed", ...)`.
 */
import * as Schema from "effect/Schema"
import * as Violation from "../frame/Violation.ts"
import { withoutStack } from "./withoutStack.ts"

/** The peer broke a rule of the protocol; the connection failed with 1002. */
export class ProtocolViolation extends Schema.TaggedError<ProtocolViolation>()("ProtocolViolation", {
  violation: Schema.String,
  code: Schema.Literal(1002),
  message: Schema.String
}) {}

/** The peer sent text that is not UTF-8; the connection failed with 1007. */
export class InvalidPayload extends Schema.TaggedError<InvalidPayload>()("InvalidPayload", {
  violation: Schema.String,
  code: Schema.Literal(1007),
  message: Schema.String
}) {}

/** The peer sent more than this end's policy allows; the connection failed with 1008. */
export class PolicyViolation extends Schema.TaggedError<PolicyViolation>()("PolicyViolation", {
  violation: Schema.String,
  code: Schema.Literal(1008),
  message: Schema.String
}) {}

/** The peer sent a frame or message beyond a limit; the connection failed with 1009. */
export class MessageTooBig extends Schema.TaggedError<MessageTooBig>()("MessageTooBig", {
  violation: Schema.String,
  code: Schema.Literal(1009),
  message: Schema.String
}) {}

/** The peer did not answer our Close frame within `closeHandshakeTimeout`; the transport was dropped. */
export class CloseTimeout extends Schema.TaggedError<CloseTimeout>()("CloseTimeout", {
  message: Schema.String
}) {}

/** The peer did not answer an automatic ping within `autoPingTimeout`; the transport was dropped. */
export class PingTimeout extends Schema.TaggedError<PingTimeout>()("PingTimeout", {
  message: Schema.String
}) {}

/**
 * The connection is closing or closed. `code` and `closeReason` are the peer's:
 * 1005 when its Close frame had none, 1006 when no Close frame came (RFC 6455
 * section 7.1.5); our own while the peer has not answered our Close frame.
 */
export class ConnectionClosed extends Schema.TaggedError<ConnectionClosed>()("ConnectionClosed", {
  code: Schema.Int,
  closeReason: Schema.String,
  wasClean: Schema.Boolean
}) {
  override get message() {
    const reason = this.closeReason === "" ? "" : `: ${this.closeReason}`
    return `the connection closed ${this.wasClean ? "cleanly" : "uncleanly"} (${this.code}${reason})`
  }
}

/** Reading from or writing to the transport failed. */
export class TransportFailure extends Schema.TaggedError<TransportFailure>()("TransportFailure", {
  cause: Schema.Defect()
}) {
  override get message() {
    return `the transport failed: ${this.cause instanceof Error ? this.cause.message : String(this.cause)}`
  }
}

/**
 * The application asked for what the protocol does not allow. Nothing of that was sent, and the connection goes
 * on, but where it was the rest of a message sent in fragments: what was begun is ended with the connection.
 */
export class InvalidCall extends Schema.TaggedError<InvalidCall>()("InvalidCall", {
  message: Schema.String
}) {}

/** All reasons of a {@link WebSocketError}. */
export const WebSocketErrorReason = Schema.Union([
  ProtocolViolation,
  InvalidPayload,
  PolicyViolation,
  MessageTooBig,
  CloseTimeout,
  PingTimeout,
  ConnectionClosed,
  TransportFailure,
  InvalidCall
])

/** All reasons of a {@link WebSocketError}. */
export type WebSocketErrorReason = typeof WebSocketErrorReason.Type

/** The failure of a connection, or of a call on it. */
export class WebSocketError extends Schema.TaggedError<WebSocketError>()("WebSocketError", {
  reason: WebSocketErrorReason
}) {
  override get message() {
    return this.reason.message
  }
}

/** The error for a violation, with the status code that the table gives it. */
export const fromViolation = (violation: Violation.Violation): WebSocketError =>
  withoutStack(() => new WebSocketError({ reason: reasonOf(violation) }))

const reasonOf = (violation: Violation.Violation): WebSocketErrorReason => {
  const message = Violation.description(violation)
  const code = Violation.statusCode(violation)
  switch (code) {
    case 1002:
      return new ProtocolViolation({ violation, code, message })
    case 1007:
      return new InvalidPayload({ violation, code, message })
    case 1008:
      return new PolicyViolation({ violation, code, message })
    case 1009:
      return new MessageTooBig({ violation, code, message })
  }
}

/** The error of a call that the protocol does not allow. */
export const invalidCall = (message: string): WebSocketError =>
  new WebSocketError({ reason: new InvalidCall({ message }) })
