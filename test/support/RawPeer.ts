/**
 * The other end of a connection, byte for byte: sends what a test says, right or wrong, and reads with a
 * parser of its own.
 */
import { Buffer } from "node:buffer"
import { createHash } from "node:crypto"
import * as Effect from "effect/Effect"
import type { Transport } from "effect-websocket"
import {
  closePayload,
  concat,
  decodeFrame,
  encodeFrame,
  FrameChecker,
  type FrameSpec,
  Opcode,
  type RawFrame,
  show
} from "./rawFrames.ts"

/** The key of section 1.3, and what answers it. */
export const exampleKey = "dGhlIHNhbXBsZSBub25jZQ=="
export const exampleAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

/** Section 4.2.2, step 5.4. */
export const acceptFor = (key: string): string =>
  createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64")

/**
 * How the library ended its side: with a FIN, or by dropping the transport, which is a reset where the
 * transport is TCP.
 */
export type End = "fin" | "drop"

/** What came up to the end of the transport. */
export interface Rest {
  /** In the words of `show`. */
  readonly frames: ReadonlyArray<string>
  readonly end: End
}

/** An HTTP message. Header names are in lower case, the values of one name joined. */
export interface HttpMessage {
  readonly startLine: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** A frame whose masking follows from the peer's role. */
export type PeerFrame = Omit<FrameSpec, "masked"> & { readonly masked?: boolean }

const latin1 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "latin1"))

export const parseHead = (head: string): Omit<HttpMessage, "body"> => {
  const [startLine = "", ...lines] = head.slice(0, -4).split("\r\n")
  const headers: Record<string, string> = {}
  for (const line of lines) {
    const colon = line.indexOf(": ")
    const name = line.slice(0, colon).toLowerCase()
    if (colon < 1) throw new Error(`a malformed header: ${line}`)
    const value = line.slice(colon + 2)
    headers[name] = Object.hasOwn(headers, name) ? `${headers[name]}, ${value}` : value
  }
  return { startLine, headers }
}

export class RawPeer implements Transport.TransportListener {
  /** The role that this end plays; the library plays the other one. */
  readonly plays: "client" | "server"
  /** How the library ended its side, once it has. */
  end: End | undefined
  /** The transport is gone, both ways. */
  isClosed = false
  /** Bytes that have come. */
  received = 0
  /** Read one chunk of the network, and the next one on `sip`. */
  isSipping = false
  readonly #transport: Transport.Transport
  readonly #checker: FrameChecker
  #bytes: Uint8Array = new Uint8Array()
  #waiting: Array<() => boolean> = []

  constructor(transport: Transport.Transport, plays: "client" | "server") {
    this.plays = plays
    this.#transport = transport
    this.#checker = new FrameChecker(plays === "client" ? "server" : "client")
    transport.listen(this)
  }

  onData(chunk: Uint8Array): boolean {
    if (this.isSipping) this.#transport.pause()
    this.received += chunk.length
    this.#bytes = concat(this.#bytes, chunk)
    this.#wake()
    return false
  }

  onEnd(): void {
    this.end ??= "fin"
    this.#wake()
  }

  onClose(): void {
    this.end ??= "drop"
    this.isClosed = true
    this.#wake()
  }

  onDrain(): void {}

  // ---- sending ------------------------------------------------------------

  /** An extension has claimed these reserved bits. */
  allowRsv(rsv: number): void {
    this.#checker.allowedRsv = rsv
  }

  /** Sends the parts in one write; strings are latin1. */
  send(...parts: ReadonlyArray<string | Uint8Array>): void {
    this.#transport.write([concat(...parts.map((part) => (typeof part === "string" ? latin1(part) : part)))])
  }

  /** FIN. */
  finish(): void {
    this.#transport.end()
  }

  /** Drops the transport. */
  drop(): void {
    this.#transport.abort()
  }

  frame(spec: PeerFrame): Uint8Array {
    return encodeFrame({ masked: this.plays === "client", ...spec })
  }

  text(payload: string | Uint8Array, rest?: Partial<PeerFrame>): Uint8Array {
    return this.frame({ opcode: Opcode.text, payload, ...rest })
  }

  binary(payload: Uint8Array, rest?: Partial<PeerFrame>): Uint8Array {
    return this.frame({ opcode: Opcode.binary, payload, ...rest })
  }

  continuation(payload: string | Uint8Array, rest?: Partial<PeerFrame>): Uint8Array {
    return this.frame({ opcode: Opcode.continuation, payload, ...rest })
  }

  ping(payload: string | Uint8Array = ""): Uint8Array {
    return this.frame({ opcode: Opcode.ping, payload })
  }

  pong(payload: string | Uint8Array = ""): Uint8Array {
    return this.frame({ opcode: Opcode.pong, payload })
  }

