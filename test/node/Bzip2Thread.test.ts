import type { Worker } from "node:worker_threads"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { type Call, type Output, run } from "../../src/node/Bzip2Library.ts"
import * as Bzip2Thread from "../../src/node/Bzip2Thread.ts"
import { bytesOf, utf8 } from "../support/frames.ts"
import { start } from "../support/processes.ts"

const called = (call: Call): Effect.Effect<Output> =>
  Effect.callback((resume) => Bzip2Thread.start(undefined, call, (output) => resume(Effect.succeed(output))))

/** The threads that are started meanwhile. */
const threadsDuring = <A>(effect: Effect.Effect<A>, onStart: (thread: Worker) => void = () => {}) =>
  Effect.suspend(() => {
    const threads: Array<Worker> = []
    const add = (thread: Worker) => {
      threads.push(thread)
      onStart(thread)
    }
    process.on("worker", add)
    return Effect.map(effect, (result) => {
      process.off("worker", add)
      return [result, threads] as const
    })
  })

const hello: Call = { payload: utf8("hello"), level: 1 }

describe("Bzip2Thread", () => {
  it.effect("goes on without its thread when that ends, and starts another one", () =>
    Effect.gen(function* () {
      const calls = Effect.all([called(hello), called({ payload: bytesOf(1000), level: 1 })], {
        concurrency: "unbounded"
      })
      const ended = yield* threadsDuring(calls, (thread) => void thread.terminate())
      assert.deepStrictEqual(ended[0], [run(hello), run({ payload: bytesOf(1000), level: 1 })])
      assert.isAbove(ended[1].length, 0)
    })
  )

  it.effect("makes all calls in one thread, in order, each with its own failure", () =>
    Effect.gen(function* () {
      const stream = run({ payload: bytesOf(100_000), level: 9 })
      assert(typeof stream !== "string")
      const calls: ReadonlyArray<Call> = [
        { payload: stream, limit: 100_000 },
        { payload: stream, limit: 99_999 },
        { payload: stream.subarray(1), limit: 100_000 },
        { payload: stream, limit: Number.POSITIVE_INFINITY },
        hello
      ]
      const told: Array<number> = []
      const [outputs, threads] = yield* threadsDuring(
        Effect.forEach(
          calls,
          (call, i) =>
            Effect.map(called(call), (output) => {
              told.push(i)
              return output
            }),
          { concurrency: "unbounded" }
        )
      )
      assert.deepStrictEqual(outputs, [bytesOf(100_000), "TooBig", "Corrupt", bytesOf(100_000), run(hello)])
      assert.deepStrictEqual(told, [0, 1, 2, 3, 4])
      assert.isAtMost(threads.length, 1)
    })
  )

  it.effect("drops what an owner has started, whether it waits or not, and nothing else", () =>
    Effect.gen(function* () {
      const [one, other] = [{}, {}]
      const told: Array<string> = []
      for (const name of ["under way", "waiting"]) Bzip2Thread.start(one, hello, () => told.push(name))
      Bzip2Thread.start(other, hello, () => told.push("other"))
      Bzip2Thread.drop(one)
      assert.deepStrictEqual(yield* called(hello), run(hello))
      assert.deepStrictEqual(told, ["other"])
    })
  )

  const program = `
    import { start } from ${JSON.stringify(new URL("../../src/node/Bzip2Thread.ts", import.meta.url).href)}
    start(undefined, { payload: new Uint8Array(100_000), level: 9 }, (output) => console.log(output.length))`

  it.effect.each([
    ["lets the process end when it has nothing to do", []],
    ["needs no thread where there may be none", ["--permission", "--allow-fs-read=*"]]
  ] as const)("%s", ([, permissions]) =>
    Effect.gen(function* () {
      const { ended, output } = start(process.execPath, [
        ...permissions,
        "--input-type=module",
        "-e",
        program
      ])
      assert.strictEqual(yield* Effect.promise(() => ended), 0, output())
      const compressed = run({ payload: new Uint8Array(100_000), level: 9 })
      assert.match(output(), new RegExp(`^${compressed.length}$`, "m"))
    })
  )

  it.effect("a message that comes when WebAssembly has no memory is too big, and the next one is not", () =>
    Effect.gen(function* () {
      const { ended, output } = start(process.execPath, [
        "--input-type=module",
        "-e",
        `
        import { run } from ${JSON.stringify(new URL("../../src/node/Bzip2Library.ts", import.meta.url).href)}
        const { Instance } = WebAssembly
        WebAssembly.Instance = function () { throw new RangeError("out of memory") }
        console.log(run({ payload: new Uint8Array(10), limit: 100 }))
        WebAssembly.Instance = Instance
        console.log(run({ payload: new Uint8Array(10), limit: 100 }))`
      ])
      assert.strictEqual(yield* Effect.promise(() => ended), 0, output())
      assert.match(output(), /^TooBig\nCorrupt$/m)
    })
  )
})
