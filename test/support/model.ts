/**
 * What a connection makes of all the bytes it receives, worked out the slow way:
 * frame by frame over the whole input, with everything kept. Written from RFC
 * 6455; nothing here uses the code under test but the names of its options.
 */
import type { Received } from "./connections.ts"
import { Binary, Close, Continuation, concat, Ping, toHex } from "./frames.ts"
import { isUtf8, mayBecomeUtf8 } from "./utf8.ts"

export interface Rules {
  readonly role: "server" | "client"
  readonly maxFramePayloadSize: number
  readonly maxMessagePayloadSize: number
  readonly utf8validateIncoming: boolean
}

export interface Expected {
  readonly received: ReadonlyArray<Received>
  /** The status code that the connection fails with. */
  readonly failsWith: number | undefined
  /** The code of the peer's Close frame. */
  readonly closedWith: number | undefined
}

const sendable = (code: number): boolean =>
  (code >= 1000 && code <= 1014 && ![1004, 1005, 1006].includes(code)) || (code >= 3000 && code <= 4999)

const text = (bytes: Uint8Array): string => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes)

export const receiveAll = (bytes: Uint8Array, rules: Rules): Expected => {
  const received: Array<Received> = []
  const end = (failsWith?: number, closedWith?: number): Expected => ({ received, failsWith, closedWith })
  const exceeds = (length: bigint, limit: number): boolean => limit !== 0 && length > BigInt(limit)
  let message: { readonly isBinary: boolean; readonly payload: Uint8Array; readonly size: bigint } | undefined
  let at = 0
  while (bytes.length - at >= 2) {
    const first = bytes[at]!
    const second = bytes[at + 1]!
    const opcode = first % 16
    const fin = first >= 0x80
    const isControl = opcode >= 8
    const masked = second >= 0x80
    const short = second % 128
    if ((first & 0x70) !== 0) return end(1002)
    if ((opcode > 2 && opcode < 8) || opcode > 10) return end(1002)
    if (isControl && (!fin || short > 125)) return end(1002)
    if (masked !== (rules.role === "server")) return end(1002)
    const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0
    const headerLength = 2 + lengthBytes + (masked ? 4 : 0)
    if (bytes.length - at < headerLength) return end()
    const header = bytes.slice(at, at + headerLength)
    const length = lengthBytes === 0 ? BigInt(short) : BigInt(`0x${toHex(header.slice(2, 2 + lengthBytes))}`)
    if (length >= 2n ** 63n) return end(1002)
    if (length < (lengthBytes === 2 ? 126n : lengthBytes === 8 ? 65_536n : 0n)) return end(1002)
    if (!isControl && (length >= 2n ** 53n || exceeds(length, rules.maxFramePayloadSize))) return end(1009)
    at += headerLength
    const key = masked ? header.slice(-4) : Uint8Array.of(0, 0, 0, 0)
    const available = bytes.slice(at, length > BigInt(bytes.length) ? undefined : at + Number(length))
    const payload = available.map((byte, i) => byte ^ key[i % 4]!)
    const isWhole = BigInt(payload.length) === length
    at += payload.length
    if (isControl) {
      if (!isWhole) return end()
      if (opcode !== Close) {
        received.push([opcode === Ping ? "ping" : "pong", payload])
        continue
      }
      if (payload.length === 0) return end(undefined, 1005)
      const code = payload.length === 1 ? 0 : payload[0]! * 256 + payload[1]!
      if (!sendable(code)) return end(1002)
      return isUtf8(payload.slice(2)) ? end(undefined, code) : end(1007)
    }
    if ((opcode === Continuation) !== (message !== undefined)) return end(1002)
    message = {
      isBinary: message?.isBinary ?? opcode === Binary,
      payload: concat(message?.payload ?? new Uint8Array(0), payload),
      size: (message?.size ?? 0n) + length
    }
    if (message.size >= 2n ** 31n || exceeds(message.size, rules.maxMessagePayloadSize)) return end(1009)
    const isComplete = isWhole && fin
    if (!message.isBinary && rules.utf8validateIncoming) {
      if (!(isComplete ? isUtf8 : mayBecomeUtf8)(message.payload)) return end(1007)
    }
    if (!isComplete) continue
    received.push(
      message.isBinary
        ? ["binary", message.payload]
        : rules.utf8validateIncoming
          ? ["text", text(message.payload)]
          : ["encodedText", message.payload]
    )
    message = undefined
  }
  return end()
}
