/**
 * What a channel's application receives.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import type { Message, WebSocketChannel } from "effect-websocket"
import { open, roles, settle } from "../support/apiSession.ts"
import { concat, hex, utf8 } from "../support/rawFrames.ts"

const take = (channel: WebSocketChannel.Channel, count: number) =>
  Stream.runCollect(Stream.take(channel.messages, count))

const takeBytes = (channel: WebSocketChannel.Channel, count: number) =>
  Stream.runCollect(Stream.take(channel.incoming, count))

describe.each(roles)("what a %s receives", (role) => {
  it.effect("text comes as strings and binary as bytes, in order", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      peer.send(peer.text("één"), peer.binary(hex("00ff")), peer.text(""), peer.binary(new Uint8Array()))
      assert.deepStrictEqual(yield* take(channel, 4), ["één", hex("00ff"), "", new Uint8Array()])
    })
  )

  it.effect("a byte order mark is part of the text", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      peer.send(peer.text("\ufeffhi"))
      assert.deepStrictEqual(yield* take(channel, 1), ["\ufeffhi"])
    })
  )

  it.effect("all messages of one chunk come in one pull", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      const pulling = yield* Effect.forkChild(channel.pull)
      yield* settle
      peer.send(peer.text("1"), peer.text("2"), peer.binary(hex("03")))
      assert.deepStrictEqual<ReadonlyArray<Message>>(yield* Fiber.join(pulling), ["1", "2", hex("03")])
      peer.send(peer.text("4"))
      assert.deepStrictEqual<ReadonlyArray<Message>>(yield* channel.pull, ["4"])
    })
  )

  it.effect("what comes while nobody pulls is kept, and comes in one pull", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      for (const text of ["1", "2", "3"]) peer.send(peer.text(text))
      yield* settle
      assert.deepStrictEqual<ReadonlyArray<Message>>(yield* channel.pull, ["1", "2", "3"])
    })
  )

  it.effect("a pull that is interrupted takes no message with it", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      const pulling = yield* Effect.forkChild(channel.pull)
      yield* settle
      yield* Fiber.interrupt(pulling)
      peer.send(peer.text("1"))
      assert.deepStrictEqual<ReadonlyArray<Message>>(yield* channel.pull, ["1"])
    })
  )

  it.effect("a message goes to one reader, in the readers' order", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      const first = yield* Effect.forkChild(channel.pull)
      const second = yield* Effect.forkChild(channel.pull)
      yield* settle
      peer.send(peer.text("1"))
      peer.send(peer.text("2"))
      assert.deepStrictEqual<ReadonlyArray<Message>>(yield* Fiber.join(first), ["1"])
      assert.deepStrictEqual<ReadonlyArray<Message>>(yield* Fiber.join(second), ["2"])
    })
  )

  it.effect("messages of one chunk are decoded before the application runs: one resumption for all", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      const batches: Array<number> = []
      const reading = yield* channel.messages.pipe(
        Stream.chunks,
        Stream.take(2),
        Stream.runForEach((batch) => Effect.sync(() => void batches.push(batch.length))),
        Effect.forkChild
      )
      yield* settle
      peer.send(...Array.from({ length: 1000 }, () => peer.text("x")))
      peer.send(peer.text("y"))
      yield* Fiber.join(reading)
      assert.deepStrictEqual(batches, [1000, 1])
    })
  )

  it.effect("receive gives the next message alone; what came with it stays", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      const receiving = yield* Effect.forkChild(channel.receive)
      yield* settle
      peer.send(peer.text("1"), peer.text("2"), peer.binary(hex("03")), peer.text("4"))
      assert.strictEqual(yield* Fiber.join(receiving), "1")
      assert.strictEqual(yield* channel.receive, "2")
      assert.deepStrictEqual<Message>(yield* channel.receive, hex("03"))
      assert.deepStrictEqual<ReadonlyArray<Message>>(yield* channel.pull, ["4"])
    })
  )

  it.effect("a receive that waits and is interrupted takes no message with it", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      const receiving = yield* Effect.forkChild(channel.receive)
      yield* settle
      yield* Fiber.interrupt(receiving)
      peer.send(peer.text("1"))
      assert.strictEqual(yield* channel.receive, "1")
    })
  )

  it.effect("several who wait to receive get a message each, of the same chunk too", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      const receiving = yield* Effect.forkChild(
        Effect.all([channel.receive, channel.receive, channel.receive], { concurrency: "unbounded" })
      )
      yield* settle
      peer.send(peer.text("1"), peer.text("2"))
      peer.send(peer.text("3"))
      assert.deepStrictEqual(yield* Fiber.join(receiving), ["1", "2", "3"])
    })
  )

  it.effect("receive fails with ConnectionClosed after the end, also after a clean one", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      peer.send(peer.text("last"), peer.close(4000, "bye"))
      yield* settle
      assert.strictEqual(yield* channel.receive, "last")
      const { reason } = yield* Effect.flip(channel.receive)
      assert.deepInclude(reason, {
        _tag: "ConnectionClosed",
        code: 4000,
        closeReason: "bye",
        wasClean: true,
        message: "the connection closed cleanly (4000: bye)"
      })
    })
  )

  it.effect("receive that waits fails when the connection is lost", () =>
    Effect.gen(function* () {
      const { channel, faults } = yield* open(role)
      const receiving = yield* Effect.forkChild(Effect.flip(channel.receive))
      yield* settle
      yield* faults.reset
      assert.strictEqual((yield* Fiber.join(receiving)).reason._tag, "TransportFailure")
    })
  )

  it.effect("incoming gives text as its UTF-8 and tells it from binary", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      peer.send(peer.text("é"), peer.binary(hex("c3a9")))
      assert.deepStrictEqual(yield* takeBytes(channel, 2), [
        { payload: hex("c3a9"), isBinary: false },
        { payload: hex("c3a9"), isBinary: true }
      ])
    })
  )

  it.effect("incoming gives as bytes what came before it was asked for, and messages after it strings", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      peer.send(peer.text("é"))
      yield* settle
      assert.deepStrictEqual(yield* takeBytes(channel, 1), [{ payload: hex("c3a9"), isBinary: false }])
      peer.send(peer.text("è"), peer.binary(hex("01")))
      assert.deepStrictEqual(yield* take(channel, 2), ["è", hex("01")])
    })
  )

  it.effect("incoming is validated like messages, whole or in fragments", () =>
    Effect.gen(function* () {
      for (const frames of ["one", "two"]) {
        const { channel, peer } = yield* open(role)
        const reading = yield* Effect.forkChild(Effect.flip(takeBytes(channel, 1)))
        yield* settle
        if (frames === "one") peer.send(peer.text(hex("ff")))
        else peer.send(peer.text(hex("61"), { fin: false }), peer.continuation(hex("c3")))
        const { reason } = yield* Fiber.join(reading)
        assert.strictEqual(reason._tag, "InvalidPayload", frames)
      }
    })
  )

  it.effect("incoming delivers text whose fragments cut a code point", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      const reading = yield* Effect.forkChild(takeBytes(channel, 1))
      yield* settle
      peer.send(peer.text(hex("c3"), { fin: false }), peer.continuation(hex("a9")))
      assert.deepStrictEqual(yield* Fiber.join(reading), [{ payload: hex("c3a9"), isBinary: false }])
    })
  )

  it.effect("with utf8validateIncoming off, incoming gives text as it came", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role, { utf8validateIncoming: false })
      peer.send(peer.text(hex("61ff")), peer.text(hex("ed"), { fin: false }), peer.continuation(hex("a080")))
      assert.deepStrictEqual(yield* takeBytes(channel, 2), [
        { payload: hex("61ff"), isBinary: false },
        { payload: hex("eda080"), isBinary: false }
      ])
    })
  )

  it.effect("with utf8validateIncoming off, messages have U+FFFD for what is not UTF-8", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role, { utf8validateIncoming: false })
      peer.send(peer.text(hex("61ff")), peer.binary(hex("ff")), peer.text("é"), peer.text(hex("ff")))
      assert.strictEqual(yield* channel.receive, "a\ufffd")
      assert.deepStrictEqual(yield* take(channel, 3), [hex("ff"), "é", "\ufffd"])
    })
  )

  it.effect("messages before a violation are delivered, then its failure is", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      peer.send(peer.text("before"), peer.text(hex("ff")), peer.text("after"))
      assert.deepStrictEqual<ReadonlyArray<Message>>(yield* channel.pull, ["before"])
      const error = yield* Effect.flip(Stream.runDrain(channel.messages))
      assert.strictEqual(error._tag, "WebSocketError")
      assert.deepInclude(error.reason, { _tag: "InvalidPayload", code: 1007, violation: "TextNotUtf8" })
    })
  )

  it.effect("messages before the loss of the connection are delivered, then its failure is", () =>
    Effect.gen(function* () {
      const { channel, faults, peer } = yield* open(role)
      peer.send(peer.text("before"))
      yield* settle
      yield* faults.reset
      assert.deepStrictEqual<ReadonlyArray<Message>>(yield* channel.pull, ["before"])
      const { reason } = yield* Effect.flip(Stream.runDrain(channel.messages))
      assert.strictEqual(reason._tag, "TransportFailure")
      assert.strictEqual(reason.message, "the transport failed: connection reset (in-memory fault)")
    })
  )

  it.effect("a peer that ends without a Close is an unclean end with 1006", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      const waiting = yield* Effect.forkChild(Effect.flip(channel.pull))
      yield* settle
      peer.finish()
      const error = yield* Fiber.join(waiting)
      assert.deepInclude(error, { _tag: "WebSocketError" })
      const failed = yield* Effect.flip(Stream.runDrain(channel.messages))
      assert.deepInclude(failed.reason, { _tag: "ConnectionClosed", code: 1006, wasClean: false })
      assert.deepStrictEqual(yield* channel.closed, { wasClean: false, code: 1006, reason: "" })
    })
  )
})

describe.each(roles)("back pressure on what a %s receives", (role) => {
  const network = { capacity: 1 }

  it.effect("reading goes on into the buffer while the application does not pull", () =>
    Effect.gen(function* () {
      const { channel, peer, peerEnd } = yield* open(role, { maxReceiveBufferSize: 300_000 }, { network })
      for (let i = 0; i < 90; i++) peer.send(peer.binary(new Uint8Array(800)))
      yield* settle
      assert.strictEqual(peerEnd.bufferedAmount, 0)
      assert.lengthOf(yield* channel.pull, 90)
    })
  )

  it.effect("past maxReceiveBufferSize reading pauses, and resumes with a pull; nothing is lost", () =>
    Effect.gen(function* () {
      const { channel, peer, peerEnd } = yield* open(role, { maxReceiveBufferSize: 10_000 }, { network })
      for (let i = 0; i < 100; i++) peer.send(peer.binary(Uint8Array.from({ length: 1000 }, () => i)))
      yield* settle
      const held = peerEnd.bufferedAmount
      assert.isAbove(held, 89 * 1000)
      const messages: Array<Message> = [...(yield* channel.pull)]
      // A message counts with the chunk that it keeps in memory.
      assert.isAtLeast(messages.length, 4)
      assert.isAtMost(messages.length, 10)
      yield* settle
      assert.isBelow(peerEnd.bufferedAmount, held)
      while (messages.length < 100) messages.push(...(yield* channel.pull))
      assert.deepStrictEqual(
        messages.map((message) => message[0]),
        Array.from({ length: 100 }, (_, i) => i)
      )
      assert.strictEqual(peerEnd.bufferedAmount, 0)
    })
  )

  it.effect("empty messages count too: they cannot fill the memory", () =>
    Effect.gen(function* () {
      const { channel, peer, peerEnd } = yield* open(role, { maxReceiveBufferSize: 1000 }, { network })
      for (let i = 0; i < 1000; i++) peer.send(peer.text(""))
      yield* settle
      assert.isAbove(peerEnd.bufferedAmount, 0)
      assert.isBelow((yield* channel.pull).length, 50)
    })
  )

  it.effect("receive resumes the reading too, and loses nothing", () =>
    Effect.gen(function* () {
      const { channel, peer, peerEnd } = yield* open(role, { maxReceiveBufferSize: 3000 }, { network })
      for (let i = 0; i < 20; i++) peer.send(peer.binary(Uint8Array.from({ length: 1000 }, () => i)))
      yield* settle
      assert.isAbove(peerEnd.bufferedAmount, 0)
      for (let i = 0; i < 20; i++) assert.strictEqual((yield* channel.receive)[0], i)
      assert.strictEqual(peerEnd.bufferedAmount, 0)
    })
  )

  it.effect("a paused reader that gets interrupted leaves the messages to the next one", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role, { maxReceiveBufferSize: 200 }, { network })
      const started = yield* Deferred.make<void>()
      const stuck = yield* channel.messages.pipe(
        Stream.runForEach(() => Effect.andThen(Deferred.succeed(started, undefined), Effect.never)),
        Effect.forkChild
      )
      peer.send(peer.text("taken"))
      yield* Deferred.await(started)
      for (const text of ["1", "2", "3", "4"]) peer.send(peer.text(text))
      yield* settle
      yield* Fiber.interrupt(stuck)
      assert.deepStrictEqual(yield* take(channel, 2), ["1", "2"])
      assert.deepStrictEqual(yield* take(channel, 2), ["3", "4"])
    })
  )

  it.effect("a message larger than the bound is delivered whole", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(
        role,
        { maxReceiveBufferSize: 1 },
        { network: { chunkSize: 1000 } }
      )
      const payload = Uint8Array.from({ length: 100_000 }, (_, i) => i)
      peer.send(peer.binary(payload), peer.text("next"))
      assert.deepStrictEqual(yield* take(channel, 2), [payload, "next"])
    })
  )
})

describe("ownership of what is received", () => {
  it.effect.each(roles)("%s: the application may change a payload; other messages stay", (role) =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      peer.send(concat(peer.binary(utf8("one")), peer.binary(utf8("two"))))
      const [one, two] = yield* take(channel, 2)
      assert.instanceOf(one, Uint8Array)
      one.fill(0)
      assert.deepStrictEqual(two, utf8("two"))
    })
  )
})
