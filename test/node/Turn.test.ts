import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Turn from "../../src/node/Turn.ts"

const immediate = Effect.callback<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})

/** Takes part, and writes down what it is called for. */
const participant = (name: string, calls: Array<string>, onDeliver = () => {}): Turn.Participant => ({
  deliver: () => {
    calls.push(`${name} delivers`)
    onDeliver()
  },
  writeOut: () => calls.push(`${name} writes out`)
})

describe("Turn", () => {
  it.effect("delivers for all before one writes out, in order", () =>
    Effect.gen(function* () {
      const calls: Array<string> = []
      const [one, two]: ReadonlyArray<Turn.Participant> = ["one", "two"].map((name) => {
        const it = participant(name, calls, () => assert.isTrue(Turn.writesOut(it)))
        return it
      })
      Turn.delivers(one!)
      Turn.delivers(two!)
      assert.isFalse(Turn.writesOut(one!))
      assert.deepStrictEqual(calls, [])
      yield* immediate
      assert.deepStrictEqual(calls, ["one delivers", "two delivers", "one writes out", "two writes out"])
      assert.isFalse(Turn.writesOut(one!))
    })
  )

  it.effect("who comes meanwhile has the next turn", () =>
    Effect.gen(function* () {
      const calls: Array<string> = []
      const late = participant("late", calls)
      Turn.delivers(participant("early", calls, () => Turn.delivers(late)))
      yield* immediate
      assert.deepStrictEqual(calls, ["early delivers"])
      yield* immediate
      assert.deepStrictEqual(calls, ["early delivers", "late delivers"])
    })
  )

  it.effect("what one throws keeps nobody else from delivering and writing out", () =>
    Effect.gen(function* () {
      const calls: Array<string> = []
      const first = participant("first", calls, () => Turn.writesOut(first))
      const thrown = yield* Effect.acquireUseRelease(
        Effect.sync(() => {
          const listeners = process.listeners("uncaughtException")
          const errors: Array<unknown> = []
          process.removeAllListeners("uncaughtException")
          process.on("uncaughtException", (error) => errors.push(error))
          return { listeners, errors }
        }),
        ({ errors }) =>
          Effect.gen(function* () {
            Turn.delivers(first)
            Turn.delivers(
              participant("bad", calls, () => {
                throw "thrown"
              })
            )
            Turn.delivers(participant("last", calls))
            yield* immediate
            yield* immediate
            return errors
          }),
        ({ listeners }) =>
          Effect.sync(() => {
            process.removeAllListeners("uncaughtException")
            for (const listener of listeners) process.on("uncaughtException", listener)
          })
      )
      assert.deepStrictEqual(thrown, ["thrown"])
      assert.deepStrictEqual(calls, ["first delivers", "bad delivers", "first writes out", "last delivers"])
    })
  )
})
