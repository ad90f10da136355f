/**
 * The waiting room of a transport server.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { AcceptedTransport, OnTransport } from "./Transport.ts"

/** Keeps transports until someone accepts them, then hands them on. */
export const acceptor = () => {
  const waiting: Array<AcceptedTransport> = []
  const keep: OnTransport = (accepted) => void waiting.push(accepted)
  let current = keep
  return {
    onTransport: (accepted: AcceptedTransport): void => current(accepted),
    accept: (onTransport: OnTransport): Effect.Effect<void, never, Scope.Scope> =>
      Effect.acquireRelease(
        Effect.sync(() => {
          const before = current
          current = onTransport
          for (const accepted of waiting.splice(0)) onTransport(accepted)
          return before
        }),
        (before) =>
          Effect.sync(() => {
            if (current === onTransport) current = before
          })
      ),
    /** Drops what waits, and whatever still comes. */
    close: (): void => {
      current = (accepted) => accepted.abort()
      for (const accepted of waiting.splice(0)) accepted.abort()
    }
  }
}
