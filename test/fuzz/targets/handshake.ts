import { assert } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Result from "effect/Result"
import { fromHandshake } from "../../../src/handshake/ConnectionRequest.ts"
import { forwardedFor } from "../../../src/handshake/ForwardedFor.ts"
import {
  encodeHead,
  type HeadLimits,
  HeadReader,
  type HeadResult,
  type HttpHead,
  header,
  headSize
} from "../../../src/handshake/HttpHead.ts"
import * as Origin from "../../../src/handshake/Origin.ts"
import { type HandshakeRequest, parseRequest, parseRequestLine } from "../../../src/handshake/Request.ts"
import {
  buildDenial,
  checkResponse,
  parseStatusLine,
  ResponseBodyReader
} from "../../../src/handshake/Response.ts"
import { int, oneOf, pick } from "../../support/arbitraries.ts"
import { concat } from "../../support/frames.ts"
import { cutsOf, smallPieces } from "../cuts.ts"
import { bytesOfInput, splitAfter, type Target } from "../Target.ts"

const limits: HeadLimits = { maxBytes: 2048, maxHeaders: 24 }
const unlimited: HeadLimits = { maxBytes: Number.POSITIVE_INFINITY, maxHeaders: Number.POSITIVE_INFINITY }
const noBytes = new Uint8Array(0)

/** The outcome, and what follows the head in all chunks. */
const readHead = (
  chunks: ReadonlyArray<Uint8Array>,
  limits: HeadLimits
): { readonly result: HeadResult; readonly rest: Uint8Array } => {
  const reader = new HeadReader(limits)
  for (const [i, chunk] of chunks.entries()) {
    const result = reader.push(chunk)
    if (result._tag === "Complete") return { result, rest: concat(result.rest, ...chunks.slice(i + 1)) }
    if (result._tag === "Invalid") return { result, rest: noBytes }
  }
  return { result: { _tag: "Incomplete" }, rest: noBytes }
}

/** The head, if it is one, however its bytes are cut. */
const checkHead = (bytes: Uint8Array): { readonly head: HttpHead; readonly rest: Uint8Array } | undefined => {
  const [whole, ...others] = cutsOf(bytes).map((chunks) => readHead(chunks, limits))
  for (const { result, rest } of others) {
    if (result._tag === "Complete" && whole!.result._tag === "Complete") {
      assert.deepStrictEqual(result.head, whole!.result.head)
      assert.deepStrictEqual(rest, whole!.rest)
    } else assert.deepStrictEqual(result, whole!.result)
  }
  if (whole!.result._tag !== "Complete") return undefined
  const { head } = whole!.result
  const { rest } = whole!
  const encoded = encodeHead(head.startLine, head.headers)
  assert.strictEqual(headSize(head), encoded.length)
  const again = readHead([encoded], unlimited).result
  assert.deepStrictEqual(again._tag === "Complete" && again.head, head)
  return { head, rest }
}

const requestOf = (head: HttpHead) =>
  Result.flatMap(parseRequestLine(head.startLine), (line) =>
    parseRequest({ ...line, headers: head.headers }, { versions: [13, 8] })
  )

const useRequest = (request: HandshakeRequest): void => {
  fromHandshake(request, undefined)
  for (const trusted of [1, 3]) forwardedFor(header(request.headers, "X-Forwarded-For"), trusted)
  const origin = Origin.parse(request.origin ?? "")
  if (Result.isFailure(origin)) return
  Origin.isAllowed(origin.success, {
    allowedOrigins: ["http://*.example.com:*", "*a*a*b"],
    allowNullOrigin: true
  })
}

const splitLines = splitAfter(/\r\n|[,;:?&= ]/)

const textOf = (...pieces: ReadonlyArray<Arbitrary.Arbitrary<string>>): Arbitrary.Arbitrary<string> =>
  Arbitrary.map(Arbitrary.all(pieces), (pieces) => pieces.join(""))

const line = (name: string, ...values: ReadonlyArray<string>): Arbitrary.Arbitrary<string> =>
  Arbitrary.map(pick(...values), (value) => `${name}: ${value}\r\n`)

const lines = (...choices: ReadonlyArray<Arbitrary.Arbitrary<string>>): Arbitrary.Arbitrary<string> =>
  Arbitrary.map(Arbitrary.array(oneOf(...choices), { maxLength: 4 }), (lines) => lines.join(""))

const extensions = line(
  "Sec-WebSocket-Extensions",
  "permessage-deflate; client_max_window_bits",
  'permessage-deflate; server_max_window_bits="10", permessage-snappy',
  "x; y=1"
)

const key = "dGhlIHNhbXBsZSBub25jZQ=="
const acceptOfKey = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

const commonWords = [
  "\r\n",
  "\r",
  "\n",
  "\0",
  "\t",
  " ",
  ":",
  ",",
  ";",
  "\r\n\r\n",
  "websocket",
  "Upgrade",
  "\xff"
]

