import { assert, describe, it } from "@effect/vitest"
import * as Latin1 from "../../src/bytes/Latin1.ts"
import { isToken } from "../../src/bytes/Token.ts"
import {
  elements,
  encodeHead,
  type HeadError,
  type HeadLimits,
  HeadReader,
  type HeadResult,
  type HttpHead,
  header,
  headersProblem,
  isFieldValue,
  tokens,
  trimWhitespace
} from "../../src/handshake/HttpHead.ts"

const roomy: HeadLimits = { maxBytes: 8192, maxHeaders: 64 }

const read = (text: string, limits: HeadLimits = roomy): HeadResult =>
  new HeadReader(limits).push(Latin1.encode(text))

const headOf = (result: HeadResult): HttpHead => {
  if (result._tag !== "Complete") return assert.fail(`expected a head, got ${JSON.stringify(result)}`)
  return result.head
}

const errorOf = (result: HeadResult): HeadError => {
  if (result._tag !== "Invalid") return assert.fail(`expected an error, got ${result._tag}`)
  return result.error
}

const restOf = (result: HeadResult): ReadonlyArray<number> => {
  if (result._tag !== "Complete") return assert.fail(`expected a head, got ${result._tag}`)
  return [...result.rest]
}

// RFC 6455 section 1.2.
const rfcRequest = [
  "GET /chat HTTP/1.1",
  "Host: server.example.com",
  "Upgrade: websocket",
  "Connection: Upgrade",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  "Origin: http://example.com",
  "Sec-WebSocket-Protocol: chat, superchat",
  "Sec-WebSocket-Version: 13",
  "",
  ""
].join("\r\n")

const rfcHead: HttpHead = {
  startLine: "GET /chat HTTP/1.1",
  headers: [
    ["Host", "server.example.com"],
    ["Upgrade", "websocket"],
    ["Connection", "Upgrade"],
    ["Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="],
    ["Origin", "http://example.com"],
    ["Sec-WebSocket-Protocol", "chat, superchat"],
    ["Sec-WebSocket-Version", "13"]
  ]
}

