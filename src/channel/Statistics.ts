/**
 * What has gone through a channel, and how fast it answers.
 */
import * as Schema from "effect/Schema"
import { Traffic } from "../connection/Traffic.ts"

export { Traffic } from "../connection/Traffic.ts"

/** What has gone through a channel, and how fast it answers. */
export const Statistics = Schema.Struct({
  received: Traffic,
  sent: Traffic,
  /** The round trip of the last automatic ping that was answered. */
  roundTripTime: Schema.UndefinedOr(Schema.Duration)
})

/** What has gone through a channel, and how fast it answers. */
export interface Statistics extends Schema.Schema.Type<typeof Statistics> {}
