/**
 * Callbacks as the handlers of a server and the use of a client, with both ends of the connection.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { WebSocketChannel, WebSocketClient, WebSocketServer } from "effect-websocket"
import { expectTypeOf } from "vitest"
import { settle } from "../support/apiSession.ts"
import { clean, layer, openRawClient, recordLog } from "../support/bothEnds.ts"
import { hex, toHex } from "../support/rawFrames.ts"

const connect = WebSocketClient.connect("ws://test/")

type Served = WebSocketChannel.WebSocketChannel

/** Callbacks that may fail with anything, and need nothing but what a server provides. */
type Callbacks = WebSocketChannel.Callbacks<unknown, Served, unknown, Served, Served, Served, unknown, Served>

const serve = (callbacks: Callbacks) =>
  Effect.tap(WebSocketServer.WebSocketServer, (server) =>
    server.serve({ onOpen: WebSocketChannel.handle(callbacks) })
  )

/** Callbacks that write down their calls, with some of them replaced. */
const recording = (calls: Array<string>, others: Callbacks = {}): Callbacks => ({
  onOpen: ({ role }) => Effect.sync(() => void calls.push(`open as ${role}`)),
  onMessage: (payload, isBinary) =>
    Effect.sync(() => void calls.push(`${isBinary ? "binary" : "text"} ${toHex(payload)}`)),
  onClose: (wasClean, code, reason) =>
    Effect.sync(() => void calls.push(`close ${wasClean} ${code} ${JSON.stringify(reason)}`)),
  ...others
})

const fail = Effect.fail(new Error("oops"))
const die = Effect.die(new Error("oops"))
const raise = (): never => {
  throw new Error("oops")
}

describe("callbacks at both ends", () => {
  it.effect("are called in order, and each end's onClose tells the other's code and reason", () =>
    Effect.gen(function* () {
      const atServer: Array<string> = []
      const atClient: Array<string> = []
      yield* serve(
        recording(atServer, {
          onMessage: (payload, isBinary) =>
            Effect.gen(function* () {
              const channel = yield* WebSocketChannel.WebSocketChannel
              atServer.push(`${isBinary ? "binary" : "text"} ${toHex(payload)}`)
              yield* channel.send({ payload, isBinary })
            })
        })
      )
      const channel = yield* connect
      const client = recording(atClient, {
        onOpen: ({ send }) => Effect.andThen(send("é"), send(hex("00ff")))
      })
      const running = yield* WebSocketChannel.handle(client)(channel).pipe(
        Effect.provideService(WebSocketChannel.WebSocketChannel, channel),
        Effect.forkChild
      )
      yield* settle
      yield* channel.close(4000, "bye")
      yield* Fiber.join(running)
      yield* settle
      assert.deepStrictEqual(atServer, [
        "open as server",
        "text c3a9",
        "binary 00ff",
        'close true 4000 "bye"'
      ])
      assert.deepStrictEqual(atClient, ["text c3a9", "binary 00ff", 'close true 1000 ""'])
    }).pipe(Effect.provide(layer()))
  )

  it.effect("no message is handed over before onOpen has finished", () =>
    Effect.gen(function* () {
      const calls: Array<string> = []
      const ready = yield* Deferred.make<void>()
      yield* serve(recording(calls, { onOpen: () => Deferred.await(ready) }))
      const peer = yield* openRawClient
      peer.send(peer.text("a"))
      yield* settle
      assert.deepStrictEqual(calls, [])
      yield* Deferred.succeed(ready, undefined)
      yield* settle
      assert.deepStrictEqual(calls, ["text 61"])
    }).pipe(Effect.provide(layer()))
  )

  it.effect("onMessage's answers to a chunk that ends with a Close arrive before the Close", () =>
    Effect.gen(function* () {
      const calls: Array<string> = []
      yield* serve(
        recording(calls, {
          onMessage: (payload) =>
            Effect.flatMap(WebSocketChannel.WebSocketChannel, ({ send }) =>
              send({ payload, isBinary: false })
            )
        })
      )
      const peer = yield* openRawClient
      yield* settle
      peer.send(peer.text("a"), peer.text("b"), peer.close(1000))
      assert.deepStrictEqual((yield* peer.rest).frames, ['text "a"', 'text "b"', "close 1000"])
      peer.finish()
      yield* settle
      assert.deepStrictEqual(calls, ["open as server", 'close true 1000 ""'])
    }).pipe(Effect.provide(layer()))
  )

  it.effect("text is valid UTF-8, unless utf8validateIncoming is off", () =>
    Effect.gen(function* () {
      const calls: Array<string> = []
      yield* serve(recording(calls))
      const peer = yield* openRawClient
      yield* settle
      peer.send(peer.text(hex("ff")))
      yield* settle
      assert.deepStrictEqual(calls, ["open as server", "text ff"])
    }).pipe(Effect.provide(layer({ server: { utf8validateIncoming: false } })))
  )

  it.effect("onPing may answer itself, through the channel in context", () =>
    Effect.gen(function* () {
      yield* serve({
        onPing: (payload) =>
          Effect.flatMap(WebSocketChannel.WebSocketChannel, ({ sendPong }) =>
            Effect.ignore(sendPong(payload.toReversed()))
          )
      })
      const peer = yield* openRawClient
      yield* settle
      peer.send(peer.ping("ab"), peer.ping("cd"))
      assert.deepStrictEqual([yield* peer.read, yield* peer.read], ["pong 6261", "pong 6463"])
    }).pipe(Effect.provide(layer()))
  )

  it.effect("onPong gets what answers a ping", () =>
    Effect.gen(function* () {
      const pong = yield* Deferred.make<Uint8Array>()
      yield* serve({
        onOpen: (channel) => channel.sendPing(hex("0102")),
        onPong: (payload) => Deferred.succeed(pong, payload)
      })
      yield* connect
      assert.strictEqual(toHex(yield* Deferred.await(pong)), "0102")
    }).pipe(Effect.provide(layer()))
  )
})

