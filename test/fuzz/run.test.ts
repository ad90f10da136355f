import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { minimise } from "./mutate.ts"
import { run } from "./run.ts"

const module = new URL("../support/plantedTargets.ts", import.meta.url).href

// A search ends with what it finds.
const found = (target: string, seconds = 30) =>
  Effect.promise(() => run(module, { target, seed: 1, seconds }))

describe("the fuzzer", () => {
  it.effect.each([
    { target: "throws", input: "!?", problem: /^Error: it is in there/ },
    { target: "hangs", input: "?", problem: /^it hangs/ },
    { target: "never calls back", input: "?", problem: /^it never calls back/ },
    { target: "throws later", input: "?", problem: /nobody catches this/ }
  ])("finds what $target, and the shortest input for it", ({ input, problem, target }) =>
    Effect.gen(function* () {
      const { finding } = yield* found(target)
      assert.deepInclude(finding, { trial: "check", input })
      assert.match(finding?.problem ?? "", problem)
    })
  )

  it.effect("finds time that grows faster than the input", () =>
    Effect.gen(function* () {
      const { finding } = yield* found("quadratic")
      assert.strictEqual(finding?.trial, "work")
      assert.match(finding?.problem ?? "", /^four times "a+" takes ten times as long/)
    })
  )

  it.effect("does the same again for the same seed", () =>
    Effect.gen(function* () {
      const first = yield* found("throws")
      const { outcome } = yield* found("throws")
      assert.strictEqual(outcome?.runs, first.outcome?.runs)
      assert.strictEqual(outcome?.finding?.input, "!?")
    })
  )

  it.effect("finds nothing where there is nothing", () =>
    Effect.gen(function* () {
      const { finding, outcome } = yield* found("sound", 1)
      assert.isUndefined(finding)
      assert.isAbove(outcome?.runs ?? 0, 0)
    })
  )
})

describe("minimise", () => {
  const has = (needed: string) => async (input: string) => [...needed].every((one) => input.includes(one))

  it.effect("leaves what the failure needs, and nothing else", () =>
    Effect.gen(function* () {
      const input = "the quick brown fox jumps over the lazy dog"
      assert.strictEqual(yield* Effect.promise(() => minimise(input, has("qz"), 1000)), "qz")
      assert.strictEqual(yield* Effect.promise(() => minimise(input, has("qz"), 0)), input)
    })
  )
})
