import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { ServerOptions } from "effect-websocket"
import { acceptFor, exampleKey, requestHead } from "../support/RawPeer.ts"
import { serveRaw } from "../support/rawHttp.ts"

type Lines = Readonly<Record<string, string | ReadonlyArray<string> | undefined>>

/** What a request is answered with, without the application being asked. */
interface Refused {
  readonly rule: string
  readonly request: string
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly options?: ServerOptions.ServerOptionsInput
}

const itRefuses = (cases: ReadonlyArray<Refused>): void => {
  for (const { headers = {}, options, request, rule, status } of cases) {
    it.effect(`${rule} -> ${status}`, () =>
      Effect.gen(function* () {
        for (const network of [undefined, { chunkSize: 1 }]) {
          const server = yield* serveRaw(options, undefined, { network })
          const refusal = yield* server.refusal(request)
          assert.strictEqual(refusal.status, status)
          assert.deepInclude(refusal.headers, headers)
          assert.notProperty(refusal.headers, "sec-websocket-accept")
          assert.isEmpty(server.requests, "the application is not asked")
          yield* server.goesOn
        }
      })
    )
  }
}

const itAccepts = (
  cases: ReadonlyArray<readonly [rule: string, request: string]>,
  options?: ServerOptions.ServerOptionsInput
): void => {
  for (const [rule, request] of cases) {
    it.effect(`${rule} -> 101`, () =>
      Effect.gen(function* () {
        for (const network of [undefined, { chunkSize: 1 }]) {
          const server = yield* serveRaw(options, undefined, { network })
          yield* server.acceptance(request)
          assert.lengthOf(server.requests, 1)
        }
      })
    )
  }
}

const withLines = (lines: Lines) => requestHead(lines)
const values = (header: string, all: ReadonlyArray<string | ReadonlyArray<string> | undefined>) =>
  all.map((value) => [`${header}: ${JSON.stringify(value)}`, withLines({ [header]: value })] as const)
const refused = (
  cases: ReadonlyArray<readonly [rule: string, request: string]>,
  status: number,
  headers?: Readonly<Record<string, string>>
) => cases.map(([rule, request]): Refused => ({ rule, request, status, ...(headers && { headers }) }))

describe("RFC 6455 section 4.2.1, item 1: a GET of HTTP/1.1 or higher with a request target", () => {
  const line = (text: string) => [text, requestHead({}, text)] as const
  itAccepts([
    line("GET / HTTP/1.1"),
    line("GET /chat HTTP/1.2"),
    line("GET /chat?room=1&room=2 HTTP/1.1"),
    line("GET http://test/chat HTTP/1.1"),
    line("GET ws://test:8080?x HTTP/1.1"),
    line("GET WSS://test/ HTTP/1.1")
  ])
  const methods = ["POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PRI", "get", "Get"]
  itRefuses(
    refused(
      methods.map((method) => line(`${method} / HTTP/1.1`)),
      405,
      { allow: "GET" }
    )
  )
  itRefuses(
    refused(
      ["HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/3.0"].map((v) => line(`GET / ${v}`)),
      505
    )
  )
  const malformed = [
    "GET /",
    "GET",
    "GET  / HTTP/1.1",
    "GET /  HTTP/1.1",
    " GET / HTTP/1.1",
    "GET / HTTP/1.1 ",
    "GET /a b HTTP/1.1",
    "GET / http/1.1",
    "GET / HTTP/1",
    "GET / HTTP/1.10",
    "GET / HTTP/11",
    "GET / XTTP/1.1",
    "GET\t/\tHTTP/1.1",
    "G@T / HTTP/1.1",
    "HTTP/1.1 200 OK"
  ]
  itRefuses(refused(malformed.map(line), 400))
  const targets = [
    "*",
    "chat",
    "test:80",
    "ftp://test/",
    "http:///chat",
    "http://",
    "/a#b",
    "http://user@test/",
    "/\xe4"
  ]
  itRefuses(
    refused(
      targets.map((target) => line(`GET ${target} HTTP/1.1`)),
      400
    )
  )
})

