/**
 * The timeouts of many connections, on a service that records what it is asked for.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import { Timeouts } from "../../src/channel/Timeouts.ts"
import { Timers } from "../../src/channel/Timers.ts"
import { settle } from "../support/apiSession.ts"
import { recordLog } from "../support/bothEnds.ts"

const setUp = Effect.fnUntraced(function* (after: Timeouts["Service"]["after"]) {
  const clock = yield* Clock.Clock
  const asked: Array<string> = []
  const over: Array<string> = []
  const recorded: Timeouts["Service"] = {
    after: (kind, limit) => {
      asked.push(`${kind} ${Duration.toSeconds(limit)}`)
      return after(kind, limit)
    }
  }
  const timers = new Timers(Context.add(yield* Effect.context<never>(), Timeouts, recorded), clock)
  const start = (name: string, limit: Duration.Input) =>
    timers.start(
      "closeHandshake",
      Duration.fromInputUnsafe(limit),
      () => void over.push(`${name} at ${clock.currentTimeMillisUnsafe() / 1000}`)
    )
  return { asked, over, start }
})

const seconds = (time: number) => Effect.andThen(TestClock.adjust(`${time} seconds`), settle)

describe("timeouts", () => {
  it.effect("share a wait, and are each over in time", () =>
    Effect.gen(function* () {
      const { asked, over, start } = yield* setUp((_, limit) => Effect.sleep(limit))
      start("first", "5 seconds")
      const stopped = start("stopped", "5 seconds")
      yield* seconds(2)
      start("second", "5 seconds")
      stopped.stop()
      assert.deepStrictEqual(asked, ["closeHandshake 5"])
      start("short", "1 seconds")
      yield* seconds(1)
      assert.deepStrictEqual(over, ["short at 3"])
      yield* seconds(4)
      assert.deepStrictEqual(over, ["short at 3", "first at 5", "second at 7"])
      stopped.stop()
      assert.strictEqual(asked.at(-1), "closeHandshake 2", "what was left of the second")
    })
  )

  it.effect("are over when the service says so, whatever the clock says", () =>
    Effect.gen(function* () {
      const { over, start } = yield* setUp(() => Effect.void)
      start("first", "5 seconds")
      assert.deepStrictEqual(over, ["first at 0"])
      start("second", 0)
      assert.deepStrictEqual(over, ["first at 0", "second at 0"])
    })
  )

  it.effect("of 0 are the service's to decide, each alone", () =>
    Effect.gen(function* () {
      const { asked, over, start } = yield* setUp(() => Effect.sleep("30 seconds"))
      start("first", 0)
      yield* seconds(10)
      start("second", 0)
      const stopped = start("stopped", 0)
      yield* seconds(20)
      stopped.stop()
      yield* seconds(10)
      assert.deepStrictEqual(over, ["first at 30", "second at 40"])
      assert.lengthOf(asked, 3)
    })
  )

  it.effect("that die are not the others' loss", () =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      const context = Context.make(Timeouts, { after: (_, limit) => Effect.sleep(limit) })
      const timers = new Timers(Context.merge(yield* Effect.context<never>(), context), clock)
      let isOver = false
      timers.start("transportEnd", Duration.seconds(1), () => {
        throw new Error("a defect")
      })
      timers.start("transportEnd", Duration.seconds(1), () => {
        isOver = true
      })
      yield* seconds(1)
      assert.isTrue(isOver)
    })
  )

  it.effect("are not over once they are stopped, also in the turn in which both are due", () =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      const context = Context.add(yield* Effect.context<never>(), Timeouts, {
        after: (_, limit) => Effect.sleep(limit)
      })
      const timers = new Timers(context, clock)
      const over: Array<string> = []
      const limit = Duration.seconds(1)
      timers.start("closeHandshake", limit, () => {
        over.push("first")
        second.stop()
        timers.start("closeHandshake", limit, () => over.push("third"))
      })
      const second = timers.start("closeHandshake", limit, () => over.push("second"))
      yield* seconds(1)
      assert.deepStrictEqual(over, ["first"])
      yield* seconds(1)
      assert.deepStrictEqual(over, ["first", "third"])
    })
  )

  it.effect.each([
    ["dies", () => Effect.die(new Error("once"))],
    [
      "throws",
      () => {
        throw new Error("once")
      }
    ]
  ] as const)("whose wait %s are over, and no others", ([, after]) => {
    const log = recordLog()
    return Effect.gen(function* () {
      for (const limit of ["1 seconds", 0] as const) {
        let calls = 0
        const { over, start } = yield* setUp((_, limit) => (calls++ === 0 ? after() : Effect.sleep(limit)))
        start("first", limit)
        start("second", "2 seconds")
        yield* settle
        assert.lengthOf(over, 1)
        yield* seconds(2)
        start("third", "1 seconds")
        yield* seconds(1)
        assert.deepStrictEqual(
          over.map((line) => line.split(" ")[0]),
          ["first", "second", "third"]
        )
      }
      assert.deepStrictEqual(log.lines, Array(2).fill("Error a timeout died: once"))
    }).pipe(Effect.provide(log.layer))
  })
})
