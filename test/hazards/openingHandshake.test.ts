/**
 * What has broken other libraries in the opening handshake, tried here. Each group is a class of bugs that
 * was shipped.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import * as TestClock from "effect/testing/TestClock"
import { type ConnectionAccept, ConnectionDeny, type WebSocketClient } from "effect-websocket"
import { NodeWebSocketServer } from "effect-websocket/node"
import { type CommonOptions, settle } from "../support/apiSession.ts"
import { recordLog } from "../support/bothEnds.ts"
import { mebibyte } from "../support/hazards.ts"
import { arrayBufferBytes } from "../support/memory.ts"
import * as Node from "../support/node.ts"
import { parseHead, type RawPeer, requestHead, responseHead } from "../support/RawPeer.ts"
import { serveRaw } from "../support/rawHttp.ts"
import { attempt, makeClient, pending, type Setup } from "../support/rawSession.ts"

/** Why the client's handshake failed. */
const failureOf = Effect.fnUntraced(function* (respond: (peer: RawPeer, key: string) => void, setup?: Setup) {
  const { result } = yield* attempt(respond, setup)
  return Result.isFailure(result) ? result.failure.reason : undefined
})

/** The answer's status line and headers. */
const answerTo = Effect.fnUntraced(function* (
  server: Effect.Success<ReturnType<typeof serveRaw>>,
  request: string
) {
  const peer = yield* server.connect
  peer.send(request)
  const answer = parseHead(yield* peer.readHead)
  peer.drop()
  return answer
})

const badRequest = "HTTP/1.1 400 Bad Request"

// ---- slowloris --------------------------------------------------------------