describe("RFC 6455 section 4.2.1, item 2: Host", () => {
  itAccepts(
    values("Host", [
      "test",
      "test:8080",
      "127.0.0.1",
      "[::1]",
      "[2001:db8::1]:443",
      "a.example",
      "TEST",
      "a_b"
    ])
  )
  const wrong = [
    undefined,
    "",
    ["test", "test"],
    ["test", "other"],
    "a b",
    "test/",
    "user@test",
    "test:",
    "test:0",
    "test:65536",
    "test:x",
    "[::1",
    "::1",
    "test, other",
    "t\xe4st",
    "%zz"
  ]
  itRefuses(refused(values("Host", wrong), 400))
})

describe("RFC 6455 section 4.2.1, item 3: Upgrade", () => {
  const lists = [
    "websocket",
    "WebSocket",
    "WEBSOCKET",
    "h2c, websocket",
    "websocket,h2c",
    "foo/1.0 , websocket"
  ]
  itAccepts(values("Upgrade", [...lists, ["h2c", "websocket"], ",websocket,"]))

  const none = [
    undefined,
    "",
    "h2c",
    "websockets",
    "web socket",
    "websocket/13",
    '"websocket"',
    "websocket;q=1"
  ]
  itRefuses(
    refused(values("Upgrade", none), 426, { upgrade: "websocket", connection: "close, Upgrade" }).map(
      (one) => ({
        ...one,
        options: { webStatus: false }
      })
    )
  )
  itRefuses(
    refused(values("Upgrade", none), 200, { "content-type": "text/html; charset=utf-8" }).map((one) => ({
      ...one,
      rule: `${one.rule}, webStatus`
    }))
  )
  itRefuses([
    {
      rule: "a POST without Upgrade gets no status page",
      request: requestHead({ Upgrade: undefined }, "POST / HTTP/1.1"),
      status: 405
    },
    {
      rule: "a request without Upgrade and Host gets no status page",
      request: requestHead({ Upgrade: undefined, Host: undefined }),
      status: 400
    }
  ])
})

describe("RFC 6455 section 4.2.1, item 4: Connection", () => {
  const lists = ["Upgrade", "upgrade", "UPGRADE", "keep-alive, Upgrade", "Upgrade,keep-alive", ", upgrade ,"]
  itAccepts(values("Connection", [...lists, ["keep-alive", "Upgrade"]]))
  const none = [
    undefined,
    "",
    "close",
    "keep-alive",
    "upgrades",
    "Up grade",
    '"Upgrade"',
    "keep-alive; Upgrade"
  ]
  itRefuses(refused(values("Connection", none), 400))
})

describe("RFC 6455 section 4.2.1, item 5: Sec-WebSocket-Key, base64 of 16 bytes", () => {
  const keys = ["AAAAAAAAAAAAAAAAAAAAAA==", "/////////////////////w==", "x3JJHMbDL1EzLkh9GBhXDw=="]
  for (const key of keys) {
    it.effect(`${key} -> 101 with the accept key ${acceptFor(key)}`, () =>
      Effect.gen(function* () {
        const server = yield* serveRaw()
        yield* server.acceptance(requestHead({ "Sec-WebSocket-Key": key }), key)
      })
    )
  }
  itAccepts([
    ["white space around it", withLines({ "Sec-WebSocket-Key": ` \t${exampleKey}\t ` })],
    ["no white space before it", requestHead().replace(/(Key:) /, "$1")]
  ])
  const wrong = [
    undefined,
    "",
    [exampleKey, exampleKey],
    `${exampleKey}, ${exampleKey}`,
    "dGhlIHNhbXBsZSBub25jZQ",
    "dGhlIHNhbXBsZSBub25jZQ=",
    "dGhlIHNhbXBsZSBub25jZQ===",
    // 15, 17, 18 and 0 bytes
    "dGhlIHNhbXBsZSBub25j",
    "dGhlIHNhbXBsZSBub25jZWE=",
    "dGhlIHNhbXBsZSBub25jZWFh",
    "====",
    "dGhlIHNhbXBsZSBub25jZ-==",
    "dGhlIHNhbXBsZSBub25jZ_==",
    "dGhlIHNhbXBsZSBu b25jZQ==",
    "dGhlIHNhbXBsZSBub25j=ZQ=",
    "dGhlIHNhbXBsZSBub25jZ\xe4=="
  ]
  itRefuses(refused(values("Sec-WebSocket-Key", wrong), 400))
})

