/**
 * What visits leave behind after young collections.
 */
import * as Effect from "effect/Effect"
import { youngHeapBytes } from "./memory.ts"

const measurements = 5

/**
 * Bytes that a thousand visits leave in the heap, of which the young collections found that something refers to them.
 * The least of several measurements: what is alive when V8 makes a collection of its own may become old, too.
 */
export const leftBy = <E, R>(visit: Effect.Effect<void, E, R>): Effect.Effect<number, E, R> =>
  Effect.gen(function* () {
    const crowd = Effect.replicateEffect(visit, 1000, { concurrency: 50, discard: true })
    yield* crowd
    const left: Array<number> = []
    for (let measurement = 0; measurement < measurements; measurement++) {
      const before = youngHeapBytes()
      yield* crowd
      left.push(youngHeapBytes() - before)
    }
    // Less than nothing: V8 has made a full collection meanwhile.
    return Math.min(...left.filter((bytes) => bytes > 0))
  })
