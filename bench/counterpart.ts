/**
 * An echo without checks, as fast as JavaScript goes: what clients are measured against. Payloads go
 * back as they came, also compressed ones: a client's window is that of its own messages.
 */
import { createHash } from "node:crypto"
import { createServer, type Socket } from "node:net"
import { applyMask, rotateKey, viewOf } from "../src/bytes/Masking.ts"
import { hasMode, listen } from "./announce.ts"

const magic = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
const extension = hasMode("deflate") ? "Sec-WebSocket-Extensions: permessage-deflate\r\n" : ""
const CLOSE = 0x8

const responseTo = (head: string): string => {
  const key = /\r\nsec-websocket-key: *(\S+)/i.exec(head)?.[1]
  const accept = createHash("sha1").update(`${key}${magic}`).digest("base64")
  return (
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
    `Sec-WebSocket-Accept: ${accept}\r\n${extension}\r\n`
  )
}

/** Turns the frames of one client into a server's, chunk by chunk and in place: they lose their keys. */
class Echo {
  isClosed = false
  /** The start of a header. */
  #begun = Buffer.alloc(0)
  /** Of the frame whose payload comes. */
  #left = 0
  #key = 0

  received(chunk: Buffer): Buffer {
    const bytes = this.#begun.length === 0 ? chunk : Buffer.concat([this.#begun, chunk])
    this.#begun = Buffer.alloc(0)
    const view = viewOf(bytes)
    let input = 0
    let output = 0
    for (;;) {
      const count = Math.min(this.#left, bytes.length - input)
      bytes.copyWithin(output, input, input + count)
      applyMask(bytes, view, output, output + count, this.#key)
      this.#key = rotateKey(this.#key, count)
      this.#left -= count
      input += count
      output += count
      if (this.#left > 0 || input === bytes.length) break
      const available = bytes.length - input
      const short = available < 2 ? 0 : bytes[input + 1]! & 0x7f
      const headSize = short < 126 ? 2 : short === 126 ? 4 : 10
      if (available < headSize + 4) {
        this.#begun = Buffer.from(bytes.subarray(input))
        break
      }
      this.#left =
        short < 126 ? short : short === 126 ? view.getUint16(input + 2) : Number(view.getBigUint64(input + 2))
      this.#key = view.getUint32(input + headSize)
      if ((bytes[input]! & 0xf) === CLOSE) this.isClosed = true
      bytes.copyWithin(output, input, input + headSize)
      bytes[output + 1] = short
      input += headSize + 4
      output += headSize
    }
    return bytes.subarray(0, output)
  }
}

const serve = (socket: Socket): void => {
  const echo = new Echo()
  let head: string | undefined = ""
  socket.on("error", () => {}) // the process of a client ends without a farewell
  socket.on("end", () => socket.end())
  socket.on("data", (chunk) => {
    if (head === undefined) {
      socket.write(echo.received(chunk))
      if (echo.isClosed) socket.end()
      return
    }
    head += chunk.toString("latin1")
    if (!head.endsWith("\r\n\r\n")) return
    socket.write(responseTo(head))
    head = undefined
  })
}

listen(createServer({ noDelay: true, allowHalfOpen: true }, serve), ["deflate"])
