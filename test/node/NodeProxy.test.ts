/**
 * Connecting through an HTTP proxy on Node's sockets, with and without TLS.
 */
import { Buffer } from "node:buffer"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import type { WebSocketClient } from "effect-websocket"
import { NodeWebSocketServer } from "effect-websocket/node"
import { anyPort, echo, host, makeClient, portOf, rawServer, roundTrip, serve } from "../support/node.ts"
import { hasOpenssl, makeCertificates } from "../support/nodeCertificates.ts"
import { makeProxy } from "../support/proxy.ts"

const mebibyte = new Uint8Array(1_048_576).map((_, i) => i % 251)

type Reachable = Pick<WebSocketClient.Proxy, "host" | "port">

/** A proxy, as a session names it. */
const via = ({ host, port }: Reachable, rest: Partial<WebSocketClient.Proxy> = {}) => ({
  proxy: { host, port, ...rest }
})

/** Messages in both directions, and both Close frames. */
const works = Effect.fnUntraced(function* (
  client: WebSocketClient.WebSocketClient["Service"],
  url: string,
  proxy: Reachable
) {
  const channel = yield* client.connect(url, via(proxy))
  for (const message of ["hello", mebibyte]) {
    assert.deepStrictEqual(yield* roundTrip(channel, message), message)
  }
  assert.deepStrictEqual(yield* channel.close(1000), { wasClean: true, code: 1000, reason: "" })
  return channel
}, Effect.scoped)

