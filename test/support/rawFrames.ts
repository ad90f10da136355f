/**
 * RFC 6455 frames written and read by hand, from the RFC's text and from nothing in `src`: what the
 * conformance tests hold the library against.
 */
import { Buffer } from "node:buffer"

export const Opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

/** A frame to write, right or wrong. */
export interface FrameSpec {
  readonly opcode: number
  /** Text is UTF-8. */
  readonly payload?: string | Uint8Array
  /** Default: `true`. */
  readonly fin?: boolean
  /** The three reserved bits: RSV1 is 4, RSV2 is 2, RSV3 is 1. */
  readonly rsv?: number
  readonly masked: boolean
  /** Default: the masking key of the RFC's examples. */
  readonly maskingKey?: Uint8Array
  /** How the length is written, in bits. Default: the shortest way. */
  readonly lengthForm?: 7 | 16 | 64
  /** The length that the header announces. Default: the payload's. */
  readonly announcedLength?: bigint
}

/** A frame as it was read. */
export interface RawFrame {
  readonly fin: boolean
  readonly rsv: number
  readonly opcode: number
  readonly maskingKey: Uint8Array | undefined
  /** The length was written in the shortest way. */
  readonly isMinimal: boolean
  /** Unmasked. */
  readonly payload: Uint8Array
}

const exampleKey = Uint8Array.of(0x37, 0xfa, 0x21, 0x3d)

export const utf8 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "utf8"))

export const hex = (digits: string): Uint8Array =>
  new Uint8Array(Buffer.from(digits.replaceAll(" ", ""), "hex"))

export const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")

export const concat = (...parts: ReadonlyArray<Uint8Array>): Uint8Array =>
  new Uint8Array(Buffer.concat(parts))

const mask = (payload: Uint8Array, key: Uint8Array): Uint8Array =>
  payload.map((byte, index) => byte ^ key[index % 4]!)

/** Section 5.2. */
export const encodeFrame = (spec: FrameSpec): Uint8Array => {
  const { fin = true, maskingKey = exampleKey, masked, opcode, rsv = 0 } = spec
  const payload = typeof spec.payload === "string" ? utf8(spec.payload) : (spec.payload ?? new Uint8Array())
  const length = spec.announcedLength ?? BigInt(payload.length)
  const form = spec.lengthForm ?? (length < 126n ? 7 : length < 65_536n ? 16 : 64)
  const header = Buffer.alloc(form === 7 ? 2 : form === 16 ? 4 : 10)
  header[0] = (fin ? 0x80 : 0) | (rsv << 4) | opcode
  header[1] = (masked ? 0x80 : 0) | (form === 7 ? Number(length) : form === 16 ? 126 : 127)
  if (form === 16) header.writeUInt16BE(Number(length), 2)
  if (form === 64) header.writeBigUInt64BE(length, 2)
  return masked ? concat(header, maskingKey, mask(payload, maskingKey)) : concat(header, payload)
}

/** The first frame of `bytes` and the bytes it takes; `undefined` when it is not complete. */
export const decodeFrame = (
  bytes: Uint8Array
): { readonly frame: RawFrame; readonly size: number } | undefined => {
  if (bytes.length < 2) return undefined
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const first = view.readUInt8(0)
  const second = view.readUInt8(1)
  const short = second & 0x7f
  const masked = second >= 0x80
  const keyAt = short === 126 ? 4 : short === 127 ? 10 : 2
  const start = masked ? keyAt + 4 : keyAt
  if (bytes.length < start) return undefined
  const length =
    short === 126 ? view.readUInt16BE(2) : short === 127 ? Number(view.readBigUInt64BE(2)) : short
  if (bytes.length < start + length) return undefined
  const maskingKey = masked ? bytes.slice(keyAt, start) : undefined
  const payload = bytes.slice(start, start + length)
  return {
    size: start + length,
    frame: {
      fin: first >= 0x80,
      rsv: (first >> 4) & 7,
      opcode: first & 15,
      maskingKey,
      isMinimal: short < 126 || (short === 126 ? length > 125 : length > 65_535),
      payload: maskingKey === undefined ? payload : mask(payload, maskingKey)
    }
  }
}

/** The payload of a Close frame (section 5.5.1). */
export const closePayload = (code?: number, reason: string | Uint8Array = ""): Uint8Array =>
  code === undefined
    ? new Uint8Array()
    : concat(Uint8Array.of(code >> 8, code & 255), typeof reason === "string" ? utf8(reason) : reason)

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

const names: ReadonlyMap<number, string> = new Map(
  Object.entries(Opcode).map(([name, opcode]) => [opcode, name])
)

/**
 * A frame in words: `text "hi"`, `text... "h"` when it is not final, `binary 00ff`, `ping 6869`,
 * `close`, `close 1000`, `close 1000 "bye"`. Continuations show their bytes.
 */
export const show = ({ fin, opcode, payload }: RawFrame): string => {
  const name = `${names.get(opcode) ?? `opcode ${opcode}`}${fin ? "" : "..."}`
  if (payload.length === 0) return name
  if (opcode === Opcode.close) {
    const reason = strict.decode(payload.subarray(2))
    const code = (payload[0]! << 8) | payload[1]!
    return `${name} ${code}${reason === "" ? "" : ` ${JSON.stringify(reason)}`}`
  }
  if (opcode === Opcode.text && fin) return `${name} ${JSON.stringify(strict.decode(payload))}`
  return `${name} ${toHex(payload)}`
}

/** What an endpoint's frames must keep to, whatever a test is about. Throws what is wrong. */
export class FrameChecker {
  /** The reserved bits that an extension has claimed, in a message's first frame (RFC 7692 section 6). */
  allowedRsv = 0
  readonly #masked: boolean
  #isMessageOpen = false
  #hasClosed = false

  /** Section 5.1: a client masks all frames, a server none. */
  constructor(role: "client" | "server") {
    this.#masked = role === "client"
  }

  check(frame: RawFrame): void {
    const { fin, isMinimal, maskingKey, opcode, payload, rsv } = frame
    const rule = (holds: boolean, section: string): void => {
      if (!holds) throw new Error(`a frame sent breaks section ${section}: ${show(frame)}`)
    }
    rule((maskingKey !== undefined) === this.#masked, "5.1 (masking)")
    const isFirst = opcode === Opcode.text || opcode === Opcode.binary
    rule(rsv === 0 || (isFirst && rsv === this.allowedRsv), "5.2 (reserved bits)")
    rule(names.has(opcode), "5.2 (opcode)")
    rule(isMinimal, "5.2 (minimal length)")
    rule(!this.#hasClosed || opcode === Opcode.pong, "5.5.1 (nothing after Close but a pong)")
    if (opcode >= 8) {
      rule(fin && payload.length <= 125, "5.5 (control frame)")
      if (opcode !== Opcode.close) return
      rule(payload.length !== 1, "5.5.1 (Close payload)")
      this.#hasClosed = true
    } else {
      rule((opcode === Opcode.continuation) === this.#isMessageOpen, "5.4 (fragmentation)")
      this.#isMessageOpen = !fin
    }
  }
}
