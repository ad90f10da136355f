/**
 * The waiting room of a transport server.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { OnTransport, ReceivedRequest, Transport } from "./Transport.ts"

/** Keeps transports until someone accepts them, then hands them on. */
export const acceptor = () => {
  const waiting: Array<[Transport, ReceivedRequest | undefined]> = []
  const keep: OnTransport = (transport, request) => void waiting.push([transport, request])
  let current = keep
  return {
    onTransport: ((transport, request) => current(transport, request)) satisfies OnTransport as OnTransport,
    accept: (onTransport: OnTransport): Effect.Effect<void, never, Scope.Scope> =>
      Effect.acquireRelease(
        Effect.sync(() => {
          const before = current
          current = onTransport
          for (const [transport, request] of waiting.splice(0)) onTransport(transport, request)
          return before
        }),
        (before) =>
          Effect.sync(() => {
            if (current === onTransport) current = before
          })
      ),
    /** Drops what waits, and whatever still comes. */
    close: (): void => {
      current = (transport) => transport.abort()
      for (const [transport] of waiting.splice(0)) transport.abort()
    }
  }
}
