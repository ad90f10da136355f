import { assert, it } from "@effect/vitest"
import { inOrder } from "../../src/transport/inOrder.ts"

it.each([
  [[], undefined],
  [["ok", "ok"], undefined],
  [["bad"], undefined],
  [
    ["ok", "bad", "ok", "bad"],
    ["ok", "bad"]
  ]
] as const)("of %j, those behind the one that throws are left: %j", (items, left) => {
  const handled: Array<string> = []
  let rest: ReadonlyArray<string> | undefined
  const run = () =>
    inOrder<string>(
      items,
      (item) => {
        handled.push(item)
        if (item === "bad") throw new Error("bad one")
      },
      (behind) => {
        rest = behind
      }
    )
  if ((items as ReadonlyArray<string>).includes("bad")) assert.throws(run, "bad one")
  else run()
  assert.deepStrictEqual([...handled, ...(rest ?? [])], [...items])
  assert.deepStrictEqual(rest, left)
})
