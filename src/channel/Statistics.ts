/**
 * What has gone through a channel, and how fast it answers.
 */
import * as Schema from "effect/Schema"
import { Traffic } from "../connection/Traffic.ts"

export { Traffic } from "../connection/Traffic.ts"

/** What the opening handshake took. */
export const HandshakeStatistics = Schema.Struct({
  /** Octets of the peer's HTTP head. */
  receivedOctets: Schema.Int,
  /** Octets of our HTTP head. */
  sentOctets: Schema.Int,
  /** From the accepted or requested transport to the open connection. */
  duration: Schema.Duration
})

/** What the opening handshake took. */
export interface HandshakeStatistics extends Schema.Schema.Type<typeof HandshakeStatistics> {}

/** The same as a connection keeps it: the duration in nanoseconds. */
export interface HandshakeFacts extends Omit<HandshakeStatistics, "duration"> {
  readonly nanos: number
}

/** What has gone through a channel, and how fast it answers. */
export const Statistics = Schema.Struct({
  received: Traffic,
  sent: Traffic,
  handshake: HandshakeStatistics,
  /** The round trip of the last automatic ping that was answered. */
  roundTripTime: Schema.UndefinedOr(Schema.Duration)
})

/** What has gone through a channel, and how fast it answers. */
export interface Statistics extends Schema.Schema.Type<typeof Statistics> {}
