/**
 * Timeouts as a service. Time is Effect's `Clock`, so `TestClock` moves it.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/** What a timeout bounds. */
export type TimeoutKind =
  /** From the accepted or requested connection, a TLS handshake included, to the end of the opening handshake. */
  | "openHandshake"
  /** From our Close frame to the peer's. */
  | "closeHandshake"
  /** From the end of the closing handshake to the end of the transport. */
  | "transportEnd"

/** Tells when a timeout is over. */
export class Timeouts extends Context.Service<
  Timeouts,
  {
    /**
     * Succeeds when the time is over. A limit of 0 is none, but for "transportEnd". Connections share a wait: one whose
     * time ends during another's then waits for what is left of its own.
     */
    readonly after: (kind: TimeoutKind, limit: Duration.Duration) => Effect.Effect<void>
  }
>()("effect-websocket/channel/Timeouts") {}

/** A transport that does not end is dropped in the end, also where no timeout is wanted. */
export const longestTransportEnd = Duration.seconds(30)

/** Timeouts of the length the options give; 30 seconds for "transportEnd" where they give none. */
export const layer: Layer.Layer<Timeouts> = Layer.succeed(Timeouts, {
  after: (kind, limit) => {
    if (!Duration.isZero(limit)) return Effect.sleep(limit)
    return kind === "transportEnd" ? Effect.sleep(longestTransportEnd) : Effect.never
  }
})
