import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import { type Headers, HeadReader, type HttpHead } from "../../src/handshake/HttpHead.ts"
import {
  buildRequest,
  type HandshakeRequest,
  parseRequest,
  parseRequestLine,
  type Rejection
} from "../../src/handshake/Request.ts"
import { buildDenial } from "../../src/handshake/Response.ts"
import { parseUrl, type WebSocketUrl } from "../../src/handshake/WebSocketUrl.ts"

const key = "dGhlIHNhbXBsZSBub25jZQ=="
const versions = [13, 8]

// RFC 6455 section 1.2.
const rfcHeaders: Headers = [
  ["Host", "server.example.com"],
  ["Upgrade", "websocket"],
  ["Connection", "Upgrade"],
  ["Sec-WebSocket-Key", key],
  ["Origin", "http://example.com"],
  ["Sec-WebSocket-Protocol", "chat, superchat"],
  ["Sec-WebSocket-Version", "13"]
]

/** The headers of the RFC without those of that name, then one for each value. */
const withHeader = (name: string, ...values: ReadonlyArray<string>): Headers => [
  ...rfcHeaders.filter(([key]) => key !== name),
  ...values.map((value) => [name, value] as const)
]

const parse = (headers: Headers, target = "/chat", method = "GET") =>
  parseRequest({ method, target, headers }, { versions })

const accepted = (result: Result.Result<HandshakeRequest, Rejection>): HandshakeRequest => {
  if (Result.isFailure(result)) return assert.fail(JSON.stringify(result.failure))
  return result.success
}

const rejected = <A>(result: Result.Result<A, Rejection>): Rejection => {
  if (Result.isSuccess(result)) return assert.fail(`accepted: ${JSON.stringify(result.success)}`)
  // Every rejection can be sent as it is.
  const { status, reason, headers } = result.failure
  const denial = buildDenial({ status, reason, headers, body: new Uint8Array(0) })
  assert.isTrue(Result.isSuccess(denial))
  return result.failure
}

describe("parseRequestLine", () => {
  for (const target of ["/", "/chat", "/a?b=c", "ws://example.com/", "/%00"]) {
    it(`reads GET ${target}`, () => {
      assert.deepStrictEqual(
        parseRequestLine(`GET ${target} HTTP/1.1`),
        Result.succeed({ method: "GET", target })
      )
    })
  }

  it("accepts later minor versions", () => {
    assert.isTrue(Result.isSuccess(parseRequestLine("GET / HTTP/1.2")))
    assert.isTrue(Result.isSuccess(parseRequestLine("GET / HTTP/1.9")))
  })

  const invalid: ReadonlyArray<readonly [line: string, status: number]> = [
    ["", 400],
    ["GET", 400],
    ["GET /", 400],
    ["GET / ", 400],
    ["GET  HTTP/1.1", 400],
    ["GET  / HTTP/1.1", 400],
    ["GET /  HTTP/1.1", 400],
    ["GET / HTTP/1.1 ", 400],
    [" GET / HTTP/1.1", 400],
    ["GET / a HTTP/1.1", 400],
    ["GET\t/ HTTP/1.1", 400],
    ["GET /a#b HTTP/1.1", 400],
    ["GET /\xe9 HTTP/1.1", 400],
    ["GET /\x0b HTTP/1.1", 400],
    ["G(T / HTTP/1.1", 400],
    ["GET / http/1.1", 400],
    ["GET / HTTP/1", 400],
    ["GET / HTTP/1.", 400],
    ["GET / HTTP/1.10", 400],
    ["GET / HTTP/11.1", 400],
    ["GET / HTTP/1.1\n", 400],
    ["GET / HTTPS/1.1", 400],
    ["GET / HTTP/0.9", 505],
    ["GET / HTTP/1.0", 505],
    ["GET / HTTP/2.0", 505],
    ["GET / HTTP/3.0", 505],
    ["POST / HTTP/1.0", 505],
    ["POST / HTTP/1.1", 405],
    ["get / HTTP/1.1", 405],
    ["CONNECT / HTTP/1.1", 405],
    ["HEAD / HTTP/1.1", 405]
  ]
  for (const [line, status] of invalid) {
    it(`answers ${status} to ${JSON.stringify(line)}`, () => {
      assert.strictEqual(rejected(parseRequestLine(line)).status, status)
    })
  }

  it("names the allowed method", () => {
    assert.deepStrictEqual(rejected(parseRequestLine("PUT / HTTP/1.1")).headers, [["Allow", "GET"]])
  })
})

