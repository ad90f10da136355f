import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import { TestClock } from "effect/testing"
import type { ClientOptions } from "effect-websocket"
import { acceptFor, type RawPeer, responseHead } from "../support/RawPeer.ts"
import { hex } from "../support/rawFrames.ts"
import { attempt, makeClient, pending, received, type Setup, take } from "../support/rawSession.ts"

type Respond = (peer: RawPeer, key: string) => void

const failure = (respond: Respond, setup?: Setup) =>
  Effect.gen(function* () {
    const { peer, result } = yield* attempt(respond, setup)
    if (Result.isSuccess(result)) return assert.fail("the response was accepted")
    assert.strictEqual(result.failure.url, "ws://test/")
    assert.deepStrictEqual(
      yield* peer.rest,
      { frames: [], end: "drop" },
      "nothing is sent, the transport is dropped"
    )
    return result.failure.reason
  })

const session = { protocols: ["chat", "superchat"] }
const cuts = [undefined, { chunkSize: 1 }]

describe("RFC 6455 section 4.1: responses that open the connection", () => {
  const valid: ReadonlyArray<readonly [rule: string, response: (key: string) => string]> = [
    ["the RFC's", (key) => responseHead(key)],
    ["another reason phrase", (key) => responseHead(key, {}, "HTTP/1.1 101 Web Socket Protocol Handshake")],
    ["an empty reason phrase", (key) => responseHead(key, {}, "HTTP/1.1 101 ")],
    ["a reason phrase in latin1", (key) => responseHead(key, {}, "HTTP/1.1 101 Protokollwechsel \xe4")],
    ["Upgrade in another case", (key) => responseHead(key, { Upgrade: "WebSocket" })],
    ["Connection in another case", (key) => responseHead(key, { Connection: "upgrade" })],
    ["a list in Connection", (key) => responseHead(key, { Connection: "keep-alive, UPGRADE" })],
    ["Connection in two lines", (key) => responseHead(key, { Connection: ["keep-alive", "Upgrade"] })],
    [
      "white space around the accept key",
      (key) => responseHead(key, { "Sec-WebSocket-Accept": ` \t${acceptFor(key)} \t` })
    ],
    [
      "header names in lower case",
      (key) => responseHead(key).replace(/^[A-Za-z-]+:/gm, (name) => name.toLowerCase())
    ],
    ["no space after the colons", (key) => responseHead(key).replaceAll(": ", ":")],
    ["unknown headers", (key) => responseHead(key, { Server: "x", "Set-Cookie": ["a", "b"], "X-A": "\xe9" })],
    ["the first subprotocol", (key) => responseHead(key, { "Sec-WebSocket-Protocol": "chat" })],
    ["the second subprotocol", (key) => responseHead(key, { "sec-websocket-protocol": " superchat " })]
  ]
  for (const [rule, response] of valid) {
    it.effect(rule, () =>
      Effect.gen(function* () {
        for (const network of cuts) {
          const { peer, result } = yield* attempt((server, key) => server.send(response(key)), {
            session,
            network
          })
          const channel = yield* Effect.fromResult(result)
          const chosen = /protocol: *(\w+)/i.exec(response("x"))?.[1]
          assert.strictEqual(channel.subprotocol, chosen)
          yield* channel.send("open")
          assert.strictEqual(yield* peer.read, 'text "open"')
        }
      })
    )
  }

  const informational: ReadonlyArray<readonly [rule: string, before: string]> = [
    ["100", "HTTP/1.1 100 Continue\r\n\r\n"],
    ["103 with headers", "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nUpgrade: h2c\r\n\r\n"],
    ["several", "HTTP/1.1 100 Continue\r\n\r\n".repeat(3)]
  ]
  for (const [rule, before] of informational) {
    it.effect(`informational responses come before the 101 and are skipped: ${rule}`, () =>
      Effect.gen(function* () {
        for (const network of cuts) {
          const { result } = yield* attempt(
            (server, key) => server.send(before, responseHead(key), server.text("first")),
            { network }
          )
          const channel = yield* Effect.fromResult(result)
          assert.deepStrictEqual(yield* take(channel, 1), ["first"])
          assert.notProperty(channel.response?.headers, "link")
        }
      })
    )
  }

  for (const chunkSize of [undefined, 1, 5]) {
    it.effect(`frames in the same packet as the 101 are read, cut to ${chunkSize ?? "any"} bytes`, () =>
      Effect.gen(function* () {
        const network = chunkSize === undefined ? undefined : { chunkSize }
        const { peer, result } = yield* attempt(
          (server, key) =>
            server.send(responseHead(key), server.text("first"), server.ping("p"), server.binary(hex("02"))),
          { network }
        )
        const channel = yield* Effect.fromResult(result)
        assert.deepStrictEqual(yield* take(channel, 2), ["first", hex("02")])
        assert.strictEqual(yield* peer.read, "pong 70")
      })
    )
  }

  it.effect("a Close in the same packet as the 101 closes cleanly, after the messages before it", () =>
    Effect.gen(function* () {
      const { result } = yield* attempt((server, key) => {
        server.send(responseHead(key), server.text("only"), server.close(1001, "bye"))
        server.finish()
      })
      assert.deepStrictEqual(yield* received(yield* Effect.fromResult(result)), {
        messages: ["only"],
        failure: undefined,
        closed: { wasClean: true, code: 1001, reason: "bye" }
      })
    })
  )

  it.effect("half a frame in the same packet as the 101 waits for the other half", () =>
    Effect.gen(function* () {
      const { peer, result } = yield* attempt((server, key) =>
        server.send(responseHead(key), server.text("halves").subarray(0, 4))
      )
      const channel = yield* Effect.fromResult(result)
      peer.send(peer.text("halves").subarray(4))
      assert.deepStrictEqual(yield* take(channel, 1), ["halves"])
    })
  )
})