describe("unbounded or slow headers (slowloris)", () => {
  const bytewise = { chunkSize: 1 }
  const roomy = { maxHandshakeSize: 2 * mebibyte }
  const long = { "X-Fill": "a".repeat(mebibyte) }

  it.effect("server: a head of 1 MiB, byte by byte, is read in linear time", () =>
    Effect.gen(function* () {
      const { acceptance, goesOn } = yield* serveRaw(roomy, undefined, { network: bytewise })
      const { channel } = yield* acceptance(requestHead(long))
      assert.lengthOf(channel.request?.headers["x-fill"] ?? "", mebibyte)
      yield* goesOn
    })
  )

  it.effect("client: a head of 1 MiB, byte by byte, is read in linear time", () =>
    Effect.gen(function* () {
      const { result } = yield* attempt((peer, key) => peer.send(responseHead(key, long)), {
        options: roomy,
        network: bytewise
      })
      assert.isTrue(Result.isSuccess(result))
    })
  )

  const openHandshakeTimeout = "10 seconds"

  it.effect.each(["", "G", requestHead().slice(0, -2)])(
    "server: a client that drips after %j gets a 408",
    (start) =>
      Effect.gen(function* () {
        const server = yield* serveRaw({ openHandshakeTimeout })
        const peer = yield* server.connect
        peer.send(start)
        for (let second = 0; second < 10; second++) {
          assert.strictEqual(peer.received, 0)
          if (start !== "") peer.send(start === "G" ? "E" : "X")
          yield* TestClock.adjust("1 second")
        }
        const { end, startLine } = yield* peer.readMessage
        assert.deepStrictEqual([startLine, end], ["HTTP/1.1 408 Request Timeout", "fin"])
        peer.send("still there")
        yield* TestClock.adjust("1 second")
        assert.isTrue(peer.isClosed)
        yield* server.goesOn
      })
  )

  it.effect.each(["", "HTTP/1.1 101 ", "HTTP/1.1 100 Continue\r\n\r\n"])(
    "client: a server that drips %j ends with HandshakeTimeout",
    (drop) =>
      Effect.gen(function* () {
        const { connecting, peer } = yield* pending({ options: { openHandshakeTimeout } })
        for (let second = 0; second < 10; second++) {
          assert.isUndefined(connecting.pollUnsafe())
          if (second === 0 || drop.endsWith("\n")) peer.send(drop)
          else if (drop !== "") peer.send("x")
          yield* TestClock.adjust("1 second")
        }
        const { reason } = yield* Effect.flip(Effect.fromResult(yield* Fiber.join(connecting)))
        assert.strictEqual(reason._tag, "HandshakeTimeout")
        yield* settle
        assert.isTrue(peer.isClosed)
      })
  )

  /** Heads of exactly so many bytes, or with exactly so many header lines. */
  const fill = (head: string, size: number) =>
    head.replace("\r\n\r\n", `\r\nX-Fill: ${"a".repeat(size - head.length - 10)}\r\n\r\n`)
  const lines = (head: string, count: number) =>
    head.replace("\r\n\r\n", `\r\n${"X: 1\r\n".repeat(count - head.split("\r\n").length + 3)}\r\n`)
  const caps: ReadonlyArray<readonly [string, CommonOptions, (head: string, more: number) => string]> = [
    ["maxHandshakeSize", { maxHandshakeSize: 1000 }, (head, more) => fill(head, 1000 + more)],
    ["maxHandshakeHeaders", { maxHandshakeHeaders: 20 }, (head, more) => lines(head, 20 + more)]
  ]

  it.effect.each(caps)(
    "%s: 431 from a server, InvalidResponse from a client, and not before",
    ([, options, head]) =>
      Effect.gen(function* () {
        const server = yield* serveRaw(options)
        yield* server.acceptance(head(requestHead(), 0))
        assert.strictEqual((yield* server.refusal(head(requestHead(), 1))).status, 431)
        yield* server.goesOn
        assert.isUndefined(
          yield* failureOf((peer, key) => peer.send(head(responseHead(key), 0)), { options })
        )
        const reason = yield* failureOf((peer, key) => peer.send(head(responseHead(key), 1)), { options })
        assert.strictEqual(reason?._tag, "InvalidResponse")
      })
  )

  it.effect("a head without end costs no memory", () =>
    Effect.gen(function* () {
      const server = yield* serveRaw()
      const peer = yield* server.connect
      const { connecting, peer: responder } = yield* pending()
      const before = arrayBufferBytes()
      const flood = new Uint8Array(mebibyte).fill(0x61)
      peer.send("GET / HTTP/1.1\r\nX: ")
      responder.send("HTTP/1.1 101 ")
      for (let sent = 0; sent < 64; sent++) {
        peer.send(flood)
        responder.send(flood)
        yield* settle
      }
      // The flood itself is one of the two.
      assert.isBelow(arrayBufferBytes() - before, 2 * mebibyte)
      assert.match(yield* peer.readHead, /^HTTP\/1\.1 431 /)
      const { reason } = yield* Effect.flip(Effect.fromResult(yield* Fiber.join(connecting)))
      assert.strictEqual(reason._tag, "InvalidResponse")
      yield* server.goesOn
    })
  )

  it.effect("client: a refusal's body without end is cut", () =>
    Effect.gen(function* () {
      const reason = yield* failureOf((peer) => {
        peer.send("HTTP/1.1 403 Forbidden\r\n\r\n")
        for (let sent = 0; sent < 16; sent++) peer.send(new Uint8Array(mebibyte).fill(0x61))
      })
      assert.isTrue(reason?._tag === "Rejected" && reason.body.length === 65_536)
    })
  )
})

// ---- injection --------------------------------------------------------------

