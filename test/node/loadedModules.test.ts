/**
 * What a program loads with this package, as that is most of its start.
 */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { start } from "../support/processes.ts"

const program = `
  import { registerHooks } from "node:module"
  registerHooks({
    load: (url, context, next) => {
      console.log(url)
      return next(url, context)
    }
  })
  await import("effect-websocket")
  await import("effect-websocket/node")`

it.effect("a server without HTTP does not load it, nor anything of Effect beyond what it uses", () =>
  Effect.gen(function* () {
    const options = ["--conditions=effect-websocket:source", "--input-type=module"]
    const { ended, output } = start(process.execPath, [...options, "--eval", program])
    assert.strictEqual(yield* Effect.promise(() => ended), 0, output())
    const loaded = output().split("\n")
    const matching = (pattern: RegExp) => loaded.filter((url) => pattern.test(url))
    assert.lengthOf(
      matching(/\/src\/node\/NodeWebSocketServer\.ts$|\/effect\/dist\/Effect\.js$|^node:net$/),
      3
    )
    assert.deepStrictEqual(matching(/^node:https?$/), [])
    assert.deepStrictEqual(matching(/\/platform-node|\/effect\/dist\/http\/.*(Server|Client)/), [])
    // Barrels, each of which loads everything behind it.
    assert.deepStrictEqual(matching(/\/effect\/dist\/(\w+\/)*index\.js$/), [])
  })
)
