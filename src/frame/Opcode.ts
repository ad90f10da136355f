/**
 * Frame opcodes (RFC 6455 section 5.2).
 */
export const Continuation = 0x0
export const Text = 0x1
export const Binary = 0x2
export const Close = 0x8
export const Ping = 0x9
export const Pong = 0xa

/** Whether the opcode is one that RFC 6455 defines. */
export const isKnown = (opcode: number): boolean => opcode <= Binary || (opcode >= Close && opcode <= Pong)

/** Whether frames of this opcode are control frames (RFC 6455 section 5.5). */
export const isControl = (opcode: number): boolean => opcode >= Close

/** The largest payload of a control frame, in bytes (RFC 6455 section 5.5). */
export const maxControlPayload = 125
