const FIN = 0x80
/** Of the first frame of a compressed message (RFC 7692 section 6). */
export const RSV1 = 0x40
const MASKED = 0x80
export const opcodes = { text: 0x1, binary: 0x2, close: 0x8, ping: 0x9, pong: 0xa }
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

/** A whole message in one frame; `opcode` may have {@link RSV1} with it. */
export const clientFrame = (opcode: number, payload: Buffer): Buffer =>
  Buffer.concat([
    header(opcode, payload.length, MASKED),
    maskingKey,
    payload.map((byte, index) => byte ^ maskingKey[index % 4]!)
  ])

export const serverFrame = (opcode: number, payload: Buffer): Buffer =>
  Buffer.concat([header(opcode, payload.length, 0), payload])

const normalClosure = Buffer.from([0x03, 0xe8])

export const closeRequest = clientFrame(opcodes.close, normalClosure)
export const closeReply = serverFrame(opcodes.close, normalClosure)

/** The answer to a ping, which is the only thing in `bytes`; `undefined` where it is anything else. */
export const pongFor = (bytes: Buffer): Buffer | undefined =>
  bytes[0] === (FIN | opcodes.ping) && bytes[1] === bytes.length - 2
    ? clientFrame(opcodes.pong, bytes.subarray(2))
    : undefined

/** All sockets read into this one buffer; each chunk is checked before the next read. */
export const readBuffer = Buffer.alloc(256 * 1024)
