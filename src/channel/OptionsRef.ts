/**
 * Options that may change while a server or a client runs.
 */
import * as Effect from "effect/Effect"
import type * as Result from "effect/Result"
import type * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import type { InvalidOptions } from "./Options.ts"

/**
 * The options that new connections get; a connection keeps those it began with (Autobahn's
 * `setProtocolOptions`, `setSessionParameters` and `resetProtocolOptions`).
 */
export interface OptionsRef<in Input, out Options> {
  /** The options as they are now, decoded. */
  readonly get: Effect.Effect<Options>
  /** As `get`, at once. */
  readonly getUnsafe: () => Options
  /**
   * Changes the given options and no other; `undefined` is the default, as ever. Fails with the first one
   * that is wrong, and changes nothing then.
   */
  readonly set: (options: Input) => Effect.Effect<void, InvalidOptions>
  /** Goes back to the options that the layer was made with. */
  readonly reset: Effect.Effect<void>
  /** The options as they are now, and whenever they change. */
  readonly changes: Stream.Stream<Options>
}

/** Holds options that start as `initial`. */
export const make = Effect.fnUntraced(function* <Input extends object, Options>(
  decode: (input: Input) => Result.Result<Options, InvalidOptions>,
  initial: NoInfer<Input>
): Effect.fn.Return<OptionsRef<Input, Options>, InvalidOptions> {
  const start = { input: initial, options: yield* Effect.fromResult(decode(initial)) }
  const ref = yield* SubscriptionRef.make(start.options)
  let input = start.input
  const replace = (next: typeof start) =>
    Effect.suspend(() => {
      input = next.input
      return SubscriptionRef.set(ref, next.options)
    })
  return {
    get: SubscriptionRef.get(ref),
    getUnsafe: () => SubscriptionRef.getUnsafe(ref),
    set: Effect.fnUntraced(function* (options) {
      const merged = { ...input, ...options }
      yield* replace({ input: merged, options: yield* Effect.fromResult(decode(merged)) })
    }),
    reset: replace(start),
    changes: SubscriptionRef.changes(ref)
  }
})
