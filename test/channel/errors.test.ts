/**
 * The errors of a connection: what they tell, and how they are caught.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Violation, WebSocketError } from "effect-websocket"
import { withoutStack } from "../../src/channel/withoutStack.ts"

const {
  CloseTimeout,
  ConnectionClosed,
  InvalidCall,
  TransportFailure,
  WebSocketError: Failure
} = WebSocketError

const messages: ReadonlyArray<readonly [message: string, reason: WebSocketError.WebSocketErrorReason]> = [
  [
    "the connection closed cleanly (1000)",
    new ConnectionClosed({ code: 1000, closeReason: "", wasClean: true })
  ],
  [
    "the connection closed cleanly (4000: enough)",
    new ConnectionClosed({ code: 4000, closeReason: "enough", wasClean: true })
  ],
  [
    "the connection closed uncleanly (1006)",
    new ConnectionClosed({ code: 1006, closeReason: "", wasClean: false })
  ],
  ["the transport failed: ECONNRESET", new TransportFailure({ cause: new Error("ECONNRESET") })],
  ["the transport failed: gone", new TransportFailure({ cause: "gone" })],
  ["too late", new CloseTimeout({ message: "too late" })],
  ["not so", new InvalidCall({ message: "not so" })]
]

describe("WebSocketError", () => {
  it.each(messages)("says %j", (message, reason) => {
    assert.strictEqual(new Failure({ reason }).message, message)
  })

  it("of a connection that has ended has no stack, whose calls would keep the connection", () => {
    const { stackTraceLimit } = Error
    const { reason, stack } = WebSocketError.fromViolation("FrameTooBig")
    assert.notInclude(stack, "\n    at ")
    assert.notInclude(reason.stack, "\n    at ")
    assert.strictEqual(Error.stackTraceLimit, stackTraceLimit)
    assert.throws(() =>
      withoutStack(() => {
        throw new Error("expected")
      })
    )
    assert.strictEqual(Error.stackTraceLimit, stackTraceLimit)
    // Of a call it tells where that was.
    assert.include(WebSocketError.invalidCall("no").stack, "\n    at ")
  })

  it("is made of each violation, with its status code and description", () => {
    const tags = {
      1002: "ProtocolViolation",
      1007: "InvalidPayload",
      1008: "PolicyViolation",
      1009: "MessageTooBig"
    } as const
    for (const violation of Violation.all) {
      const code = Violation.statusCode(violation)
      const error = WebSocketError.fromViolation(violation)
      const {
        _tag,
        ...facts
      }: { readonly _tag: string; readonly code?: unknown; readonly violation?: unknown } = error.reason
      assert.strictEqual(_tag, tags[code])
      assert.deepInclude(facts, { code, violation })
      assert.strictEqual(error.message, Violation.description(violation))
    }
  })

  it.effect("is caught as a whole by its tag", () =>
    Effect.gen(function* () {
      const caught = yield* WebSocketError.invalidCall("not so").pipe(
        Effect.catchTag("WebSocketError", ({ reason }) => Effect.succeed(reason._tag))
      )
      assert.strictEqual(caught, "InvalidCall")
    })
  )

  it.effect("is caught by one reason, and others go on", () =>
    Effect.gen(function* () {
      const caught = (reason: WebSocketError.WebSocketErrorReason) =>
        Effect.fail(new Failure({ reason })).pipe(
          Effect.catchReason("WebSocketError", "ConnectionClosed", ({ code }) => Effect.succeed(code)),
          Effect.catchTag("WebSocketError", ({ message }) => Effect.succeed(message))
        )
      const closed = new ConnectionClosed({ code: 4000, closeReason: "", wasClean: true })
      assert.strictEqual(yield* caught(closed), 4000)
      assert.strictEqual(yield* caught(new InvalidCall({ message: "not so" })), "not so")
    })
  )
})
