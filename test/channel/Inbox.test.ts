import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { Inbox } from "../../src/channel/Inbox.ts"
import { EncodedText } from "../../src/message/Message.ts"
import { settle } from "../support/apiSession.ts"
import { collectGarbage } from "../support/memory.ts"
import { fewestOperations, inStepsOf, inTurns } from "../support/steps.ts"

const owner = { onInboxEmpty: () => {} }

const pull = (inbox: Inbox) => inbox.read(() => Effect.succeed(inbox.take()))
const receive = (inbox: Inbox) => inbox.read(() => Effect.succeed(inbox.takeFirst()))

describe("Inbox", () => {
  it("counts what a message keeps in memory: its text, or the whole buffer it is a view of, once", () => {
    const inbox = new Inbox(owner)
    inbox.push("a".repeat(1000))
    const text = inbox.size
    assert.isAtLeast(text, 1000)
    const chunk = new Uint8Array(65_536)
    inbox.push(chunk.subarray(0, 1))
    const first = inbox.size - text
    assert.isAtLeast(first, 65_536)
    inbox.push(new EncodedText(chunk.subarray(1, 2)))
    assert.isBelow(inbox.size - text - first, 1000)
    assert.isAbove(inbox.size, text + first, "an empty message is not for nothing")
  })

  it.effect("gives all that waits to a pull, one message to a receive, in order", () =>
    Effect.gen(function* () {
      let emptied = 0
      const inbox = new Inbox({ onInboxEmpty: () => void emptied++ })
      for (const message of ["a", "b", "c"]) inbox.push(message)
      assert.strictEqual(yield* receive(inbox), "a")
      assert.strictEqual(emptied, 0)
      assert.deepStrictEqual(yield* pull(inbox), ["b", "c"])
      assert.strictEqual(emptied, 1)
      assert.strictEqual(inbox.size, 0)
    })
  )

  it.effect("serves those who wait in turn, and forgets who has gone", () =>
    Effect.gen(function* () {
      const inbox = new Inbox(owner)
      const gone = yield* Effect.forkChild(receive(inbox), { startImmediately: true })
      const first = yield* Effect.forkChild(receive(inbox), { startImmediately: true })
      const second = yield* Effect.forkChild(pull(inbox), { startImmediately: true })
      yield* Fiber.interrupt(gone)
      for (const message of ["a", "b", "c"]) inbox.push(message)
      inbox.deliver()
      assert.strictEqual(yield* Fiber.join(first), "a")
      assert.deepStrictEqual(yield* Fiber.join(second), ["b", "c"])
    })
  )

  it.effect("gives nothing to those who are interrupted while they wait, and keeps none of them", () =>
    Effect.gen(function* () {
      const inbox = new Inbox(owner)
      const fibers: Array<WeakRef<object>> = []
      for (let wait = 0; wait < 100; wait++) {
        const fiber = yield* Effect.forkChild(pull(inbox), { startImmediately: true })
        fibers.push(new WeakRef(fiber))
        yield* Fiber.interrupt(fiber)
      }
      yield* settle
      collectGarbage()
      // The last one is found to be gone by the next one who comes.
      assert.isAtMost(fibers.filter((fiber) => fiber.deref() !== undefined).length, 2)
      inbox.push("a")
      inbox.deliver()
      assert.deepStrictEqual(yield* pull(inbox), ["a"])
    })
  )

  it.effect("a fiber that is interrupted may wait again on its way out, once", () =>
    Effect.gen(function* () {
      const inbox = new Inbox(owner)
      const received: Array<unknown> = []
      const receiving = Effect.tap(receive(inbox), (message) => Effect.sync(() => received.push(message)))
      const leaving = yield* Effect.forkChild(
        Effect.onInterrupt(receiving, () => Effect.ignore(receiving)),
        { startImmediately: true }
      )
      leaving.interruptUnsafe()
      inbox.push("a")
      inbox.push("b")
      inbox.deliver()
      yield* Fiber.await(leaving)
      assert.deepStrictEqual(received, ["a"])
      assert.deepStrictEqual(yield* pull(inbox), ["b"])
    })
  )

  it.effect("who waits again when it is woken does so until there is something new", () =>
    Effect.gen(function* () {
      const inbox = new Inbox(owner)
      const pieces: Array<unknown> = []
      const takePieces = inbox.takePieces((received) => pieces.push(...received))
      const reading = yield* Effect.forkChild(
        Effect.catch(pull(inbox), () => takePieces),
        { startImmediately: true }
      )
      inbox.readInPieces()
      assert.isUndefined(reading.pollUnsafe())
      inbox.push("a")
      inbox.deliver()
      yield* Fiber.join(reading)
      assert.deepStrictEqual(pieces, ["a"])
    })
  )

  it.effect("whoever yields on the way to wait does not wait for what came meanwhile", () =>
    Effect.gen(function* () {
      for (let steps = fewestOperations; steps < 16; steps++) {
        for (let turns = 0; turns < 5; turns++) {
          const inbox = new Inbox(owner)
          const reading = yield* Effect.forkChild(
            inStepsOf(steps)(Effect.flip(Effect.all([pull(inbox), pull(inbox), pull(inbox)])))
          )
          for (const message of ["a", "b"]) {
            yield* inTurns(turns)
            inbox.push(message)
            inbox.deliver()
          }
          yield* settle
          assert.isTrue(inbox.isEmpty, `steps of ${steps}, ${turns} turns`)
          inbox.end(() => Cause.done())
          assert.strictEqual((yield* Fiber.join(reading))._tag, "Done")
        }
      }
    })
  )

  it.effect("delivers what waits before the end, and the end to everyone from then on", () =>
    Effect.gen(function* () {
      const inbox = new Inbox(owner)
      inbox.push("a")
      inbox.end(() => Cause.done())
      assert.deepStrictEqual(yield* pull(inbox), ["a"])
      assert.strictEqual((yield* Effect.flip(pull(inbox)))._tag, "Done")
      assert.strictEqual((yield* Effect.flip(receive(inbox)))._tag, "Done")
    })
  )
})
