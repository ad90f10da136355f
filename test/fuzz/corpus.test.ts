import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Corpus from "./Corpus.ts"
import { targets } from "./targets/index.ts"

describe("each input that the fuzzer has kept", () => {
  it.effect.each(targets)("passes: $name", (target) =>
    Effect.gen(function* () {
      const kept = Corpus.read(target)
      assert.isNotEmpty(kept)
      for (const { file, input } of kept) {
        yield* Effect.tryPromise({
          try: async () => target.check(input),
          catch: (cause) => new Error(file, { cause })
        })
      }
    })
  )
})
