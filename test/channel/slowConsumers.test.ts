/**
 * Peers that do not keep up with what is sent to them: what an application can do about them.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { PreparedMessage, WebSocketChannel, WebSocketClient, WebSocketServer } from "effect-websocket"
import { InMemoryNetwork, WebSocketTest } from "effect-websocket/testing"
import { open, roles, settle } from "../support/apiSession.ts"
import { reasonOf } from "../support/faults.ts"
import { utf8 } from "../support/rawFrames.ts"

const network = { capacity: 100 }

describe.each(roles)("trySend of a %s", (role) => {
  const messages: ReadonlyArray<readonly [what: string, message: WebSocketChannel.Sendable, frame: string]> =
    [
      ["text", "now", 'text "now"'],
      ["bytes", utf8("now"), "binary 6e6f77"],
      ["a prepared message", PreparedMessage.make("now"), 'text "now"'],
      ["text as bytes", { payload: utf8("now"), isBinary: false }, 'text "now"']
    ]

  it.effect.each(messages)(
    "sends %s while there is room, and nothing while there is none",
    ([, message, frame]) =>
      Effect.gen(function* () {
        const { channel, peer, peerEnd } = yield* open(role, { maxSendBufferSize: 50 }, { network })
        peerEnd.pause()
        assert.isTrue(yield* channel.trySend(message))
        yield* channel.send("x".repeat(200))
        const before = yield* channel.bufferedAmount
        assert.isFalse(yield* channel.trySend(message))
        assert.strictEqual(yield* channel.bufferedAmount, before)
        const { messages } = (yield* channel.statistics).sent
        assert.strictEqual(messages, 2)
        peerEnd.resume()
        assert.strictEqual(yield* peer.read, frame)
        yield* peer.readFrame
        assert.isTrue(yield* channel.trySend(message))
        assert.strictEqual(yield* peer.read, frame)
      })
  )

  it.effect("overtakes nobody who waits, and does not wait with them", () =>
    Effect.gen(function* () {
      const { channel, peer, peerEnd } = yield* open(role, { maxSendBufferSize: 50 }, { network })
      peerEnd.pause()
      yield* channel.send("x".repeat(200))
      const waiting = yield* Effect.forkChild(channel.send("first"))
      yield* settle
      assert.isFalse(yield* channel.trySend("no"))
      assert.isUndefined(waiting.pollUnsafe())
      peerEnd.resume()
      yield* peer.readFrame
      assert.isTrue(yield* channel.trySend("second"))
      assert.deepStrictEqual([yield* peer.read, yield* peer.read], ['text "first"', 'text "second"'])
    })
  )

  it.effect("waits for a message in fragments, and no longer once the peer does not keep up with that", () =>
    Effect.gen(function* () {
      const { channel, peer, peerEnd } = yield* open(role, { maxSendBufferSize: 50 }, { network })
      const next = [yield* Deferred.make<string>(), yield* Deferred.make<string>()]
      const parts = Stream.mapEffect(Stream.fromIterable(next), (part) => Deferred.await(part))
      const streaming = yield* Effect.forkChild(channel.sendStream(parts, { isBinary: false }))
      yield* Deferred.succeed(next[0]!, "a")
      assert.strictEqual(yield* peer.read, "text... 61")
      const trying = yield* Effect.forkChild(
        Effect.all([channel.trySend("one"), channel.trySend("two")], { concurrency: "unbounded" })
      )
      const sending = yield* Effect.forkChild(channel.send("three"))
      yield* settle
      assert.isUndefined(trying.pollUnsafe())
      peerEnd.pause()
      yield* Deferred.succeed(next[1]!, "b".repeat(200))
      assert.deepStrictEqual(yield* Fiber.join(trying), [false, false])
      assert.isUndefined(sending.pollUnsafe())
      peerEnd.resume()
      yield* Fiber.joinAll([streaming, sending])
      const frames = [yield* peer.readFrame, yield* peer.readFrame]
      assert.deepStrictEqual(
        frames.map(({ fin, payload }) => [fin, payload.length]),
        [
          [false, 200],
          [true, 0]
        ]
      )
      assert.strictEqual(yield* peer.read, 'text "three"')
    })
  )

  it.effect("goes after a message in fragments that the peer keeps up with", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      const part = yield* Deferred.make<string>()
      const streaming = yield* Effect.forkChild(
        channel.sendStream(Stream.fromEffect(Deferred.await(part)), { isBinary: false })
      )
      yield* settle
      const trying = yield* Effect.forkChild(channel.trySend("after"))
      yield* settle
      yield* Deferred.succeed(part, "a")
      assert.isTrue(yield* Fiber.join(trying))
      yield* Fiber.join(streaming)
      yield* Effect.andThen(peer.readFrame, peer.readFrame)
      assert.strictEqual(yield* peer.read, 'text "after"')
    })
  )

  it.effect("fails as send does: once the connection has ended, and for what is no message", () =>
    Effect.gen(function* () {
      const { channel, faults } = yield* open(role)
      const notUtf8 = { payload: Uint8Array.of(0xff), isBinary: false }
      assert.strictEqual((yield* reasonOf(channel.trySend(notUtf8)))._tag, "InvalidCall")
      yield* faults.reset
      yield* channel.closed
      assert.strictEqual((yield* reasonOf(channel.trySend("late")))._tag, "TransportFailure")
    })
  )
})

/** A room on the server: all of its members, in the order they came. */
const openRoom = Effect.fnUntraced(function* (members: number) {
  const server = yield* WebSocketServer.WebSocketServer
  const { connections } = yield* InMemoryNetwork.InMemoryNetwork
  const inRoom: Array<WebSocketChannel.Channel> = []
  yield* server.serve({
    onOpen: (channel) => {
      inRoom.push(channel)
      return channel.closed
    }
  })
  const clients = yield* Effect.forEach(Array.from({ length: members }), () =>
    WebSocketClient.connect("ws://test/")
  )
  const [stuckHere, ...others] = inRoom
  const [stuckThere, ...readers] = clients
  const [faults] = yield* connections
  if (stuckHere === undefined || stuckThere === undefined || faults === undefined)
    throw new Error("an empty room")
  yield* faults.stall("client")
  return { server, inRoom, stuckHere, stuckThere, others, readers, faults }
})