describe("HeadReader", () => {
  it("reads the request of RFC 6455 section 1.2", () => {
    const result = read(rfcRequest)
    assert.deepStrictEqual(headOf(result), rfcHead)
    assert.deepStrictEqual(restOf(result), [])
  })

  it("reads the response of RFC 6455 section 1.2", () => {
    const head = headOf(
      read("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
    )
    assert.deepStrictEqual(head, {
      startLine: "HTTP/1.1 101 Switching Protocols",
      headers: [
        ["Upgrade", "websocket"],
        ["Connection", "Upgrade"]
      ]
    })
  })

  it("reads a head without headers", () => {
    assert.deepStrictEqual(headOf(read("GET / HTTP/1.1\r\n\r\n")), {
      startLine: "GET / HTTP/1.1",
      headers: []
    })
  })

  it("reads the same head at every cut position", () => {
    const bytes = Latin1.encode(`${rfcRequest}\x81\x01a`)
    const end = rfcRequest.length
    for (let cut = 0; cut <= bytes.length; cut++) {
      const reader = new HeadReader(roomy)
      const first = reader.push(bytes.subarray(0, cut))
      if (cut < end) {
        assert.strictEqual(first._tag, "Incomplete")
        const second = reader.push(bytes.subarray(cut))
        assert.deepStrictEqual(headOf(second), rfcHead)
        assert.deepStrictEqual(restOf(second), [0x81, 0x01, 0x61])
      } else {
        assert.deepStrictEqual(headOf(first), rfcHead)
        assert.deepStrictEqual(restOf(first), [...bytes.subarray(end, cut)])
      }
    }
  })

  it("reads the same head byte by byte, with empty chunks in between", () => {
    const reader = new HeadReader(roomy)
    const bytes = Latin1.encode(rfcRequest)
    for (let i = 0; i < bytes.length - 1; i++) {
      assert.strictEqual(reader.push(bytes.subarray(i, i + 1))._tag, "Incomplete")
      assert.strictEqual(reader.push(new Uint8Array(0))._tag, "Incomplete")
    }
    assert.deepStrictEqual(headOf(reader.push(bytes.subarray(-1))), rfcHead)
  })

  it("gives the rest as a view of the chunk", () => {
    const chunk = Latin1.encode("GET / HTTP/1.1\r\n\r\n\x82\x00")
    const result = new HeadReader(roomy).push(chunk)
    assert.deepStrictEqual(restOf(result), [0x82, 0])
    if (result._tag === "Complete") assert.strictEqual(result.rest.buffer, chunk.buffer)
  })

  it("keeps no reference to a chunk that its owner reuses", () => {
    const reader = new HeadReader(roomy)
    const chunk = Latin1.encode("GET / HTTP/1.1\r\nX-A: on")
    reader.push(chunk)
    chunk.fill(0x21)
    assert.deepStrictEqual(headOf(reader.push(Latin1.encode("e\r\n\r\n"))).headers, [["X-A", "one"]])
  })

  it("passes everything after the head on", () => {
    const reader = new HeadReader(roomy)
    reader.push(Latin1.encode("GET / HTTP/1.1\r\n\r\n"))
    const again = reader.push(Latin1.encode("ab"))
    assert.strictEqual(headOf(again).startLine, "GET / HTTP/1.1")
    assert.deepStrictEqual(restOf(again), [0x61, 0x62])
  })

  it("stays invalid", () => {
    const reader = new HeadReader(roomy)
    const first = errorOf(reader.push(Latin1.encode("GET / HTTP/1.1\n")))
    assert.deepStrictEqual(errorOf(reader.push(Latin1.encode("\r\n\r\n"))), first)
  })

  const values: ReadonlyArray<readonly [line: string, name: string, value: string]> = [
    ["X-A:1", "X-A", "1"],
    ["X-A: \t 1 \t ", "X-A", "1"],
    ["X-A: a \t b", "X-A", "a \t b"],
    ["X-A:", "X-A", ""],
    ["X-A: \t ", "X-A", ""],
    ["X-A: b:c", "X-A", "b:c"],
    ["X-A: \x80\x85\xa0\xff", "X-A", "\x80\x85\xa0\xff"],
    ["x!#$%&'*+-.^_`|~09azAZ: 1", "x!#$%&'*+-.^_`|~09azAZ", "1"],
    ["__proto__: 1", "__proto__", "1"],
    ["constructor: 1", "constructor", "1"]
  ]
  for (const [line, name, value] of values) {
    it(`reads ${JSON.stringify(line)}`, () => {
      assert.deepStrictEqual(headOf(read(`GET / HTTP/1.1\r\n${line}\r\n\r\n`)).headers, [[name, value]])
    })
  }

  const malformed: ReadonlyArray<readonly [why: string, text: string]> = [
    ["empty first line", "\r\nGET / HTTP/1.1\r\n\r\n"],
    ["LF first", "\nGET / HTTP/1.1\r\n\r\n"],
    ["bare LF after the start line", "GET / HTTP/1.1\nHost: a\r\n\r\n"],
    ["bare CR in the start line", "GET / HTTP/1.1\rHost: a\r\n\r\n"],
    ["bare LF after a header", "GET / HTTP/1.1\r\nHost: a\nX-A: b\r\n\r\n"],
    ["bare CR in a value", "GET / HTTP/1.1\r\nHost: a\rX-A: b\r\n\r\n"],
    ["CR CR LF", "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n"],
    ["bare LF as the blank line", "GET / HTTP/1.1\r\nHost: a\r\n\n"],
    ["bare CR as the blank line", "GET / HTTP/1.1\r\nHost: a\r\n\rX"],
    ["HTAB in the start line", "GET\t/ HTTP/1.1\r\n\r\n"],
    ["DEL in the start line", "GET /\x7f HTTP/1.1\r\n\r\n"],
    ["DEL in the start line", "GET /\x7f HTTP/1.1\r\n\r\n"],
    ["SOH in the start line", "GET /\x01 HTTP/1.1\r\n\r\n"],
    ["NUL in a value", "GET / HTTP/1.1\r\nX-A: \0\r\n\r\n"],
    ["VT in a value", "GET / HTTP/1.1\r\nX-A: a\x0bX-Admin: 1\r\n\r\n"],
    ["FF in a value", "GET / HTTP/1.1\r\nX-A: a\x0cX-Admin: 1\r\n\r\n"],
    ["FS in a value", "GET / HTTP/1.1\r\nX-A: a\x1cX-Admin: 1\r\n\r\n"],
    ["DEL in a value", "GET / HTTP/1.1\r\nX-A: \x7f\r\n\r\n"],
    ["control character in a name", "GET / HTTP/1.1\r\nX\x0bA: a\r\n\r\n"],
    ["obs-text in a name", "GET / HTTP/1.1\r\nX\xe9: a\r\n\r\n"],
    ["obs-text first in a name", "GET / HTTP/1.1\r\n\xe9: a\r\n\r\n"],
    ["empty name", "GET / HTTP/1.1\r\n: a\r\n\r\n"],
    ["space before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n"],
    ["HTAB before the colon", "GET / HTTP/1.1\r\nHost\t: a\r\n\r\n"],
    ["line without a colon", "GET / HTTP/1.1\r\nHost\r\n\r\n"],
    ["separator in a name", "GET / HTTP/1.1\r\nX(A): a\r\n\r\n"],
    ["space before the first header", "GET / HTTP/1.1\r\n Host: a\r\n\r\n"],
    ["folding with SP", "GET / HTTP/1.1\r\nX-A: a\r\n b\r\n\r\n"],
    ["folding with HTAB", "GET / HTTP/1.1\r\nX-A: a\r\n\tb\r\n\r\n"]
  ]
  for (const [why, text] of malformed) {
    it(`refuses: ${why}`, () => {
      assert.strictEqual(errorOf(read(text)).kind, "Malformed")
      const reader = new HeadReader(roomy)
      const results = [...text].map((char) => reader.push(Latin1.encode(char))._tag)
      assert.include(results, "Invalid")
      assert.notInclude(results, "Complete")
    })
  }

  it("never splits a line at 0x85 in a value", () => {
    assert.deepStrictEqual(headOf(read("GET / HTTP/1.1\r\nX-A: a\x85X-Admin: 1\r\n\r\n")).headers, [
      ["X-A", "a\x85X-Admin: 1"]
    ])
  })

  it("takes a head of exactly maxBytes and no byte more", () => {
    const size = rfcRequest.length
    assert.strictEqual(read(`${rfcRequest}rest`, { maxBytes: size, maxHeaders: 7 })._tag, "Complete")
    assert.strictEqual(errorOf(read(rfcRequest, { maxBytes: size - 1, maxHeaders: 7 })).kind, "TooLarge")
  })

  it("refuses at the byte that exceeds maxBytes", () => {
    const reader = new HeadReader({ maxBytes: 10, maxHeaders: 1 })
    assert.strictEqual(reader.push(Latin1.encode("GET /aaaaa"))._tag, "Incomplete")
    assert.strictEqual(errorOf(reader.push(Latin1.encode("a"))).kind, "TooLarge")
  })

  it("reports what is malformed before what is too large", () => {
    assert.strictEqual(
      errorOf(read("GET\n/aaaaaaaaaaaaaa", { maxBytes: 8, maxHeaders: 1 })).kind,
      "Malformed"
    )
  })

  it("takes maxHeaders lines and refuses at the first byte of the next", () => {
    const limits = { maxBytes: 1000, maxHeaders: 2 }
    assert.strictEqual(headOf(read("GET / HTTP/1.1\r\nA: 1\r\nB: 2\r\n\r\n", limits)).headers.length, 2)
    assert.strictEqual(errorOf(read("GET / HTTP/1.1\r\nA: 1\r\nB: 2\r\nC", limits)).kind, "TooManyHeaders")
    assert.strictEqual(
      headOf(read("GET / HTTP/1.1\r\n\r\n", { maxBytes: 100, maxHeaders: 0 })).headers.length,
      0
    )
  })

  for (const maxBytes of [0, -1, Number.NaN]) {
    it(`admits nothing with maxBytes ${maxBytes}`, () => {
      assert.strictEqual(read("", { maxBytes, maxHeaders: 1 })._tag, "Incomplete")
      assert.strictEqual(errorOf(read("G", { maxBytes, maxHeaders: Number.NaN })).kind, "TooLarge")
    })
  }

  it("has no limit with Infinity", () => {
    const limits = { maxBytes: Number.POSITIVE_INFINITY, maxHeaders: Number.POSITIVE_INFINITY }
    assert.deepStrictEqual(headOf(read(rfcRequest, limits)), rfcHead)
  })

  it("reads a megabyte byte by byte", () => {
    const value = "v".repeat(1 << 20)
    const bytes = Latin1.encode(`GET / HTTP/1.1\r\nX-A: ${value}\r\n\r\n`)
    const reader = new HeadReader({ maxBytes: bytes.length, maxHeaders: 1 })
    let result: HeadResult = { _tag: "Incomplete" }
    for (let i = 0; i < bytes.length; i++) result = reader.push(bytes.subarray(i, i + 1))
    assert.isTrue(headOf(result).headers[0]?.[1] === value)
  })

  it("reads a megabyte of white space in a value", () => {
    const text = `GET / HTTP/1.1\r\nX-A: a${" ".repeat(1 << 20)}b \r\n\r\n`
    const head = headOf(read(text, { maxBytes: text.length, maxHeaders: 1 }))
    assert.strictEqual(head.headers[0]?.[1].length, (1 << 20) + 2)
  })

  it("gives an outcome for any bytes, the same however they are cut", () => {
    const alphabet = [0x0d, 0x0a, 0x20, 0x09, 0x3a, 0x41, 0x61, 0x0b, 0x85, 0x00]
    let seed = 1
    const random = (below: number) => {
      seed = (seed * 48271) % 0x7fffffff
      return seed % below
    }
    for (let round = 0; round < 2000; round++) {
      const noise = Array.from({ length: random(12) }, () => alphabet[random(alphabet.length)]!)
      const bytes = new Uint8Array([
        ...Latin1.encode("G / H\r\nA: b"),
        ...noise,
        ...Latin1.encode("\r\n\r\n")
      ])
      const limits = { maxBytes: 10 + random(20), maxHeaders: 1 + random(3) }
      const whole = new HeadReader(limits).push(bytes)
      const reader = new HeadReader(limits)
      const cut = random(bytes.length)
      const first = reader.push(bytes.subarray(0, cut))
      const last = first._tag === "Incomplete" ? reader.push(bytes.subarray(cut)) : first
      assert.strictEqual(last._tag, whole._tag)
      if (last._tag === "Complete") assert.deepStrictEqual(headOf(last), headOf(whole))
      if (last._tag === "Invalid") assert.deepStrictEqual(errorOf(last), errorOf(whole))
    }
  })
})

describe("header", () => {
  const headers = [
    ["Accept", "a"],
    ["X-B", "1"],
    ["x-b", "2"],
    ["__proto__", "3"]
  ] as const

  it("finds all values, whatever the case", () => {
    assert.deepStrictEqual(header(headers, "X-b"), ["1", "2"])
    assert.deepStrictEqual(header(headers, "ACCEPT"), ["a"])
    assert.deepStrictEqual(header(headers, "__PROTO__"), ["3"])
  })

  it("finds nothing for other names", () => {
    assert.deepStrictEqual(header(headers, "toString"), [])
    assert.deepStrictEqual(header(headers, "X"), [])
    assert.deepStrictEqual(header([], "X"), [])
  })
})

describe("lists", () => {
  const cases: ReadonlyArray<
    readonly [values: ReadonlyArray<string>, expected: ReadonlyArray<string> | undefined]
  > = [
    [[], []],
    [[""], []],
    [["a"], ["a"]],
    [["a, b"], ["a", "b"]],
    [["a,b\t,\t c "], ["a", "b", "c"]],
    [[", a,, b,"], ["a", "b"]],
    [
      ["a", "b, c"],
      ["a", "b", "c"]
    ],
    [["a b"], undefined],
    [["a", "b/1"], undefined],
    [["\xa0a"], undefined],
    [["a\x0bb"], undefined],
    [['"a"'], undefined]
  ]
  for (const [values, expected] of cases) {
    it(`tokens of ${JSON.stringify(values)}`, () => {
      assert.deepStrictEqual(tokens(values), expected)
    })
  }

  it("elements keep what is empty and what is not a token", () => {
    assert.deepStrictEqual(elements(["a , h2c/1,", ""]), ["a", "h2c/1", "", ""])
  })

  it("handles a megabyte of separators", () => {
    assert.deepStrictEqual(tokens([",".repeat(1 << 20)]), [])
    assert.deepStrictEqual(tokens([" ".repeat(1 << 20)]), [])
    assert.strictEqual(tokens([`a${" ".repeat(1 << 20)}b`]), undefined)
  })
})

describe("characters", () => {
  it("isToken admits exactly the tchar of RFC 7230 section 3.2.6", () => {
    const admitted = Array.from({ length: 0x180 }, (_, code) => String.fromCharCode(code)).filter(isToken)
    assert.strictEqual(
      admitted.join(""),
      "!#$%&'*+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ^_`abcdefghijklmnopqrstuvwxyz|~"
    )
    assert.isFalse(isToken(""))
    assert.isFalse(isToken("a b"))
    assert.isTrue(isToken("permessage-deflate"))
  })

  it("isFieldValue admits latin1 without control characters", () => {
    for (let code = 0; code < 0x180; code++) {
      const expected = code === 9 || (code >= 0x20 && code !== 0x7f && code <= 0xff)
      assert.strictEqual(isFieldValue(`a${String.fromCharCode(code)}`), expected, `code ${code}`)
    }
    assert.isTrue(isFieldValue(""))
    assert.isTrue(isFieldValue(" a "))
    assert.isFalse(isFieldValue("\ud83d\ude00"))
  })

  it("trimWhitespace trims SP and HTAB only", () => {
    assert.strictEqual(trimWhitespace(" \ta b\t "), "a b")
    assert.strictEqual(trimWhitespace("\xa0a\x0b"), "\xa0a\x0b")
    assert.strictEqual(trimWhitespace(" \t"), "")
  })
})

describe("headersProblem", () => {
  const owned = (name: string) => name === "host"

  it("finds nothing in headers that can be sent", () => {
    assert.strictEqual(headersProblem([["X-A", "caf\xe9\t1"]], owned), undefined)
    assert.strictEqual(headersProblem([], owned), undefined)
  })

  const problems: ReadonlyArray<readonly [name: string, value: string, text: string]> = [
    ["", "a", 'invalid header name ""'],
    ["X A", "a", 'invalid header name "X A"'],
    ["X-A\r\nX-Admin", "a", 'invalid header name "X-A\\r\\nX-Admin"'],
    ["X-A", "a\r\nX-Admin: 1", "invalid value of header X-A"],
    ["X-A", "a\x0bX-Admin: 1", "invalid value of header X-A"],
    ["X-A", "\u20ac", "invalid value of header X-A"],
    ["HOST", "a", "header HOST is set by the opening handshake"]
  ]
  for (const [name, value, text] of problems) {
    it(`names the problem: ${text}`, () => {
      assert.strictEqual(
        headersProblem(
          [
            ["X-Ok", "1"],
            [name, value]
          ],
          owned
        ),
        text
      )
    })
  }
})

describe("encodeHead", () => {
  it("writes what HeadReader reads", () => {
    const bytes = encodeHead(rfcHead.startLine, rfcHead.headers)
    assert.deepStrictEqual(bytes, Latin1.encode(rfcRequest))
    assert.deepStrictEqual(headOf(new HeadReader(roomy).push(bytes)), rfcHead)
  })

  it("writes latin1, a byte for each character", () => {
    const head = { startLine: "HTTP/1.1 400 ", headers: [["X-A", "\x80\x85\xff"]] } as const
    const bytes = encodeHead(head.startLine, head.headers)
    assert.strictEqual(bytes.length, "HTTP/1.1 400 \r\nX-A: 123\r\n\r\n".length)
    assert.deepStrictEqual(headOf(new HeadReader(roomy).push(bytes)), head)
  })
})
