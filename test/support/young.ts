/**
 * What visits leave behind after young collections.
 */
import * as Effect from "effect/Effect"
import { youngHeapBytes } from "./memory.ts"

/** Bytes that a thousand visits leave in the heap, of which the young collections found that something refers to them. */
export const leftBy = <E, R>(visit: Effect.Effect<void, E, R>): Effect.Effect<number, E, R> =>
  Effect.gen(function* () {
    const crowd = Effect.replicateEffect(visit, 1000, { concurrency: 50, discard: true })
    yield* crowd
    let left = -1
    // Less than nothing: V8 has made a full collection meanwhile.
    while (left < 0) {
      const before = youngHeapBytes()
      yield* crowd
      left = youngHeapBytes() - before
    }
    return left
  })
