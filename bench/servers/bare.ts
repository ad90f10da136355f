import { hash } from "node:crypto"
import { createServer, type Socket } from "node:net"
import { listen } from "../announce.ts"

// What plain JavaScript on node:net can do at most: it takes what the load generator sends, and checks nothing.

const respond = (socket: Socket, head: string): void => {
  const key = /^Sec-WebSocket-Key: (.*)\r$/m.exec(head)?.[1]
  const accept = hash("sha1", `${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`, "base64")
  socket.write(
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
      `Sec-WebSocket-Accept: ${accept}\r\n\r\n`
  )
}

/** Takes off the mask at the end of the frame's header. */
const unmask = (frame: Buffer, start: number): void => {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length)
  const key = view.getInt32(start - 4)
  let at = start
  for (; at + 4 <= frame.length; at += 4) view.setInt32(at, view.getInt32(at) ^ key)
  for (; at < frame.length; at++) frame[at]! ^= key >>> (8 * (3 - ((at - start) & 3)))
}

/** The masked frame at the start of `bytes`: how long its header is, and the whole of it. */
const sizeOf = (bytes: Buffer): { readonly header: number; readonly total: number } => {
  const short = bytes[1]! & 0x7f
  if (short < 126) return { header: 6, total: 6 + short }
  if (short === 126) return { header: 8, total: 8 + bytes.readUInt16BE(2) }
  return { header: 14, total: 14 + bytes.readUInt32BE(6) }
}

const longestHeader = 14

const serve = (socket: Socket): void => {
  let isOpen = false
  let isClosing = false
  // Of a frame that is not whole.
  let parts: ReadonlyArray<Buffer> = []
  let collected = 0
  let wanted = 0

  const answers = (bytes: Buffer): { readonly written: Array<Buffer>; readonly rest: Buffer } => {
    const written: Array<Buffer> = []
    let at = 0
    while (bytes.length - at >= longestHeader || (bytes.length - at >= 6 && (bytes[at + 1]! & 0x7f) < 126)) {
      const frame = bytes.subarray(at)
      const { header, total } = sizeOf(frame)
      if (frame.length < total) {
        wanted = total
        break
      }
      unmask(frame.subarray(0, total), header)
      const end = header - 4
      // The header without its key moves up to the payload.
      frame.copyWithin(4, 0, end)
      frame[5]! &= 0x7f
      written.push(frame.subarray(4, total))
      if ((frame[4]! & 0x0f) === 8) isClosing = true
      at += total
    }
    return { written, rest: bytes.subarray(at) }
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
    const { rest, written } = answers(parts.length === 1 ? chunk : Buffer.concat(parts, collected))
    parts = rest.length === 0 ? [] : [rest]
    collected = rest.length
    if (rest.length === 0) wanted = 0
    if (written.length > 0) socket.write(written.length === 1 ? written[0]! : Buffer.concat(written))
    if (isClosing) socket.end()
  })
}

listen(createServer({ noDelay: true, allowHalfOpen: true }, serve), [])