describe("RFC 6455 sections 4.2.1, item 6, and 4.4: Sec-WebSocket-Version", () => {
  const header = "Sec-WebSocket-Version"
  itAccepts(values(header, ["13", " 13\t", "8"]))
  itAccepts(values(header, ["8"]), { versions: [8] })
  const wrong = [
    undefined,
    "",
    "7",
    "14",
    "12",
    "0",
    "013",
    "08",
    "13.0",
    "+13",
    "-13",
    "256",
    "130",
    "1e1",
    "thirteen",
    "13, 8",
    ["13", "13"],
    ["13", "8"]
  ]
  itRefuses(refused(values(header, wrong), 400, { "sec-websocket-version": "13, 8" }))
  itRefuses(
    refused(values(header, ["8", "7"]), 400, { "sec-websocket-version": "13" }).map((one) => ({
      ...one,
      rule: `${one.rule}, where only 13 is spoken`,
      options: { versions: [13] }
    }))
  )
})

describe("RFC 6455 section 4.2.1, items 7 to 10: optional headers", () => {
  itRefuses([
    ...refused(values("Origin", [["http://a", "http://b"]]), 400),
    ...refused(
      values("Sec-WebSocket-Protocol", [
        "",
        "a b",
        "chat, chat",
        ["chat", "chat"],
        "ch@t",
        "chat;",
        '"chat"',
        "ch\xe4t",
        "a/b"
      ]),
      400
    ),
    ...refused(
      values("Sec-WebSocket-Extensions", [
        ";",
        "a;",
        "a; ;b",
        "a; b=",
        'a; b="',
        'a; b="c',
        'a; b="c d"',
        "a b",
        "a; b=c d",
        "=",
        "a, b=c",
        "\xe4"
      ]),
      400
    )
  ])

  it.effect("the application sees what they say", () =>
    Effect.gen(function* () {
      const server = yield* serveRaw()
      yield* server.acceptance(
        requestHead(
          {
            Host: "test:8080",
            Origin: "http://example.com",
            "Sec-WebSocket-Protocol": ["chat, superchat", "Chat"],
            "Sec-WebSocket-Extensions": ["a; b=1;c", 'd; e="f", g'],
            Cookie: "sid=1",
            "X-Twice": ["1", "2"]
          },
          "GET /a%20b/c?room=1&room=%C3%A4&empty&__proto__=x HTTP/1.1"
        )
      )
      const [request] = server.requests
      assert.strictEqual(request?.host, "test:8080")
      assert.strictEqual(request?.path, "/a%20b/c")
      assert.deepStrictEqual(
        Object.entries(request?.params ?? {}),
        Object.entries({ room: ["1", "\u00e4"], empty: [""], ["__proto__"]: ["x"] })
      )
      assert.strictEqual(request?.version, 13)
      assert.strictEqual(request?.origin, "http://example.com")
      assert.deepStrictEqual(request?.protocols, ["chat", "superchat", "Chat"])
      assert.deepStrictEqual(request?.extensions, ["a; b=1; c", "d; e=f", "g"])
      assert.strictEqual(request?.headers["cookie"], "sid=1")
      assert.strictEqual(request?.headers["x-twice"], "1, 2")
    })
  )

  it.effect("without them it sees none", () =>
    Effect.gen(function* () {
      const server = yield* serveRaw()
      yield* server.acceptance(requestHead())
      const [request] = server.requests
      assert.deepInclude(request, {
        origin: undefined,
        protocols: [],
        extensions: [],
        path: "/",
        host: "test"
      })
    })
  )

  it.effect("the origin of a client of version 8 is Sec-WebSocket-Origin", () =>
    Effect.gen(function* () {
      const server = yield* serveRaw()
      yield* server.acceptance(
        requestHead({
          "Sec-WebSocket-Version": "8",
          "Sec-WebSocket-Origin": "http://old",
          Origin: "http://new"
        })
      )
      assert.deepInclude(server.requests[0], { version: 8, origin: "http://old" })
    })
  )
})

