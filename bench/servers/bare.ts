import { createServer, type Socket } from "node:net"
import { listen } from "../announce.ts"
import { frameAt, Pending, respond, unmask } from "../bareFrames.ts"

// Plain JavaScript on node:net, to compare: it checks nothing, and answers in place, in the chunk that came.

const serve = (socket: Socket): void => {
  const pending = new Pending()
  let isOpen = false
  let isClosing = false

  /** Turns the whole frames in `bytes` into those of the answer, in place: where that ends. */
  const answer = (bytes: Buffer): number => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    let end = 0
    let at = 0
    let frame = frameAt(bytes, 0)
    for (; frame !== undefined && bytes.length - at >= frame.total; frame = frameAt(bytes, at)) {
      const { header, total } = frame
      unmask(bytes, view, at + header, at + total)
      if ((bytes[at]! & 0x0f) === 8) isClosing = true
      bytes[at + 1]! &= 0x7f
      // Without the key, and behind the answer before it.
      bytes.copyWithin(end, at, at + header - 4)
      bytes.copyWithin(end + header - 4, at + header, at + total)
      end += total - 4
      at += total
    }
    pending.keep(bytes, at, frame?.total ?? 0)
    return end
  }

  socket.on("error", console.error)
  socket.on("data", (chunk: Buffer) => {
    if (!isOpen) {
      isOpen = true
      return respond(socket, chunk.toString("latin1"))
    }
    const bytes = pending.push(chunk)
    if (bytes === undefined) return
    const end = answer(bytes)
    if (end > 0) socket.write(bytes.subarray(0, end))
    if (isClosing) socket.end()
  })
}

listen(createServer({ noDelay: true, allowHalfOpen: true }, serve), [])
