/**
 * The answer to the opening request: the server's 101 or denial (RFC 6455 section 4.2.2), the client's check
 * (4.1).
 */
import * as Base64 from "effect/encoding/Base64"
import * as Result from "effect/Result"
import * as Latin1 from "../bytes/Latin1.ts"
import { isToken } from "../bytes/Token.ts"
import * as ExtensionHeader from "../extension/ExtensionHeader.ts"
import {
  elements,
  encodeHead,
  type Headers,
  type HttpHead,
  header,
  headersProblem,
  isFieldValue,
  tokens,
  trimWhitespace
} from "./HttpHead.ts"

/** The value of Sec-WebSocket-Accept for a Sec-WebSocket-Key (RFC 6455 section 4.2.2, step 5.4). */
export const acceptKey = (key: string, sha1: (bytes: Uint8Array) => Uint8Array): string =>
  Base64.encode(sha1(Latin1.encode(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)))

/**
 * The head of the 101 that opens the connection (RFC 6455 section 4.2.2). `accept` is `acceptKey`,
 * `extensions` the value of Sec-WebSocket-Extensions. The failure says which option cannot be sent.
 */
export const buildAccept = (options: {
  readonly accept: string
  readonly subprotocol: string | undefined
  readonly extensions: string | undefined
  readonly headers: Headers
}): Result.Result<Uint8Array, string> => {
  const { accept, subprotocol, extensions } = options
  if (!isFieldValue(accept)) return Result.fail("invalid value of header Sec-WebSocket-Accept")
  const headers: Array<readonly [string, string]> = [
    ["Upgrade", "websocket"],
    ["Connection", "Upgrade"],
    ["Sec-WebSocket-Accept", accept]
  ]
  if (subprotocol !== undefined) {
    if (!isToken(subprotocol)) return Result.fail("the subprotocol is not a token")
    headers.push(["Sec-WebSocket-Protocol", subprotocol])
  }
  if (extensions !== undefined) {
    if (Result.isFailure(ExtensionHeader.parse([extensions]))) {
      return Result.fail("invalid value of header Sec-WebSocket-Extensions")
    }
    headers.push(["Sec-WebSocket-Extensions", extensions])
  }
  const problem = acceptHeadersProblem(options.headers)
  if (problem !== undefined) return Result.fail(problem)
  return Result.succeed(encodeHead("HTTP/1.1 101 Switching Protocols", [...headers, ...options.headers]))
}

/** What keeps `headers` from being added to a 101; `undefined`: nothing. */
export const acceptHeadersProblem = (headers: Headers): string | undefined =>
  headersProblem(
    headers,
    (name) => name === "upgrade" || name.startsWith("sec-websocket-") || framingHeaders.has(name)
  )

/**
 * A complete refusal, head and body, that ends the connection. `status` is 300 to 599; `reason` is the reason
 * phrase, visible ASCII and spaces, by default the status code's usual one. `Upgrade` and
 * `Sec-WebSocket-Version` may be among `headers`, as 426 and a version mismatch need them (RFC 6455 section
 * 4.4, RFC 7231 section 6.5.15).
 */
export const buildDenial = (options: {
  readonly status: number
  readonly reason: string | undefined
  readonly headers: Headers
  readonly body: Uint8Array
}): Result.Result<Uint8Array, string> => {
  const { status, body } = options
  if (!Number.isInteger(status) || status < 300 || status > 599) {
    return Result.fail("the status of a denial is not an integer from 300 to 599")
  }
  const reason = options.reason ?? reasonPhrases.get(status) ?? ""
  if (/[^ -~]/.test(reason)) return Result.fail("the reason phrase of a denial is not visible ASCII")
  // RFC 7230 section 6.7: who sends Upgrade also names it in Connection.
  const connection = header(options.headers, "Upgrade").length > 0 ? "close, Upgrade" : "close"
  const headers: Array<readonly [string, string]> = [
    ["Connection", connection],
    ["Content-Length", String(body.length)]
  ]
  const problem = headersProblem(
    options.headers,
    (name) =>
      (name.startsWith("sec-websocket-") && name !== "sec-websocket-version") || framingHeaders.has(name)
  )
  if (problem !== undefined) return Result.fail(problem)
  const head = encodeHead(`HTTP/1.1 ${status} ${reason}`, [...headers, ...options.headers])
  const bytes = new Uint8Array(head.length + body.length)
  bytes.set(head)
  bytes.set(body, head.length)
  return Result.succeed(bytes)
}