describe("RFC 6455 section 4.1: responses that fail the connection -> InvalidResponse", () => {
  const lines = (header: string, values: ReadonlyArray<string | ReadonlyArray<string> | undefined>) =>
    values.map(
      (value) =>
        [
          `${header}: ${JSON.stringify(value)}`,
          (key: string) => responseHead(key, { [header]: value })
        ] as const
    )
  const after = (line: string) => (key: string) =>
    responseHead(key).replace("\r\n\r\n", `\r\n${line}\r\n\r\n`)
  const invalid: ReadonlyArray<readonly [rule: string, response: (key: string) => string, setup?: Setup]> = [
    ...lines("Upgrade", [
      undefined,
      "",
      "h2c",
      "websockets",
      "websocket/13",
      "websocket, h2c",
      ["websocket", "h2c"],
      ["websocket", "websocket"]
    ]),
    ...lines("Connection", [undefined, "", "close", "keep-alive", "upgraded", '"Upgrade"', "Up grade"]),
    ...lines("Sec-WebSocket-Accept", [undefined, "", "x", acceptFor("another key")]),
    [
      "the accept key twice",
      (key) => responseHead(key, { "Sec-WebSocket-Accept": [acceptFor(key), acceptFor(key)] })
    ],
    ["the key instead of the accept key", (key) => responseHead(key, { "Sec-WebSocket-Accept": key })],
    [
      "the accept key in lower case",
      (key) => responseHead(key, { "Sec-WebSocket-Accept": acceptFor(key).toLowerCase() })
    ],
    [
      "the accept key without padding",
      (key) => responseHead(key, { "Sec-WebSocket-Accept": acceptFor(key).slice(0, -1) })
    ],
    [
      "the accept key in quotes",
      (key) => responseHead(key, { "Sec-WebSocket-Accept": `"${acceptFor(key)}"` })
    ],
    ...lines("Sec-WebSocket-Protocol", [
      "other",
      "Chat",
      "chat, superchat",
      ["chat", "superchat"],
      ["chat", "chat"],
      ""
    ]),
    [
      "a subprotocol where none was offered",
      (key) => responseHead(key, { "Sec-WebSocket-Protocol": "chat" }),
      { session: {} }
    ],
    ...lines("Sec-WebSocket-Extensions", [
      "permessage-deflate",
      "x; y=1",
      "a, b",
      ";",
      "a; b=",
      ["permessage-deflate", "permessage-deflate"]
    ]),
    ...["HTTP/1.0", "HTTP/2.0", "HTTP/0.9", "http/1.1", "HTTP/1.1.1", "ICY"].map(
      (version) =>
        [`${version} 101`, (key: string) => responseHead(key, {}, `${version} 101 Switching`)] as const
    ),
    ...[
      "HTTP/1.1 abc OK",
      "HTTP/1.1 1010 OK",
      "HTTP/1.1  101 OK",
      "HTTP/1.1",
      "GET / HTTP/1.1",
      "101 OK"
    ].map(
      (line) =>
        [`the status line ${JSON.stringify(line)}`, (key: string) => responseHead(key, {}, line)] as const
    ),
    ["no HTTP", () => "\x15\x03\x01\x00\x02\x02\x28"],
    ["a blank line first", (key) => `\r\n${responseHead(key)}`],
    ["lines that end in LF", (key) => responseHead(key).replaceAll("\r\n", "\n")],
    ["a line that ends in CR", (key) => responseHead(key).replace("websocket\r\n", "websocket\r")],
    ["a line without a colon", after("X-A")],
    ["a space before a colon", after("X-A : 1")],
    ["a folded line", after("X-A: 1\r\n 2")],
    ["NUL in a value", after("X-A: \0")],
    ["a vertical tab in a value", after("X-A: 1\x0bX-B: 2")],
    ["a name that is no token", after("X A: 1")],
    [
      "101 headers",
      (key) => responseHead(key, Object.fromEntries(Array.from({ length: 98 }, (_, i) => [`X-${i}`, ""])))
    ],
    ["more than 16 KiB", (key) => responseHead(key, { "X-A": "x".repeat(16_384) })],
    ["more than 16 KiB without an end", () => `HTTP/1.1 101 ${"x".repeat(17_000)}`],
    [
      "more than maxHandshakeSize",
      (key) => responseHead(key, { "X-A": "x".repeat(200) }),
      { options: { maxHandshakeSize: 200 } }
    ],
    ["more than maxHandshakeHeaders", (key) => responseHead(key), { options: { maxHandshakeHeaders: 2 } }]
  ]
  for (const [rule, response, setup] of invalid) {
    it.effect(rule, () =>
      Effect.gen(function* () {
        for (const network of cuts) {
          const reason = yield* failure((peer, key) => peer.send(response(key)), {
            session,
            network,
            ...setup
          })
          assert.strictEqual(reason._tag, "InvalidResponse")
          assert.isNotEmpty(reason.message)
        }
      })
    )
  }

  it.effect("frames after such a response are discarded", () =>
    Effect.gen(function* () {
      const reason = yield* failure((peer, key) => {
        peer.send(responseHead(key, { "Sec-WebSocket-Accept": "x" }), peer.text("x"), peer.ping())
        peer.send(peer.close(1000))
      })
      assert.strictEqual(reason._tag, "InvalidResponse")
    })
  )
})

