import { assert, describe, it } from "@effect/vitest"
import * as Violation from "../../src/frame/Violation.ts"
import { anyStream, boolean, cut, pick } from "../support/arbitraries.ts"
import { type Settings, TestConnection } from "../support/connections.ts"
import { makeDecoder, stepThrough, told } from "../support/decoding.ts"
import { bytesOf, Close, concat, frame, Ping, parseFrames, rfcKey, Text } from "../support/frames.ts"
import { receiveAll } from "../support/model.ts"

const options = { arbitrary: { runs: 600, size: 40 }, timeout: 60_000 }

const limits = {
  maxFramePayloadSize: pick(0, 0, 0, 30, 126, 65_535),
  maxMessagePayloadSize: pick(0, 0, 0, 50, 200, 65_536),
  utf8validateIncoming: pick(true, true, true, false)
}

for (const role of ["server", "client"] as const) {
  const masking = role === "server" ? "required" : "forbidden"
  const stream = anyStream(role === "server")

  const more = (): Uint8Array => {
    const key = role === "server" ? rfcKey : undefined
    return concat(
      frame({ opcode: Text, payload: "more", key }),
      frame({ opcode: Ping, key }),
      frame({ opcode: Close, key }),
      bytesOf(300)
    )
  }

  describe(`property: any bytes, at a ${role}`, () => {
    it.prop(
      "end in messages, a Close or one violation, as RFC 6455 has it, and nothing after",
      { stream, cut, ...limits },
      ({ cut, stream: { value: stream }, ...rules }) => {
        const expected = receiveAll(stream, { role, ...rules })
        const end = new TestConnection({ role, ...rules }).receive(...cut.value(stream))
        const { connection } = end
        assert.deepStrictEqual(end.received, expected.received)
        const { violation } = connection
        assert.strictEqual(violation && Violation.statusCode(violation), expected.failsWith)
        assert.strictEqual(connection.remoteClose?.code, expected.closedWith)
        const isOpen = expected.failsWith === undefined && expected.closedWith === undefined
        const isFailed = expected.failsWith !== undefined
        assert.strictEqual(connection.state, isOpen ? "Open" : isFailed ? "Failed" : "Finished")
        const frames = end.sent()
        if (isOpen) return assert.deepStrictEqual(frames, [])
        assert.deepStrictEqual(
          frames.map(({ opcode, payload }) => [opcode, payload[0]! * 256 + payload[1]!]),
          [[Close, expected.failsWith ?? 1000]]
        )
        end.receive(more(), stream)
        assert.lengthOf(end.received, expected.received.length)
        assert.strictEqual(connection.violation, violation)
        assert.strictEqual(connection.outgoing.length, 0)
      },
      options
    )

    it.prop(
      "after our Close, with failByDrop or not, end in pings and pongs, the peer's Close, or a drop",
      { stream, cut, failByDrop: boolean, echoCloseCodeReason: boolean, ...limits },
      ({ cut, stream: { value: stream }, ...rest }) => {
        const settings: Settings = { role, ...rest }
        const end = new TestConnection(settings)
        end.connection.sendClose(1000, "")
        end.sentBytes()
        end.receive(...cut.value(stream))
        const { connection } = end
        assert.isTrue(end.received.every(([kind]) => kind === "ping" || kind === "pong"))
        assert.strictEqual(connection.outgoing.length, 0)
        assert.strictEqual(connection.mustDrop, connection.violation !== undefined)
        assert.strictEqual(connection.wasClean, connection.remoteClose !== undefined)
        assert.strictEqual(
          connection.state,
          connection.mustDrop ? "Failed" : connection.wasClean ? "Finished" : "CloseSent"
        )
      },
      options
    )

    it.prop(
      "what a decoder makes of them does not depend on the cuts",
      { stream, one: cut, other: cut, maxFramePayloadSize: limits.maxFramePayloadSize, applyMask: boolean },
      ({ applyMask, maxFramePayloadSize, one, other, stream: { value: stream } }) => {
        const decoder = () => makeDecoder({ masking, applyMask, maxFramePayloadSize })
        const whole = stepThrough(decoder(), stream.slice())
        for (const cut of [one, other]) {
          const { steps, violation } = stepThrough(decoder(), ...cut.value(stream))
          assert.strictEqual(violation, whole.violation)
          assert.deepStrictEqual(told(steps), told(whole.steps))
        }
      },
      options
    )

    it.prop(
      "what a connection makes of them does not depend on the cuts",
      { stream, one: cut, other: cut, failByDrop: boolean, echoCloseCodeReason: boolean, ...limits },
      ({ one, other, stream: { value: stream }, ...rest }) => {
        const [first, second] = [one, other].map((cut) =>
          new TestConnection({ role, ...rest }).receive(...cut.value(stream))
        )
        assert.deepStrictEqual(first!.received, second!.received)
        assert.strictEqual(first!.connection.violation, second!.connection.violation)
        assert.strictEqual(first!.connection.state, second!.connection.state)
        const bytes = first!.sentBytes()
        assert.deepStrictEqual(bytes, second!.sentBytes())
        assert.isAtMost(parseFrames(bytes).length, 1)
      },
      options
    )
  })
}
