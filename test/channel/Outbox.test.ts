import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { OutgoingBytes, SlabPool } from "../../src/bytes/OutgoingBytes.ts"
import { Outbox } from "../../src/channel/Outbox.ts"
import { invalidCall } from "../../src/channel/WebSocketError.ts"
import { FrameWriter } from "../../src/frame/FrameWriter.ts"
import type { Transport } from "../../src/transport/Transport.ts"
import { settle } from "../support/apiSession.ts"
import { throws, uncaught } from "../support/uncaught.ts"

/** A transport that holds what it is given until it is told to let go. */
const holding = () => {
  const writes: Array<Uint8Array> = []
  const transport: Transport = {
    channelType: "memory",
    peer: undefined,
    local: undefined,
    tls: undefined,
    bufferedAmount: 0,
    listen: () => {},
    pause: () => {},
    resume: () => {},
    write: (chunks) => {
      writes.push(...chunks)
      Object.assign(transport, { bufferedAmount: chunks.reduce((sum, { length }) => sum + length, 0) })
    },
    end: () => {},
    abort: () => {},
    setNoDelay: () => {}
  }
  return { transport, writes, release: () => Object.assign(transport, { bufferedAmount: 0 }) }
}

describe("Outbox", () => {
  const kinds = ["Message", "Control", "Fragment"] as const

  it.effect.each(kinds)(
    "what waits goes in the order of the calls, though room comes bit by bit: %s",
    (kind) =>
      Effect.gen(function* () {
        const { release, transport } = holding()
        const outgoing = new OutgoingBytes(new SlabPool())
        const outbox = new Outbox(outgoing, transport, 10)
        const order: Array<string> = []
        const send = (name: string) =>
          Effect.forkChild(
            outbox.send(kind, () => void order.push(name)),
            { startImmediately: true }
          )
        outgoing.append(new Uint8Array(10))
        outbox.flush()
        const sending = [yield* send("first")]
        Object.assign(transport, { bufferedAmount: 9 })
        sending.push(yield* send("second"), yield* send("third"))
        assert.deepStrictEqual(order, [])
        release()
        outbox.flush()
        yield* Fiber.joinAll(sending)
        assert.deepStrictEqual(order, ["first", "second", "third"])
      })
  )

  it.effect.each(kinds)("whoever comes to wait after room has come, or the end, does not wait: %s", (kind) =>
    Effect.gen(function* () {
      const { release, transport } = holding()
      const outgoing = new OutgoingBytes(new SlabPool())
      const outbox = new Outbox(outgoing, transport, 10)
      const order: Array<string> = []
      const send = (name: string) => outbox.send(kind, () => void order.push(name))
      outgoing.append(new Uint8Array(10))
      outbox.flush()
      // What a fiber that yields in between has in its hands.
      const [early, first, late] = [send("early"), send("first"), send("late")]
      const waiting = yield* Effect.forkChild(early, { startImmediately: true })
      release()
      outbox.flush()
      yield* Fiber.join(waiting)
      yield* first
      assert.deepStrictEqual(order, ["early", "first"])
      const error = invalidCall("over")
      outbox.fail(() => error)
      assert.strictEqual(yield* Effect.flip(late), error)
      assert.deepStrictEqual(order, ["early", "first"])
    })
  )

  it("keeps little more than the bytes that wait for a peer that does not read", () => {
    const pool = new SlabPool()
    const { release, transport, writes } = holding()
    const outgoing = new OutgoingBytes(pool)
    const outbox = new Outbox(outgoing, transport, 1024 * 1024)
    const stalled = new FrameWriter(outgoing, { nextMaskingKey: undefined, applyMask: true })
    const elsewhere = new OutgoingBytes(pool)
    const busy = new FrameWriter(elsewhere, { nextMaskingKey: undefined, applyMask: true })
    for (let i = 0; i < 1000; i++) {
      stalled.write(2, true, new Uint8Array(10))
      outbox.flush()
      // The other connections of the pool use up its slab.
      for (let k = 0; k < 20; k++) busy.write(2, true, new Uint8Array(4000))
      elsewhere.take()
    }
    assert.strictEqual(outbox.bufferedAmount, 12_000)
    assert.lengthOf(writes, 1)
    release()
    outbox.flush()
    const kept = new Set(writes.slice(1).map(({ buffer }) => buffer))
    const bytes = [...kept].reduce((sum, { byteLength }) => sum + byteLength, 0)
    assert.isBelow(bytes, 3 * 12_000)
    assert.strictEqual(
      writes.reduce((sum, { length }) => sum + length, 0),
      12_000
    )
  })

  it.effect("a transport that throws keeps nobody else's messages from leaving", () =>
    Effect.gen(function* () {
      const failing = holding()
      const good = holding()
      Object.assign(failing.transport, { write: () => throws("on writing") })
      const thrown = yield* uncaught(
        Effect.gen(function* () {
          for (const { transport } of [failing, good]) {
            const outgoing = new OutgoingBytes(new SlabPool())
            const outbox = new Outbox(outgoing, transport, 10)
            yield* outbox.send("Message", () => outgoing.append(new Uint8Array(5)))
          }
          assert.deepStrictEqual(good.writes, [])
          yield* settle
        })
      )
      assert.deepStrictEqual(thrown, ["on writing"])
      assert.deepStrictEqual(good.writes, [new Uint8Array(5)])
    })
  )
})
