/**
 * A client's options: Autobahn's defaults, what is refused, and the preset.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { ClientOptions, type Options } from "effect-websocket"
import { WebSocketTest } from "effect-websocket/testing"

const MiB = 1024 * 1024

const common = {
  utf8validateIncoming: true,
  applyMask: true,
  maxFramePayloadSize: 0,
  maxMessagePayloadSize: 0,
  autoFragmentSize: 0,
  failByDrop: true,
  echoCloseCodeReason: false,
  openHandshakeTimeout: Duration.zero,
  closeHandshakeTimeout: Duration.seconds(1),
  autoPingInterval: Duration.zero,
  autoPingTimeout: Duration.zero,
  autoPingSize: 4,
  autoPingRestartOnAnyTraffic: true,
  tcpNoDelay: true,
  maxSendBufferSize: MiB,
  maxReceiveBufferSize: MiB,
  maxHandshakeSize: 16 * 1024,
  maxHandshakeHeaders: 100
}

const hardened = {
  failByDrop: false,
  maxFramePayloadSize: 16 * MiB,
  maxMessagePayloadSize: 16 * MiB,
  openHandshakeTimeout: Duration.seconds(10),
  closeHandshakeTimeout: Duration.seconds(5),
  echoCloseCodeReason: true,
  autoPingInterval: Duration.seconds(30),
  autoPingTimeout: Duration.seconds(30)
}

const sides = [
  {
    name: "ClientOptions",
    decode: (input: object): Result.Result<object, Options.InvalidOptions> => ClientOptions.decode(input),
    hardened: ClientOptions.hardened,
    defaults: { ...common, acceptMaskedServerFrames: false, maskClientFrames: true },
    presets: hardened
  }
]

const duration = 'a finite duration such as "5 seconds" or Duration.seconds(5), or 0 for no limit'
const size = "a whole number of bytes, 0 for no limit"
const count = "a whole number from 1"
const flag = "true or false"

/** Values of the right kind but for one thing, by what the option wants. */
const wrong: Record<string, ReadonlyArray<unknown>> = {
  [duration]: [5, 1000, -1, "5", "soon", "-1 seconds", Duration.infinity, Duration.seconds(-1), null, true],
  [size]: [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, "1024", null],
  [count]: [0, -1, 1.5, "1", null],
  "a whole number of bytes from 4 to 125": [0, 3, 126, 4.5, "4", null],
  [flag]: [0, "true", null]
}

const allowedOf: Record<string, string> = {
  utf8validateIncoming: flag,
  applyMask: flag,
  maxFramePayloadSize: size,
  maxMessagePayloadSize: size,
  autoFragmentSize: size,
  failByDrop: flag,
  echoCloseCodeReason: flag,
  openHandshakeTimeout: duration,
  closeHandshakeTimeout: duration,
  autoPingInterval: duration,
  autoPingTimeout: duration,
  autoPingSize: "a whole number of bytes from 4 to 125",
  autoPingRestartOnAnyTraffic: flag,
  tcpNoDelay: flag,
  maxSendBufferSize: count,
  maxReceiveBufferSize: count,
  maxHandshakeSize: count,
  maxHandshakeHeaders: count,
  acceptMaskedServerFrames: flag,
  maskClientFrames: flag
}

/** Another value than the default, and what it decodes to. */
const other = (value: unknown): readonly [given: unknown, decoded: unknown] =>
  typeof value === "boolean"
    ? [!value, !value]
    : typeof value === "number"
      ? [value + 7, value + 7]
      : ["7 seconds", Duration.seconds(7)]

for (const { decode, defaults, hardened, name, presets } of sides) {
  describe(name, () => {
    it("has the defaults of the table", () => {
      assert.deepStrictEqual(Result.getOrThrow(decode({})), defaults)
    })

    it("has a preset for the public internet", () => {
      assert.deepStrictEqual(Result.getOrThrow(decode(hardened)), { ...defaults, ...presets })
    })

    for (const [option, value] of Object.entries(defaults)) {
      it(`${option} changes no other option`, () => {
        const [given, decoded] = other(value)
        assert.deepStrictEqual(Result.getOrThrow(decode({ [option]: given })), {
          ...defaults,
          [option]: decoded
        })
      })

      it(`${option} refuses what it cannot be, by name`, () => {
        const allowed = allowedOf[option] ?? ""
        for (const value of wrong[allowed] ?? assert.fail("no wrong value")) {
          const failure = Result.getOrThrow(Result.flip(decode({ [option]: value })))
          assert.strictEqual(failure._tag, "InvalidOptions")
          assert.deepStrictEqual([failure.option, failure.value, failure.allowed], [option, value, allowed])
          assert.include(failure.message, `invalid option ${option}: expected ${allowed}, got `)
        }
      })
    }

    it("refuses an option it does not have", () => {
      const { allowed, option, value } = Result.getOrThrow(Result.flip(decode({ maxPayload: 5 })))
      assert.deepStrictEqual([option, value, allowed], ["maxPayload", 5, "no option of this name"])
    })

    for (const [given, decoded] of [
      [0, Duration.zero],
      ["1 minute", Duration.minutes(1)],
      [Duration.millis(1500), Duration.millis(1500)]
    ] as const) {
      it(`takes ${String(given)} as a duration`, () => {
        assert.deepStrictEqual(Result.getOrThrow(decode({ openHandshakeTimeout: given })), {
          ...defaults,
          openHandshakeTimeout: decoded
        })
      })
    }
  })
}

describe("a layer with a wrong option", () => {
  it.effect("fails with InvalidOptions", () =>
    Effect.gen(function* () {
      const layer = WebSocketTest.layer({ client: { maxFramePayloadSize: -1 } })
      const error = yield* Effect.flip(Effect.scoped(Layer.build(layer)))
      assert.strictEqual(
        error.message,
        "invalid option maxFramePayloadSize: expected a whole number of bytes, 0 for no limit, got -1"
      )
    })
  )
})