describe("a connection that waits for its callbacks", () => {
  it.effect("is dropped when a drain's time is over, and what it holds is released", () =>
    Effect.gen(function* () {
      const calls: Array<string> = []
      const server = yield* WebSocketServer.WebSocketServer
      yield* server.serve({
        onOpen: WebSocketChannel.handle({
          onOpen: () => Effect.addFinalizer((exit) => Effect.sync(() => void calls.push(exit._tag))),
          onMessage: (payload, isBinary, { send }) => send({ payload, isBinary }),
          onClose: () => Effect.sync(() => void calls.push("close"))
        })
      })
      const peer = yield* openRawClient
      peer.send(peer.text("a"))
      assert.strictEqual(yield* peer.read, 'text "a"')
      const draining = yield* Effect.forkChild(server.drain("500 millis"))
      assert.match(yield* peer.read, /^close 1001/)
      assert.deepStrictEqual(calls, [])
      yield* TestClock.adjust("500 millis")
      assert.deepStrictEqual(yield* Fiber.join(draining), { finished: 0, dropped: 1 })
      yield* settle
      assert.deepStrictEqual(calls, ["Failure"])
      assert.strictEqual(yield* server.connections, 0)
    }).pipe(Effect.provide(layer()))
  )

  it.effect("hands over what came while a callback ran when that has finished", () =>
    Effect.gen(function* () {
      const calls: Array<string> = []
      const first = yield* Deferred.make<void>()
      yield* serve(
        recording(calls, {
          onMessage: (payload) => {
            calls.push(toHex(payload))
            return calls.length === 2 ? Deferred.await(first) : Effect.void
          }
        })
      )
      const peer = yield* openRawClient
      peer.send(peer.text("a"))
      yield* settle
      peer.send(peer.text("b"), peer.binary(hex("63")))
      peer.send(peer.close(4000))
      yield* settle
      assert.deepStrictEqual(calls, ["open as server", "61"])
      yield* Deferred.succeed(first, undefined)
      yield* settle
      assert.deepStrictEqual(calls, ["open as server", "61", "62", "63"])
      peer.finish()
      yield* settle
      assert.deepStrictEqual(calls, ["open as server", "61", "62", "63", 'close true 4000 ""'])
    }).pipe(Effect.provide(layer()))
  )

  it.effect("is closed with 1011 by a callback that reads the messages as streams, and fails", () =>
    Effect.gen(function* () {
      const calls: Array<string> = []
      yield* serve(
        recording(calls, { onOpen: ({ streamed }) => Effect.andThen(Stream.runHead(streamed), fail) })
      )
      const peer = yield* openRawClient
      peer.send(peer.text("a"), peer.text("b"))
      assert.match(yield* peer.read, /^close 1011/)
      peer.send(peer.close(1011))
      peer.finish()
      yield* settle
      assert.deepStrictEqual(calls, ['close true 1011 ""'])
    }).pipe(Effect.provide(layer()))
  )
})

