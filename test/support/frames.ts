/**
 * Frames by the letter of RFC 6455 section 5.2, bit by bit: what the decoder and
 * the writer are measured against. Nothing here uses the sources under test.
 */

export const Continuation = 0x0
export const Text = 0x1
export const Binary = 0x2
export const Close = 0x8
export const Ping = 0x9
export const Pong = 0xa

export type Key = readonly [number, number, number, number]

/** The masking key of RFC 6455's examples (section 5.7). */
export const rfcKey: Key = [0x37, 0xfa, 0x21, 0x3d]

export interface FrameFields {
  readonly opcode: number
  /** Default: `true`. */
  readonly fin?: boolean
  /** As they stand in the first byte: 0x40, 0x20, 0x10. Default: 0. */
  readonly reservedBits?: number
  /** Default: the frame is not masked. */
  readonly key?: Key | undefined
  /** Not masked; a string is its UTF-8. Default: empty. */
  readonly payload?: Uint8Array | string
  /** Which of the three length forms to use, by its bits. Default: the smallest that fits. */
  readonly lengthForm?: 7 | 16 | 64
  /** The length to announce, where it is not the payload's. */
  readonly announced?: bigint
}

export const utf8 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "utf8"))

/** Bytes from hexadecimal digits; blanks are for the reader. */
export const hex = (digits: string): Uint8Array =>
  new Uint8Array(Buffer.from(digits.replaceAll(/\s/g, ""), "hex"))

export const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")

/** Bytes that follow no simple pattern, the same for the same length and start. */
export const bytesOf = (length: number, start = 0): Uint8Array => {
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length; i++) bytes[i] = ((i + start) * 167 + ((i + start) >>> 8) * 59 + 13) & 0xff
  return bytes
}

export const concat = (...parts: ReadonlyArray<Uint8Array>): Uint8Array => joined(parts)

/** As `concat`, for any number of parts. */
export const joined = (parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let offset = 0
  for (const part of parts) {
    all.set(part, offset)
    offset += part.length
  }
  return all
}

/** RFC 6455 section 5.3: octet i of the data XOR octet i modulo 4 of the key. */
export const mask = (payload: Uint8Array, key: Key): Uint8Array =>
  payload.map((byte, i) => byte ^ key[i % 4]!)

/** The key as the one number that the sources use. */
export const keyNumber = ([a, b, c, d]: Key): number => a * 0x100_0000 + b * 0x1_0000 + c * 0x100 + d

export const keyOf = (number: number): Key => [
  Math.floor(number / 0x100_0000) % 256,
  Math.floor(number / 0x1_0000) % 256,
  Math.floor(number / 0x100) % 256,
  number % 256
]

const bigEndian = (value: bigint, size: number): Uint8Array => {
  const bytes = new Uint8Array(size)
  for (let i = 0; i < size; i++) bytes[size - 1 - i] = Number((value >> BigInt(8 * i)) & 0xffn)
  return bytes
}

/** The bytes of one frame; always a buffer of its own. */
export const frame = (fields: FrameFields): Uint8Array => {
  const { key, payload = "" } = fields
  const data = typeof payload === "string" ? utf8(payload) : payload
  const length = fields.announced ?? BigInt(data.length)
  const form = fields.lengthForm ?? (length <= 125n ? 7 : length <= 0xffffn ? 16 : 64)
  const first = (fields.fin === false ? 0 : 0x80) + (fields.reservedBits ?? 0) + fields.opcode
  const second = (key === undefined ? 0 : 0x80) + (form === 7 ? Number(length) : form === 16 ? 126 : 127)
  return concat(
    Uint8Array.of(first, second),
    bigEndian(length, form === 7 ? 0 : form === 16 ? 2 : 8),
    Uint8Array.from(key ?? []),
    key === undefined ? data : mask(data, key)
  )
}

/** The payload of a Close frame. */
export const closePayload = (code: number, reason = ""): Uint8Array =>
  concat(Uint8Array.of(Math.floor(code / 256), code % 256), utf8(reason))

export interface ParsedFrame {
  readonly opcode: number
  readonly fin: boolean
  readonly reservedBits: number
  /** As it stands in the frame; `undefined`: not masked. */
  readonly key: Key | undefined
  /** Unmasked. */
  readonly payload: Uint8Array
}

/** The frames that `bytes` consist of; throws where they are not whole frames with minimal lengths. */
export const parseFrames = (bytes: Uint8Array): Array<ParsedFrame> => {
  const frames: Array<ParsedFrame> = []
  let at = 0
  const take = (count: number): Uint8Array => {
    if (at + count > bytes.length) throw new Error(`bytes end inside a frame, at ${bytes.length}`)
    at += count
    return bytes.slice(at - count, at)
  }
  while (at < bytes.length) {
    const [first, second] = [...take(2)]
    let length = BigInt(second! & 0x7f)
    if (length > 125n) {
      const least = length === 126n ? 126n : 0x1_0000n
      length = [...take(length === 126n ? 2 : 8)].reduce((sum, byte) => sum * 256n + BigInt(byte), 0n)
      if (length < least || length >= 1n << 63n) throw new Error(`a length of ${length} in the wrong form`)
    }
    const masked = second! >= 0x80
    const keyBytes = masked ? take(4) : undefined
    const key: Key | undefined = keyBytes && [keyBytes[0]!, keyBytes[1]!, keyBytes[2]!, keyBytes[3]!]
    const data = take(Number(length))
    frames.push({
      opcode: first! & 0x0f,
      fin: first! >= 0x80,
      reservedBits: first! & 0x70,
      key,
      payload: key === undefined ? data : mask(data, key)
    })
  }
  return frames
}

/** `bytes` cut into pieces at the given offsets, each piece in a buffer of its own. */
export const cutAt = (bytes: Uint8Array, offsets: ReadonlyArray<number>): Array<Uint8Array> => {
  const inside = offsets.filter((offset) => offset > 0 && offset < bytes.length)
  const borders = [0, ...[...new Set(inside)].sort((a, b) => a - b), bytes.length]
  return borders.slice(1).map((end, i) => bytes.slice(borders[i]!, end))
}

/** `bytes` in pieces of `size`, each in a buffer of its own. */
export const piecesOf = (bytes: Uint8Array, size: number): Array<Uint8Array> =>
  Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.slice(i * size, (i + 1) * size))
