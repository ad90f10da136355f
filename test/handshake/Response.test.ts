import { createHash } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Latin1 from "../../src/bytes/Latin1.ts"
import { type Headers, HeadReader, type HttpHead } from "../../src/handshake/HttpHead.ts"
import {
  acceptKey,
  buildAccept,
  buildDenial,
  checkResponse,
  parseStatusLine,
  ResponseBodyReader
} from "../../src/handshake/Response.ts"

const sha1 = (bytes: Uint8Array): Uint8Array => createHash("sha1").update(bytes).digest()

const accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

const text = (result: Result.Result<Uint8Array, string>): string => {
  if (Result.isFailure(result)) return assert.fail(result.failure)
  return String.fromCharCode(...result.success)
}

const failure = <A>(result: Result.Result<A, string>): string => {
  if (Result.isSuccess(result)) return assert.fail(`succeeded: ${String(result.success)}`)
  return result.failure
}

const readBack = (bytes: Uint8Array): { readonly head: HttpHead; readonly rest: Uint8Array } => {
  const result = new HeadReader({ maxBytes: 8192, maxHeaders: 64 }).push(bytes)
  if (result._tag !== "Complete") return assert.fail(JSON.stringify(result))
  return result
}

describe("acceptKey", () => {
  it("is that of RFC 6455 section 1.3", () => {
    assert.strictEqual(acceptKey("dGhlIHNhbXBsZSBub25jZQ==", sha1), accept)
  })

  it("hashes key and GUID", () => {
    const hashed: Array<string> = []
    acceptKey("key", (bytes) => {
      hashed.push(String.fromCharCode(...bytes))
      return new Uint8Array(20)
    })
    assert.deepStrictEqual(hashed, ["key258EAFA5-E914-47DA-95CA-C5AB0DC85B11"])
  })
})

type AcceptOptions = Parameters<typeof buildAccept>[0]

const plainAccept: AcceptOptions = {
  accept,
  subprotocol: undefined,
  extensions: undefined,
  headers: []
}

describe("buildAccept", () => {
  it("writes the response of RFC 6455 section 1.2", () => {
    assert.strictEqual(
      text(buildAccept({ ...plainAccept, subprotocol: "chat" })),
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n"
    )
  })

  it("writes everything, in order", () => {
    assert.strictEqual(
      text(
        buildAccept({
          accept,
          subprotocol: "chat",
          extensions: "foo; a=1, bar",
          headers: [
            ["Set-Cookie", "a=b"],
            ["Set-Cookie", "c=d"]
          ]
        })
      ),
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n" +
        "Sec-WebSocket-Extensions: foo; a=1, bar\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n\r\n"
    )
  })

  it("writes what checkResponse accepts", () => {
    const bytes = Result.getOrThrow(
      buildAccept({ ...plainAccept, subprotocol: "b", extensions: "foo; a", headers: [["X-A", "1"]] })
    )
    const { head } = readBack(bytes)
    assert.strictEqual(Result.getOrThrow(parseStatusLine(head.startLine)).status, 101)
    assert.deepStrictEqual(
      checkResponse(head, { accept, protocols: ["a", "b"] }),
      Result.succeed({
        subprotocol: "b",
        extensions: [{ name: "foo", parameters: [{ name: "a", value: undefined }] }]
      })
    )
  })

  it("lets an extra header be the Server", () => {
    assert.include(text(buildAccept({ ...plainAccept, headers: [["Server", "x"]] })), "\r\nServer: x\r\n")
  })

  const failures: ReadonlyArray<readonly [options: Partial<AcceptOptions>, text: string]> = [
    [{ headers: [["Upgrade", "h2c"]] }, "Upgrade"],
    [{ headers: [["CONNECTION", "close"]] }, "CONNECTION"],
    [{ headers: [["Content-Length", "1"]] }, "Content-Length"],
    [{ headers: [["transfer-encoding", "chunked"]] }, "transfer-encoding"],
    [{ headers: [["Sec-WebSocket-Accept", "a"]] }, "Sec-WebSocket-Accept"],
    [{ headers: [["sec-websocket-protocol", "a"]] }, "sec-websocket-protocol"],
    [{ headers: [["Sec-WebSocket-Version", "13"]] }, "Sec-WebSocket-Version"],
    [{ headers: [["X A", "1"]] }, "X A"],
    [{ headers: [["X-A", "1\r\nX-B: 1"]] }, "X-A"],
    [{ headers: [["X-A", "a\x0bX-Admin: 1"]] }, "X-A"],
    [{ headers: [["X-A", "\u20ac"]] }, "X-A"],
    [{ subprotocol: "" }, "subprotocol"],
    [{ subprotocol: "a, b" }, "subprotocol"],
    [{ subprotocol: "a\r\nX-A: 1" }, "subprotocol"],
    [{ extensions: "a;" }, "Sec-WebSocket-Extensions"],
    [{ extensions: "a\r\nX-A: 1" }, "Sec-WebSocket-Extensions"],
    [{ accept: "a\r\nX-A: 1" }, "Sec-WebSocket-Accept"]
  ]
  for (const [options, expected] of failures) {
    it(`refuses ${JSON.stringify(options)}`, () => {
      assert.include(failure(buildAccept({ ...plainAccept, ...options })), expected)
    })
  }
})

