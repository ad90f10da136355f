/**
 * The end of a server's process: SIGTERM to one with hundreds of connections, each in the middle of something.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { makeClient, rawTcp, upgradeTo } from "../support/node.ts"
import { startServer } from "../support/orderly.ts"

/** What the server's handlers do, on how many connections. */
const crowd = { messages: 400, burst: 10, fragments: 40, frames: 40 }

const connections = Object.entries(crowd).flatMap(([kind, count]) =>
  Array.from({ length: count }, (_, index) => ({ kind, number: `${kind}${index}` }))
)

describe("SIGTERM to a server", () => {
  it.effect(
    "of 500 connections: what `send` accepted arrives, everyone gets 1001, the process ends with 0",
    () =>
      Effect.gen(function* () {
        const server = yield* startServer({ drainTimeout: "40 seconds", closeHandshakeTimeout: "30 seconds" })
        const client = yield* makeClient({ maxReceiveBufferSize: 65_536 })
        const signalled = yield* Deferred.make<void>()

        const receiving = yield* Effect.forEach(
          connections,
          Effect.fnUntraced(function* ({ kind, number }) {
            const channel = yield* client.connect(`${server.url}/${kind}/${number}`)
            const reading = Effect.gen(function* () {
              if (kind === "burst") yield* Deferred.await(signalled)
              const messages = yield* Stream.runCollect(channel.messages)
              return { number, messages, end: yield* channel.closed }
            })
            return yield* Effect.forkScoped(reading)
          }),
          { concurrency: 20 }
        )

        // These are in the middle of a message themselves: of a frame, and between two fragments.
        const talking = yield* Effect.forEach(
          Array.from({ length: 10 }, (_, index) => index),
          Effect.fnUntraced(function* (index) {
            const raw = yield* rawTcp(server.port)
            raw.send(upgradeTo(`/echo/raw${index}`))
            yield* raw.reads("\r\n\r\n")
            // RFC 6455 section 5.2: of a masked text of three bytes the first, as a frame or as a fragment.
            raw.send(
              new Uint8Array(index % 2 === 0 ? [0x81, 0x83, 0, 0, 0, 0, 97] : [0x01, 0x81, 0, 0, 0, 0, 97])
            )
            return raw
          })
        )

        yield* Effect.promise(() => server.program.find(new RegExp(`(full burst.*){${crowd.burst}}`, "s")))
        server.program.signal("SIGTERM")
        yield* Deferred.succeed(signalled, undefined)

        const closeOf1001 = "\x88\x02\x03\xe9"
        for (const raw of talking) {
          assert.match(yield* raw.reads(closeOf1001), new RegExp(`\r\n\r\n${closeOf1001}$`))
          raw.socket.destroy()
        }
        const received = yield* Effect.forEach(receiving, (fiber) => Fiber.join(fiber))
        assert.strictEqual(yield* Effect.promise(() => server.program.ended), 0)

        const accepted = new Map(
          [...server.program.output().matchAll(/^sent (\S+) (\d+)$/gm)].map(([, number, sent]) => [
            number,
            Number(sent)
          ])
        )
        for (const { end, messages, number } of received) {
          assert.deepStrictEqual(end, { wasClean: true, code: 1001, reason: "" }, number)
          assert.strictEqual(messages.length, accepted.get(number), number)
          for (const [index, message] of messages.entries())
            assert.match(String(message), new RegExp(`^${index} `))
        }
        assert.isAbove(Math.max(...accepted.values()), 10)
      })
  )

  it.effect("drops who does not answer after drainTimeout, and the process ends with 0", () =>
    Effect.gen(function* () {
      const server = yield* startServer({ drainTimeout: "300 millis", closeHandshakeTimeout: "1 hour" })
      const raw = yield* rawTcp(server.port, { allowHalfOpen: true })
      raw.send(upgradeTo("/echo/0"))
      yield* raw.reads("\r\n\r\n")
      server.program.signal("SIGTERM")
      assert.include(yield* raw.readAll, "\x88\x02\x03\xe9")
      assert.strictEqual(yield* Effect.promise(() => server.program.ended), 0)
    })
  )

  it.effect.each([
    ["SIGINT", 130],
    ["SIGTERM", 143]
  ] as const)("waits no longer when a further signal comes: %s ends it with %i", ([signal, code]) =>
    Effect.gen(function* () {
      const server = yield* startServer({ drainTimeout: "1 hour", closeHandshakeTimeout: "1 hour" })
      const raw = yield* rawTcp(server.port)
      raw.send(upgradeTo("/echo/0"))
      yield* raw.reads("\r\n\r\n")
      // npm hands on what the process has got already: one signal, which drains.
      server.program.signal(signal)
      server.program.signal(signal)
      yield* raw.reads("\x88\x02\x03\xe9")
      assert.isFalse(raw.closed)
      const insisting = setInterval(() => server.program.signal(signal), 50)
      assert.strictEqual(yield* Effect.promise(() => server.program.ended), code)
      clearInterval(insisting)
    })
  )
})