/** A server's reading of an opening request. */
export const request: Target = {
  name: "request",
  isText: true,
  generated: textOf(
    pick(
      "GET / HTTP/1.1\r\n",
      "GET /chat?a=1&b=%20&__proto__=2 HTTP/1.1\r\n",
      "GET ws://a:9000/x HTTP/1.1\r\n"
    ),
    line("Host", "example.com", "[::1]:8080", "127.0.0.1"),
    line("Upgrade", "websocket", "h2c/1, WebSocket"),
    line("Connection", "Upgrade", "keep-alive, upgrade"),
    line("Sec-WebSocket-Key", key),
    line("Sec-WebSocket-Version", "13", "8", "0"),
    lines(
      extensions,
      line("Sec-WebSocket-Protocol", "a, b", "wamp.2.json,wamp.2.cbor"),
      line("Origin", "http://example.com", "null", "file:///", "https://[::1]:443"),
      line("Sec-WebSocket-Origin", "http://a"),
      line("X-Forwarded-For", "10.0.0.1, [::1]:80", "unknown"),
      line("Cookie", "a=b; c=d")
    ),
    pick("\r\n", "\r\n\r\n", "")
  ),
  dictionary: [
    ...commonWords,
    ...[
      "GET",
      "HTTP/1.1",
      "HTTP/1.0",
      "HTTP/2.0",
      "Host: a\r\n",
      "Origin: null\r\n",
      "Sec-WebSocket-",
      "__proto__"
    ],
    ...[
      "%00",
      "%ff",
      "%2e",
      "[::1]",
      "://",
      "@",
      "?",
      "#",
      "&",
      "=",
      "X-Forwarded-For: ",
      "::ffff:1.2.3.4",
      "13",
      "8"
    ]
  ],
  split: splitLines,
  check: (input) => {
    const read = checkHead(bytesOfInput(input))
    if (read === undefined) return
    const parsed = requestOf(read.head)
    if (Result.isFailure(parsed)) {
      assert.include([400, 405, 426, 505], parsed.failure.status)
      assert.isTrue(Result.isSuccess(buildDenial({ ...parsed.failure, body: noBytes })))
      return
    }
    assert.match(parsed.success.path, /^\/[!"$->@-~]*$/)
    assert.isNull(Object.getPrototypeOf(parsed.success.params))
    assert.strictEqual(new Set(parsed.success.protocols).size, parsed.success.protocols.length)
    useRequest(parsed.success)
  },
  work: (input) => {
    const { result } = readHead(smallPieces(bytesOfInput(input)), unlimited)
    if (result._tag !== "Complete") return
    const parsed = requestOf(result.head)
    if (Result.isSuccess(parsed)) useRequest(parsed.success)
  }
}

const answerTo = { accept: acceptOfKey, protocols: ["a", "b"] }

const mostBody = 300

const readBody = (head: HttpHead, chunks: ReadonlyArray<Uint8Array>, maxBytes = mostBody) => {
  const reader = new ResponseBodyReader(head, maxBytes)
  // The head's rest comes first, also when it is empty.
  let isDone = reader.push(noBytes)
  for (const chunk of chunks) isDone = reader.push(chunk)
  return { isDone, body: reader.body.slice() }
}

/** A client's reading of the answer to its request. */
export const response: Target = {
  name: "response",
  isText: true,
  generated: textOf(
    pick(
      "HTTP/1.1 101 Switching Protocols\r\n",
      "HTTP/1.1 403 Forbidden\r\n",
      "HTTP/1.0 302 \r\n",
      "HTTP/1.1 204 \r\n"
    ),
    line("Upgrade", "websocket", "WebSocket"),
    line("Connection", "Upgrade", "close, upgrade"),
    line("Sec-WebSocket-Accept", acceptOfKey),
    lines(
      extensions,
      line("Sec-WebSocket-Protocol", "a", "c"),
      line("Content-Length", "5", "0", "18446744073709551616", "5, 5"),
      line("Transfer-Encoding", "chunked", "gzip, chunked", "chunked, gzip")
    ),
    pick("\r\n", ""),
    oneOf(
      pick("", "hello", "5\r\nhello\r\n0\r\n\r\n", "A;x=y\r\n0123456789\r\n"),
      Arbitrary.map(int(0, 400), (length) => `${length.toString(16)}\r\n${"x".repeat(length)}\r\n`)
    )
  ),
  dictionary: [
    ...commonWords,
    ...["HTTP/1.1 ", "101", "200", "304", "Transfer-Encoding: chunked\r\n", "Content-Length: ", "0\r\n\r\n"],
    ...["ffffffffffffffff", "1e9", "0x10", "-1", "5\r\n", "Sec-WebSocket-Accept: ", acceptOfKey]
  ],
  split: splitLines,
  check: (input) => {
    const read = checkHead(bytesOfInput(input))
    if (read === undefined) return
    const { head, rest } = read
    const line = parseStatusLine(head.startLine)
    if (Result.isSuccess(line)) assert.isTrue(line.success.status >= 100 && line.success.status <= 999)
    const checked = checkResponse(head, answerTo)
    if (Result.isSuccess(checked))
      assert.include([undefined, ...answerTo.protocols], checked.success.subprotocol)
    const [whole, ...others] = cutsOf(rest).map((chunks) => readBody(head, chunks))
    for (const other of others) assert.deepStrictEqual(other, whole)
    assert.isAtMost(whole!.body.length, mostBody)
    assert.isAtMost(whole!.body.length, rest.length)
  },
  work: (input) => {
    const { rest, result } = readHead(smallPieces(bytesOfInput(input)), unlimited)
    if (result._tag !== "Complete") return
    parseStatusLine(result.head.startLine)
    checkResponse(result.head, answerTo)
    readBody(result.head, smallPieces(rest), Number.POSITIVE_INFINITY)
  }
}