const framingHeaders: ReadonlySet<string> = new Set(["connection", "content-length", "transfer-encoding"])

const reasonPhrases: ReadonlyMap<number, string> = new Map([
  [300, "Multiple Choices"],
  [301, "Moved Permanently"],
  [302, "Found"],
  [303, "See Other"],
  [307, "Temporary Redirect"],
  [308, "Permanent Redirect"],
  [400, "Bad Request"],
  [401, "Unauthorized"],
  [402, "Payment Required"],
  [403, "Forbidden"],
  [404, "Not Found"],
  [405, "Method Not Allowed"],
  [406, "Not Acceptable"],
  [407, "Proxy Authentication Required"],
  [408, "Request Timeout"],
  [409, "Conflict"],
  [410, "Gone"],
  [413, "Payload Too Large"],
  [414, "URI Too Long"],
  [421, "Misdirected Request"],
  [426, "Upgrade Required"],
  [428, "Precondition Required"],
  [429, "Too Many Requests"],
  [431, "Request Header Fields Too Large"],
  [451, "Unavailable For Legal Reasons"],
  [500, "Internal Server Error"],
  [501, "Not Implemented"],
  [502, "Bad Gateway"],
  [503, "Service Unavailable"],
  [504, "Gateway Timeout"],
  [505, "HTTP Version Not Supported"]
])

/**
 * Splits a status line (RFC 7230 section 3.1.2). A refusal may be HTTP/1.0, a 101 may not; the status text may
 * be empty, its space may not.
 */
export const parseStatusLine = (
  startLine: string
): Result.Result<{ readonly status: number; readonly statusText: string }, string> => {
  const status = Number(startLine.slice(9, 12))
  if (!/^HTTP\/1\.[0-9] [1-9][0-9]{2} /.test(startLine) || (status === 101 && startLine[7] !== "1")) {
    return Result.fail("the answer does not start with an HTTP/1.1 status line")
  }
  return Result.succeed({ status, statusText: startLine.slice(13) })
}

/**
 * The client's check of a 101 (RFC 6455 section 4.1): what the server chose, or why the connection must be
 * failed. Whether the extensions were offered is not judged here.
 */
export const checkResponse = (
  head: HttpHead,
  expected: { readonly accept: string; readonly protocols: ReadonlyArray<string> }
): Result.Result<
  { readonly subprotocol: string | undefined; readonly extensions: ReadonlyArray<ExtensionHeader.Extension> },
  string
> => {
  const { headers } = head
  const upgrade = tokens(header(headers, "Upgrade"))
  if (upgrade?.length !== 1 || upgrade[0]?.toLowerCase() !== "websocket") {
    return Result.fail("the Upgrade header of the answer is not websocket")
  }
  const connection = tokens(header(headers, "Connection")) ?? []
  if (!connection.some((token) => token.toLowerCase() === "upgrade")) {
    return Result.fail("the Connection header of the answer lacks upgrade")
  }
  const accept = header(headers, "Sec-WebSocket-Accept")
  if (accept.length !== 1 || trimWhitespace(accept[0]!) !== expected.accept) {
    return Result.fail("the Sec-WebSocket-Accept header of the answer does not match the key")
  }
  const [subprotocol, ...otherProtocols] = header(headers, "Sec-WebSocket-Protocol").map(trimWhitespace)
  if (otherProtocols.length > 0) {
    return Result.fail("the Sec-WebSocket-Protocol header of the answer appears more than once")
  }
  if (subprotocol !== undefined && !expected.protocols.includes(subprotocol)) {
    return Result.fail("the server chose a subprotocol that was not offered")
  }
  const extensionValues = header(headers, "Sec-WebSocket-Extensions")
  if (extensionValues.length > 1) {
    return Result.fail("the Sec-WebSocket-Extensions header of the answer appears more than once")
  }
  return Result.map(ExtensionHeader.parse(extensionValues), (extensions) => ({ subprotocol, extensions }))
}

const done = 0
const untilLength = 1
const untilClose = 2
const inChunkSize = 3
const inChunkExtension = 4
const afterChunkSize = 5
const inChunk = 6
const afterChunk = 7
const afterChunkCr = 8
type FramingState =
  | typeof inChunkSize
  | typeof inChunkExtension
  | typeof afterChunkSize
  | typeof afterChunk
  | typeof afterChunkCr
type BodyState = typeof done | typeof untilLength | typeof untilClose | typeof inChunk | FramingState

