/**
 * Fragmented, streamed and prepared messages, with Autobahn at the other end.
 */
import { assert, describe, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { PreparedMessage } from "effect-websocket"
import { digest } from "../support/interop.ts"
import { bytesOf, exchange } from "../support/interopCases.ts"
import { arePythonPeersThere, layer as peerLayer } from "../support/interopPython.ts"
import { onBothSides, sides } from "../support/interopSides.ts"

describe.skipIf(!arePythonPeersThere)("Autobahn", () => {
  layer(peerLayer("autobahn_peer.py"), { excludeTestServices: true })("fragments", (it) => {
    it.effect.each(
      onBothSides([
        { length: 0, frames: 1 },
        { length: 999, frames: 1 },
        { length: 1000, frames: 1 },
        { length: 1001, frames: 2 },
        { length: 3000, frames: 3 },
        { length: 3001, frames: 4 }
      ])
    )("$side cuts $length bytes into $frames frames of at most 1000", ({ frames, length, start }) =>
      Effect.gen(function* () {
        const pair = yield* (yield* start({ autoFragmentSize: 1000 })).open()
        for (const message of [bytesOf(length), "x".repeat(length)]) {
          assert.strictEqual((yield* exchange(pair, message)).frames, frames)
        }
        assert.strictEqual((yield* pair.ours.statistics).sent.frames, 2 * frames)
      })
    )

    // After an exact multiple comes an empty frame.
    it.effect.each(
      onBothSides([
        { length: 1000, frames: 1 },
        { length: 1001, frames: 2 },
        { length: 2000, frames: 3 },
        { length: 3001, frames: 4 }
      ])
    )("$side gets $length bytes that Autobahn cut into $frames frames", ({ frames, length, start }) =>
      Effect.gen(function* () {
        const options = { autoFragmentSize: 1000 }
        const { ours, peer } = yield* (yield* start({}, { peer: { options } })).open()
        peer.send(bytesOf(length))
        assert.deepStrictEqual(yield* ours.receive, bytesOf(length))
        const { received } = yield* ours.statistics
        assert.containsSubset(received, { frames, messages: 1, messageOctets: length })
      })
    )

    it.effect.each(sides)("$side sends a stream as one message, a frame for each element", ({ start }) =>
      Effect.gen(function* () {
        const { ours, peer } = yield* (yield* start()).open()
        yield* ours.sendStream(Stream.make("Grüße, ", "", "世界"), { isBinary: false })
        const seen = yield* peer.nextMessage
        // And the one that says that it was the last.
        assert.containsSubset(seen, { isBinary: false, frames: 4, sha256: digest("Grüße, 世界") })
        assert.strictEqual(yield* ours.receive, "Grüße, 世界")
      })
    )

    it.effect.each(sides)(
      "$side sends fragments, one of them in parts, and a ping between them",
      ({ start }) =>
        Effect.gen(function* () {
          const { ours, peer } = yield* (yield* start()).open()
          const [a, b, c] = [bytesOf(10), bytesOf(70_000), bytesOf(1)]
          yield* ours.sendFragmented({ isBinary: true }, (writer) =>
            Effect.gen(function* () {
              yield* writer.send(a)
              yield* ours.sendPing()
              yield* writer.sendFrame(
                b.length,
                Stream.make(b.subarray(0, 1), b.subarray(1, 65_537), b.subarray(65_537))
              )
              yield* writer.send(c)
            })
          )
          const whole = new Uint8Array([...a, ...b, ...c])
          assert.strictEqual(yield* peer.nextPing, "")
          const seen = yield* peer.nextMessage
          assert.containsSubset(seen, { isBinary: true, frames: 4, sha256: digest(whole) })
          assert.deepStrictEqual(yield* ours.receive, whole)
        })
    )

    it.effect.each(
      onBothSides([
        { fragmentSize: 0, frames: 1 },
        { fragmentSize: 1000, frames: 3 }
      ])
    )("$side sends a prepared message to several, in $frames frames", ({ fragmentSize, frames, start }) =>
      Effect.gen(function* () {
        const side = yield* start({ autoFragmentSize: fragmentSize })
        const text = "é".repeat(1500)
        const prepared = [PreparedMessage.make(text), PreparedMessage.make(bytesOf(3000))]
        for (const { ours, peer } of [yield* side.open(), yield* side.open()]) {
          for (const message of prepared) yield* ours.send(message)
          assert.containsSubset(yield* peer.nextMessage, { isBinary: false, frames, sha256: digest(text) })
          assert.containsSubset(yield* peer.nextMessage, {
            isBinary: true,
            frames,
            sha256: digest(bytesOf(3000))
          })
          assert.strictEqual(yield* ours.receive, text)
          assert.deepStrictEqual(yield* ours.receive, bytesOf(3000))
        }
      })
    )

    it.effect.each(onBothSides([{ isBinary: true }, { isBinary: false }]))(
      "$side reads a message (binary: $isBinary) while Autobahn still sends its frames",
      ({ isBinary, start }) =>
        Effect.gen(function* () {
          const { ours, peer } = yield* (yield* start()).open()
          const read = yield* Queue.unbounded<string | boolean>()
          yield* ours.streamed.pipe(
            Stream.runForEach((message) =>
              Effect.gen(function* () {
                yield* Queue.offer(read, message.isBinary)
                yield* Stream.runForEach(message.payload, (bytes) =>
                  Queue.offer(read, Buffer.from(bytes).toString())
                )
                yield* Queue.offer(read, "the end")
              })
            ),
            Effect.forkScoped
          )
          peer.beginMessage(isBinary)
          peer.beginFrame(7)
          peer.frameData("Grü")
          assert.strictEqual(yield* Queue.take(read), isBinary)
          assert.strictEqual(yield* Queue.take(read), "Grü")
          peer.frameData("ße")
          assert.strictEqual(yield* Queue.take(read), "ße")
          peer.beginFrame(3)
          peer.frameData("世")
          assert.strictEqual(yield* Queue.take(read), "世")
          assert.strictEqual((yield* ours.statistics).received.messages, 0)
          peer.endMessage()
          assert.strictEqual(yield* Queue.take(read), "the end")
          peer.send("next")
          assert.deepStrictEqual(yield* Queue.takeN(read, 3), [false, "next", "the end"])
        })
    )
  })
})
