/**
 * Deadlines of many connections on one clock, by their heartbeats.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import { Deadlines } from "../../src/channel/Deadlines.ts"
import { Heartbeat } from "../../src/channel/Heartbeat.ts"
import { settle } from "../support/apiSession.ts"

/** Heartbeats on the test's clock, with a count of who sleeps on it, and a record of their pings. */
const setUp = Effect.gen(function* () {
  const clock = yield* Clock.Clock
  let sleepers = 0
  const counted: Clock.Clock = {
    ...clock,
    currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe(),
    monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
    sleep: (duration) =>
      Effect.suspend(() => {
        sleepers++
        return Effect.ensuring(
          clock.sleep(duration),
          Effect.sync(() => void sleepers--)
        )
      })
  }
  const context = yield* Effect.provideService(Effect.context<never>(), Clock.Clock, counted)
  const heartbeats = new Deadlines(context, counted, Effect.sleep)
  const pings: Array<string> = []
  const start = (name: string, autoPingInterval: Duration.Input) => {
    const alive = {
      isClosing: false,
      isHeld: false,
      bufferedAmount: 0,
      takenAmount: 0,
      ping: () => void pings.push(`${name} at ${clock.currentTimeMillisUnsafe() / 1000}`),
      pingTimeUp: () => void pings.push(`${name} is dead`)
    }
    const options = {
      autoPingInterval: Duration.fromInputUnsafe(autoPingInterval),
      autoPingTimeout: Duration.zero,
      autoPingSize: 4,
      autoPingRestartOnAnyTraffic: false
    }
    const heartbeat = new Heartbeat(alive, options, counted, clock.monotonicTimeNanosUnsafe())
    heartbeats.start(heartbeat)
    return { alive, heartbeat }
  }
  return { heartbeats, pings, start, sleepers: () => sleepers }
})

const seconds = (time: number) => Effect.andThen(TestClock.adjust(`${time} seconds`), settle)

describe("heartbeats", () => {
  it.effect("of any number of connections have one fiber, and none when there are none", () =>
    Effect.gen(function* () {
      const { heartbeats, pings, sleepers, start } = yield* setUp
      assert.strictEqual(sleepers(), 0)
      // More than are looked at in one turn, in an order of its own.
      const all = Array.from({ length: 1000 }, (_, i) => start(`${i}`, `${1 + ((i * 7) % 1000)} seconds`))
      yield* settle
      assert.strictEqual(sleepers(), 1)
      for (const [i, { heartbeat }] of all.entries()) if (i % 3 === 0) heartbeats.stop(heartbeat)
      yield* seconds(2000)
      const left = all.flatMap((_, i) => (i % 3 === 0 ? [] : [i]))
      const first = new Set(pings.map((ping) => ping.split(" ")[0]))
      assert.deepStrictEqual(
        [...first].map(Number).sort((a, b) => a - b),
        left
      )
      assert.strictEqual(sleepers(), 1)
      for (const { heartbeat } of all) {
        heartbeats.stop(heartbeat)
        heartbeats.stop(heartbeat)
      }
      yield* settle
      assert.strictEqual(sleepers(), 0)
      const before = pings.length
      yield* seconds(2000)
      assert.lengthOf(pings, before)
    })
  )

  it.effect("are each in time, whichever started first", () =>
    Effect.gen(function* () {
      const { pings, start } = yield* setUp
      start("slow", "5 seconds")
      yield* seconds(1)
      start("fast", "2 seconds")
      yield* seconds(1)
      const closing = start("closing", "1 seconds")
      closing.alive.isClosing = true
      for (let i = 0; i < 5; i++) yield* seconds(1)
      assert.deepStrictEqual(pings, ["fast at 3", "slow at 5", "fast at 5", "fast at 7"])
      assert.isBelow(closing.heartbeat.index, 0)
    })
  )

  it.effect("start again after all have stopped", () =>
    Effect.gen(function* () {
      const { heartbeats, pings, start } = yield* setUp
      heartbeats.stop(start("first", "1 seconds").heartbeat)
      start("second", "3 seconds")
      yield* seconds(3)
      const last = start("closing", "1 seconds")
      last.alive.isClosing = true
      yield* seconds(1)
      assert.deepStrictEqual(pings, ["second at 3"])
    })
  )
})