describe("RFC 6455 section 4.1: another status than 101 -> Rejected", () => {
  const rejected = (respond: Respond, setup?: Setup) =>
    Effect.gen(function* () {
      const reason = yield* failure(respond, setup)
      if (reason._tag !== "Rejected") return assert.fail(`${reason._tag}: ${reason.message}`)
      return reason
    })

  const statuses: ReadonlyArray<readonly [status: number, statusText: string]> = [
    [200, "OK"],
    [301, "Moved Permanently"],
    [400, "Bad Request"],
    [401, "Unauthorized"],
    [403, ""],
    [404, "Gibt's nicht \xe4"],
    [426, "Upgrade Required"],
    [503, "Service Unavailable"],
    [599, "x"]
  ]
  for (const [status, statusText] of statuses) {
    it.effect(`${status} ${statusText}: status, reason phrase, headers and body`, () =>
      Effect.gen(function* () {
        for (const network of cuts) {
          const head = [
            `HTTP/1.1 ${status} ${statusText}`,
            "Content-Length: 5",
            "WWW-Authenticate: Basic",
            "X-Twice: 1",
            "x-twice: 2",
            "",
            ""
          ].join("\r\n")
          const reason = yield* rejected((peer) => peer.send(head, "hello", "surplus"), { network })
          assert.strictEqual(reason.status, status)
          assert.strictEqual(reason.statusText, statusText)
          assert.deepStrictEqual(
            { ...reason.headers },
            {
              "content-length": "5",
              "www-authenticate": "Basic",
              "x-twice": "1, 2"
            }
          )
          assert.strictEqual(reason.body, "hello")
        }
      })
    )
  }

  it.effect("also after an informational response", () =>
    Effect.gen(function* () {
      const reason = yield* rejected((peer) =>
        peer.send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno")
      )
      assert.deepInclude(reason, { status: 403, statusText: "No", body: "no" })
    })
  )

  it.effect("even with everything else that a 101 has", () =>
    Effect.gen(function* () {
      const reason = yield* rejected((peer, key) =>
        peer.send(responseHead(key, { "Content-Length": "0" }, "HTTP/1.1 200 OK"))
      )
      assert.deepInclude(reason, { status: 200, body: "" })
    })
  )

  const chunked = "Transfer-Encoding: chunked\r\n"
  const bodies: ReadonlyArray<
    readonly [rule: string, headers: string, body: string, expected: string, finish: boolean]
  > = [
    ["by Content-Length", "Content-Length: 3\r\n", "abcdef", "abc", false],
    ["by Content-Length 0", "Content-Length: 0\r\n", "abc", "", false],
    ["by Content-Length, twice the same", "Content-Length: 2\r\nContent-Length: 2\r\n", "abc", "ab", false],
    ["by Content-Length, as UTF-8", "Content-Length: 3\r\n", "\xe2\x82\xac", "\u20ac", false],
    ["by Content-Length, no UTF-8", "Content-Length: 3\r\n", "a\xffb", "a\ufffdb", false],
    ["cut short by the end", "Content-Length: 10\r\n", "abc", "abc", true],
    ["in chunks", chunked, "3\r\nabc\r\n0A\r\n0123456789\r\n0\r\n\r\nxyz", "abc0123456789", false],
    ["in chunks with extensions", chunked, "3;a=b\r\nabc\r\n0;c\r\n\r\n", "abc", false],
    ["in chunks with trailers", chunked, "3\r\nabc\r\n0\r\nX-A: 1\r\n\r\n", "abc", false],
    [
      "in chunks, Content-Length ignored",
      `${chunked}Content-Length: 1\r\n`,
      "2\r\nab\r\n0\r\n\r\n",
      "ab",
      false
    ],
    ["in chunks cut short by the end", chunked, "5\r\nab", "ab", true],
    ["up to the end", "", "all of it", "all of it", true],
    ["up to the end, empty", "", "", "", true],
    [
      "the first 64 KiB of a longer one",
      "Content-Length: 99999\r\n",
      "x".repeat(70_000),
      "x".repeat(65_536),
      false
    ],
    ["the first 64 KiB of an endless one", "", "x".repeat(70_000), "x".repeat(65_536), false]
  ]
  for (const [rule, headers, body, expected, finish] of bodies) {
    it.effect(`a body ${rule}`, () =>
      Effect.gen(function* () {
        for (const network of body.length > 1000 ? [undefined, { chunkSize: 1000 }] : cuts) {
          const reason = yield* rejected(
            (peer) => {
              peer.send(`HTTP/1.1 403 Forbidden\r\n${headers}\r\n`, body)
              if (finish) peer.finish()
            },
            { network }
          )
          assert.strictEqual(reason.body, expected)
        }
      })
    )
  }

  for (const status of [204, 304]) {
    it.effect(`${status} has no body`, () =>
      Effect.gen(function* () {
        const reason = yield* rejected((peer) =>
          peer.send(`HTTP/1.1 ${status} x\r\nContent-Length: 5\r\n\r\n`)
        )
        assert.deepInclude(reason, { status, body: "" })
      })
    )
  }

  it.effect("a transport lost within the body leaves what came", () =>
    Effect.gen(function* () {
      const { connecting, peer } = yield* pending()
      peer.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 10\r\n\r\nabc")
      yield* TestClock.adjust("1 second")
      peer.drop()
      const result = yield* Fiber.join(connecting)
      assert.deepInclude(Result.isFailure(result) && result.failure.reason, {
        _tag: "Rejected",
        status: 403,
        body: "abc"
      })
    })
  )
})