type DenialOptions = Parameters<typeof buildDenial>[0]

const plainDenial: DenialOptions = {
  status: 403,
  reason: undefined,
  headers: [],
  body: new Uint8Array(0)
}

describe("buildDenial", () => {
  it("writes the least", () => {
    assert.strictEqual(
      text(buildDenial(plainDenial)),
      "HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    )
  })

  it("writes reason, headers and body", () => {
    assert.strictEqual(
      text(
        buildDenial({
          status: 401,
          reason: "Who are you?",
          headers: [["WWW-Authenticate", "Basic"]],
          body: Latin1.encode("\x00caf\xe9")
        })
      ),
      "HTTP/1.1 401 Who are you?\r\nConnection: close\r\nContent-Length: 5\r\n" +
        "WWW-Authenticate: Basic\r\n\r\n\x00caf\xe9"
    )
  })

  it("writes the answers of RFC 6455 section 4.4 and RFC 7231 section 6.5.15", () => {
    const version = buildDenial({
      ...plainDenial,
      status: 400,
      headers: [["Sec-WebSocket-Version", "13, 8, 7"]]
    })
    assert.include(text(version), "HTTP/1.1 400 Bad Request\r\n")
    assert.include(text(version), "\r\nSec-WebSocket-Version: 13, 8, 7\r\n")
    const upgrade = buildDenial({ ...plainDenial, status: 426, headers: [["upgrade", "websocket"]] })
    assert.include(text(upgrade), "HTTP/1.1 426 Upgrade Required\r\nConnection: close, Upgrade\r\n")
    assert.include(text(upgrade), "\r\nupgrade: websocket\r\n")
  })

  const phrases: ReadonlyArray<readonly [status: number, phrase: string]> = [
    [300, "Multiple Choices"],
    [302, "Found"],
    [400, "Bad Request"],
    [404, "Not Found"],
    [405, "Method Not Allowed"],
    [429, "Too Many Requests"],
    [499, ""],
    [500, "Internal Server Error"],
    [503, "Service Unavailable"],
    [505, "HTTP Version Not Supported"],
    [599, ""]
  ]
  for (const [status, phrase] of phrases) {
    it(`knows the phrase of ${status}`, () => {
      const bytes = Result.getOrThrow(buildDenial({ ...plainDenial, status }))
      assert.deepStrictEqual(
        parseStatusLine(readBack(bytes).head.startLine),
        Result.succeed({ status, statusText: phrase })
      )
    })
  }

  for (const status of [-1, 0, 100, 101, 200, 299, 600, 1000, 400.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    it(`refuses the status ${status}`, () => {
      assert.include(failure(buildDenial({ ...plainDenial, status })), "status")
    })
  }

  const failures: ReadonlyArray<readonly [options: Partial<DenialOptions>, text: string]> = [
    [{ reason: "a\r\nX-A: 1" }, "reason"],
    [{ reason: "a\n" }, "reason"],
    [{ reason: "a\x0bb" }, "reason"],
    [{ reason: "a\tb" }, "reason"],
    [{ reason: "caf\xe9" }, "reason"],
    [{ reason: "\u20ac" }, "reason"],
    [{ headers: [["Connection", "keep-alive"]] }, "Connection"],
    [{ headers: [["CONTENT-LENGTH", "0"]] }, "CONTENT-LENGTH"],
    [{ headers: [["Transfer-Encoding", "chunked"]] }, "Transfer-Encoding"],
    [{ headers: [["Sec-WebSocket-Accept", "a"]] }, "Sec-WebSocket-Accept"],
    [{ headers: [["X-A", "a\x0bX-Admin: 1"]] }, "X-A"],
    [{ headers: [["X-A\r\n", "a"]] }, "X-A"]
  ]
  for (const [options, expected] of failures) {
    it(`refuses ${JSON.stringify(options)}`, () => {
      assert.include(failure(buildDenial({ ...plainDenial, ...options })), expected)
    })
  }

  it("writes what the client reads", () => {
    const body = Latin1.encode("go away")
    const bytes = Result.getOrThrow(buildDenial({ ...plainDenial, body }))
    const { head, rest } = readBack(bytes)
    const reader = new ResponseBodyReader(head, 100)
    assert.isTrue(reader.push(rest))
    assert.deepStrictEqual(reader.body, body)
  })
})

describe("parseStatusLine", () => {
  const valid: ReadonlyArray<readonly [line: string, status: number, statusText: string]> = [
    ["HTTP/1.1 101 Switching Protocols", 101, "Switching Protocols"],
    ["HTTP/1.1 400 ", 400, ""],
    ["HTTP/1.0 403 Forbidden", 403, "Forbidden"],
    ["HTTP/1.1 999 a  b ", 999, "a  b "]
  ]
  for (const [line, status, statusText] of valid) {
    it(`reads ${JSON.stringify(line)}`, () => {
      assert.deepStrictEqual(parseStatusLine(line), Result.succeed({ status, statusText }))
    })
  }

  const invalid = [
    "",
    "HTTP/1.1",
    "HTTP/1.1 101",
    "HTTP/1.0 101 OK",
    "HTTP/1.2 101 OK",
    "HTTP/2.0 101 OK",
    "http/1.1 101 OK",
    "HTTP/1.1  101 OK",
    "HTTP/1.1 1 OK",
    "HTTP/1.1 0101 OK",
    "HTTP/1.1 001 OK",
    "HTTP/1.1 1010 OK",
    "HTTP/1.1 +10 OK",
    "HTTP/1.1 10x OK",
    " HTTP/1.1 101 OK",
    "ICY 200 OK"
  ]
  for (const line of invalid) {
    it(`refuses ${JSON.stringify(line)}`, () => {
      assert.include(failure(parseStatusLine(line)), "status line")
    })
  }
})

const response: Headers = [
  ["Upgrade", "websocket"],
  ["Connection", "Upgrade"],
  ["Sec-WebSocket-Accept", accept],
  ["Sec-WebSocket-Protocol", "chat"]
]

const withHeader = (name: string, ...values: ReadonlyArray<string>): Headers => [
  ...response.filter(([key]) => key !== name),
  ...values.map((value) => [name, value] as const)
]

const check = (headers: Headers) =>
  checkResponse(
    { startLine: "HTTP/1.1 101 Switching Protocols", headers },
    { accept, protocols: ["chat", "superchat"] }
  )

describe("checkResponse", () => {
  it("accepts the response of RFC 6455 section 1.2", () => {
    assert.deepStrictEqual(check(response), Result.succeed({ subprotocol: "chat", extensions: [] }))
  })

  const valid: ReadonlyArray<readonly [name: string, value: string]> = [
    ["Upgrade", "WebSocket"],
    ["upgrade", " websocket "],
    ["Connection", "keep-alive, upgrade"],
    ["Sec-WebSocket-Accept", ` ${accept}\t`],
    ["Sec-WebSocket-Protocol", "superchat"],
    ["Sec-WebSocket-Extensions", ""],
    ["Sec-WebSocket-Extensions", "permessage-deflate; server_no_context_takeover, foo"]
  ]
  for (const [name, value] of valid) {
    it(`accepts ${name}: ${value}`, () => {
      const headers = response.filter(([key]) => key.toLowerCase() !== name.toLowerCase())
      assert.isTrue(Result.isSuccess(check([...headers, [name, value]])))
    })
  }

  it("accepts that the server chose no subprotocol", () => {
    assert.deepStrictEqual(
      check(withHeader("Sec-WebSocket-Protocol")),
      Result.succeed({ subprotocol: undefined, extensions: [] })
    )
  })

  const invalid: ReadonlyArray<readonly [name: string, values: ReadonlyArray<string>]> = [
    ["Upgrade", []],
    ["Upgrade", ["h2c"]],
    ["Upgrade", ["websocket, h2c"]],
    ["Upgrade", ["websocket", "websocket"]],
    ["Upgrade", ["websoc\u212aet"]],
    ["Connection", []],
    ["Connection", ["close"]],
    ["Connection", ["upgrade close"]],
    ["Sec-WebSocket-Accept", []],
    ["Sec-WebSocket-Accept", [accept, accept]],
    ["Sec-WebSocket-Accept", [""]],
    ["Sec-WebSocket-Accept", ["S3pPLMBiTxaQ9kYGzzhZRbK+xOo="]],
    ["Sec-WebSocket-Accept", [`${accept}=`]],
    ["Sec-WebSocket-Protocol", ["chat", "chat"]],
    ["Sec-WebSocket-Protocol", ["other"]],
    ["Sec-WebSocket-Protocol", ["CHAT"]],
    ["Sec-WebSocket-Protocol", [""]],
    ["Sec-WebSocket-Protocol", ["chat, superchat"]],
    ["Sec-WebSocket-Protocol", ["toString"]],
    ["Sec-WebSocket-Extensions", ["foo", "bar"]],
    ["Sec-WebSocket-Extensions", ["foo;"]]
  ]
  for (const [name, values] of invalid) {
    it(`refuses ${name}: ${JSON.stringify(values)}`, () => {
      assert.include(
        failure(check(withHeader(name, ...values))),
        name === "Sec-WebSocket-Protocol" && values.length === 1 ? "subprotocol" : name
      )
    })
  }

  it("refuses a subprotocol when none was offered", () => {
    const head = { startLine: "HTTP/1.1 101 Switching Protocols", headers: response }
    assert.include(failure(checkResponse(head, { accept, protocols: [] })), "subprotocol")
  })
})

const bodyReader = (headers: Headers, maxBytes = 1000, startLine = "HTTP/1.1 403 Forbidden") =>
  new ResponseBodyReader({ startLine, headers }, maxBytes)

/** Pushes in pieces of that size up to the end of the body; the body as text and whether it was complete. */
const readBody = (reader: ResponseBodyReader, bytes: string, size: number): readonly [string, boolean] => {
  let complete = reader.push(new Uint8Array(0))
  for (let i = 0; i < bytes.length && !complete; i += size) {
    complete = reader.push(Latin1.encode(bytes.slice(i, i + size)))
  }
  return [String.fromCharCode(...reader.body), complete]
}

describe("ResponseBodyReader", () => {
  const chunked: Headers = [["Transfer-Encoding", "chunked"]]
  const byLength = (value: string): Headers => [["Content-Length", value]]

  const cases: ReadonlyArray<
    readonly [why: string, headers: Headers, bytes: string, body: string, complete: boolean]
  > = [
    ["Content-Length", byLength("3"), "abc", "abc", true],
    ["Content-Length, surplus bytes", byLength("3"), "abcd", "abc", true],
    ["Content-Length, cut short", byLength("3"), "ab", "ab", false],
    ["Content-Length 0", byLength("0"), "", "", true],
    ["Content-Length 0, surplus bytes", byLength("0"), "a", "", true],
    [
      "equal Content-Lengths",
      [
        ["Content-Length", "1, 1"],
        ["content-length", "1"]
      ],
      "ab",
      "a",
      true
    ],
    [
      "conflicting Content-Lengths",
      [
        ["Content-Length", "1"],
        ["Content-Length", "2"]
      ],
      "abc",
      "abc",
      false
    ],
    ["malformed Content-Length", byLength("-1"), "abc", "abc", false],
    ["empty Content-Length", byLength(""), "abc", "abc", false],
    ["huge Content-Length", byLength("9".repeat(400)), "abc", "abc", false],
    ["neither", [], "abc", "abc", false],
    ["chunked", chunked, "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "abcde", true],
    [
      "chunked, hexadecimal",
      chunked,
      `0a\r\n${"x".repeat(10)}\r\nF\r\n${"y".repeat(15)}\r\n0\r\n`,
      `${"x".repeat(10)}${"y".repeat(15)}`,
      true
    ],
    ["chunked, extensions", chunked, "1;a=b\r\na\r\n1 \t;c\r\nb\r\n0;z\r\n\r\n", "ab", true],
    ["chunked, trailers", chunked, "1\r\na\r\n0\r\nX-A: 1\r\n\r\n", "a", true],
    ["chunked, empty", chunked, "0\r\n\r\n", "", true],
    ["chunked, cut short", chunked, "3\r\nab", "ab", false],
    ["chunked before Content-Length", [["Content-Length", "1"], ...chunked], "2\r\nab\r\n0\r\n", "ab", true],
    ["several codings", [["Transfer-Encoding", "gzip, Chunked"]], "1\r\na\r\n0\r\n", "a", true],
    [
      "coding other than chunked",
      [
        ["Transfer-Encoding", "gzip"],
        ["Content-Length", "1"]
      ],
      "abc",
      "abc",
      false
    ],
    ["malformed: no size", chunked, "\r\nabc", "", true],
    ["malformed: not hexadecimal", chunked, "xyz\r\n", "", true],
    ["malformed: size then letter", chunked, "1g\r\na", "", true],
    ["malformed: only an extension", chunked, ";a\r\na", "", true],
    ["malformed: LF after the size", chunked, "1\na\n", "", true],
    ["malformed: LF in the extension", chunked, "1;a\na\n", "", true],
    ["malformed: CR without LF after the size", chunked, "1\rab", "", true],
    ["malformed: CR without LF after the chunk", chunked, "1\r\na\rb", "a", true],
    ["malformed: chunk longer than its size", chunked, "1\r\nab\r\n", "a", true],
    ["huge chunk size", chunked, `${"f".repeat(400)}\r\nabc`, "abc", false]
  ]
  for (const [why, headers, bytes, body, complete] of cases) {
    it(`${why}, however it is cut`, () => {
      for (let size = 1; size <= bytes.length + 1; size++) {
        assert.deepStrictEqual(readBody(bodyReader(headers), bytes, size), [body, complete])
      }
    })
  }

  for (const status of ["101 Switching Protocols", "204 No Content", "304 Not Modified"]) {
    it(`reads no body of ${status}`, () => {
      const reader = bodyReader(byLength("3"), 1000, `HTTP/1.1 ${status}`)
      assert.deepStrictEqual(readBody(reader, "abc", 1), ["", true])
    })
  }

  const framings: ReadonlyArray<readonly [Headers, string]> = [
    [[], "abcdef"],
    [byLength("6"), "abcdef"],
    [chunked, "2\r\nab\r\n4\r\ncdef\r\n0\r\n\r\n"]
  ]
  for (const [headers, bytes] of framings) {
    it(`stops at the cap: ${JSON.stringify(headers)}`, () => {
      for (let cap = 0; cap <= 6; cap++) {
        for (let size = 1; size <= bytes.length; size++) {
          const result = readBody(bodyReader(headers, cap), bytes, size)
          assert.deepStrictEqual(result, ["abcdef".slice(0, cap), true])
        }
      }
    })
  }

  it("reads nothing with a cap that is no number, and less than one byte more with a fraction", () => {
    assert.deepStrictEqual(readBody(bodyReader([], Number.NaN), "abc", 1), ["", true])
    assert.deepStrictEqual(readBody(bodyReader([], -1), "abc", 1), ["", true])
    assert.deepStrictEqual(readBody(bodyReader([], 1.5), "abc", 1), ["a", true])
  })

  it("keeps no reference to a chunk that its owner reuses", () => {
    const reader = bodyReader([])
    const chunk = Latin1.encode("ab")
    reader.push(chunk)
    chunk.fill(0x21)
    assert.deepStrictEqual(reader.body, Latin1.encode("ab"))
  })

  it("ignores what follows the body", () => {
    const reader = bodyReader(byLength("1"))
    assert.isTrue(reader.push(Latin1.encode("a")))
    assert.isTrue(reader.push(Latin1.encode("b")))
    assert.deepStrictEqual(reader.body, Latin1.encode("a"))
  })

  it("reads a megabyte byte by byte, without a limit", () => {
    const one = Latin1.encode("a")
    const reader = bodyReader([], Number.POSITIVE_INFINITY)
    for (let i = 0; i < 1 << 20; i++) reader.push(one)
    assert.strictEqual(reader.body.length, 1 << 20)
  })

  it("reads many small chunks", () => {
    const reader = bodyReader(chunked, 1 << 20)
    assert.isTrue(reader.push(Latin1.encode(`${"1\r\na\r\n".repeat(100_000)}0\r\n\r\n`)))
    assert.strictEqual(reader.body.length, 100_000)
  })
})
