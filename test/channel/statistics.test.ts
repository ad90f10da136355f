/**
 * What a channel counts.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { PreparedMessage, type Statistics } from "effect-websocket"
import { open, roles, settle } from "../support/apiSession.ts"
import { hex, utf8 } from "../support/rawFrames.ts"

const none: Statistics.Traffic = { wireOctets: 0, payloadOctets: 0, messageOctets: 0, frames: 0, messages: 0 }

/** Octets of frames with these payloads. */
const wire = (isMasked: boolean, ...payloads: ReadonlyArray<number>): number =>
  payloads.reduce((sum, length) => sum + length + (length < 126 ? 2 : 4) + (isMasked ? 4 : 0), 0)

describe.each(roles)("the statistics of a %s", (role) => {
  it.effect("count what is sent: messages in every way, and control frames as octets only", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role, { autoFragmentSize: 100 })
      const { handshake: _, ...statistics } = yield* channel.statistics
      assert.deepStrictEqual(statistics, { received: none, sent: none, roundTripTime: undefined })
      const before = peer.received
      const all: Array<number> = []
      let messageOctets = 0
      let frames = 0
      const expectSent = Effect.fnUntraced(function* (messages: number, data: ReadonlyArray<number>) {
        all.push(...data)
        messageOctets += data.reduce((sum, length) => sum + length, 0)
        frames += data.length
        const { received, sent } = yield* channel.statistics
        assert.deepStrictEqual(sent, {
          wireOctets: wire(role === "client", ...all),
          payloadOctets: messageOctets,
          messageOctets,
          frames,
          messages
        })
        assert.deepStrictEqual(received, none)
      })
      yield* channel.send("é")
      yield* expectSent(1, [2])
      yield* channel.send(new Uint8Array(250))
      yield* expectSent(2, [100, 100, 50])
      yield* channel.sendPing(utf8("ping"))
      all.push(4)
      yield* channel.send(PreparedMessage.make("x".repeat(120)))
      yield* expectSent(3, [100, 20])
      yield* channel.sendFragmented({ isBinary: false }, (writer) =>
        Effect.gen(function* () {
          yield* writer.send("a".repeat(126))
          yield* expectSent(3, [126])
          yield* writer.sendFrame(3, Stream.make(hex("61"), hex("6263")))
          yield* expectSent(3, [3])
        })
      )
      yield* expectSent(4, [0])
      yield* settle
      assert.strictEqual(peer.received - before, wire(role === "client", ...all))
    })
  )

  it.effect("count of a frame that was not completed what was sent", () =>
    Effect.gen(function* () {
      const { channel } = yield* open(role)
      const frame = Stream.make(hex("01"), hex("0203"))
      yield* Effect.flip(
        channel.sendFragmented({ isBinary: true }, (writer) => writer.sendFrame(1_000_000, frame))
      )
      yield* channel.closed
      const { sent } = yield* channel.statistics
      const wireOctets = 10 + (role === "client" ? 4 : 0) + 3
      assert.deepStrictEqual(sent, { wireOctets, payloadOctets: 3, messageOctets: 3, frames: 1, messages: 0 })
    })
  )

  it.effect.each(["whole", "in pieces"])("count what is received: messages %s", (how) =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      if (how === "in pieces") yield* Effect.forkChild(Stream.runDrain(channel.streamed))
      yield* settle
      const isMasked = role === "server"
      const ping = peer.ping("abc")
      peer.send(peer.text("é"), ping, peer.binary(new Uint8Array(126), { fin: false }))
      yield* settle
      const started = { wireOctets: wire(isMasked, 2, 3, 126), payloadOctets: 128, frames: 2, messages: 1 }
      assert.deepInclude((yield* channel.statistics).received, started)
      peer.send(peer.continuation(new Uint8Array(10)), peer.pong("p"))
      yield* settle
      const { received, sent } = yield* channel.statistics
      assert.deepStrictEqual(received, {
        wireOctets: wire(isMasked, 2, 3, 126, 10, 1),
        payloadOctets: 138,
        messageOctets: 138,
        frames: 3,
        messages: 2
      })
      assert.deepStrictEqual(sent, { ...none, wireOctets: wire(role === "client", 3) }, "the pong")
    })
  )
})
