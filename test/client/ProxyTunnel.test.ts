/**
 * A client's conversation with an HTTP proxy, byte for byte, over a transport in memory.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { TestClock } from "effect/testing"
import { type ClientOptions, Protocol, Transport, WebSocketClient } from "effect-websocket"
import { InMemoryTransport } from "effect-websocket/testing"
import { settle } from "../support/apiSession.ts"
import { RawPeer } from "../support/RawPeer.ts"

const proxy: WebSocketClient.Proxy = {
  host: "proxy.test",
  port: 3128,
  credentials: { username: "ann", password: "secret" },
  headers: { "X-Via": "tests" }
}

/** A client that connects through the proxy, whose end is in the test's hands. */
const pending = Effect.fnUntraced(function* (
  options: ClientOptions.ClientOptionsInput = {},
  url = "wss://example.com/chat"
) {
  const { client, server } = yield* InMemoryTransport.makePair()
  const targets: Array<Transport.TransportTarget> = []
  /** The bytes of the target that came with the proxy's answer. */
  const rests: Array<string> = []
  const network = Layer.succeed(Transport.TransportClient, {
    connect: Effect.fnUntraced(function* (target: Transport.TransportTarget) {
      targets.push(target)
      yield* Effect.addFinalizer(() => Effect.sync(() => client.abort()))
      const rest = target.proxy === undefined ? undefined : yield* target.proxy.open(client)
      rests.push(Buffer.from(rest ?? []).toString())
      return client
    })
  })
  const peer = new RawPeer(server, "server")
  const connecting = yield* WebSocketClient.connect(url, {
    proxy,
    origin: "http://example.com",
    headers: { Authorization: "for the server" }
  }).pipe(
    Effect.flip,
    Effect.provide(WebSocketClient.layer(options).pipe(Layer.provide([network, Protocol.layer]))),
    Effect.forkChild
  )
  return { connecting, peer, targets, rests }
})

const connectRequest =
  "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\nProxy-Authorization: Basic YW5uOnNlY3JldA==\r\nX-Via: tests\r\n\r\n"

