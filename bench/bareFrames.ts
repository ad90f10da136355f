import { hash } from "node:crypto"
import type { Socket } from "node:net"

// What servers need that check nothing: they take what the load generator sends, and no more.

/** Answers the opening request. */
export const respond = (socket: Socket, head: string): void => {
  const key = /^Sec-WebSocket-Key: (.*)\r$/m.exec(head)?.[1]
  const accept = hash("sha1", `${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`, "base64")
  socket.write(
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
      `Sec-WebSocket-Accept: ${accept}\r\n\r\n`
  )
}

/** Takes off a frame's mask, which is in front of its payload. */
export const unmask = (bytes: Buffer, view: DataView, start: number, end: number): void => {
  const key = view.getInt32(start - 4)
  let at = start
  for (; at + 4 <= end; at += 4) view.setInt32(at, view.getInt32(at) ^ key)
  for (; at < end; at++) bytes[at]! ^= key >>> (8 * (3 - ((at - start) & 3)))
}

/** The masked frame at `at`: how long its header is, and the whole of it. */
const sizeOf = (bytes: Buffer, at: number): { readonly header: number; readonly total: number } => {
  const short = bytes[at + 1]! & 0x7f
  if (short < 126) return { header: 6, total: 6 + short }
  if (short === 126) return { header: 8, total: 8 + bytes.readUInt16BE(at + 2) }
  return { header: 14, total: 14 + bytes.readUInt32BE(at + 6) }
}

const longestHeader = 14

/** The same, once its header is there. */
export const frameAt = (bytes: Buffer, at: number): ReturnType<typeof sizeOf> | undefined => {
  const available = bytes.length - at
  return available >= longestHeader || (available >= 6 && (bytes[at + 1]! & 0x7f) < 126)
    ? sizeOf(bytes, at)
    : undefined
}

/** What has come of a frame that is not whole. */
export class Pending {
  #parts: ReadonlyArray<Buffer> = []
  #length = 0
  #wanted = 0

  /** Takes a chunk: all that is pending, once it may hold a whole frame. */
  push(chunk: Buffer): Buffer | undefined {
    this.#parts = [...this.#parts, chunk]
    this.#length += chunk.length
    if (this.#length < this.#wanted) return undefined
    return this.#parts.length === 1 ? chunk : Buffer.concat(this.#parts, this.#length)
  }

  /** Keeps what is left from `rest` on: of a frame of `wanted` bytes, or 0 where that is not known. */
  keep(bytes: Buffer, rest: number, wanted: number): void {
    this.#parts = rest === bytes.length ? [] : [bytes.subarray(rest)]
    this.#length = bytes.length - rest
    this.#wanted = wanted
  }
}
