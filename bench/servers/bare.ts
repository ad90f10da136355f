import { hash } from "node:crypto"
import { createServer, type Socket } from "node:net"
import { listen } from "../announce.ts"

// Plain JavaScript on node:net, to compare: it takes what the load generator sends, and checks nothing.

const respond = (socket: Socket, head: string): void => {
  const key = /^Sec-WebSocket-Key: (.*)\r$/m.exec(head)?.[1]
  const accept = hash("sha1", `${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`, "base64")
  socket.write(
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
      `Sec-WebSocket-Accept: ${accept}\r\n\r\n`
  )
}

/** Takes off a frame's mask, which is in front of its payload. */
const unmask = (bytes: Buffer, view: DataView, start: number, end: number): void => {
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

const serve = (socket: Socket): void => {
  let isOpen = false
  let isClosing = false
  // Of a frame that is not whole.
  let parts: ReadonlyArray<Buffer> = []
  let collected = 0
  let wanted = 0

  /** Turns the whole frames in `bytes` into those of the answer, in place: where the answer ends, and the rest starts. */
  const answer = (bytes: Buffer): { readonly end: number; readonly rest: number } => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    let end = 0
    let at = 0
    while (bytes.length - at >= longestHeader || (bytes.length - at >= 6 && (bytes[at + 1]! & 0x7f) < 126)) {
      const { header, total } = sizeOf(bytes, at)
      if (bytes.length - at < total) {
        wanted = total
        break
      }
      unmask(bytes, view, at + header, at + total)
      if ((bytes[at]! & 0x0f) === 8) isClosing = true
      bytes[at + 1]! &= 0x7f
      // Without the key, and behind the answer before it.
      bytes.copyWithin(end, at, at + header - 4)
      bytes.copyWithin(end + header - 4, at + header, at + total)
      end += total - 4
      at += total
    }
    return { end, rest: at }
  }

  socket.on("error", console.error)
  socket.on("data", (chunk: Buffer) => {
    if (!isOpen) {
      isOpen = true
      return respond(socket, chunk.toString("latin1"))
    }
    parts = [...parts, chunk]
    collected += chunk.length
    if (collected < wanted) return
    const bytes = parts.length === 1 ? chunk : Buffer.concat(parts, collected)
    const { end, rest } = answer(bytes)
    parts = rest === bytes.length ? [] : [bytes.subarray(rest)]
    collected = bytes.length - rest
    if (collected === 0) wanted = 0
    if (end > 0) socket.write(bytes.subarray(0, end))
    if (isClosing) socket.end()
  })
}

listen(createServer({ noDelay: true, allowHalfOpen: true }, serve), [])