describe("header injection, line-ending confusion", () => {
  const injected = "X-Admin: 1"
  /** What some parser takes for a line end. The last is CRLF once its upper bytes are gone. */
  const breaks = ["\r\n", "\n", "\r", "\x0b", "\x0c", "\x1c", "\0", "\r\n ", "\r\n\t", "\u010d\u010a"]
  const onTheWire = breaks.filter((text) => text !== "\r\n" && text !== "\u010d\u010a")
  const places: ReadonlyArray<readonly [string, (text: string) => string]> = [
    ["the first line", (text) => `${text}${injected}\r\n`],
    ["a name", (text) => `\r\nX-A${text}${injected}\r\n`],
    ["the space before a colon", (text) => `\r\nX-A${text}: ${injected}\r\n`],
    ["a value", (text) => `\r\nX-A: a${text}${injected}\r\n`]
  ]

  it.effect.each(onTheWire)(
    "received, %j is no line end: 400 from a server, InvalidResponse from a client",
    (text) =>
      Effect.gen(function* () {
        const server = yield* serveRaw()
        for (const [place, write] of places) {
          const injecting = (head: string) => head.replace("\r\n", write(text))
          const { startLine } = yield* answerTo(server, injecting(requestHead()))
          assert.strictEqual(startLine, badRequest, place)
          const reason = yield* failureOf((peer, key) => peer.send(injecting(responseHead(key))))
          assert.strictEqual(reason?._tag, "InvalidResponse", place)
        }
        assert.lengthOf(server.requests, 0)
        yield* server.goesOn
      })
  )

  it.effect("a byte that only Unicode takes for a line end stays in its value, both ways", () =>
    Effect.gen(function* () {
      const headers = { "X-A": `a\x85${injected}` }
      const server = yield* serveRaw({}, () => Effect.succeed({ headers }))
      const accepted = yield* server.acceptance(requestHead(headers))
      const { request, result } = yield* attempt((peer, key) => peer.send(responseHead(key, headers)), {
        session: { headers }
      })
      const response = Result.isSuccess(result) ? result.success.response : undefined
      const all = [
        accepted.channel.request?.headers,
        accepted.headers,
        parseHead(request).headers,
        response?.headers
      ]
      for (const received of all) {
        assert.strictEqual(received?.["x-a"], headers["X-A"])
        assert.notProperty(received, "x-admin")
      }
    })
  )

  const answers = (text: string): ReadonlyArray<ConnectionAccept | ConnectionDeny> => {
    const bad = `a${text}${injected}`
    return [
      { headers: { "X-A": bad } },
      { headers: { "X-A": ["fine", bad] } },
      { headers: { [`X-A${text}${injected}`]: "a" } },
      { subprotocol: bad },
      ConnectionDeny.forbidden({ reason: bad }),
      ConnectionDeny.forbidden({ headers: { "X-A": bad } }),
      ConnectionDeny.forbidden({ headers: { "X-A": ["fine", bad] } }),
      ConnectionDeny.forbidden({ headers: { [`X-A${text}${injected}`]: "a" } })
    ]
  }

  it.effect.each(breaks)(
    "sent by a server's application, %j ends no line: the client gets a 500 that has none of it",
    (text) => {
      const log = recordLog()
      return Effect.gen(function* () {
        const todo = answers(text)
        const server = yield* serveRaw({}, ({ path }) => {
          const answer = todo[Number(path.slice(1))]
          return answer instanceof ConnectionDeny ? Effect.fail(answer) : Effect.succeed(answer)
        })
        for (const index of todo.keys()) {
          const { headers, startLine } = yield* answerTo(server, requestHead({}, `GET /${index} HTTP/1.1`))
          assert.strictEqual(startLine, "HTTP/1.1 500 Internal Server Error")
          assert.notProperty(headers, "x-admin")
        }
        assert.lengthOf(log.lines, todo.length)
      }).pipe(Effect.provide(log.layer))
    }
  )

  it.effect.each(breaks)(
    "sent by a client's application, %j ends no line: InvalidRequest, and nobody is connected to",
    (text) =>
      Effect.gen(function* () {
        const bad = `a${text}${injected}`
        const sessions: ReadonlyArray<WebSocketClient.SessionParameters> = [
          { headers: { "X-A": bad } },
          { headers: { "X-A": ["fine", bad] } },
          { headers: { [`X-A${text}${injected}`]: "a" } },
          { protocols: [bad] },
          { origin: bad },
          { userAgent: bad }
        ]
        const client = yield* makeClient()
        for (const session of sessions) {
          const { reason } = yield* Effect.flip(client.connect("ws://test/", session))
          assert.strictEqual(reason._tag, "InvalidRequest", JSON.stringify(session))
        }
        // A URL may have any other character: it is percent-encoded.
        if (onTheWire.includes(text)) {
          for (const url of [`ws://test/${bad}`, `ws://te${text}st/`, `ws://test/?${bad}`]) {
            assert.strictEqual((yield* Effect.flip(client.connect(url))).reason._tag, "InvalidRequest", url)
          }
        }
        yield* settle
        assert.strictEqual(yield* client.waiting, 0)
      })
  )
})