describe("a client with a proxy", () => {
  it.effect("asks for the target, sends it nothing before the answer, and what is the proxy's never", () =>
    Effect.gen(function* () {
      const { peer, targets } = yield* pending()
      assert.strictEqual(yield* peer.readHead, connectRequest)
      yield* settle
      assert.strictEqual(peer.received, connectRequest.length)
      assert.containsSubset(targets, [
        { host: "example.com", port: 443, secure: true, proxy: { host: "proxy.test", port: 3128 } }
      ])
      peer.send("HTTP/1.1 200 Connection established\r\n\r\n")
      const request = yield* peer.readHead
      assert.match(request, /^GET \/chat HTTP\/1\.1\r\nHost: example\.com\r\n/)
      assert.include(request, "\r\nAuthorization: for the server\r\n")
      assert.notMatch(request, /proxy|x-via/i)
    })
  )

  const opening: ReadonlyArray<readonly [what: string, answer: string, rest: string]> = [
    ["a 200 of HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\n", ""],
    ["any 2xx, whose body headers say nothing", "HTTP/1.1 204 \r\nContent-Length: 5\r\n\r\n", ""],
    ["informational responses before it", "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", ""],
    ["bytes of the target after it", "HTTP/1.1 200 OK\r\n\r\nfrom afar", "from afar"]
  ]
  it.effect.each(opening)("takes %s for a tunnel", ([, answer, rest]) =>
    Effect.gen(function* () {
      const { peer, rests } = yield* pending()
      yield* peer.readHead
      peer.send(answer)
      yield* peer.readHead
      assert.deepStrictEqual(rests, [rest])
    })
  )

  const refusals: ReadonlyArray<readonly [answer: string, status: number, statusText: string, body: string]> =
    [
      [
        "HTTP/1.1 407 Proxy Authentication Required\r\nX-A: b\r\nContent-Length: 4\r\n\r\nwho?",
        407,
        "Proxy Authentication Required",
        "who?"
      ],
      ["HTTP/1.0 502 Bad Gateway\r\nX-A: b\r\nContent-Length: 0\r\n\r\n", 502, "Bad Gateway", ""],
      [
        "HTTP/1.1 302 Found\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
        302,
        "Found",
        "no"
      ],
      ["HTTP/1.1 101 Switching Protocols\r\nX-A: b\r\n\r\n", 101, "Switching Protocols", ""]
    ]
  it.effect.each(refusals)("fails with ProxyRefused by %s", ([answer, status, statusText, body]) =>
    Effect.gen(function* () {
      const { connecting, peer } = yield* pending()
      yield* peer.readHead
      peer.send(answer)
      const { message, reason } = yield* Fiber.join(connecting)
      assert(reason._tag === "ProxyRefused")
      assert.deepInclude(reason, { status, statusText, body })
      assert.strictEqual(reason.headers["x-a"], "b")
      assert.strictEqual(
        message,
        `wss://example.com/chat: the proxy refused the tunnel: ${status} ${statusText}`
      )
      yield* settle
      assert.isTrue(peer.isClosed)
    })
  )

  const failures: ReadonlyArray<
    readonly [what: string, act: (peer: RawPeer) => void, message: string | RegExp]
  > = [
    [
      "no HTTP",
      (peer) => peer.send("SSH-2.0-OpenSSH_9.9\r\n\r\n"),
      /^the proxy's answer: .*HTTP\/1\.1 status line$/
    ],
    ["control characters", (peer) => peer.send("HTTP/1.1 200 OK\r\nX: \0\r\n\r\n"), /^the proxy's answer: /],
    [
      "a head larger than maxHandshakeSize",
      (peer) => peer.send(`HTTP/1.1 200 OK\r\nX: ${"x".repeat(200)}\r\n\r\n`),
      /^the proxy's answer: .* 100 bytes$/
    ],
    ["its end", (peer) => peer.finish(), "the proxy ended the connection without an answer"],
    [
      "a reset in the answer",
      (peer) => {
        peer.send("HTTP/1.1 200")
        peer.drop()
      },
      "the proxy ended the connection without an answer"
    ]
  ]
  it.effect.each(failures)("fails with ProxyFailure by %s", ([, act, message]) =>
    Effect.gen(function* () {
      const { connecting, peer } = yield* pending({ maxHandshakeSize: 100 })
      yield* peer.readHead
      act(peer)
      const { reason } = yield* Fiber.join(connecting)
      assert.strictEqual(reason._tag, "ProxyFailure")
      if (typeof message === "string") assert.strictEqual(reason.message, message)
      else assert.match(reason.message, message)
      yield* settle
      assert.isTrue(peer.isClosed)
    })
  )

  it.effect("gives the proxy openHandshakeTimeout, and a refusal's body serverConnectionDropTimeout", () =>
    Effect.gen(function* () {
      const limits = { openHandshakeTimeout: "5 seconds", serverConnectionDropTimeout: "2 seconds" } as const
      const silent = yield* pending(limits)
      const refusing = yield* pending(limits)
      yield* refusing.peer.readHead
      refusing.peer.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\nhalf")
      yield* TestClock.adjust("1999 millis")
      assert.isUndefined(refusing.connecting.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      const { reason } = yield* Fiber.join(refusing.connecting)
      assert.deepInclude(reason, { _tag: "ProxyRefused", status: 403, body: "half" })
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual((yield* Fiber.join(silent.connecting)).reason._tag, "HandshakeTimeout")
      yield* settle
      assert.isTrue(silent.peer.isClosed)
    })
  )

  it.effect("that is interrupted leaves nothing open", () =>
    Effect.gen(function* () {
      const { connecting, peer } = yield* pending()
      yield* peer.readHead
      yield* Fiber.interrupt(connecting)
      yield* settle
      assert.isTrue(peer.isClosed)
    })
  )

  const wrong: ReadonlyArray<readonly [what: string, url: string, proxy: Partial<WebSocketClient.Proxy>]> = [
    ["CRLF in its host", "ws://example.com/", { host: "a\r\nX: b" }],
    ["CRLF in a header", "ws://example.com/", { headers: { "X-A": "b\r\nX-C: d" } }],
    ["a colon in the user name", "ws://example.com/", { credentials: { username: "a:b", password: "c" } }],
    ["a target that is a Unix-domain socket", "ws://unix:/tmp/a.sock", {}]
  ]
  it.effect.each(wrong)("%s is InvalidRequest: nothing is opened", ([, url, rest]) =>
    Effect.gen(function* () {
      const network = Layer.succeed(Transport.TransportClient, { connect: () => Effect.die("connected") })
      const error = yield* WebSocketClient.connect(url, { proxy: { ...proxy, ...rest } }).pipe(
        Effect.flip,
        Effect.provide(WebSocketClient.layer().pipe(Layer.provide([network, Protocol.layer])))
      )
      assert.strictEqual(error.reason._tag, "InvalidRequest")
    })
  )
})