const CR = 0x0d
const LF = 0x0a

/**
 * Reads the body of a refusal, at most `maxBytes` of it (RFC 7230 section 3.3.3): by chunked transfer coding,
 * by Content-Length, or up to the end of the connection. The connection ends with the refusal, so whatever is
 * malformed ends the body, and trailers are not read. The work is linear in the bytes.
 */
export class ResponseBodyReader {
  readonly #maxBytes: number
  #state: BodyState
  // What is left of the body (by length) or of the current chunk.
  #remaining = 0
  #hasDigits = false
  #buffer = new Uint8Array(0)
  #length = 0

  constructor(head: HttpHead, maxBytes: number) {
    this.#maxBytes = maxBytes >= 0 ? Math.floor(maxBytes) : 0
    const codings = elements(header(head.headers, "Transfer-Encoding"))
    const lengths = elements(header(head.headers, "Content-Length"))
    if (hasNoBody(head.startLine)) {
      this.#state = done
    } else if (codings.length > 0) {
      this.#state = codings.at(-1)?.toLowerCase() === "chunked" ? inChunkSize : untilClose
    } else if (lengths.length > 0 && lengths.every((length) => length === lengths[0] && isDigits(length))) {
      this.#remaining = Number(lengths[0])
      this.#state = untilLength
    } else {
      this.#state = untilClose
    }
    this.#finishIfFull()
  }

  /** What was read, a view that the next `push` may leave behind. */
  get body(): Uint8Array {
    return this.#buffer.subarray(0, this.#length)
  }

  /**
   * Takes the next bytes; whether the body is complete or as long as it may get. Push the `rest` of the head
   * first, also when it is empty: a body may have no bytes.
   */
  push(chunk: Uint8Array): boolean {
    let i = 0
    while (i < chunk.length && this.#state !== done) {
      if (this.#state === untilClose) {
        i += this.#store(chunk.subarray(i))
      } else if (this.#state === untilLength || this.#state === inChunk) {
        const stored = this.#store(chunk.subarray(i, i + this.#remaining))
        i += stored
        this.#remaining -= stored
        if (this.#remaining === 0 && this.#state === inChunk) this.#state = afterChunk
      } else {
        this.#state = this.#step(this.#state, chunk[i++]!)
      }
      this.#finishIfFull()
    }
    return this.#state === done
  }

  #finishIfFull(): void {
    if (this.#length >= this.#maxBytes || (this.#state === untilLength && this.#remaining === 0))
      this.#state = done
  }

  // RFC 7230 section 4.1: the bytes around the chunks.
  #step(state: FramingState, byte: number): BodyState {
    switch (state) {
      case inChunkSize: {
        const digit = hexDigit(byte)
        if (digit !== undefined) {
          this.#remaining = this.#remaining * 16 + digit
          this.#hasDigits = true
          return inChunkSize
        }
        if (!this.#hasDigits) return done
        this.#hasDigits = false
        if (byte === CR) return afterChunkSize
        return byte === 0x3b || byte === 0x20 || byte === 0x09 ? inChunkExtension : done
      }
      case inChunkExtension:
        if (byte === LF) return done
        return byte === CR ? afterChunkSize : inChunkExtension
      case afterChunkSize:
        return byte === LF && this.#remaining > 0 ? inChunk : done
      case afterChunk:
        return byte === CR ? afterChunkCr : done
      case afterChunkCr:
        return byte === LF ? inChunkSize : done
    }
  }

  /** Appends what fits under the cap; returns how many bytes of `bytes` that are. */
  #store(bytes: Uint8Array): number {
    const taken = bytes.subarray(0, this.#maxBytes - this.#length)
    const needed = this.#length + taken.length
    if (needed > this.#buffer.length) {
      const grown = new Uint8Array(Math.max(needed, Math.min(2 * this.#buffer.length, this.#maxBytes)))
      grown.set(this.body)
      this.#buffer = grown
    }
    this.#buffer.set(taken, this.#length)
    this.#length = needed
    return taken.length
  }
}

const isDigits = (text: string): boolean => text.length > 0 && !/[^0-9]/.test(text)

// RFC 7230 section 3.3.3: 1xx, 204 and 304 end with their head.
const hasNoBody = (startLine: string): boolean => {
  const status = startLine.slice(9, 12)
  return status.startsWith("1") || status === "204" || status === "304"
}

const hexDigit = (byte: number): number | undefined => {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const lower = byte | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : undefined
}