// ---- extensions -------------------------------------------------------------

describe("ReDoS and prototype keys in extension headers", () => {
  const times = 500_000
  const lists: ReadonlyArray<readonly [what: string, value: string, status: 101 | 400]> = [
    ["commas", ",".repeat(times), 101],
    ["semicolons", `a${";".repeat(times)}`, 400],
    ["extensions", "a,".repeat(times), 101],
    ["parameters", `a${"; b".repeat(times)}`, 101],
    ["blanks inside an extension", `a${" ".repeat(times)}b`, 400],
    ["tabs before a parameter", `a;${"\t".repeat(times)}b`, 101],
    ["a long name", "a".repeat(times), 101],
    ["a long value without its quote", `a; b="${"x".repeat(times)}`, 400],
    ["escapes without a closing quote", `a; b="${"\\x".repeat(times)}`, 400],
    ["a long list of values without quotes", 'a; b="'.repeat(times), 400],
    ["equals signs", `a; b${"=".repeat(times)}`, 400]
  ]
  const roomy = { maxHandshakeSize: 8 * mebibyte }

  it.effect.each(lists)("%s, half a million", ([, value, status]) =>
    Effect.gen(function* () {
      const server = yield* serveRaw(roomy)
      const head = requestHead({ "Sec-WebSocket-Extensions": value })
      if (status === 101) yield* server.acceptance(head)
      else assert.strictEqual((yield* server.refusal(head)).status, status)
      yield* server.goesOn
      const respond = (peer: RawPeer, key: string) =>
        peer.send(responseHead(key, { "Sec-WebSocket-Extensions": value }))
      const reason = yield* failureOf(respond, { options: roomy })
      assert.strictEqual(reason?._tag, value.startsWith(",") ? undefined : "InvalidResponse")
    })
  )

  const names = Object.getOwnPropertyNames(Object.prototype)
  const list = names.map((name, i) => `${name}; ${names.at(-i)}=${name}; ${name}`).join(", ")

  it.effect("names of Object.prototype are names of extensions like any other", () =>
    Effect.gen(function* () {
      const before = Reflect.ownKeys(Object.prototype)
      const server = yield* serveRaw()
      const { channel, headers } = yield* server.acceptance(requestHead({ "Sec-WebSocket-Extensions": list }))
      assert.notProperty(headers, "sec-websocket-extensions")
      assert.strictEqual(channel.request?.extensions.join(", "), list)
      for (const name of names) {
        const reason = yield* failureOf((peer, key) =>
          peer.send(responseHead(key, { "Sec-WebSocket-Extensions": `${name}; ${name}=${name}` }))
        )
        assert.strictEqual(reason?._tag, "InvalidResponse", name)
      }
      assert.deepStrictEqual(Reflect.ownKeys(Object.prototype), before)
    })
  )

  it.effect("and of headers, query parameters and subprotocols", () =>
    Effect.gen(function* () {
      const lines = names.map((name) => `${name}: x\r\n`).join("")
      const query = names.map((name) => `${name}=x`).join("&")
      const server = yield* serveRaw({}, ({ protocols }) => Effect.succeed(protocols[0]))
      const head = requestHead({ "Sec-WebSocket-Protocol": names }, `GET /?${query} HTTP/1.1`)
      const { channel, headers } = yield* server.acceptance(head.replace("Host:", `${lines}Host:`))
      assert.strictEqual(headers["sec-websocket-protocol"], names[0])
      assert.deepStrictEqual(Object.keys(channel.request?.params ?? {}), names)
      assert.strictEqual(channel.request?.headers["host"], "test")
      const reason = yield* failureOf((peer) => {
        peer.send(`HTTP/1.1 403 Forbidden\r\n${lines}Content-Length: 0\r\n\r\n`)
      })
      assert.isTrue(reason?._tag === "Rejected" && reason.status === 403)
    })
  )
})