/** Callbacks that go on in the connection's scope until it closes, and write that down. */
const goingOn = (calls: Array<string>) => {
  const goOn = (name: string) =>
    Effect.sync(() => void calls.push(`${name} goes on`)).pipe(
      Effect.andThen(Effect.never),
      Effect.onInterrupt(() => Effect.sync(() => void calls.push(`${name} ends`))),
      Effect.forkScoped
    )
  return WebSocketChannel.handle({
    onOpen: () => goOn("onOpen"),
    onMessage: () => goOn("onMessage"),
    onClose: () => Effect.sync(() => void calls.push("close"))
  })
}

describe("what callbacks fork into the scope", () => {
  it.effect("goes on until the connection has ended, at both ends", () =>
    Effect.gen(function* () {
      const atServer: Array<string> = []
      const atClient: Array<string> = []
      const server = yield* WebSocketServer.WebSocketServer
      yield* server.serve({ onOpen: goingOn(atServer) })
      const channel = yield* connect
      const client = yield* Effect.forkChild(goingOn(atClient)(channel))
      yield* channel.send("a")
      yield* settle
      assert.deepStrictEqual(atServer, ["onOpen goes on", "onMessage goes on"])
      yield* channel.close()
      yield* Fiber.join(client)
      yield* settle
      assert.deepStrictEqual(atClient, ["onOpen goes on", "close", "onOpen ends"])
      assert.deepStrictEqual(atServer.slice(2), ["close", "onMessage ends", "onOpen ends"])
    }).pipe(Effect.provide(layer()))
  )

  it.effect("ends also without onClose: where a drain drops the connection", () =>
    Effect.gen(function* () {
      const calls: Array<string> = []
      const server = yield* WebSocketServer.WebSocketServer
      yield* server.serve({ onOpen: goingOn(calls) })
      yield* openRawClient
      yield* settle
      assert.deepStrictEqual(yield* server.drain(0), { finished: 0, dropped: 1 })
      yield* settle
      assert.deepStrictEqual(calls, ["onOpen goes on", "onOpen ends"])
    }).pipe(Effect.provide(layer()))
  )
})

