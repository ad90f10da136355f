/**
 * Status codes of Close frames (RFC 6455 section 7.4 and the IANA registry
 * it set up), and the payload that carries them.
 */
import * as Utf8 from "../bytes/Utf8.ts"
import type { Violation } from "./Violation.ts"

/** One row of the table of status codes. */
export interface CloseCodeInfo {
  /** An endpoint may put the code into a Close frame. */
  readonly sendable: boolean
  /** A received Close frame may carry the code. */
  readonly receivable: boolean
  /** What the code says. */
  readonly meaning: string
}

const onTheWire = { sendable: true, receivable: true } as const
const neverOnTheWire = { sendable: false, receivable: false } as const

const named: ReadonlyMap<number, CloseCodeInfo> = new Map([
  [1000, { ...onTheWire, meaning: "the purpose of the connection is fulfilled" }],
  [1001, { ...onTheWire, meaning: "the endpoint is going away" }],
  [1002, { ...onTheWire, meaning: "protocol error" }],
  [1003, { ...onTheWire, meaning: "a type of data the endpoint cannot accept" }],
  [1004, { ...neverOnTheWire, meaning: "reserved" }],
  [1005, { ...neverOnTheWire, meaning: "no status code was received" }],
  [1006, { ...neverOnTheWire, meaning: "the connection was lost without a Close frame" }],
  [1007, { ...onTheWire, meaning: "a message's data does not fit its type" }],
  [1008, { ...onTheWire, meaning: "a message violates the endpoint's policy" }],
  [1009, { ...onTheWire, meaning: "a message is too big" }],
  [1010, { ...onTheWire, meaning: "the server did not negotiate an extension the client needs" }],
  [1011, { ...onTheWire, meaning: "the server met an unexpected condition" }],
  [1012, { ...onTheWire, meaning: "the service restarts" }],
  [1013, { ...onTheWire, meaning: "try again later" }],
  [1014, { ...onTheWire, meaning: "a gateway got an invalid response from its upstream server" }],
  [1015, { ...neverOnTheWire, meaning: "the TLS handshake failed" }]
])

/** What the table says of `code`: any number, also one that no table names. */
export const info = (code: number): CloseCodeInfo => {
  const row = named.get(code)
  if (row !== undefined) return row
  if (Number.isInteger(code)) {
    if (code >= 3000 && code <= 3999) return { ...onTheWire, meaning: "registered by a library or framework" }
    if (code >= 4000 && code <= 4999) return { ...onTheWire, meaning: "private to the application" }
    if (code >= 1016 && code <= 2999) return { ...neverOnTheWire, meaning: "reserved for the protocol" }
  }
  return { ...neverOnTheWire, meaning: "not a status code" }
}

/** Whether an endpoint may send `code`. */
export const isSendable = (code: number): boolean => info(code).sendable

/** The connection has served its purpose. */
export const normalClosure = 1000
/** This end goes away. */
export const goingAway = 1001
/** The peer does what this end does not put up with. */
export const policyViolation = 1008
/** The peer should come again later. */
export const tryAgainLater = 1013
/** What the application does with the connection failed. */
export const unexpectedCondition = 1011
/** Reported, never sent: the Close frame had no status code. */
export const noStatusReceived = 1005
/** Reported, never sent: the connection ended without a Close frame. */
export const abnormalClosure = 1006

/** The longest reason, in bytes of UTF-8: a control frame's 125 less the code's two. */
export const maxReasonLength = 123

/**
 * The payload of a Close frame. Without a code it is empty. The reason is cut to
 * 123 bytes at a code point.
 */
export const encodePayload = (code: number | undefined, reason: string): Uint8Array => {
  if (code === undefined) return new Uint8Array(0)
  const text = reason === "" ? undefined : Utf8.truncate(Utf8.encode(reason), maxReasonLength)
  const payload = new Uint8Array(2 + (text?.length ?? 0))
  payload[0] = code >>> 8
  payload[1] = code
  if (text !== undefined) payload.set(text, 2)
  return payload
}

/** The content of a Close frame: 1005 stands for "no code". */
export interface ClosePayload {
  readonly code: number
  readonly reason: string
}

/** Reads the payload of a received Close frame, of at most 125 bytes. */
export const decodePayload = (payload: Uint8Array): ClosePayload | Violation => {
  if (payload.length === 0) return { code: noStatusReceived, reason: "" }
  if (payload.length === 1) return "ClosePayloadTooShort"
  const code = (payload[0]! << 8) | payload[1]!
  if (!info(code).receivable) return "CloseCodeInvalid"
  const reason = Utf8.decode(payload.subarray(2))
  return reason === undefined ? "CloseReasonNotUtf8" : { code, reason }
}
