/**
 * What has gone through a connection in one direction since it opened.
 */
import * as Schema from "effect/Schema"

/**
 * What has gone through a connection in one direction since it opened
 * (Autobahn's `TrafficStats`).
 */
export const Traffic = Schema.Struct({
  /** Octets of all frames, control frames and headers included; under TLS, before encryption. */
  wireOctets: Schema.Int,
  /** Octets of data frames' payloads, compressed where compression is spoken. */
  payloadOctets: Schema.Int,
  /** Octets of messages as the application sees them. */
  messageOctets: Schema.Int,
  /** Data frames. */
  frames: Schema.Int,
  /** Messages, complete ones. */
  messages: Schema.Int
})

/** What has gone through a connection in one direction since it opened. */
export interface Traffic extends Schema.Schema.Type<typeof Traffic> {}
