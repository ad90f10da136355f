/**
 * Handlers that go wrong, on a server.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import type { WebSocketChannel } from "effect-websocket"
import { settle } from "../support/apiSession.ts"
import { leavesNothing } from "../support/faults.ts"
import { type RawPeer, requestHead } from "../support/RawPeer.ts"
import { makeServer } from "../support/rawSession.ts"

/** A server that echoes, but serves this path otherwise, and who is connected for the echo. */
const serving = Effect.fnUntraced(function* (
  onOpen: (channel: WebSocketChannel.Channel) => Effect.Effect<unknown, unknown, Scope.Scope>
) {
  const server = yield* makeServer({
    onOpen: (channel) =>
      channel.request?.path === "/this" ? onOpen(channel) : Stream.runForEach(channel.messages, channel.send)
  })
  const open = Effect.fnUntraced(function* (path: string) {
    const peer = yield* server.connect
    peer.send(requestHead({}, `GET ${path} HTTP/1.1`))
    yield* peer.readHead
    return peer
  })
  const bystander = yield* open("/other")
  const echo = Effect.fnUntraced(function* (peer: RawPeer) {
    peer.send(peer.text("hello"))
    assert.strictEqual(yield* peer.read, 'text "hello"')
  })
  yield* echo(bystander)
  return { ...server, open: open("/this"), othersWork: echo(bystander) }
})

const silently = Effect.provide(Logger.layer([]))

const ends: ReadonlyArray<readonly [what: string, end: Effect.Effect<void, string>]> = [
  ["fails", Effect.fail("broken")],
  ["dies", Effect.die(new Error("broken"))],
  ["throws", Effect.suspend(() => JSON.parse("{"))],
  ["interrupts itself", Effect.interrupt]
]

describe("a handler", () => {
  it.effect.each(ends)("that %s, with fibers of its own, leaves nothing", ([, end]) =>
    leavesNothing(({ watch }) =>
      Effect.map(
        serving((channel) =>
          Effect.gen(function* () {
            watch(channel)
            yield* Effect.forkScoped(Effect.sleep("1 day"))
            yield* Effect.forkChild(Stream.runDrain(channel.pings))
            yield* channel.receive
            yield* end
          })
        ),
        ({ connections, open, othersWork }) =>
          Effect.gen(function* () {
            const peer = yield* open
            peer.send(peer.text("go"))
            yield* settle
            yield* othersWork
            peer.send(peer.close(1000))
            yield* settle
            peer.finish()
            assert.match((yield* peer.rest).frames.join(), /^(close 1011)?$/)
            yield* settle
            assert.strictEqual(yield* connections, 1)
            yield* othersWork
          })
      )
    ).pipe(silently)
  )

  it.effect("that never ends outlives its connection, which counts no more, and not the server", () =>
    leavesNothing(() =>
      Effect.succeed(
        Effect.scoped(
          Effect.gen(function* () {
            const interrupted = yield* Deferred.make<void>()
            const { connections, drain, open, othersWork } = yield* serving(() =>
              Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined))
            )
            const peer = yield* open
            peer.drop()
            yield* settle
            assert.strictEqual(yield* connections, 1)
            yield* othersWork
            const draining = yield* Effect.forkChild(drain("3 seconds"))
            yield* TestClock.adjust("3 seconds")
            assert.deepStrictEqual(yield* Fiber.join(draining), { finished: 1, dropped: 1 })
            yield* Deferred.await(interrupted)
          })
        )
      )
    )
  )
})