describe("ws through a proxy", () => {
  const echoing = serve(NodeWebSocketServer.layer(anyPort), { onOpen: echo })

  it.effect("the tunnel leads to the server; the peer is the proxy", () =>
    Effect.gen(function* () {
      const server = yield* echoing
      const proxy = yield* makeProxy()
      const target = `example.test:${portOf(server.address)}`
      const { details } = yield* works(yield* makeClient(), `ws://${target}/`, proxy)
      assert.deepStrictEqual(proxy.requests, [`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`])
      assert.strictEqual(details.channelType, "tcp")
      assert.strictEqual(details.peer && portOf(details.peer), proxy.port)
    })
  )

  it.effect("credentials are for the proxy only", () =>
    Effect.gen(function* () {
      const headers = yield* Deferred.make<object>()
      const server = yield* serve(NodeWebSocketServer.layer(anyPort), {
        onConnect: (request) => Effect.asVoid(Deferred.succeed(headers, request.headers)),
        onOpen: echo
      })
      const proxy = yield* makeProxy({ credentials: "ann:secret" })
      const url = `ws://${host}:${portOf(server.address)}/`
      const client = yield* makeClient()
      const refused = yield* Effect.flip(client.connect(url, via(proxy)))
      assert.deepInclude(refused.reason, { _tag: "ProxyRefused", status: 407, body: "who?" })
      const credentials = { username: "ann", password: Redacted.make("secret") }
      yield* client.connect(url, via(proxy, { credentials, headers: { "X-Via": "tests" } }))
      assert.include(
        proxy.requests[1],
        `\r\nProxy-Authorization: Basic ${Buffer.from("ann:secret").toString("base64")}\r\nX-Via: tests\r\n`
      )
      assert.notInclude(Object.keys(yield* Deferred.await(headers)).join(), "via")
      assert.notProperty(yield* Deferred.await(headers), "proxy-authorization")
    })
  )

  it.effect("bytes of the server that come with the proxy's answer are not lost", () =>
    Effect.gen(function* () {
      const server = yield* echoing
      const early = "HTTP/1.1 418 Early\r\nContent-Length: 5\r\n\r\nshort"
      const proxy = yield* makeProxy({ early })
      const url = `ws://${host}:${portOf(server.address)}/`
      const { reason } = yield* Effect.flip((yield* makeClient()).connect(url, via(proxy)))
      assert.deepInclude(reason, { _tag: "Rejected", status: 418, body: "short" })
    })
  )

  it.effect.each([
    ["garbage", "\x16\x03\x01 no HTTP\r\n\r\n", "ProxyFailure"],
    ["a refusal", "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "ProxyRefused"]
  ] as const)("%s is a typed error", ([, answer, tag]) =>
    Effect.gen(function* () {
      const proxy = yield* makeProxy({ answer })
      const { reason } = yield* Effect.flip((yield* makeClient()).connect("ws://example.test/", via(proxy)))
      assert.strictEqual(reason._tag, tag)
    })
  )

  it.effect("a proxy that nobody listens at is a ProxyFailure", () =>
    Effect.gen(function* () {
      const port = yield* Effect.scoped(rawServer(() => {}))
      const { reason } = yield* Effect.flip(
        (yield* makeClient()).connect("ws://example.test/", via({ host, port }))
      )
      assert(reason._tag === "ProxyFailure")
      assert.include(reason.message, `the proxy: cannot connect to ${host}, port ${port}: `)
      assert.propertyVal(reason.cause, "code", "ECONNREFUSED")
    })
  )

  it.effect("an interrupted connect ends the connection to the proxy", () =>
    Effect.gen(function* () {
      const asked = yield* Deferred.make<void>()
      const gone = yield* Deferred.make<void>()
      const port = yield* rawServer((socket) => {
        socket.once("data", () => Deferred.doneUnsafe(asked, Exit.void))
        socket.on("error", () => {})
        socket.once("end", () => Deferred.doneUnsafe(gone, Exit.void))
        socket.once("close", () => Deferred.doneUnsafe(gone, Exit.void))
      })
      const client = yield* makeClient()
      const connecting = yield* Effect.forkChild(client.connect("ws://example.test/", via({ host, port })))
      yield* Deferred.await(asked)
      yield* Fiber.interrupt(connecting)
      yield* Deferred.await(gone)
    })
  )
})

describe.skipIf(!hasOpenssl)("wss through a proxy", () => {
  const { ca, otherHost, selfSigned, valid } = hasOpenssl
    ? makeCertificates()
    : { ca: "", valid: {}, otherHost: {}, selfSigned: {} }

  const serveTls = (tls: object) => serve(NodeWebSocketServer.layerTls(anyPort, tls), { onOpen: echo })

  it.effect.each(["TLSv1.2", "TLSv1.3"] as const)("%s is spoken with the server", (version) =>
    Effect.gen(function* () {
      const server = yield* serveTls(valid)
      const proxy = yield* makeProxy()
      const client = yield* makeClient({}, { ca, maxVersion: version })
      const { details, tls } = yield* works(client, `wss://localhost:${portOf(server.address)}/`, proxy)
      assert.deepInclude(tls, { protocol: version, authorized: true })
      assert.strictEqual(details.channelType, "tls")
    })
  )

  it.effect("the server's name is the target's, which is what the certificate is verified for", () =>
    Effect.gen(function* () {
      const names: Array<string> = []
      const server = yield* serveTls({
        ...otherHost,
        SNICallback: (name: string, done: (error: Error | null) => void) => {
          names.push(name)
          done(null)
        }
      })
      const proxy = yield* makeProxy()
      yield* works(yield* makeClient({}, { ca }), `wss://other.test:${portOf(server.address)}/`, proxy)
      assert.deepStrictEqual(names, ["other.test"])
    })
  )

  // The proxy is at 127.0.0.1, for which `valid` is a certificate.
  it.effect.each([
    ["another host's", valid, "other.test", { ca }, "ERR_TLS_CERT_ALTNAME_INVALID"],
    ["another address's", valid, "127.0.0.2", { ca }, "ERR_TLS_CERT_ALTNAME_INVALID"],
    ["a self-signed", selfSigned, "localhost", { ca }, "DEPTH_ZERO_SELF_SIGNED_CERT"],
    ["an unknown authority's", valid, "localhost", {}, "UNABLE_TO_VERIFY_LEAF_SIGNATURE"]
  ] as const)("%s certificate is refused", ([, tls, name, client, code]) =>
    Effect.gen(function* () {
      const server = yield* serveTls(tls)
      const proxy = yield* makeProxy()
      const url = `wss://${name}:${portOf(server.address)}/`
      const { reason } = yield* Effect.flip((yield* makeClient({}, client)).connect(url, via(proxy)))
      assert(reason._tag === "ConnectFailure")
      assert.propertyVal(reason.cause, "code", code)
      assert.include(reason.message, `cannot connect to ${name}, port `)
    })
  )

  it.effect("a client's certificate gets through the tunnel", () =>
    Effect.gen(function* () {
      const server = yield* serveTls({ ...valid, ca, requestCert: true })
      const proxy = yield* makeProxy()
      const url = `wss://localhost:${portOf(server.address)}/`
      yield* works(yield* makeClient({}, { ...valid, ca }), url, proxy)
      const { reason } = yield* Effect.flip((yield* makeClient({}, { ca })).connect(url, via(proxy)))
      assert.strictEqual(reason._tag, "ConnectFailure")
    })
  )

  it.effect("bytes that come before TLS fail it", () =>
    Effect.gen(function* () {
      const server = yield* serveTls(valid)
      const proxy = yield* makeProxy({ early: "no TLS at all\r\n" })
      const url = `wss://localhost:${portOf(server.address)}/`
      const { reason } = yield* Effect.flip((yield* makeClient({}, { ca })).connect(url, via(proxy)))
      assert.strictEqual(reason._tag, "ConnectFailure")
    })
  )

  it.effect("a server that goes closes the connection with 1001", () =>
    Effect.gen(function* () {
      const proxy = yield* makeProxy()
      const server = yield* serveTls(valid)
      const client = yield* makeClient({}, { ca })
      const channel = yield* client.connect(`wss://localhost:${portOf(server.address)}/`, via(proxy))
      yield* roundTrip(channel, "x")
      yield* server.drain()
      assert.deepStrictEqual(yield* channel.closed, { wasClean: true, code: 1001, reason: "" })
    })
  )
})
