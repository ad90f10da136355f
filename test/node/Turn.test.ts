import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Turn from "../../src/node/Turn.ts"
import { throws, uncaught } from "../support/uncaught.ts"

const immediate = Effect.callback<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})

/** Takes part, and writes down what it is called for. */
const participant = (
  name: string,
  calls: Array<string>,
  onDeliver: () => void = () => {},
  onWriteOut: () => void = () => {}
): Turn.Participant => ({
  deliver: () => {
    calls.push(`${name} delivers`)
    onDeliver()
  },
  writeOut: () => {
    calls.push(`${name} writes out`)
    onWriteOut()
  }
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
      const takesPart = (name: string, writeOut = () => {}): Turn.Participant => {
        const it = participant(name, calls, () => Turn.writesOut(it), writeOut)
        return it
      }
      const thrown = yield* uncaught(
        Effect.gen(function* () {
          Turn.delivers(takesPart("first", () => throws("while writing")))
          Turn.delivers(takesPart("second"))
          Turn.delivers(participant("bad", calls, () => throws("while delivering")))
          Turn.delivers(participant("last", calls))
          for (let turn = 0; turn < 3; turn++) yield* immediate
        })
      )
      assert.deepStrictEqual(thrown.sort(), ["while delivering", "while writing"])
      const writing = ["first writes out", "second writes out"]
      assert.sameMembers(calls, [
        ...["first delivers", "second delivers", "bad delivers", "last delivers"],
        ...writing
      ])
      assert.deepStrictEqual(
        calls.filter((call) => call.endsWith("writes out")),
        writing
      )
    })
  )
})
