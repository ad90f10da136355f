import * as Https from "node:https"
import * as Net from "node:net"
import * as Path from "node:path"
import * as Tls from "node:tls"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { ConnectionDeny, type WebSocketServer } from "effect-websocket"
import { NodeWebSocketServer } from "effect-websocket/node"
import {
  anyPort,
  denyWith,
  echo,
  host,
  listening,
  makeClient,
  pageRequest,
  portOf,
  rawServer,
  rawSocket,
  rawTcp,
  roundTrip,
  serve,
  temporaryDirectory,
  withPages
} from "../support/node.ts"
import { hasOpenssl, makeCertificates } from "../support/nodeCertificates.ts"
import { requestHead } from "../support/RawPeer.ts"

const mebibyte = new Uint8Array(1_048_576).map((_, i) => i % 251)

describe.skipIf(!hasOpenssl)("TLS", () => {
  const { ca, otherHost, selfSigned, valid } = hasOpenssl
    ? makeCertificates()
    : { ca: "", valid: {}, otherHost: {}, selfSigned: {} }

  const echoing = (tls = valid) => serve(NodeWebSocketServer.layerTls(anyPort, tls), { onOpen: echo })
  const urlOf = ({ address }: WebSocketServer.WebSocketServer["Service"], name = "localhost") =>
    `wss://${name}:${portOf(address)}/`

  /** A client that trusts the test's authority gets through. */
  const goesOn = Effect.fnUntraced(function* (server: WebSocketServer.WebSocketServer["Service"]) {
    const channel = yield* (yield* makeClient({}, { ca })).connect(urlOf(server, host))
    assert.strictEqual(yield* roundTrip(channel, "still here"), "still here")
  }, Effect.scoped)

  it.effect("a certificate of one's own authority is accepted; messages come back; both ends close", () =>
    Effect.gen(function* () {
      const server = yield* echoing()
      const channel = yield* (yield* makeClient({}, { ca })).connect(urlOf(server, host))
      for (const message of ["hello", mebibyte, mebibyte]) {
        assert.deepStrictEqual(yield* roundTrip(channel, message), message)
      }
      assert.deepStrictEqual(yield* channel.close(1000), { wasClean: true, code: 1000, reason: "" })
    })
  )

  it.effect("a host name is verified, and sent as the server's name", () =>
    Effect.gen(function* () {
      const names: Array<string> = []
      const server = yield* echoing({
        ...valid,
        SNICallback: (name: string, done: (error: Error | null) => void) => {
          names.push(name)
          done(null)
        }
      })
      const client = yield* makeClient({}, { ca })
      const channel = yield* client.connect(urlOf(server, "localhost"))
      assert.strictEqual(yield* roundTrip(channel, "x"), "x")
      assert.deepStrictEqual(names, ["localhost"])
    })
  )

  it.effect("a server name of one's own is sent and verified instead", () =>
    Effect.gen(function* () {
      const server = yield* echoing(otherHost)
      const client = yield* makeClient({}, { ca, servername: "other.test" })
      const channel = yield* client.connect(urlOf(server, host))
      assert.strictEqual(yield* roundTrip(channel, "x"), "x")
    })
  )

  it.effect("both ends know protocol and cipher, and whether the other was verified", () =>
    Effect.gen(function* () {
      const facts = yield* Deferred.make<unknown>()
      const server = yield* serve(NodeWebSocketServer.layerTls(anyPort, valid), {
        onOpen: (channel) => Deferred.succeed(facts, channel.tls)
      })
      const channel = yield* (yield* makeClient({}, { ca })).connect(urlOf(server, host))
      assert.strictEqual(channel.tls?.protocol, "TLSv1.3")
      assert.match(channel.tls?.cipher ?? "", /^TLS_/)
      assert.isTrue(channel.tls?.authorized)
      const { cipher, protocol } = channel.tls ?? assert.fail("no TLS")
      assert.deepInclude(yield* Deferred.await(facts), { cipher, protocol, authorized: false })
    })
  )

  it.effect("a client's certificate is verified where the server asks for one", () =>
    Effect.gen(function* () {
      const facts = yield* Deferred.make<boolean | undefined>()
      const server = yield* serve(
        NodeWebSocketServer.layerTls(anyPort, { ...valid, ca, requestCert: true, rejectUnauthorized: false }),
        { onOpen: (channel) => Deferred.succeed(facts, channel.tls?.authorized) }
      )
      const client = yield* makeClient({}, { ...valid, ca })
      yield* client.connect(urlOf(server, host))
      assert.isTrue(yield* Deferred.await(facts))
    })
  )

  it.effect.each(["TLSv1.2", "TLSv1.3"] as const)(
    "a server that wants a client's certificate has no other clients (%s)",
    (maxVersion) =>
      Effect.gen(function* () {
        const server = yield* echoing({ ...valid, ca, requestCert: true, maxVersion })
        const client = yield* makeClient({}, { ...valid, ca })
        assert.strictEqual(yield* roundTrip(yield* client.connect(urlOf(server)), "x"), "x")
        for (const certificate of [{}, selfSigned]) {
          const stranger = yield* makeClient({}, { ca, ...certificate })
          const { reason } = yield* Effect.flip(stranger.connect(urlOf(server)))
          assert.strictEqual(reason._tag, "ConnectFailure")
        }
      })
  )

  it.effect("a server without a usable certificate is a TransportError", () =>
    Effect.gen(function* () {
      const layer = NodeWebSocketServer.layerTls(anyPort, { key: "none", cert: "none" })
      const error = yield* Effect.flip(Layer.build(layer))
      assert.strictEqual(error._tag, "TransportError")
      assert.include(error.message, `cannot listen on ${host}, port 0: `)
    })
  )

  it.effect("a client without a usable certificate is a ConnectFailure", () =>
    Effect.gen(function* () {
      const client = yield* makeClient({}, { key: "none", cert: "none" })
      const error = yield* Effect.flip(client.connect(`wss://${host}/`))
      assert.strictEqual(error.reason._tag, "ConnectFailure")
      assert.include(error.message, `cannot connect to ${host}, port 443: `)
    })
  )

  it.effect("a server that speaks no TLS is refused", () =>
    Effect.gen(function* () {
      const port = yield* rawServer((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"))
      const error = yield* Effect.flip((yield* makeClient()).connect(`wss://${host}:${port}/`))
      assert.strictEqual(error.reason._tag, "ConnectFailure")
    })
  )

  it.effect("a TLS handshake that nobody answers ends with openHandshakeTimeout", () =>
    Effect.gen(function* () {
      const hello = yield* Deferred.make<void>()
      const gone = yield* Deferred.make<void>()
      const port = yield* rawServer((socket) => {
        socket.once("data", () => Deferred.doneUnsafe(hello, Exit.void))
        socket.once("end", () => Deferred.doneUnsafe(gone, Exit.void))
        socket.once("error", () => Deferred.doneUnsafe(gone, Exit.void))
      })
      const client = yield* makeClient({ openHandshakeTimeout: "3 seconds" })
      const connecting = yield* Effect.forkChild(Effect.flip(client.connect(`wss://${host}:${port}/`)))
      yield* Deferred.await(hello)
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual((yield* Fiber.join(connecting)).reason._tag, "HandshakeTimeout")
      yield* Deferred.await(gone)
    })
  )

  it.effect("a client that speaks no TLS is dropped, and the server goes on", () =>
    Effect.gen(function* () {
      const server = yield* echoing()
      const raw = yield* rawTcp(portOf(server.address))
      raw.send(requestHead())
      yield* raw.gone
      assert.notInclude(raw.text, "HTTP/1.1")
      yield* goesOn(server)
    })
  )

  it.effect(
    "TLS on a Unix-domain socket: connections are told apart, and one that waits holds up no other",
    () =>
      Effect.gen(function* () {
        const path = Path.join(yield* temporaryDirectory, "socket")
        const server = yield* serve(NodeWebSocketServer.layerTls({ path }, valid), { onOpen: echo })
        const silent = yield* rawSocket(() => Net.connect(path))
        const client = yield* makeClient({}, { ca })
        const connect = client.connect(`wss://unix:${path}`)
        const channels = yield* Effect.all([connect, connect], { concurrency: "unbounded" })
        for (const [i, channel] of channels.entries()) {
          assert.strictEqual(yield* roundTrip(channel, `hello ${i}`), `hello ${i}`)
          yield* channel.close(1000)
        }
        assert.isFalse(silent.closed)
        yield* server.drain()
        yield* silent.gone
      })
  )

  it.effect("a denial arrives whole at a client that has sent more than was read", () =>
    Effect.gen(function* () {
      const body = "denied. ".repeat(16_384)
      const server = yield* serve(
        NodeWebSocketServer.layerTls(anyPort, valid),
        denyWith(ConnectionDeny.forbidden({ body }))
      )
      const port = portOf(server.address)
      const raw = yield* rawSocket(() => Tls.connect({ host, port, ca }), "secureConnect")
      raw.send(requestHead(), mebibyte)
      const response = yield* raw.readAll
      yield* raw.gone
      assert.isUndefined(raw.error)
      assert.strictEqual(response.slice(response.indexOf("\r\n\r\n") + 4), body)
    })
  )

  it.effect("a server that goes closes its connections with 1001", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const server = yield* Scope.provide(echoing(), scope)
      const channel = yield* (yield* makeClient({}, { ca })).connect(urlOf(server, host))
      yield* roundTrip(channel, "x")
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(yield* channel.closed, { wasClean: true, code: 1001, reason: "" })
    })
  )

  it.effect("node:https has pages and WebSockets on one port, with the facts of TLS", () =>
    Effect.gen(function* () {
      const http = withPages(Https.createServer(valid))
      const port = yield* listening(http)
      const facts = yield* Deferred.make<unknown>()
      yield* serve(NodeWebSocketServer.layerUpgrade(http, { path: "/ws" }), {
        onOpen: (channel) => Effect.andThen(Deferred.succeed(facts, channel.tls), echo(channel))
      })
      const channel = yield* (yield* makeClient({}, { ca })).connect(`wss://${host}:${port}/ws`)
      for (const message of ["hello", mebibyte]) {
        assert.deepStrictEqual(yield* roundTrip(channel, message), message)
      }
      const { cipher, protocol } = channel.tls ?? assert.fail("no TLS")
      assert.deepInclude(yield* Deferred.await(facts), { cipher, protocol, authorized: false })
      const raw = yield* rawSocket(() => Tls.connect({ host, port, ca }), "secureConnect")
      raw.send(pageRequest("/a"))
      const response = yield* raw.readAll
      assert.match(response, /^HTTP\/1\.1 200 OK\r\n/)
      assert.include(response, "page /a")
      yield* channel.close(1000)
      assert.deepStrictEqual(yield* Stream.runCollect(channel.messages), [])
    })
  )
})
