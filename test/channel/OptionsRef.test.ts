import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { OptionsRef, ServerOptions } from "effect-websocket"
import { settle } from "../support/apiSession.ts"

const make = OptionsRef.make(ServerOptions.decode, { webStatus: false, maxConnections: 5 })

const decoded = (input: ServerOptions.ServerOptionsInput) => Effect.fromResult(ServerOptions.decode(input))

describe("OptionsRef", () => {
  it.effect("set changes the given options, one after the other, and no other; reset goes back", () =>
    Effect.gen(function* () {
      const options = yield* make
      assert.deepStrictEqual(yield* options.get, yield* decoded({ webStatus: false, maxConnections: 5 }))
      yield* options.set({ maxConnections: 7 })
      yield* options.set({ closeHandshakeTimeout: "3 seconds" })
      assert.deepStrictEqual(
        yield* options.get,
        yield* decoded({ webStatus: false, maxConnections: 7, closeHandshakeTimeout: "3 seconds" })
      )
      yield* options.set({ maxConnections: undefined })
      assert.strictEqual((yield* options.get).maxConnections, 0, "undefined is the default")
      yield* options.reset
      assert.deepStrictEqual(yield* options.get, yield* decoded({ webStatus: false, maxConnections: 5 }))
      yield* options.set({})
      assert.deepStrictEqual(yield* options.get, yield* decoded({ webStatus: false, maxConnections: 5 }))
    })
  )

  it.effect("a wrong option fails, and changes nothing: not the right ones beside it, nor later ones", () =>
    Effect.gen(function* () {
      const options = yield* make
      const before = yield* options.get
      const error = yield* Effect.flip(options.set({ maxConnections: 9, autoFragmentSize: -1 }))
      assert.deepStrictEqual(
        [error._tag, error.option, error.value],
        ["InvalidOptions", "autoFragmentSize", -1]
      )
      assert.deepStrictEqual(yield* options.get, before)
      yield* options.set({ maxConnections: 9 })
      assert.deepStrictEqual(yield* options.get, { ...before, maxConnections: 9 })
    })
  )

  it.effect("a wrong option fails at the start too", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(OptionsRef.make(ServerOptions.decode, { maxConnections: -1 }))
      assert.strictEqual(error.option, "maxConnections")
    })
  )

  it.effect("changes begins with the options as they are, and tells each change", () =>
    Effect.gen(function* () {
      const options = yield* make
      yield* options.set({ maxConnections: 6 })
      const telling = yield* options.changes.pipe(
        Stream.map(({ maxConnections }) => maxConnections),
        Stream.take(3),
        Stream.runCollect,
        Effect.forkChild
      )
      yield* settle
      yield* options.set({ maxConnections: 7 })
      yield* Effect.flip(options.set({ maxConnections: -1 }))
      yield* options.reset
      assert.deepStrictEqual(yield* Fiber.join(telling), [6, 7, 5])
    })
  )
})