describe("bad extension parameters crash", () => {
  const windows = ["0", "7", "8", "16", "015", "1e1", "-9", "9.0", '"8"', '"0"', "99999999999999999999"]
  const wellFormed = [
    ...["server_max_window_bits", "client_max_window_bits"].flatMap((name) =>
      windows.map((value) => `permessage-deflate; ${name}=${value}`)
    ),
    "permessage-deflate; server_max_window_bits",
    "permessage-deflate; server_no_context_takeover=1",
    "permessage-deflate; server_max_window_bits=9; server_max_window_bits=10",
    "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
    "permessage-deflate; unknown=1",
    'permessage-deflate; server_max_window_bits="\\1\\0"',
    "permessage-deflate, permessage-deflate; unknown, PERMESSAGE-DEFLATE"
  ]
  const malformed = [
    "permessage-deflate; server_max_window_bits=",
    'permessage-deflate; server_max_window_bits=""',
    'permessage-deflate; server_max_window_bits="10',
    'permessage-deflate; server_max_window_bits="1 0"',
    "permessage-deflate; =10",
    "permessage-deflate; server_max_window_bits=1=0",
    "permessage-deflate;",
    "; server_max_window_bits=10",
    "permessage deflate"
  ]
  const header = (value: string) => ({ "Sec-WebSocket-Extensions": value })

  it.effect.each(wellFormed)("%s: the server goes without it, the client does not take it", (value) =>
    Effect.gen(function* () {
      const server = yield* serveRaw()
      const { channel, headers } = yield* server.acceptance(requestHead(header(value)))
      assert.notProperty(headers, "sec-websocket-extensions")
      assert.deepStrictEqual(channel.extensions, [])
      const reason = yield* failureOf((peer, key) => peer.send(responseHead(key, header(value))))
      assert.strictEqual(reason?._tag, "InvalidResponse")
    })
  )

  it.effect.each(malformed)("%s: 400 from a server, InvalidResponse from a client", (value) =>
    Effect.gen(function* () {
      const server = yield* serveRaw()
      assert.strictEqual((yield* server.refusal(requestHead(header(value)))).status, 400)
      yield* server.goesOn
      const reason = yield* failureOf((peer, key) => peer.send(responseHead(key, header(value))))
      assert.strictEqual(reason?._tag, "InvalidResponse")
    })
  )
})

// ---- the request ------------------------------------------------------------

describe("malformed Host, Origin, request target", () => {
  const badAuthorities = [
    " ",
    "a b",
    "a@b",
    "a/b",
    "a?b",
    "a#b",
    "a\\b",
    ":",
    ":80",
    "a:",
    "a:0",
    "a:65536",
    "a:99999999999999999999",
    "a:1:2",
    "a:-1",
    "a:0x50",
    "::",
    "::1",
    "[",
    "[]",
    "[::1",
    "[::1]x",
    "[zz]",
    "[::1]:99999",
    "%",
    "%zz",
    "a%0",
    "h\xf6st",
    "<x>",
    "http://test"
  ]
  const hosts: ReadonlyArray<string | ReadonlyArray<string> | undefined> = [
    undefined,
    "",
    ["test", "test"],
    "a, b",
    ...badAuthorities
  ]
  const targets = [
    "",
    "*",
    "test",
    "test:80",
    "chat/room",
    "?a",
    "//\x7f",
    "/\x80",
    "/\xe4",
    "/#",
    "/a#b",
    "ftp://test/",
    "http:/test/",
    "http://",
    "http:///",
    "ws://?a",
    "javascript:alert(1)",
    ...badAuthorities.flatMap((authority) => (/[/?]/.test(authority) ? [] : `http://${authority}/`))
  ]

  /** Over the in-memory network, and over TCP, where all bytes come at once. */
  const statusOf = Effect.fnUntraced(function* (requests: ReadonlyArray<string>) {
    const log = recordLog()
    yield* Effect.gen(function* () {
      const server = yield* serveRaw()
      const tcp = yield* Node.serve(NodeWebSocketServer.layer(Node.anyPort), { onOpen: Node.echo })
      for (const request of requests) {
        const { startLine } = yield* answerTo(server, request)
        assert.strictEqual(startLine, badRequest, JSON.stringify(request))
        const raw = yield* Node.rawTcp(Node.portOf(tcp.address))
        raw.send(request)
        assert.isTrue((yield* raw.reads("\r\n\r\n")).startsWith(badRequest), JSON.stringify(request))
      }
      assert.lengthOf(server.requests, 0)
      yield* server.goesOn
    }).pipe(Effect.provide(log.layer))
    assert.deepStrictEqual(log.lines, [])
  })

  it.effect.each(["https://", "http://[", "http://a:99999", "::"])(
    "a malformed Origin is a 400: %s",
    (origin) =>
      Effect.gen(function* () {
        const server = yield* serveRaw()
        const { startLine } = yield* answerTo(server, requestHead({ Origin: origin }))
        assert.strictEqual(startLine, badRequest)
        yield* server.goesOn
      })
  )

  it.effect("a malformed Host is a 400, and no defect", () =>
    statusOf(hosts.map((host) => requestHead({ Host: host })))
  )

  it.effect("a malformed request target is a 400, and no defect", () =>
    statusOf(targets.map((target) => requestHead({}, `GET ${target} HTTP/1.1`)))
  )

  it.effect.each([
    "/%",
    "/%zz",
    "/%ff?%=%zz&=&&a=%ff",
    "//evil.test/",
    "/../..",
    '/"<>{}|^`',
    "/?a=b?c=d",
    "http://test?a"
  ])("%s, as browsers may send it, is the application's to judge", (target) =>
    Effect.gen(function* () {
      const server = yield* serveRaw()
      yield* server.acceptance(requestHead({}, `GET ${target} HTTP/1.1`))
      assert.strictEqual(server.requests[0]?.path, target.startsWith("http") ? "/" : target.split("?")[0])
    })
  )
})

