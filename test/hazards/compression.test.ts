/**
 * What has broken other libraries' compression, tried here with every compression there is.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { type CommonOptions, open, settle } from "../support/apiSession.ts"
import { compressed, compressions, protocolWith, type Spoken } from "../support/compressions.ts"
import { arrayBufferBytes } from "../support/memory.ts"

const mebibyte = 1024 * 1024

const limit = 64 * 1024

/** A server that speaks the compression, and its client. */
const serve = Effect.fnUntraced(function* (
  { accept, extension, offer }: Spoken,
  limits: CommonOptions = { maxMessagePayloadSize: limit }
) {
  const options: object = { perMessageCompressionAccept: accept }
  const common: CommonOptions = { ...options, failByDrop: false, ...limits }
  const session = yield* open("server", common, {
    protocol: protocolWith(extension),
    extensions: offer.extensionString
  })
  session.peer.allowRsv(4)
  return session
})

/** Waits for the Close frame, however long the codec takes. */
const closeOf = ({ peer }: Effect.Success<ReturnType<typeof serve>>) => peer.read

describe.each(compressions)("$name", (spoken) => {
  describe("decompression bomb: the limit was checked on the compressed size, or after inflating", () => {
    it.effect("16 MiB that are little on the wire fail with 1009, and memory stays near the limit", () =>
      Effect.gen(function* () {
        const session = yield* serve(spoken)
        const bomb = yield* Effect.promise(() => compressed(spoken, new Uint8Array(16 * mebibyte)))
        assert.isBelow(bomb.length, mebibyte)
        const before = arrayBufferBytes()
        session.peer.send(session.peer.frame({ opcode: 2, payload: bomb, rsv: 4 }))
        assert.match(yield* closeOf(session), /^close 1009 /)
        assert.isBelow(arrayBufferBytes() - before, 4 * mebibyte)
      })
    )

    it.effect("read as a stream too, in fragments", () =>
      Effect.gen(function* () {
        const session = yield* serve(spoken)
        const { channel, peer } = session
        const reading = channel.streamed.pipe(
          Stream.runForEach(({ payload }) => Stream.runDrain(payload)),
          Effect.ignore
        )
        yield* Effect.forkChild(reading)
        yield* settle
        const bomb = yield* Effect.promise(() => compressed(spoken, new Uint8Array(16 * mebibyte)))
        const middle = bomb.length >> 1
        peer.send(peer.frame({ opcode: 2, payload: bomb.subarray(0, middle), rsv: 4, fin: false }))
        peer.send(peer.continuation(bomb.subarray(middle)))
        assert.match(yield* closeOf(session), /^close 1009 /)
      })
    )

    it.effect("a limit on the ratio alone holds while it is decompressed", () =>
      Effect.gen(function* () {
        const bomb = yield* Effect.promise(() => compressed(spoken, new Uint8Array(16 * mebibyte)))
        const ratio = Math.floor((16 * mebibyte) / bomb.length)
        const honest = yield* serve(spoken, { maxDecompressionRatio: ratio + 1 })
        honest.peer.send(honest.peer.frame({ opcode: 2, payload: bomb, rsv: 4 }))
        assert.deepStrictEqual(yield* honest.channel.receive, new Uint8Array(16 * mebibyte))
        const { channel, peer } = yield* serve(spoken, { maxDecompressionRatio: ratio })
        peer.send(peer.frame({ opcode: 2, payload: bomb.slice(), rsv: 4 }))
        const { reason } = yield* Effect.flip(channel.receive)
        assert.deepInclude(reason, { _tag: "MessageTooBig", violation: "DecompressionRatioTooHigh" })
      })
    )
  })

  describe("silent truncation of an over-long inflated message", () => {
    it.effect("one byte too many fails with 1009, never delivers a prefix; none too many passes", () =>
      Effect.gen(function* () {
        // Each is the first message of its connection, as the codecs keep what came before.
        const after = Effect.fnUntraced(function* (message: Uint8Array) {
          const { channel, peer } = yield* serve(spoken)
          const payload = yield* Effect.promise(() => compressed(spoken, message))
          peer.send(peer.frame({ opcode: 2, payload, rsv: 4 }))
          return yield* channel.receive
        })
        const whole = new Uint8Array(limit).fill(1)
        assert.deepStrictEqual(yield* after(whole), whole)
        const { reason } = yield* Effect.flip(after(new Uint8Array(limit + 1)))
        assert.strictEqual(reason._tag, "MessageTooBig")
      })
    )
  })
})
