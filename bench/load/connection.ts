import { connect, type Socket } from "node:net"
import type { Exchange, Replies } from "./exchange.ts"
import { fail } from "./fail.ts"
import { closeReply, closeRequest, pongFor, readBuffer } from "./frames.ts"

const handshakeRequest = (port: number, extension: string | undefined): string =>
  [
    "GET / HTTP/1.1",
    `Host: 127.0.0.1:${port}`,
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
    ...(extension === undefined ? [] : [`Sec-WebSocket-Extensions: ${extension}`]),
    "\r\n"
  ].join("\r\n")

/** The accept value of RFC 6455 section 1.3 for the key above. */
const acceptHeader = /\r\nsec-websocket-accept: *s3pPLMBiTxaQ9kYGzzhZRbK\+xOo= *\r\n/i
const extensionsHeader = /\r\nsec-websocket-extensions: *(.*?) *\r\n/i

export interface ConnectionEvents {
  readonly opened: (connection: Connection) => void
  /** `count` more messages came back whole and right. */
  readonly echoed: (connection: Connection, count: number) => void
  readonly closed: () => void
}

/** One client connection; every byte it receives is checked. */
export class Connection {
  outstanding = 0
  readonly #exchange: Exchange
  readonly #replies: Replies
  readonly #events: ConnectionEvents
  readonly #socket: Socket
  #phase: "handshake" | "open" | "closing" = "handshake"
  /** Bytes of the handshake or of the closing frame so far. */
  #head = ""
  #sent = 0

  /** `localAddress` is the client's, of which each has a limited number of ports. Default: the system's choice. */
  constructor(port: number, exchange: Exchange, events: ConnectionEvents, localAddress?: string) {
    this.#exchange = exchange
    this.#replies = exchange.replies()
    this.#events = events
    this.#socket = connect({
      port,
      host: "127.0.0.1",
      ...(localAddress === undefined ? {} : { localAddress }),
      noDelay: true,
      onread: { buffer: readBuffer, callback: (size) => this.#received(size) }
    })
    this.#socket.on("connect", () =>
      exchange.raw ? this.#open() : this.#socket.write(handshakeRequest(port, exchange.extension))
    )
    this.#socket.on("error", (error) => fail(`connection failed: ${error.message}`))
    this.#socket.on("close", () => this.#closed())
  }

  /** Sends `count` messages and expects them back. */
  send(count: number): void {
    this.outstanding += count
    this.write(count)
  }

  /** Sends `count` messages, from which `outstanding` does not follow. */
  write(count: number): void {
    this.#socket.write(this.#exchange.request(this.#sent, count))
    this.#sent += count
  }

  close(): void {
    this.#phase = "closing"
    if (this.#exchange.raw) this.#socket.end()
    else this.#socket.write(closeRequest)
  }

  #open(): void {
    this.#phase = "open"
    this.#events.opened(this)
  }

  #received(size: number): boolean {
    if (this.#phase === "open") {
      if (this.outstanding > 0) this.#receivedReplies(size)
      else this.#receivedWhileIdle(size)
    } else this.#receivedHead(size)
    return true
  }

  #receivedReplies(size: number): void {
    const count = this.#replies.received(size)
    if (count === 0) return
    this.outstanding -= count
    if (this.outstanding < 0) fail("more replies than messages")
    this.#events.echoed(this, count)
  }

  /** A server may ask whether this one still lives. */
  #receivedWhileIdle(size: number): void {
    const pong = pongFor(readBuffer.subarray(0, size))
    if (pong === undefined) fail("an answer without a message")
    else this.#socket.write(pong)
  }

  #receivedHead(size: number): void {
    this.#head += readBuffer.toString("latin1", 0, size)
    if (this.#phase === "closing" || !this.#head.includes("\r\n\r\n")) return
    const accepted = this.#head.startsWith("HTTP/1.1 101 ") && acceptHeader.test(this.#head)
    const extension = extensionsHeader.exec(this.#head)?.[1]
    if (!accepted || extension !== this.#exchange.extension || !this.#head.endsWith("\r\n\r\n"))
      fail(`handshake refused: ${JSON.stringify(this.#head)}`)
    this.#head = ""
    this.#open()
  }

  #closed(): void {
    if (this.#phase !== "closing") fail(`connection closed early, with ${this.outstanding} replies missing`)
    const expected = this.#exchange.raw ? "" : closeReply.toString("latin1")
    if (this.#head !== expected)
      fail(`wrong closing frame: ${Buffer.from(this.#head, "latin1").toString("hex")}`)
    this.#events.closed()
  }
}