describe("RFC 6455 section 4.1: the connection ends before the response -> ConnectFailure", () => {
  const whole = responseHead("x")
  const starts = ["", "H", "HTTP/1.1 101 Switching Protocols\r\n", whole.slice(0, -1)]
  for (const start of starts) {
    it.effect(`the server's FIN after ${start.length} bytes`, () =>
      Effect.gen(function* () {
        const reason = yield* failure((peer) => {
          peer.send(start)
          peer.finish()
        })
        assert.strictEqual(reason._tag, "ConnectFailure")
      })
    )
  }

  it.effect("a lost transport", () =>
    Effect.gen(function* () {
      const { connecting, peer } = yield* pending()
      peer.drop()
      const result = yield* Fiber.join(connecting)
      assert.strictEqual(Result.isFailure(result) && result.failure.reason._tag, "ConnectFailure")
    })
  )
})

describe("RFC 6455 section 4.1: openHandshakeTimeout -> HandshakeTimeout", () => {
  const options: ClientOptions.ClientOptionsInput = { openHandshakeTimeout: "5 seconds" }
  const parts: ReadonlyArray<readonly [rule: string, part: (key: string) => string]> = [
    ["no response", () => ""],
    ["half a response", (key) => responseHead(key).slice(0, 60)],
    ["a 101 but for its last byte", (key) => responseHead(key).slice(0, -1)]
  ]
  for (const [rule, part] of parts) {
    it.effect(`${rule} in time; the transport is dropped`, () =>
      Effect.gen(function* () {
        const { connecting, key, peer } = yield* pending({ options })
        peer.send(part(key))
        yield* TestClock.adjust("4999 millis")
        assert.isUndefined(connecting.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        const result = yield* Fiber.join(connecting)
        assert.strictEqual(Result.isFailure(result) && result.failure.reason._tag, "HandshakeTimeout")
        assert.deepStrictEqual(yield* peer.rest, { frames: [], end: "drop" })
      })
    )
  }

  const bodies: ReadonlyArray<readonly [rule: string, refusal: string]> = [
    ["half the body of a refusal", "HTTP/1.1 403 Forbidden\r\nContent-Length: 10\r\n\r\nabc"],
    ["an endless body", "HTTP/1.1 403 Forbidden\r\n\r\nabc"]
  ]
  for (const [rule, refusal] of bodies) {
    it.effect(`${rule} is awaited for serverConnectionDropTimeout, then the refusal tells what came`, () =>
      Effect.gen(function* () {
        const { connecting, peer } = yield* pending({ options: { serverConnectionDropTimeout: "2 seconds" } })
        peer.send(refusal)
        yield* TestClock.adjust("1999 millis")
        assert.isUndefined(connecting.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        const result = yield* Fiber.join(connecting)
        assert.isTrue(Result.isFailure(result))
        if (Result.isSuccess(result)) return
        assert.containsSubset(result.failure.reason, { _tag: "Rejected", status: 403, body: "abc" })
        assert.deepStrictEqual(yield* peer.rest, { frames: [], end: "drop" })
      })
    )
  }

  it.effect("a byte now and then does not prolong it", () =>
    Effect.gen(function* () {
      const { connecting, peer } = yield* pending({ options })
      for (const byte of "HTTP/") {
        peer.send(byte)
        yield* TestClock.adjust("1 second")
      }
      const result = yield* Fiber.join(connecting)
      assert.strictEqual(Result.isFailure(result) && result.failure.reason._tag, "HandshakeTimeout")
    })
  )

  it.effect("is over once the connection is open", () =>
    Effect.gen(function* () {
      const { peer, result } = yield* attempt((server, key) => server.send(responseHead(key)), { options })
      assert.isTrue(Result.isSuccess(result))
      yield* TestClock.adjust("1 hour")
      peer.send(peer.ping("still open"))
      assert.match(yield* peer.read, /^pong/)
    })
  )

  it.effect("without it the client waits", () =>
    Effect.gen(function* () {
      const { peer, result } = yield* Effect.gen(function* () {
        const { connecting, key, peer } = yield* pending()
        yield* TestClock.adjust("1 day")
        assert.isUndefined(connecting.pollUnsafe())
        peer.send(responseHead(key))
        const done = yield* Fiber.join(connecting)
        yield* Effect.addFinalizer(() => Effect.sync(() => peer.drop()))
        return { peer, result: done }
      })
      assert.isTrue(Result.isSuccess(result))
      peer.send(peer.ping())
      assert.strictEqual(yield* peer.read, "pong")
    })
  )

  it.effect("a connect that is interrupted drops the transport", () =>
    Effect.gen(function* () {
      const client = yield* makeClient()
      const connecting = yield* Effect.forkChild(Effect.scoped(client.connect("ws://test/")))
      const peer = yield* client.accept
      yield* peer.readHead
      yield* Fiber.interrupt(connecting)
      assert.deepStrictEqual(yield* peer.rest, { frames: [], end: "drop" })
    })
  )
})