describe("RFC 6455 section 4.2.1 and RFC 7230: the request's head", () => {
  const valid = requestHead({ Origin: "http://a" })
  itAccepts([
    ["header names in lower case", valid.replace(/^[A-Za-z-]+:/gm, (name) => name.toLowerCase())],
    ["header names in upper case", valid.replace(/^[A-Za-z-]+:/gm, (name) => name.toUpperCase())],
    [
      "headers in another order",
      ["GET / HTTP/1.1", ...valid.trim().split("\r\n").slice(1).reverse(), "", ""].join("\r\n")
    ],
    [
      "values in tabs and spaces, or right after the colon",
      valid.replaceAll(": ", ":").replace("Host:", "Host:\t ")
    ],
    ["unknown headers", withLines({ "X-A": "1", "X-B": ["", "2"], "X-C": "caf\xe9 \x80\xff" })],
    ["a Content-Length of 0", withLines({ "Content-Length": "0" })]
  ])
  const after = (line: string) => valid.replace("\r\n\r\n", `\r\n${line}\r\n\r\n`)
  itRefuses(
    refused(
      [
        ["lines that end in LF", valid.replaceAll("\r\n", "\n")],
        ["a line that ends in CR", valid.replace("test\r\n", "test\r")],
        ["a line that ends in LF", valid.replace("test\r\n", "test\n")],
        ["a blank line of LF", valid.replace(/\r\n\r\n$/, "\r\n\n")],
        ["a blank line first", `\r\n${valid}`],
        ["a line without a colon", after("X-A")],
        ["a header without a name", after(": x")],
        ["a space before the colon", after("X-A : x")],
        ["a folded line", after("X-A: x\r\n y")],
        ["a folded line with a tab", after("X-A: x\r\n\ty")],
        ["NUL in a value", after("X-A: x\0y")],
        ["a vertical tab in a value", after("X-A: x\x0by")],
        ["a CR in a value", after("X-A: x\ry")],
        ["DEL in a value", after("X-A: x\x7f")],
        ["a name that is no token", after("X@A: x")],
        ["a name beyond ASCII", after("X-\xc4: x")],
        ["a body", `${withLines({ "Content-Length": "5" })}hello`],
        ["a body in chunks", `${withLines({ "Transfer-Encoding": "chunked" })}0\r\n\r\n`],
        ["no HTTP", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"]
      ],
      400
    )
  )

  const many = (count: number) =>
    requestHead(Object.fromEntries(Array.from({ length: count - 5 }, (_, i) => [`X-${i}`, ""])))
  const large = (size: number) => withLines({ "X-A": "x".repeat(size - requestHead({ "X-A": "" }).length) })
  itAccepts([
    ["100 headers", many(100)],
    ["16 KiB", large(16_384)]
  ])
  itAccepts([["5 headers, of 5 that are allowed", many(5)]], { maxHandshakeHeaders: 5 })
  itAccepts([["300 bytes, of 300 that are allowed", large(300)]], { maxHandshakeSize: 300 })
  itRefuses([
    { rule: "101 headers", request: many(101), status: 431 },
    { rule: "more than 16 KiB", request: large(16_385), status: 431 },
    { rule: "more than 16 KiB without an end", request: `GET /${"a".repeat(17_000)}`, status: 431 }
  ])
  const small = { maxHandshakeSize: 300, maxHandshakeHeaders: 6 }
  itRefuses([
    { rule: "more headers than maxHandshakeHeaders", request: many(7), status: 431, options: small },
    { rule: "more bytes than maxHandshakeSize", request: large(301), status: 431, options: small }
  ])

  const cut = ["", "G", "GET / HTTP/1.1\r\n", valid.slice(0, 60), valid.slice(0, -1)]
  for (const part of cut) {
    it.effect(`the client's FIN after ${part.length} bytes of a request -> dropped without an answer`, () =>
      Effect.gen(function* () {
        const server = yield* serveRaw()
        const peer = yield* server.connect
        peer.send(part)
        peer.finish()
        assert.deepStrictEqual(yield* peer.rest, { frames: [], end: "drop" })
        assert.isEmpty(server.requests)
        yield* server.goesOn
      })
    )
  }
})
