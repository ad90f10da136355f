import { assert } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Violation from "../../../src/frame/Violation.ts"
import { anyStream, messageStream, oneOf } from "../../support/arbitraries.ts"
import { type Received, TestConnection } from "../../support/connections.ts"
import { makeDecoder, stepThrough, told } from "../../support/decoding.ts"
import { utf8 } from "../../support/frames.ts"
import { receiveAll } from "../../support/model.ts"
import { cutsOf, smallPieces } from "../cuts.ts"
import { bytesOfInput, hashOf, inputOfBytes, type Target } from "../Target.ts"

/** Each frame; behind the first length that is beyond the end, all the rest. */
export const splitFrames = (input: string): ReadonlyArray<string> => {
  const bytes = bytesOfInput(input)
  const view = new DataView(bytes.buffer)
  const parts: Array<string> = []
  let at = 0
  while (bytes.length - at >= 2) {
    const short = bytes[at + 1]! & 0x7f
    let end = at + 2 + (short === 126 ? 2 : short === 127 ? 8 : 0) + (bytes[at + 1]! & 0x80 ? 4 : 0)
    if (end > bytes.length) break
    end += short === 126 ? view.getUint16(at + 2) : short === 127 ? Number(view.getBigUint64(at + 2)) : short
    if (end > bytes.length) break
    parts.push(input.slice(at, end))
    at = end
  }
  return at < input.length ? [...parts, input.slice(at)] : parts
}

const asBytes = ([kind, content]: Received): Received =>
  kind === "text" ? ["encodedText", utf8(content)] : [kind, content]

/** Headers and keys that are easy to miss. */
export const words = [
  ...["\x81\x80\0\0\0\0", "\x01\x81\0\0\0\0a", "\x80\x80\0\0\0\0", "\x89\x80\0\0\0\0", "\x88\x80\0\0\0\0"],
  ...[
    "\x81\0",
    "\x01\x01a",
    "\x80\0",
    "\x89\0",
    "\x88\0",
    "\x88\x02\x03\xe8",
    "\xc1\x01\0",
    "\xf0\x9f\x98\x80"
  ],
  ...[
    "\x7e\0\x7d",
    "\x7e\0\x7e",
    "\x7f\0\0\0\0\0\x01\0\0",
    "\x7f\x80\0\0\0\0\0\0\0",
    "\x7f\0\x20\0\0\0\0\0\0"
  ],
  ...["\xed\xa0\x80", "\xc0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\xfe\xff"]
]

/** Bytes that an end of an open connection receives: the decoder, the assembler, and the connection. */
const frames = (role: "server" | "client"): Target => {
  const masked = role === "server"
  const masking = masked ? "required" : "forbidden"
  const rulesOf = (input: string) => {
    const hash = hashOf(input)
    return {
      role,
      maxFramePayloadSize: [0, 0, 30, 126][hash % 4]!,
      maxMessagePayloadSize: [0, 0, 50, 200][(hash >>> 2) % 4]!,
      utf8validateIncoming: (hash >>> 4) % 4 !== 0
    } as const
  }
  return {
    name: `frames-${role}`,
    isText: false,
    generated: Arbitrary.map(oneOf(anyStream(masked), messageStream(masked)), ({ value }) =>
      inputOfBytes(value)
    ),
    dictionary: words,
    split: splitFrames,
    check: (input) => {
      const bytes = bytesOfInput(input)
      const rules = rulesOf(input)
      const expected = receiveAll(bytes, rules)
      const decoder = { masking, applyMask: true, maxFramePayloadSize: rules.maxFramePayloadSize } as const
      const whole = stepThrough(makeDecoder(decoder), bytes.slice())
      for (const chunks of cutsOf(bytes)) {
        const steps = stepThrough(makeDecoder(decoder), ...chunks.map((chunk) => chunk.slice()))
        assert.strictEqual(steps.violation, whole.violation)
        assert.deepStrictEqual(told(steps.steps), told(whole.steps))
        for (const inPieces of [false, true]) {
          const end = new TestConnection(rules)
          end.connection.inPieces = inPieces
          end.receive(...chunks)
          const { connection } = end
          assert.deepStrictEqual(end.received, inPieces ? expected.received.map(asBytes) : expected.received)
          assert.strictEqual(
            connection.violation && Violation.statusCode(connection.violation),
            expected.failsWith
          )
          assert.strictEqual(connection.remoteClose?.code, expected.closedWith)
          assert.isAtMost(end.sent().length, 1)
        }
      }
    },
    work: (input) => {
      const { connection } = new TestConnection({ role })
      for (const piece of smallPieces(bytesOfInput(input))) connection.receive(piece)
    }
  }
}

export const framesOfClient = frames("server")
export const framesOfServer = frames("client")
