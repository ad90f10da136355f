/**
 * A rolling restart: two processes share a port, each is replaced in turn, and clients that reconnect go on.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import { makeClient } from "../support/node.ts"
import { startServer } from "../support/orderly.ts"

const patience = { drainTimeout: "30 seconds", closeHandshakeTimeout: "20 seconds" }

const backoff = Schedule.min([Schedule.exponential("10 millis"), Schedule.spaced("200 millis")]).pipe(
  Schedule.jittered
)

describe("a rolling restart of two processes behind one port", () => {
  it.live("loses no acknowledged message of clients that reconnect", () =>
    Effect.gen(function* () {
      const first = yield* startServer(patience, { port: 0, reusePort: true })
      const { port, url } = first
      const startNext = startServer(patience, { port, reusePort: true })
      const servers = [first, yield* startNext]
      const client = yield* makeClient()

      const acknowledged: Array<string> = []
      let isOver = false

      /** Sends one message after the other, each again until it is acknowledged. */
      const talk = (name: number, begun: Deferred.Deferred<void>) => {
        let number = 0
        let connected = 0
        const connection = Effect.gen(function* () {
          const channel = yield* client.connect(`${url}/echo/${name}`)
          connected++
          while (!isOver) {
            const message = `${name}:${number}`
            yield* channel.send(message)
            assert.strictEqual(yield* channel.receive, message)
            acknowledged.push(message)
            number++
            yield* Deferred.succeed(begun, undefined)
            yield* Effect.sleep("2 millis")
          }
        }).pipe(Effect.scoped)
        return Effect.map(Effect.retry(connection, backoff), () => ({ connected, number }))
      }
      const talking = yield* Effect.forEach(
        Array.from({ length: 20 }, (_, name) => name),
        Effect.fnUntraced(function* (name) {
          const begun = yield* Deferred.make<void>()
          const fiber = yield* Effect.forkScoped(talk(name, begun))
          yield* Deferred.await(begun)
          return fiber
        })
      )

      for (let turn = 0; turn < 2; turn++) {
        servers.push(yield* startNext)
        const { program } = servers[turn]!
        program.signal("SIGTERM")
        assert.strictEqual(yield* Effect.promise(() => program.ended), 0)
      }
      isOver = true
      const talks = yield* Effect.forEach(talking, (fiber) => Fiber.join(fiber))
      for (const { program } of servers.slice(2)) {
        program.signal("SIGTERM")
        assert.strictEqual(yield* Effect.promise(() => program.ended), 0)
      }

      const received = new Set(
        servers.flatMap(({ program }) =>
          [...program.output().matchAll(/^received (\S+)$/gm)].map(([, message]) => message)
        )
      )
      assert.isAbove(acknowledged.length, 100)
      for (const message of acknowledged) assert.isTrue(received.has(message), message)
      // Each began with one of the two that have ended.
      for (const { connected, number } of talks) {
        assert.isAbove(number, 0)
        assert.isAtLeast(connected, 2)
      }
    })
  )
})
