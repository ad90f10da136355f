import { createHash } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { type WebSocketClient, WebSocketCrypto } from "effect-websocket"
import { exampleKey, parseHead, responseHead } from "../support/RawPeer.ts"
import { utf8 } from "../support/rawFrames.ts"
import { attempt, makeClient, pending } from "../support/rawSession.ts"

/** Randomness that gives the RFC's key. */
const crypto = Layer.succeed(WebSocketCrypto.WebSocketCrypto, {
  randomBytes: (size) => utf8("the sample nonce").slice(0, size),
  maskingKey: () => 0,
  sha1: (bytes) => new Uint8Array(createHash("sha1").update(bytes).digest())
})

const agent = "User-Agent: effect-websocket/0.1.0"

const golden = (requestLine: string, host: string, ...lines: ReadonlyArray<string>): string =>
  [
    requestLine,
    `Host: ${host}`,
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Key: ${exampleKey}`,
    "Sec-WebSocket-Version: 13",
    ...lines,
    "",
    ""
  ].join("\r\n")

describe("RFC 6455 section 4.1: the client's request, byte for byte", () => {
  const urls: ReadonlyArray<readonly [url: string, requestLine: string, host: string]> = [
    ["ws://example.com", "GET / HTTP/1.1", "example.com"],
    ["ws://example.com/", "GET / HTTP/1.1", "example.com"],
    ["ws://example.com/chat", "GET /chat HTTP/1.1", "example.com"],
    ["ws://example.com/a/b?c=d&e=%C3%A4", "GET /a/b?c=d&e=%C3%A4 HTTP/1.1", "example.com"],
    ["ws://example.com?room", "GET /?room HTTP/1.1", "example.com"],
    ["ws://example.com/\u00e4", "GET /%C3%A4 HTTP/1.1", "example.com"],
    ["ws://example.com:80/", "GET / HTTP/1.1", "example.com"],
    ["ws://example.com:443/", "GET / HTTP/1.1", "example.com:443"],
    ["ws://example.com:8080/", "GET / HTTP/1.1", "example.com:8080"],
    ["wss://example.com/", "GET / HTTP/1.1", "example.com"],
    ["wss://example.com:443/", "GET / HTTP/1.1", "example.com"],
    ["wss://example.com:80/", "GET / HTTP/1.1", "example.com:80"],
    ["WS://EXAMPLE.com/Chat", "GET /Chat HTTP/1.1", "example.com"],
    ["ws://127.0.0.1:9000/", "GET / HTTP/1.1", "127.0.0.1:9000"],
    ["ws://[::1]/", "GET / HTTP/1.1", "[::1]"],
    ["ws://[2001:db8::1]:9000/x", "GET /x HTTP/1.1", "[2001:db8::1]:9000"]
  ]
  for (const [url, requestLine, host] of urls) {
    it.effect(url, () =>
      Effect.gen(function* () {
        const { request } = yield* pending({ url, crypto })
        assert.strictEqual(request, golden(requestLine, host, agent))
      })
    )
  }

  const sessions: ReadonlyArray<
    readonly [name: string, session: WebSocketClient.SessionParameters, lines: ReadonlyArray<string>]
  > = [
    ["one subprotocol", { protocols: ["chat"] }, ["Sec-WebSocket-Protocol: chat", agent]],
    [
      "subprotocols in the order of preference",
      { protocols: ["superchat", "chat", "Chat"] },
      ["Sec-WebSocket-Protocol: superchat, chat, Chat", agent]
    ],
    ["an origin", { origin: "http://example.com" }, ["Origin: http://example.com", agent]],
    ["a user agent", { userAgent: "tests/1.0 (x)" }, ["User-Agent: tests/1.0 (x)"]],
    ["no user agent", { userAgent: "" }, []],
    ["a user agent among the headers", { headers: { "user-agent": "tests/2" } }, ["user-agent: tests/2"]],
    [
      "further headers",
      { headers: { Authorization: "Bearer x", Cookie: ["a=1", "b=2"] } },
      [agent, "Authorization: Bearer x", "Cookie: a=1", "Cookie: b=2"]
    ],
    [
      "all of them",
      { headers: { "X-A": "caf\xe9" }, userAgent: "u", origin: "null", protocols: ["a", "b"] },
      ["Sec-WebSocket-Protocol: a, b", "Origin: null", "User-Agent: u", "X-A: caf\xe9"]
    ]
  ]
  for (const [name, session, lines] of sessions) {
    it.effect(name, () =>
      Effect.gen(function* () {
        const { request } = yield* pending({ session, crypto })
        assert.strictEqual(request, golden("GET / HTTP/1.1", "test", ...lines))
      })
    )
  }

  it.effect("the key is base64 of 16 bytes, another one for each connection", () =>
    Effect.gen(function* () {
      const client = yield* makeClient()
      const keys: Array<string> = []
      for (let i = 0; i < 10; i++) {
        yield* Effect.forkChild(client.connect("ws://test/").pipe(Effect.ignore))
        const request = yield* (yield* client.accept).readHead
        const key = parseHead(request).headers["sec-websocket-key"] ?? ""
        assert.match(key, /^[A-Za-z0-9+/]{21}[AQgw]==$/)
        keys.push(key)
      }
      assert.strictEqual(new Set(keys).size, 10)
    })
  )

  it.effect("nothing follows the request before the response", () =>
    Effect.gen(function* () {
      const { peer, request } = yield* pending()
      assert.strictEqual(peer.received, request.length)
    })
  )
})

describe("RFC 6455 sections 3 and 4.1: what cannot be asked for is InvalidRequest, without a connection", () => {
  const refused = (url: string, session?: WebSocketClient.SessionParameters) =>
    Effect.gen(function* () {
      const client = yield* makeClient()
      const error = yield* Effect.flip(client.connect(url, session))
      assert.strictEqual(error.reason._tag, "InvalidRequest")
      assert.strictEqual(error.url, url.replace(/user.*@/, ""))
      assert.strictEqual(yield* client.waiting, 0)
    })

  const urls = [
    "",
    "chat",
    "/chat",
    "//test/",
    "http://test/",
    "wsx://test/",
    "ws:test",
    "ws:/test",
    "ws://",
    "ws:///chat",
    "ws://:80/",
    "ws://test/#fragment",
    "ws://test/#",
    "ws://user@test/",
    "ws://user:secret@test/",
    "ws://test:0/",
    "ws://test:65536/",
    "ws://test:x/",
    "ws://[::1/",
    "ws://te st/",
    " ws://test/",
    "ws://test/a b",
    "ws://test/\r\nX-A: 1",
    "ws://test/\u0000",
    "ws://te\\st/"
  ]
  for (const url of urls) it.effect(`the URL ${JSON.stringify(url)}`, () => refused(url))

  const owned = [
    "Host",
    "Upgrade",
    "connection",
    "Sec-WebSocket-Key",
    "sec-websocket-version",
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Extensions",
    "Sec-WebSocket-Accept",
    "Content-Length",
    "Transfer-Encoding"
  ]
  const sessions: ReadonlyArray<readonly [name: string, session: WebSocketClient.SessionParameters]> = [
    ["an empty subprotocol", { protocols: [""] }],
    ["a subprotocol twice", { protocols: ["a", "b", "a"] }],
    ["a subprotocol with a comma", { protocols: ["a,b"] }],
    ["a subprotocol with a space", { protocols: ["a b"] }],
    ["a subprotocol with CRLF", { protocols: ["a\r\nX-A: 1"] }],
    ["a subprotocol beyond ASCII", { protocols: ["\u00e4"] }],
    ["an origin with CRLF", { origin: "http://a\r\nX-A: 1" }],
    ["a user agent with LF", { userAgent: "a\nX-A: 1" }],
    ["a header value with CRLF", { headers: { "X-A": "1\r\nX-B: 2" } }],
    ["a header value with CR", { headers: { "X-A": ["1", "2\r"] } }],
    ["a header value with NUL", { headers: { "X-A": "\0" } }],
    ["a header value beyond latin1", { headers: { "X-A": "\u20ac" } }],
    ["a header name with CRLF", { headers: { "X-A: 1\r\nX-B": "2" } }],
    ["a header name with a space", { headers: { "X A": "1" } }],
    ["an empty header name", { headers: { "": "1" } }],
    ["an origin twice", { origin: "http://a", headers: { Origin: "http://b" } }],
    ["a user agent twice", { userAgent: "a", headers: { "user-agent": "b" } }],
    ...owned.map(
      (name) => [`a header of the handshake's own: ${name}`, { headers: { [name]: "x" } }] as const
    )
  ]
  for (const [name, session] of sessions) it.effect(name, () => refused("ws://test/", session))
})

describe("RFC 6455 section 4.1: the connection is open with the response", () => {
  it.effect("the channel knows the subprotocol and the response", () =>
    Effect.gen(function* () {
      const session = { protocols: ["chat", "superchat"] }
      const { result } = yield* attempt(
        (peer, key) =>
          peer.send(
            responseHead(key, { "Sec-WebSocket-Protocol": "superchat", "Set-Cookie": ["a=1", "b=2"] })
          ),
        { session }
      )
      const channel = yield* Effect.fromResult(result)
      assert.deepInclude(channel, {
        role: "client",
        subprotocol: "superchat",
        extensions: [],
        request: undefined
      })
      assert.deepInclude(channel.response, { protocol: "superchat", version: 13, extensions: [] })
      assert.strictEqual(channel.response?.headers["set-cookie"], "a=1, b=2")
    })
  )
})