describe("onClose", () => {
  it.effect("tells that the peer's Close had no status code: 1005", () =>
    Effect.gen(function* () {
      const calls: Array<string> = []
      yield* serve(recording(calls))
      yield* Effect.flatMap(connect, (channel) => channel.close())
      yield* settle
      assert.deepStrictEqual(calls, ["open as server", 'close true 1005 ""'])
    }).pipe(Effect.provide(layer()))
  )

  it.effect("tells that the connection was lost: 1006, and that is no news for the log", () => {
    const log = recordLog()
    return Effect.gen(function* () {
      const calls: Array<string> = []
      yield* serve(recording(calls))
      const peer = yield* openRawClient
      yield* settle
      peer.drop()
      yield* settle
      assert.deepStrictEqual(calls, ["open as server", 'close false 1006 ""'])
      assert.deepStrictEqual(log.lines, [])
    }).pipe(Effect.provide(layer()), Effect.provide(log.layer))
  })

  it.effect("tells that the peer broke a rule: unclean, 1006", () =>
    Effect.gen(function* () {
      const calls: Array<string> = []
      yield* serve(recording(calls))
      const peer = yield* openRawClient
      yield* settle
      peer.send(peer.text("a"), peer.text("b", { rsv: 4 }))
      assert.match((yield* peer.rest).frames.join(), /^close 1002 "[^"]+"$/)
      peer.finish()
      yield* settle
      assert.deepStrictEqual(calls, ["open as server", "text 61", 'close false 1006 ""'])
    }).pipe(Effect.provide(layer({ server: { failByDrop: false } })))
  )

  it.effect("is called too when another callback has failed, once the connection has ended", () =>
    Effect.gen(function* () {
      const calls: Array<string> = []
      yield* serve(recording(calls, { onMessage: () => fail }))
      const peer = yield* openRawClient
      peer.send(peer.text("a"))
      assert.strictEqual(yield* peer.read, "close 1011")
      yield* settle
      assert.deepStrictEqual(calls, ["open as server"])
      peer.send(peer.close(1011))
      yield* peer.rest
      peer.finish()
      yield* settle
      assert.deepStrictEqual(calls, ["open as server", 'close true 1011 ""'])
    }).pipe(Effect.provide(layer()))
  )

  it.effect("is called too when onMessage could not answer because the peer had gone", () => {
    const log = recordLog()
    return Effect.gen(function* () {
      const calls: Array<string> = []
      yield* serve(
        recording(calls, {
          onMessage: () =>
            Effect.gen(function* () {
              const channel = yield* WebSocketChannel.WebSocketChannel
              yield* channel.closed
              yield* channel.send("too late")
            })
        })
      )
      const peer = yield* openRawClient
      peer.send(peer.text("a"))
      yield* settle
      peer.drop()
      yield* settle
      assert.deepStrictEqual(calls, ["open as server", 'close false 1006 ""'])
      assert.deepStrictEqual(log.lines, [])
    }).pipe(Effect.provide(layer()), Effect.provide(log.layer))
  })

  it.effect("that fails is logged; the connection has ended as it has", () => {
    const log = recordLog()
    return Effect.gen(function* () {
      yield* serve({ onClose: () => fail })
      const channel = yield* connect
      assert.deepStrictEqual(yield* channel.close(4000), clean(1000))
      yield* settle
      assert.deepStrictEqual(log.lines, ["Error onOpen failed: oops"])
    }).pipe(Effect.provide(layer()), Effect.provide(log.layer))
  })
})

describe("a callback that does not succeed", () => {
  const failing: ReadonlyArray<readonly [what: string, callbacks: Callbacks]> = [
    ["onOpen fails", { onOpen: () => fail }],
    ["onOpen dies", { onOpen: () => die }],
    ["onOpen throws", { onOpen: raise }],
    ["onMessage fails", { onMessage: () => fail }],
    ["onMessage dies", { onMessage: () => die }],
    ["onMessage throws", { onMessage: raise }],
    ["onPing dies", { onPing: () => die }],
    ["onPing throws", { onPing: raise }],
    ["onPong dies", { onPong: () => die }],
    ["onPong throws", { onPong: raise }]
  ]

  it.effect.each(failing)("%s: 1011, a line in the log, and nobody else is touched", ([, callbacks]) => {
    const log = recordLog()
    const isThis = (channel: WebSocketChannel.Channel) => channel.request?.path === "/this"
    return Effect.gen(function* () {
      const server = yield* WebSocketServer.WebSocketServer
      yield* server.serve({
        onOpen: (channel) =>
          isThis(channel)
            ? WebSocketChannel.handle(callbacks)(channel)
            : Stream.runForEach(channel.messages, channel.send)
      })
      const other = yield* connect
      const channel = yield* WebSocketClient.connect("ws://test/this")
      // A connection that is closed already takes none of them.
      yield* Effect.ignore(Effect.all([channel.sendPing(), channel.sendPong(), channel.send("message")]))
      yield* settle
      assert.deepStrictEqual(yield* channel.closed, clean(1011))
      assert.lengthOf(log.lines, 1)
      assert.match(log.lines.join(), /^Error .*: oops$/)
      yield* other.send("still here")
      assert.deepStrictEqual(yield* Stream.runCollect(Stream.take(other.messages, 1)), ["still here"])
    }).pipe(Effect.provide(layer()), Effect.provide(log.layer))
  })
})

describe("the type of handle", () => {
  it("has the callbacks' failures and requirements", () => {
    class Store extends Context.Service<Store, { readonly save: Effect.Effect<void, "full"> }>()(
      "test/Store"
    ) {}
    const handler = WebSocketChannel.handle({
      onMessage: () => Effect.flatMap(Store, ({ save }) => save)
    })
    expectTypeOf(handler).returns.toEqualTypeOf<Effect.Effect<void, "full", Store>>()
    assert.isFunction(handler)
  })
})
