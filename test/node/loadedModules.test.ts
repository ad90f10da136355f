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
  const { NodeWebSocketServer } = await import("effect-websocket/node")
  const Effect = await import("effect/Effect")
  const Layer = await import("effect/Layer")
  await Effect.runPromise(
    Effect.scoped(Layer.build(NodeWebSocketServer.layer({ host: "127.0.0.1", port: 0 })))
  )
  console.log(process.moduleLoadList.join("\\n"))`

it.effect(
  "a server without HTTP and TLS does not load them, nor anything of Effect beyond what it uses",
  () =>
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
      // What loads longer than this package, and a server without TLS and pings does not use.
      assert.lengthOf(matching(/^NativeModule net$/), 1)
      assert.deepStrictEqual(matching(/^NativeModule (tls|internal\/crypto\/webcrypto)$/), [])
      assert.deepStrictEqual(matching(/\/platform-node|\/effect\/dist\/http\/.*(Server|Client)/), [])
      // Barrels, each of which loads everything behind it.
      assert.deepStrictEqual(matching(/\/effect\/dist\/(\w+\/)*index\.js$/), [])
    })
)
