import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Framing, WebSocketCrypto } from "effect-websocket"
import { frame, rfcKey, Text } from "../support/frames.ts"

const options: Framing.FramingOptions = {
  masking: "required",
  applyMask: true,
  maxFramePayloadSize: 0,
  maxMessagePayloadSize: 0,
  allowedReservedBits: 0,
  utf8validateIncoming: true,
  maskOutgoing: false,
  compress: undefined,
  maxDecompressionRatio: 0
}

describe("Framing", () => {
  it.effect("has connections that agreed on the same share what makes readers, and only those", () =>
    Effect.gen(function* () {
      const { make } = yield* Framing.Framing
      const others: ReadonlyArray<Partial<Framing.FramingOptions>> = [
        { masking: "either" },
        { applyMask: false },
        { maxFramePayloadSize: 1 },
        { maxMessagePayloadSize: 1 },
        { allowedReservedBits: 0x40 },
        { utf8validateIncoming: false }
      ]
      for (const other of others) {
        const { makeReader } = make(options)
        assert.strictEqual(make({ ...options, maxDecompressionRatio: 5 }).makeReader, makeReader)
        assert.notStrictEqual(make({ ...options, ...other }).makeReader, makeReader)
      }
    }).pipe(Effect.provide(Framing.layer.pipe(Layer.provide(WebSocketCrypto.layer))))
  )

  it.effect("lets a connection keep its own limits when later ones have others", () =>
    Effect.gen(function* () {
      const { make } = yield* Framing.Framing
      const limited = make({ ...options, maxFramePayloadSize: 1 })
      const free = make(options)
      const read = (codec: ReturnType<typeof make>) => {
        const { decoder } = codec.makeReader()
        decoder.push(frame({ key: rfcKey, opcode: Text, payload: "two" }))
        return [decoder.next(), decoder.violation]
      }
      assert.deepStrictEqual(read(limited), ["Violation", "FrameTooBig"])
      assert.deepStrictEqual(read(free), ["Frame", undefined])
    }).pipe(Effect.provide(Framing.layer.pipe(Layer.provide(WebSocketCrypto.layer))))
  )
})