describe("open redirect from the status page", () => {
  const evil = "evil.example"
  const queries = [
    `redirect=https://${evil}/`,
    `redirect=//${evil}`,
    `redirect=https%3A%2F%2F${evil}%2F`,
    `redirect=https://${evil}/&after=0`,
    `redirect=javascript:location='${evil}'`,
    `redirect=%0d%0aLocation:%20https://${evil}/`
  ]

  it.effect.each(queries)("?%s redirects nowhere, and is in no answer", (query) =>
    Effect.gen(function* () {
      for (const webStatus of [true, false]) {
        const server = yield* serveRaw({ webStatus })
        for (const target of [`/?${query}`, `http://test/?${query}`]) {
          const request = `GET ${target} HTTP/1.1\r\nHost: test\r\n\r\n`
          const { body, headers, status } = yield* server.refusal(request)
          assert.strictEqual(status, webStatus ? 200 : 426)
          assert.notProperty(headers, "location")
          assert.notProperty(headers, "refresh")
          assert.notMatch(body, /http-equiv|<script|evil/i)
        }
        yield* server.goesOn
      }
    })
  )
})

// ---- secrets ----------------------------------------------------------------

describe("timing leaks in secret comparison", () => {
  const credentials = {
    Authorization: "Basic dXNlcjpwYXNz",
    Cookie: "session=1; token=2",
    "Proxy-Authorization": "x"
  }

  it.effect("no secret is compared: credentials go to the application, whatever they are", () =>
    Effect.gen(function* () {
      const server = yield* serveRaw()
      yield* server.acceptance(requestHead(credentials))
      yield* server.acceptance(requestHead())
      const [withAll, without] = server.requests
      for (const [name, value] of Object.entries(credentials)) {
        assert.strictEqual(withAll?.headers[name.toLowerCase()], value)
        assert.notProperty(without?.headers, name.toLowerCase())
      }
    })
  )

  it.effect(
    "Sec-WebSocket-Accept follows from what was sent in the clear; a wrong one fails alike wherever it differs",
    () =>
      Effect.gen(function* () {
        const messages = new Set<string>()
        for (const at of [0, 13, 26]) {
          const reason = yield* failureOf((peer, key) => {
            const accept = /Accept: (.*)\r/.exec(responseHead(key))?.[1] ?? ""
            const wrong = `${accept.slice(0, at)}${accept[at] === "A" ? "B" : "A"}${accept.slice(at + 1)}`
            peer.send(responseHead(key, { "Sec-WebSocket-Accept": wrong }))
          })
          assert.strictEqual(reason?._tag, "InvalidResponse")
          messages.add(reason?.message ?? "")
        }
        assert.strictEqual(messages.size, 1)
      })
  )
})