  close(code?: number, reason?: string | Uint8Array): Uint8Array {
    return this.frame({ opcode: Opcode.close, payload: closePayload(code, reason) })
  }

  // ---- reading ------------------------------------------------------------

  /** Reads on. */
  sip(): void {
    this.#transport.resume()
  }

  /** The next frame. */
  readonly readFrame: Effect.Effect<RawFrame> = this.#until("a frame came", () => this.#takeFrame())

  /** The next frame in words. */
  readonly read: Effect.Effect<string> = Effect.map(this.readFrame, show)

  /** Everything up to the end of the library's side. */
  readonly rest: Effect.Effect<Rest> = this.#until("the end", () => {
    if (this.end === undefined) return undefined
    const frames: Array<string> = []
    for (let frame = this.#takeFrame(); frame !== undefined; frame = this.#takeFrame()) {
      frames.push(show(frame))
    }
    if (this.#bytes.length > 0)
      throw new Error(`the transport ended inside a frame: ${show(this.#partial())}`)
    return { frames, end: this.end }
  })

  /** The head of an HTTP message, with the blank line. */
  readonly readHead: Effect.Effect<string> = this.#until("an HTTP head came", () => {
    const text = Buffer.from(this.#bytes).toString("latin1")
    const end = text.indexOf("\r\n\r\n")
    if (end === -1) return undefined
    this.#bytes = this.#bytes.slice(end + 4)
    return text.slice(0, end + 4)
  })

  /** What comes up to the end of the library's side, as UTF-8. */
  readonly readBody: Effect.Effect<string> = this.#until("the end", () =>
    this.end === undefined ? undefined : Buffer.from(this.#bytes).toString("utf8")
  )

  /** A whole HTTP message that the end of the library's side ends. */
  readonly readMessage: Effect.Effect<HttpMessage & { readonly end: End }> = Effect.gen(
    { self: this },
    function* () {
      const head = parseHead(yield* this.readHead)
      const end = yield* this.#until("the end", () => this.end)
      return { ...head, body: Buffer.from(this.#bytes).toString("utf8"), end }
    }
  )

  #partial(): RawFrame {
    return { fin: true, rsv: 0, opcode: 15, maskingKey: undefined, isMinimal: true, payload: this.#bytes }
  }

  #takeFrame(): RawFrame | undefined {
    const decoded = decodeFrame(this.#bytes)
    if (decoded === undefined) return undefined
    this.#bytes = this.#bytes.slice(decoded.size)
    this.#checker.check(decoded.frame)
    return decoded.frame
  }

  #wake(): void {
    // A step may resume a fiber that waits for the next thing at once.
    const steps = this.#waiting
    this.#waiting = []
    for (const step of steps) if (!step()) this.#waiting.push(step)
  }

  /** Waits until `attempt` gives something; a defect when the transport has ended before. */
  #until<A>(what: string, attempt: () => A | undefined): Effect.Effect<A> {
    return Effect.callback<A>((resume) => {
      const step = (): boolean => {
        const result = Effect.runSyncExit(Effect.sync(attempt))
        if (result._tag === "Failure") resume(Effect.failCause(result.cause))
        else if (result.value !== undefined) resume(Effect.succeed(result.value))
        else if (this.end !== undefined) {
          resume(Effect.die(new Error(`the library ended the transport (${this.end}) before ${what}`)))
        } else return false
        return true
      }
      if (!step()) this.#waiting.push(step)
      return Effect.sync(() => {
        this.#waiting = this.#waiting.filter((other) => other !== step)
      })
    })
  }
}

/** The RFC's opening request, with lines replaced, added, or left out (`undefined`). */
export const requestHead = (
  lines: Readonly<Record<string, string | ReadonlyArray<string> | undefined>> = {},
  requestLine = "GET / HTTP/1.1"
): string => {
  const all = {
    Host: "test",
    Upgrade: "websocket",
    Connection: "Upgrade",
    "Sec-WebSocket-Key": exampleKey,
    "Sec-WebSocket-Version": "13",
    ...lines
  }
  return head(requestLine, all)
}

/** The RFC's 101 for a key, with lines replaced, added, or left out (`undefined`). */
export const responseHead = (
  key: string,
  lines: Readonly<Record<string, string | ReadonlyArray<string> | undefined>> = {},
  statusLine = "HTTP/1.1 101 Switching Protocols"
): string =>
  head(statusLine, {
    Upgrade: "websocket",
    Connection: "Upgrade",
    "Sec-WebSocket-Accept": acceptFor(key),
    ...lines
  })

const head = (
  startLine: string,
  lines: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>
): string => {
  const text = Object.entries(lines).flatMap(([name, value]) =>
    value === undefined ? [] : [value].flat().map((one) => `${name}: ${one}\r\n`)
  )
  return `${startLine}\r\n${text.join("")}\r\n`
}