describe("parseRequest", () => {
  it("accepts the request of RFC 6455 section 1.2", () => {
    const request = accepted(parse(rfcHeaders))
    assert.deepStrictEqual(
      { ...request, params: { ...request.params } },
      {
        method: "GET",
        target: "/chat",
        path: "/chat",
        params: {},
        host: "server.example.com",
        headers: rfcHeaders,
        key,
        version: 13,
        origin: "http://example.com",
        protocols: ["chat", "superchat"],
        extensions: []
      }
    )
  })

  it("accepts the least a client must send", () => {
    const request = accepted(
      parse([
        ["host", "a"],
        ["upgrade", "WebSocket"],
        ["connection", "keep-alive, UPGRADE"],
        ["sec-websocket-key", key],
        ["sec-websocket-version", "13"]
      ])
    )
    assert.strictEqual(request.origin, undefined)
    assert.deepStrictEqual(request.protocols, [])
    assert.deepStrictEqual(request.extensions, [])
  })

  it("answers 405 to another method", () => {
    const rejection = rejected(parse(rfcHeaders, "/", "POST"))
    assert.strictEqual(rejection.status, 405)
    assert.deepStrictEqual(rejection.headers, [["Allow", "GET"]])
  })

  const targets: ReadonlyArray<
    readonly [target: string, path: string, params: Record<string, ReadonlyArray<string>>]
  > = [
    ["/", "/", {}],
    ["/a?foo=1&foo=2", "/a", { foo: ["1", "2"] }],
    ["/a?", "/a", {}],
    ["/a?b=c?d", "/a", { b: ["c?d"] }],
    ["/a%20b?c%20d=%26+e", "/a%20b", { "c d": ["& e"] }],
    ["/?x&y=&=z", "/", { x: [""], y: [""], "": ["z"] }],
    ["/?x=%zz&y=%ff", "/", { x: ["%zz"], y: ["\ufffd"] }],
    ["//evil.example/a", "//evil.example/a", {}],
    ["/../a/./b", "/../a/./b", {}],
    ["http://example.com", "/", {}],
    ["HTTPS://example.com:8443/a?b=1", "/a", { b: ["1"] }],
    ["ws://example.com/a?b=/c", "/a", { b: ["/c"] }],
    ["wss://[::1]:1?b=1", "/", { b: ["1"] }],
    ["/??a=1&?", "/", { "?a": ["1"], "?": [""] }]
  ]
  for (const [target, path, params] of targets) {
    it(`reads the target ${target}`, () => {
      const request = accepted(parse(rfcHeaders, target))
      assert.strictEqual(request.target, target)
      assert.strictEqual(request.path, path)
      assert.deepStrictEqual({ ...request.params }, params)
    })
  }

  it("reads parameters named like members of a prototype", () => {
    const { params } = accepted(parse(rfcHeaders, "/?__proto__=1&constructor=2&toString=3&__proto__=4"))
    assert.strictEqual(Object.getPrototypeOf(params), null)
    assert.deepStrictEqual(Object.entries(params), [
      ["__proto__", ["1", "4"]],
      ["constructor", ["2"]],
      ["toString", ["3"]]
    ])
    assert.strictEqual(accepted(parse(rfcHeaders, "/")).params["toString"], undefined)
  })

  const badTargets = [
    "",
    "*",
    "chat",
    "?a=b",
    "/a#b",
    "/a#",
    "/a b",
    "/a\tb",
    "/a\r\nb",
    "/\0",
    "/\x7f",
    "/\xe9",
    "/\u2028",
    "ftp://example.com/",
    "file:///etc/passwd",
    "example.com:80",
    "http:/example.com",
    "http://",
    "http:///a",
    "http://?a",
    "http://user@example.com/",
    "http://example.com:0/",
    "http://example.com:99999/",
    "http://[::1/",
    "javascript://example.com/"
  ]
  for (const target of badTargets) {
    it(`answers 400 to the target ${JSON.stringify(target)}`, () => {
      assert.strictEqual(rejected(parse(rfcHeaders, target)).status, 400)
    })
  }

  const hosts = [
    "example.com",
    "EXAMPLE.com:1",
    "example.com.:65535",
    "localhost:08080",
    "127.0.0.1",
    "a_b~c!$&'()*+,;=-",
    "%41b",
    "[::1]",
    "[::1]:80",
    "[2001:db8::ffff:1.2.3.4]:443"
  ]
  for (const host of hosts) {
    it(`accepts the Host ${host}`, () => {
      assert.strictEqual(accepted(parse(withHeader("Host", host))).host, host)
    })
  }

  const badHosts: ReadonlyArray<ReadonlyArray<string>> = [
    [],
    ["a", "a"],
    [""],
    [":80"],
    ["a:"],
    ["a:0"],
    ["a:65536"],
    ["a:123456"],
    ["a:8o"],
    ["a:-1"],
    ["a:1:2"],
    ["a b"],
    ["a/b"],
    ["a?b"],
    ["a#b"],
    ["a@b"],
    ["a\\b"],
    ["a<b"],
    ["a%4"],
    ["a%zz"],
    ["\xe9"],
    ["::1"],
    ["[]"],
    ["["],
    ["[::1"],
    ["[::1]a"],
    ["[::1]a:80"],
    ["[::1]:"],
    ["[::g]"],
    ["[1::2::3]"],
    ["[1.2.3.4]"],
    ["[v1.a]"],
    ["[fe80::1%25eth0]"],
    ["a]"],
    ["a[::1]"]
  ]
  for (const values of badHosts) {
    it(`answers 400 to the Host ${JSON.stringify(values)}`, () => {
      assert.strictEqual(rejected(parse(withHeader("Host", ...values))).status, 400)
    })
  }

  for (const values of [["websocket"], ["WEBSOCKET"], ["h2c, websocket"], ["h2c/1", "WebSocket"]]) {
    it(`accepts the Upgrade ${JSON.stringify(values)}`, () => {
      accepted(parse(withHeader("Upgrade", ...values)))
    })
  }
  for (const values of [
    [],
    [""],
    ["h2c"],
    ["websocket/13"],
    ["web socket"],
    ["xwebsocket"],
    ["websoc\u212aet"]
  ]) {
    it(`answers 426 to the Upgrade ${JSON.stringify(values)}`, () => {
      const rejection = rejected(parse(withHeader("Upgrade", ...values)))
      assert.strictEqual(rejection.status, 426)
      assert.deepStrictEqual(rejection.headers, [["Upgrade", "websocket"]])
    })
  }

  for (const values of [["upgrade"], ["keep-alive, Upgrade"], ["keep-alive", "UPGRADE"], [", upgrade,"]]) {
    it(`accepts the Connection ${JSON.stringify(values)}`, () => {
      accepted(parse(withHeader("Connection", ...values)))
    })
  }
  for (const values of [[], [""], ["keep-alive"], ["upgraded"], ["upgrade keep-alive"], ["upgrade, a b"]]) {
    it(`answers 400 to the Connection ${JSON.stringify(values)}`, () => {
      assert.strictEqual(rejected(parse(withHeader("Connection", ...values))).status, 400)
    })
  }

  it("accepts each of the server's versions", () => {
    assert.strictEqual(accepted(parse(withHeader("Sec-WebSocket-Version", "13"))).version, 13)
    assert.strictEqual(accepted(parse(withHeader("Sec-WebSocket-Version", "8"))).version, 8)
    const headers = withHeader("Sec-WebSocket-Version", "255")
    const result = parseRequest({ method: "GET", target: "/", headers }, { versions: [255, 0] })
    assert.strictEqual(accepted(result).version, 255)
  })
  const badVersions = [
    [],
    ["13", "13"],
    ["13", "8"],
    ["13, 8"],
    [""],
    ["0"],
    ["7"],
    ["14"],
    ["013"],
    ["+13"],
    ["-13"],
    ["13.0"],
    ["1e1"],
    ["0xd"],
    ["256"],
    ["1300"],
    ["\u0661\u0663"],
    ["13\n"]
  ]
  for (const values of badVersions) {
    it(`answers 400 to the version ${JSON.stringify(values)}`, () => {
      const rejection = rejected(parse(withHeader("Sec-WebSocket-Version", ...values)))
      assert.strictEqual(rejection.status, 400)
      assert.deepStrictEqual(rejection.headers, [["Sec-WebSocket-Version", "13, 8"]])
    })
  }

  for (const value of [
    key,
    "AQIDBAUGBwgJCgsMDQ4PEA==",
    "x3JJHMbDL1EzLkh9GBhXDw==",
    "++++//////////////////=="
  ]) {
    it(`accepts the key ${value}`, () => {
      assert.strictEqual(accepted(parse(withHeader("Sec-WebSocket-Key", value))).key, value)
    })
  }
  const badKeys = [
    [],
    [key, key],
    [""],
    ["dGhlIHNhbXBsZSBub25jZQ="],
    ["dGhlIHNhbXBsZSBub25jZQ"],
    ["dGhlIHNhbXBsZSBub25jZQA="],
    ["dGhlIHNhbXBsZSBub25jZQAA"],
    ["dGhlIHNhbXBsZSBub25jZ==="],
    ["dGhlIHNhbXBsZSBub25jZQ==AAAA"],
    ["dGhlIHNhbXBsZSBub2-_ZQ=="],
    ["dGhlIHNhbXBs ZSBub25jZQ=="],
    ["dGhlIHNhbXBsZSBub25jZQ==\n"],
    [` ${key}`],
    [`${key}, ${key}`]
  ]
  for (const values of badKeys) {
    it(`answers 400 to the key ${JSON.stringify(values)}`, () => {
      assert.strictEqual(rejected(parse(withHeader("Sec-WebSocket-Key", ...values))).status, 400)
    })
  }

  it("joins the subprotocols of several headers in order", () => {
    const headers = withHeader("Sec-WebSocket-Protocol", "b", "a,\tc , __proto__")
    assert.deepStrictEqual(accepted(parse(headers)).protocols, ["b", "a", "c", "__proto__"])
  })
  it("tells subprotocols apart by case", () => {
    assert.deepStrictEqual(accepted(parse(withHeader("Sec-WebSocket-Protocol", "a, A"))).protocols, [
      "a",
      "A"
    ])
  })
  for (const values of [
    [""],
    ["a,"],
    [",a"],
    ["a,,b"],
    ["a", ""],
    ["a b"],
    ["a/b"],
    ["a, a"],
    ["a", "a"],
    ["\xe9"]
  ]) {
    it(`answers 400 to the subprotocols ${JSON.stringify(values)}`, () => {
      assert.strictEqual(rejected(parse(withHeader("Sec-WebSocket-Protocol", ...values))).status, 400)
    })
  }

  it("joins the extensions of several headers in order", () => {
    const headers = withHeader("Sec-WebSocket-Extensions", "foo; a=1", "bar, constructor")
    assert.deepStrictEqual(accepted(parse(headers)).extensions, [
      { name: "foo", parameters: [{ name: "a", value: "1" }] },
      { name: "bar", parameters: [] },
      { name: "constructor", parameters: [] }
    ])
  })
  it("answers 400 to malformed extensions", () => {
    for (const value of ["a;", "a b", "=", 'a;b="']) {
      assert.strictEqual(rejected(parse(withHeader("Sec-WebSocket-Extensions", value))).status, 400)
    }
  })

  it("takes one Origin, whatever it says", () => {
    for (const origin of ["null", "https://example.com:1", "", "file://"]) {
      assert.strictEqual(accepted(parse(withHeader("Origin", origin))).origin, origin)
    }
    assert.strictEqual(rejected(parse(withHeader("Origin", "null", "null"))).status, 400)
  })
  it("reads Sec-WebSocket-Origin for version 8", () => {
    const headers: Headers = [
      ...withHeader("Sec-WebSocket-Version", "8"),
      ["Sec-WebSocket-Origin", "http://draft.example"]
    ]
    assert.strictEqual(accepted(parse(headers)).origin, "http://draft.example")
    assert.strictEqual(rejected(parse([...headers, ["Sec-WebSocket-Origin", "b"]])).status, 400)
    assert.strictEqual(
      accepted(parse([...rfcHeaders, ["Sec-WebSocket-Origin", "http://draft.example"]])).origin,
      "http://example.com"
    )
  })
  it("reads Origin for version 8 without Sec-WebSocket-Origin", () => {
    const headers = withHeader("Sec-WebSocket-Version", "8")
    assert.strictEqual(accepted(parse(headers)).origin, "http://example.com")
    assert.strictEqual(rejected(parse([...headers, ["Origin", "http://example.com"]])).status, 400)
    const without = headers.filter(([name]) => name !== "Origin")
    assert.strictEqual(accepted(parse(without)).origin, undefined)
  })

  it("answers 400 to a request with a body", () => {
    accepted(parse([...rfcHeaders, ["Content-Length", "0"]]))
    for (const value of ["1", "", "-1", "0, 1", "x"]) {
      assert.strictEqual(rejected(parse([...rfcHeaders, ["Content-Length", value]])).status, 400)
    }
    assert.strictEqual(rejected(parse([...rfcHeaders, ["Transfer-Encoding", "chunked"]])).status, 400)
    assert.strictEqual(rejected(parse([...rfcHeaders, ["Transfer-Encoding", "identity"]])).status, 400)
  })

  it("gives an answer to megabytes", () => {
    const long = "a".repeat(1 << 20)
    assert.strictEqual(accepted(parse(rfcHeaders, `/${long}`)).path.length, long.length + 1)
    assert.strictEqual(accepted(parse(withHeader("Host", long))).host, long)
    assert.strictEqual(accepted(parse(withHeader("Host", "%41".repeat(1 << 20)))).host.length, 3 << 20)
    for (const value of [
      `${long} `,
      `[${"1".repeat(1 << 20)}]`,
      `a:${"1".repeat(1 << 20)}`,
      "%".repeat(1 << 20)
    ]) {
      assert.strictEqual(rejected(parse(withHeader("Host", value))).status, 400)
    }
    const offers = Array.from({ length: 50_000 }, (_, i) => `p${i}`)
    const headers = withHeader("Sec-WebSocket-Protocol", offers.join(","))
    assert.strictEqual(accepted(parse(headers)).protocols.length, offers.length)
    const query = `/?${"a=1&".repeat(50_000)}`
    assert.strictEqual(accepted(parse(rfcHeaders, query)).params["a"]?.length, 50_000)
    assert.strictEqual(rejected(parseRequestLine(" ".repeat(1 << 20))).status, 400)
  })
})

