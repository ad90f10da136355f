/**
 * How a connection ended.
 */
import * as Schema from "effect/Schema"

/**
 * How a connection ended (RFC 6455 sections 7.1.4 to 7.1.6; Autobahn's
 * `onClose(wasClean, code, reason)`).
 */
export const CloseEvent = Schema.Struct({
  /** The closing handshake was completed. */
  wasClean: Schema.Boolean,
  /** The peer's status code: 1005 when its Close frame had none, 1006 when no Close frame came. */
  code: Schema.Int,
  /** The peer's reason, or the empty string. */
  reason: Schema.String
})

/** How a connection ended. */
export interface CloseEvent extends Schema.Schema.Type<typeof CloseEvent> {}

const ClosePayload = Schema.Struct({
  /** 1005 when the frame had none. */
  code: Schema.Int,
  reason: Schema.String
})

/** All that is known of a connection's end, so far as it has ended. */
export const CloseFacts = Schema.Struct({
  /** The closing handshake was completed. */
  wasClean: Schema.Boolean,
  /** Why a connection that has ended did not end cleanly, for a person. */
  wasNotCleanReason: Schema.UndefinedOr(Schema.String),
  /** What our Close frame said, once it was sent. */
  localClose: Schema.UndefinedOr(ClosePayload),
  /** What the peer's Close frame said, once it came. */
  remoteClose: Schema.UndefinedOr(ClosePayload),
  /** The application on this end began the closing handshake. */
  closedByMe: Schema.Boolean,
  /** The rule that the peer broke, for which this end failed the connection. */
  violation: Schema.UndefinedOr(Schema.String),
  /** This end dropped the transport. */
  droppedByMe: Schema.Boolean,
  /** The timeout for which it did. */
  timeout: Schema.UndefinedOr(Schema.Literals(["closeHandshake", "transportEnd", "autoPing"]))
})

/** All that is known of a connection's end, so far as it has ended. */
export interface CloseFacts extends Schema.Schema.Type<typeof CloseFacts> {}
