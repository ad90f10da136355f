/**
 * A client's reading of the head of a response from a transport.
 */
import * as Effect from "effect/Effect"
import { type HeadError, HeadReader, type HttpHead } from "../handshake/HttpHead.ts"
import type { Transport, TransportListener } from "../transport/Transport.ts"

/** Why there is no head: the peer sent something else, or nothing more. */
export type HeadFailure =
  | { readonly _tag: "Invalid"; readonly error: HeadError }
  | { readonly _tag: "Ended"; readonly cause: unknown }

const noBytes = new Uint8Array(0)

/** A head, and the bytes that came after it. */
export interface ReadHead {
  readonly head: HttpHead
  readonly rest: Uint8Array
}

/**
 * Reads a head, of which `start` has come already. Afterwards the transport is
 * paused.
 */
export const readHead = (
  transport: Transport,
  limits: { readonly maxHandshakeSize: number; readonly maxHandshakeHeaders: number },
  start: Uint8Array = noBytes
): Effect.Effect<ReadHead, HeadFailure> =>
  Effect.suspend(() => {
    const reader = new HeadReader({
      maxBytes: limits.maxHandshakeSize,
      maxHeaders: limits.maxHandshakeHeaders
    })
    const push = (chunk: Uint8Array): Effect.Effect<ReadHead, HeadFailure> | undefined => {
      const result = reader.push(chunk)
      if (result._tag === "Incomplete") return undefined
      return result._tag === "Complete"
        ? Effect.succeed({ head: result.head, rest: result.rest })
        : Effect.fail({ _tag: "Invalid", error: result.error })
    }
    return push(start) ?? read(transport, push, (cause) => Effect.fail({ _tag: "Ended", cause }))
  })

/** Reads on until `push` says so, or the peer ends. */
export const readUntil = (transport: Transport, push: (chunk: Uint8Array) => boolean): Effect.Effect<void> =>
  read(
    transport,
    (chunk) => (push(chunk) ? Effect.void : undefined),
    () => Effect.void
  )

/**
 * Hands what comes to `push` until that gives an outcome, or the peer ends. Afterwards the transport is paused,
 * so that nothing is lost before its next listener is there.
 */
const read = <A, E>(
  transport: Transport,
  push: (chunk: Uint8Array) => Effect.Effect<A, E> | undefined,
  ended: (cause: unknown) => Effect.Effect<A, E>
): Effect.Effect<A, E> =>
  Effect.callback<A, E>((resume) => {
    const finish = (outcome: Effect.Effect<A, E>) => {
      transport.pause()
      transport.listen(ignoring)
      resume(outcome)
    }
    transport.listen({
      ...ignoring,
      onData: (chunk) => {
        const outcome = push(chunk)
        if (outcome !== undefined) finish(outcome)
        return false
      },
      onEnd: () => finish(ended(undefined)),
      onClose: (cause) => finish(ended(cause))
    })
    transport.resume()
    return Effect.sync(() => transport.listen(ignoring))
  })

const nothing = (): void => {}

/** Discards whatever comes. */
const ignoring: TransportListener = {
  onData: () => true,
  onEnd: nothing,
  onDrain: nothing,
  onClose: nothing
}
