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