const url = (text: string): WebSocketUrl => {
  const result = parseUrl(text)
  if (Result.isFailure(result)) return assert.fail(result.failure.message)
  return result.success
}

type RequestOptions = Parameters<typeof buildRequest>[0]

const plain: RequestOptions = {
  url: url("ws://server.example.com/chat"),
  key,
  version: 13,
  protocols: [],
  extensions: undefined,
  origin: undefined,
  userAgent: undefined,
  headers: []
}

const built = (options: Partial<RequestOptions>): string => {
  const result = buildRequest({ ...plain, ...options })
  if (Result.isFailure(result)) return assert.fail(result.failure)
  return String.fromCharCode(...result.success)
}

const refused = (options: Partial<RequestOptions>): string => {
  const result = buildRequest({ ...plain, ...options })
  if (Result.isSuccess(result)) return assert.fail("built")
  return result.failure
}

const readBack = (bytes: Uint8Array): HttpHead => {
  const result = new HeadReader({ maxBytes: 8192, maxHeaders: 64 }).push(bytes)
  if (result._tag !== "Complete") return assert.fail(result._tag)
  assert.strictEqual(result.rest.length, 0)
  return result.head
}

describe("buildRequest", () => {
  it("writes the least", () => {
    assert.strictEqual(
      built({}),
      "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
  })

  it("writes everything, in order", () => {
    assert.strictEqual(
      built({
        url: url("wss://[::1]:8443/a?b=c"),
        protocols: ["chat", "superchat"],
        extensions: "permessage-deflate; client_max_window_bits",
        origin: "http://example.com",
        userAgent: "test/1",
        headers: [
          ["X-A", "1"],
          ["X-A", "caf\xe9"]
        ]
      }),
      "GET /a?b=c HTTP/1.1\r\nHost: [::1]:8443\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" +
        "Sec-WebSocket-Protocol: chat, superchat\r\n" +
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n" +
        "Origin: http://example.com\r\nUser-Agent: test/1\r\nX-A: 1\r\nX-A: caf\xe9\r\n\r\n"
    )
  })

  it("writes Sec-WebSocket-Origin for version 8", () => {
    const text = built({ version: 8, origin: "http://example.com" })
    assert.include(text, "\r\nSec-WebSocket-Version: 8\r\nSec-WebSocket-Origin: http://example.com\r\n")
    assert.notInclude(text, "\r\nOrigin:")
  })

  for (const version of [13, 8]) {
    it(`writes what parseRequest accepts, version ${version}`, () => {
      const options = {
        ...plain,
        url: url("ws://example.com:9000/a?b=1"),
        version,
        protocols: ["x", "y"],
        extensions: "foo; bar=1",
        origin: "https://example.com",
        headers: [["Cookie", "a=b"]] as const
      }
      const head = readBack(Result.getOrThrow(buildRequest(options)))
      const line = Result.getOrThrow(parseRequestLine(head.startLine))
      const request = accepted(parseRequest({ ...line, headers: head.headers }, { versions }))
      assert.strictEqual(request.path, "/a")
      assert.deepStrictEqual({ ...request.params }, { b: ["1"] })
      assert.strictEqual(request.host, "example.com:9000")
      assert.strictEqual(request.key, key)
      assert.strictEqual(request.version, version)
      assert.strictEqual(request.origin, "https://example.com")
      assert.deepStrictEqual(request.protocols, ["x", "y"])
      assert.deepStrictEqual(request.extensions, [{ name: "foo", parameters: [{ name: "bar", value: "1" }] }])
    })
  }

  it("lets an extra header be the Origin or User-Agent that the options leave out", () => {
    const text = built({
      headers: [
        ["Origin", "null"],
        ["User-Agent", "x"]
      ]
    })
    assert.include(text, "\r\nOrigin: null\r\nUser-Agent: x\r\n")
  })

  const owned = [
    "Host",
    "UPGRADE",
    "connection",
    "Content-Length",
    "Transfer-Encoding",
    "Sec-WebSocket-Key",
    "sec-websocket-protocol",
    "Sec-WebSocket-Extensions",
    "Sec-WebSocket-Anything"
  ]
  for (const name of owned) {
    it(`refuses the extra header ${name}`, () => {
      assert.include(refused({ headers: [[name, "1"]] }), name)
    })
  }

  const failures: ReadonlyArray<readonly [why: string, options: Partial<RequestOptions>, text: string]> = [
    ["a second Origin", { origin: "a", headers: [["origin", "b"]] }, "origin"],
    ["a second User-Agent", { userAgent: "a", headers: [["user-agent", "b"]] }, "user-agent"],
    ["a header name with a space", { headers: [["X A", "1"]] }, "X A"],
    ["an empty header name", { headers: [["", "1"]] }, "name"],
    ["a header name with CRLF", { headers: [["X-A: 1\r\nX-B", "1"]] }, "name"],
    ["a header value with CRLF", { headers: [["X-A", "1\r\nX-B: 1"]] }, "X-A"],
    ["a header value with VT", { headers: [["X-A", "a\x0bX-Admin: 1"]] }, "X-A"],
    ["a header value beyond latin1", { headers: [["X-A", "\u20ac"]] }, "X-A"],
    ["equal subprotocols", { protocols: ["a", "a"] }, "subprotocols"],
    ["an empty subprotocol", { protocols: [""] }, "subprotocols"],
    ["a subprotocol with a comma", { protocols: ["a,b"] }, "subprotocols"],
    ["a subprotocol with CRLF", { protocols: ["a\r\nX-A: 1"] }, "subprotocols"],
    ["an Origin with LF", { origin: "a\nb" }, "Origin"],
    ["a User-Agent with NUL", { userAgent: "a\0" }, "User-Agent"],
    ["malformed extensions", { extensions: "a;" }, "Sec-WebSocket-Extensions"],
    ["extensions with CRLF", { extensions: "a\r\nX-A: 1" }, "Sec-WebSocket-Extensions"],
    ["a key that is none", { key: "a\r\n" }, "key"],
    ["a version that is none", { version: 13.5 }, "version"],
    ["a version out of range", { version: 256 }, "version"],
    ["a resource with CRLF", { url: { ...plain.url, resource: "/\r\nX-A: 1" } }, "resource"],
    ["a resource with a space", { url: { ...plain.url, resource: "/a b" } }, "resource"],
    ["a resource without a slash", { url: { ...plain.url, resource: "" } }, "resource"],
    ["a host with CRLF", { url: { ...plain.url, hostHeader: "a\r\nX-A: 1" } }, "host"]
  ]
  for (const [why, options, text] of failures) {
    it(`refuses ${why}`, () => {
      assert.include(refused(options), text)
    })
  }
})
