import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import { ControlRate } from "../../src/channel/ControlRate.ts"
import { int, pick } from "../support/arbitraries.ts"

describe("ControlRate", () => {
  it.effect.prop(
    "lets through who never sends more than that within a second, and nobody more than that in the long run",
    {
      perSecond: int(1, 5),
      gaps: Arbitrary.array(pick(0, 0, 1, 100, 333, 1000, 60_000), { maxLength: 60 })
    },
    ({ gaps, perSecond }) =>
      Effect.gen(function* () {
        const clock = yield* Clock.Clock
        const start = clock.currentTimeMillisUnsafe()
        const honest = new ControlRate(perSecond, clock, clock.monotonicTimeNanosUnsafe())
        const greedy = new ControlRate(perSecond, clock, clock.monotonicTimeNanosUnsafe())
        const sentAt: Array<number> = []
        let allowed = 0
        for (const gap of gaps) {
          const now = clock.currentTimeMillisUnsafe() - start
          const earliest = (sentAt.at(-perSecond) ?? -1000) + 1000
          const next = Math.max(now + gap, sentAt.length < perSecond ? 0 : earliest)
          yield* TestClock.adjust(Duration.millis(next - now))
          assert.isTrue(honest.allows())
          sentAt.push(next)
          for (let i = 0; i < 20; i++) if (greedy.allows()) allowed++
          assert.isAtMost(allowed, perSecond * (1 + next / 1000))
        }
      }),
    { arbitrary: { runs: 100 } }
  )

  it.effect.each([
    [0, 110],
    [10, 100],
    [11, 199],
    [100, 110]
  ] as const)("after a pause, %i frames and another pause lets %i through at once", ([before, most]) =>
    Effect.gen(function* () {
      const rate = new ControlRate(10, yield* Clock.Clock, 0n)
      yield* TestClock.adjust("1 hour")
      for (let i = 0; i < before; i++) assert.isTrue(rate.allows())
      yield* TestClock.adjust("1 hour")
      let allowed = 0
      while (allowed < 1000 && rate.allows()) allowed++
      assert.strictEqual(allowed, most)
    })
  )

  it.effect("without a limit lets everything through", () =>
    Effect.gen(function* () {
      const rate = new ControlRate(0, yield* Clock.Clock, 0n)
      for (let i = 0; i < 10_000; i++) assert.isTrue(rate.allows())
    })
  )
})