const maxSendBufferSize = 4096

const room = WebSocketTest.layer({
  server: { maxSendBufferSize, closeHandshakeTimeout: "5 seconds" },
  network: { capacity: 2048 }
})

const members = 1000
const kibibyte = "x".repeat(1024)

describe("a room of 1,000 with one who does not read", () => {
  const receive = (channel: WebSocketChannel.Channel) => channel.receive

  it.effect('"drop": all others get everything at once, the one what fits into the buffer, and goes on', () =>
    Effect.gen(function* () {
      const { faults, inRoom, readers, stuckHere, stuckThere } = yield* openRoom(members)
      let most = 0
      for (let i = 0; i < 12; i++) {
        yield* WebSocketChannel.broadcast(inRoom, `${i} ${kibibyte}`, "drop")
        const got = yield* Effect.forEach(readers, receive)
        assert.isTrue(got.every((message) => message === `${i} ${kibibyte}`))
        most = Math.max(most, yield* stuckHere.bufferedAmount)
      }
      assert.isTrue(most >= maxSendBufferSize && most < maxSendBufferSize + 1100, `${most} bytes wait`)
      const { messages } = (yield* stuckHere.statistics).sent
      assert.isBelow(messages, 8)
      yield* faults.resume("client")
      for (let i = 0; i < messages; i++) assert.strictEqual(yield* stuckThere.receive, `${i} ${kibibyte}`)
      yield* WebSocketChannel.broadcast(inRoom, "and again", "drop")
      assert.strictEqual(yield* stuckThere.receive, "and again")
    }).pipe(Effect.provide(room))
  )

  it.effect.each([1013, 1008] as const)(
    "{ close: %i }: all others get everything at once, the one is closed, and dropped when it does not read",
    (close) =>
      Effect.gen(function* () {
        const { inRoom, readers, server, stuckHere } = yield* openRoom(members)
        for (let i = 0; i < 10; i++) {
          yield* WebSocketChannel.broadcast(inRoom, utf8(kibibyte), { close })
          const got = yield* Effect.forEach(readers, receive)
          assert.isTrue(got.every(({ length }) => length === 1024))
        }
        assert.deepInclude(yield* stuckHere.closeFacts, {
          localClose: { code: close, reason: "too slow" },
          closedByMe: true,
          droppedByMe: false
        })
        assert.isAtMost(yield* stuckHere.bufferedAmount, maxSendBufferSize + 1100)
        assert.strictEqual(yield* server.connections, members)
        yield* TestClock.adjust("5 seconds")
        assert.deepStrictEqual(yield* stuckHere.closed, { wasClean: false, code: 1006, reason: "" })
        assert.strictEqual(yield* stuckHere.bufferedAmount, 0)
        assert.strictEqual(yield* server.connections, members - 1)
      }).pipe(Effect.provide(room))
  )

  it.effect("{ close: 1013 }: the one that reads on in time learns the code, after what came before it", () =>
    Effect.gen(function* () {
      const { faults, inRoom, stuckHere, stuckThere } = yield* openRoom(2)
      for (let i = 0; i < 10; i++) yield* WebSocketChannel.broadcast(inRoom, kibibyte, { close: 1013 })
      const { messages } = (yield* stuckHere.statistics).sent
      yield* faults.resume("client")
      const received = yield* Stream.runCollect(stuckThere.messages)
      assert.lengthOf(received, messages)
      assert.deepStrictEqual(yield* stuckThere.closed, { wasClean: true, code: 1013, reason: "too slow" })
    }).pipe(Effect.provide(room))
  )

  it.effect('"suspend": all others get the message at once, and the broadcast ends when the one has it', () =>
    Effect.gen(function* () {
      const { faults, inRoom, readers, stuckHere, stuckThere } = yield* openRoom(members)
      let sent = 0
      const broadcasting = yield* Effect.forkChild(
        Effect.forever(Effect.map(WebSocketChannel.broadcast(inRoom, kibibyte, "suspend"), () => void sent++))
      )
      yield* settle
      assert.isUndefined(broadcasting.pollUnsafe())
      const before = sent
      // The one that nobody could take is there too.
      for (let i = 0; i <= before; i++) yield* Effect.forEach(readers, receive)
      assert.isAtMost(yield* stuckHere.bufferedAmount, maxSendBufferSize + 1100)
      yield* faults.resume("client")
      for (let i = 0; i <= before; i++) assert.strictEqual(yield* stuckThere.receive, kibibyte)
      yield* settle
      assert.isAbove(sent, before)
      yield* Fiber.interrupt(broadcasting)
    }).pipe(Effect.provide(room))
  )

  it.effect("members that have gone are passed over, and the message is framed once", () =>
    Effect.gen(function* () {
      const { faults, inRoom, readers } = yield* openRoom(3)
      yield* faults.reset
      yield* settle
      const message = PreparedMessage.make("hello")
      yield* WebSocketChannel.broadcast(new Set(inRoom), message, { close: 1008 })
      assert.deepStrictEqual(yield* Effect.forEach(readers, receive), ["hello", "hello"])
      assert.strictEqual(message.framed(0), message.framed(0))
    }).pipe(Effect.provide(room))
  )

  it.effect("members that wrap a channel send by their own means", () =>
    Effect.gen(function* () {
      const { faults, inRoom, stuckHere } = yield* openRoom(3)
      yield* faults.reset
      let own = 0
      const sendOf = (channel: WebSocketChannel.Channel) => (message: WebSocketChannel.Sendable) => {
        own++
        return channel.send(message)
      }
      const [first, second] = Array.from(inRoom).filter((channel) => channel !== stuckHere) as [
        WebSocketChannel.Channel,
        WebSocketChannel.Channel
      ]
      const proxy = new Proxy(first, {
        get: (target, property) =>
          property === "send" ? sendOf(target) : Reflect.get(target, property, target)
      })
      const heir: WebSocketChannel.Channel = Object.create(second, { send: { value: sendOf(second) } })
      yield* WebSocketChannel.broadcast([proxy, heir], "hello", "suspend")
      assert.strictEqual(own, 2)
      assert.strictEqual((yield* first.statistics).sent.messages, 1)
      assert.strictEqual((yield* second.statistics).sent.messages, 1)
    }).pipe(Effect.provide(room))
  )
})
