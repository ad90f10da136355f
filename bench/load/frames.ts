import type { Scenario } from "../scenarios.ts"

const FIN = 0x80
const MASKED = 0x80
const opcodes = { text: 0x1, binary: 0x2, close: 0x8 }
const maskingKey = Buffer.from([0x5a, 0xc3, 0x17, 0x9e])

const header = (opcode: number, size: number, maskBit: number): Buffer => {
  if (size < 126) return Buffer.from([FIN | opcode, maskBit | size])
  if (size < 65536) return Buffer.from([FIN | opcode, maskBit | 126, size >> 8, size & 0xff])
  const bytes = Buffer.alloc(10)
  bytes[0] = FIN | opcode
  bytes[1] = maskBit | 127
  bytes.writeBigUInt64BE(BigInt(size), 2)
  return bytes
}

const clientFrame = (opcode: number, payload: Buffer): Buffer =>
  Buffer.concat([
    header(opcode, payload.length, MASKED),
    maskingKey,
    payload.map((byte, index) => byte ^ maskingKey[index % 4]!)
  ])

const serverFrame = (opcode: number, payload: Buffer): Buffer =>
  Buffer.concat([header(opcode, payload.length, 0), payload])

/** Pseudo-random bytes (printable ASCII for text), the same in every run. */
const payloadOf = (kind: "text" | "binary", size: number): Buffer => {
  const bytes = Buffer.alloc(size)
  let state = 1
  for (let index = 0; index < size; index++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    bytes[index] = kind === "text" ? 0x20 + ((state >>> 16) % 95) : state >>> 24
  }
  return bytes
}

const normalClosure = Buffer.from([0x03, 0xe8])

export const closeRequest = clientFrame(opcodes.close, normalClosure)
export const closeReply = serverFrame(opcodes.close, normalClosure)

/** All sockets read into this one buffer; each chunk is checked before the next read. */
export const readBuffer = Buffer.alloc(256 * 1024)

/** The bytes of a scenario, made once. */
export interface Exchange {
  /** No WebSocket at all: the peer sends back the same bytes. */
  readonly raw: boolean
  /** `requests[n]`: n messages in one buffer. */
  readonly requests: ReadonlyArray<Buffer>
  readonly replySize: number
  /** The reply over and over, long enough to compare a full read from any offset in a reply. */
  readonly replies: Buffer
}

export const makeExchange = (scenario: Scenario, raw: boolean): Exchange => {
  const opcode = opcodes[scenario.payload]
  const payload = payloadOf(scenario.payload, scenario.size)
  const request = clientFrame(opcode, payload)
  const reply = raw ? request : serverFrame(opcode, payload)
  const inFlight = scenario.kind === "echo" ? scenario.inFlight : 1
  const batch = Buffer.concat(Array.from({ length: inFlight }, () => request))
  return {
    raw,
    requests: Array.from({ length: inFlight + 1 }, (_, n) => batch.subarray(0, n * request.length)),
    replySize: reply.length,
    replies: Buffer.alloc(reply.length + readBuffer.length, reply)
  }
}
