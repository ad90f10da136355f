/**
 * Everything a peer's frames can do wrong, and the status code the connection
 * fails with (RFC 6455 sections 5 to 8), and the limits that it can exceed.
 */
const table = {
  ReservedBits: [1002, "a reserved bit is set that no extension has claimed for this frame (5.2)"],
  ReservedOpcode: [1002, "the opcode is reserved (5.2)"],
  FragmentedControlFrame: [1002, "a control frame is fragmented (5.5)"],
  ControlFrameTooLong: [1002, "a control frame's payload is longer than 125 bytes (5.5)"],
  LengthNotMinimal: [1002, "the payload length does not use the minimal number of bytes (5.2)"],
  LengthSignBit: [1002, "the most significant bit of a 64-bit payload length is set (5.2)"],
  MaskMissing: [1002, "a client's frame is not masked (5.1)"],
  MaskForbidden: [1002, "a server's frame is masked (5.1)"],
  ContinuationWithoutMessage: [1002, "a continuation frame without a message to continue (5.4)"],
  MessageNotFinished: [1002, "a new message before the last one was finished (5.4)"],
  ClosePayloadTooShort: [1002, "a Close frame with a payload of one byte (5.5.1)"],
  CloseCodeInvalid: [1002, "a status code that must not be sent in a Close frame (7.4)"],
  CloseReasonNotUtf8: [1007, "a close reason that is not valid UTF-8 (5.5.1)"],
  TextNotUtf8: [1007, "a text message that is not valid UTF-8 (8.1)"],
  CompressedDataCorrupt: [1007, "a compressed message that cannot be decompressed (RFC 7692, 7.2.2)"],
  TextTooLong: [1009, "a text longer than a string can be"],
  FrameTooBig: [1009, "a frame's payload is larger than allowed"],
  MessageTooBig: [1009, "a message is larger than allowed"],
  DecompressionRatioTooHigh: [1009, "a compressed message grows more than allowed"],
  TooManyControlFrames: [1008, "more pings and pongs than allowed"]
} as const

/** The name of a violation. */
export type Violation = keyof typeof table

/** The status codes that a connection can fail with because of its peer. */
export type ViolationCode = (typeof table)[Violation][0]

/** All violations, in the table's order. */
export const all = Object.keys(table) as ReadonlyArray<Violation>

/** The status code that the connection fails with. */
export const statusCode = (violation: Violation): ViolationCode => table[violation][0]

/** What the peer did, for a person; the section of RFC 6455 in parentheses. */
export const description = (violation: Violation): string => table[violation][1]
