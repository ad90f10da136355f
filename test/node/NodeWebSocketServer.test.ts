import Dns from "node:dns"
import * as Net from "node:net"
import * as Path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as NetAddress from "effect/net/NetAddress"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import {
  ConnectionDeny,
  type ConnectionRequest,
  type WebSocketError,
  WebSocketServer
} from "effect-websocket"
import { NodeTransportServer, NodeWebSocketServer } from "effect-websocket/node"
import { onTestFinished, vi } from "vitest"
import { settle } from "../support/apiSession.ts"
import { openSockets } from "../support/faults.ts"
import {
  anyPort,
  denyWith,
  echo,
  host,
  makeClient,
  portOf,
  rawServer,
  rawSocket,
  rawTcp,
  resetTcp,
  roundTrip,
  serve,
  temporaryDirectory,
  urlOf
} from "../support/node.ts"
import { requestHead } from "../support/RawPeer.ts"

const mebibyte = new Uint8Array(1_048_576).map((_, i) => i % 251)

const echoing = serve(NodeWebSocketServer.layer(anyPort), { onOpen: echo })

/** The echo server works. */
const goesOn = Effect.fnUntraced(function* (server: WebSocketServer.WebSocketServer["Service"]) {
  const client = yield* makeClient()
  const channel = yield* client.connect(urlOf(server))
  assert.strictEqual(yield* roundTrip(channel, "still here"), "still here")
  yield* channel.close(1000)
}, Effect.scoped)

describe("TCP", () => {
  it.effect("text and binary come back as they were sent", () =>
    Effect.gen(function* () {
      const server = yield* echoing
      const channel = yield* (yield* makeClient()).connect(urlOf(server))
      for (const message of ["hello", "", "héllo €", mebibyte, new Uint8Array()]) {
        assert.deepStrictEqual(yield* roundTrip(channel, message), message)
      }
    })
  )

  it.effect("many messages in flight come back in order", () =>
    Effect.gen(function* () {
      const server = yield* echoing
      const channel = yield* (yield* makeClient()).connect(urlOf(server))
      const sent = Array.from({ length: 2000 }, (_, i) => `${i}:${"x".repeat(i % 400)}`)
      const sending = yield* Effect.forkChild(Effect.forEach(sent, channel.send, { discard: true }))
      const received = yield* channel.messages.pipe(Stream.take(sent.length), Stream.runCollect)
      yield* Fiber.join(sending)
      assert.deepStrictEqual([...received], sent)
    })
  )

  it.effect("more than all buffers hold passes through a slow reader", () =>
    Effect.gen(function* () {
      const server = yield* echoing
      const channel = yield* (yield* makeClient()).connect(urlOf(server))
      const count = 24
      const sending = yield* Effect.forkChild(
        Effect.forEach(Array.from({ length: count }), () => channel.send(mebibyte), { discard: true })
      )
      yield* settle
      assert.isUndefined(sending.pollUnsafe())
      const sizes = yield* channel.messages.pipe(
        Stream.take(count),
        Stream.map((message) => message.length),
        Stream.runCollect
      )
      assert.deepStrictEqual(
        [...sizes],
        Array.from({ length: count }, () => mebibyte.length)
      )
    })
  )

  it.effect("the client closes", () =>
    Effect.gen(function* () {
      const closed = yield* Deferred.make<unknown>()
      const server = yield* serve(NodeWebSocketServer.layer(anyPort), {
        onOpen: (channel) => Effect.flatMap(channel.closed, (event) => Deferred.succeed(closed, event))
      })
      const channel = yield* (yield* makeClient()).connect(urlOf(server))
      const atClient = yield* channel.close(3001, "done")
      assert.deepStrictEqual(atClient, { wasClean: true, code: 1000, reason: "" })
      assert.deepStrictEqual(yield* Deferred.await(closed), {
        wasClean: true,
        code: 3001,
        reason: "done"
      })
    })
  )

  it.effect("the server closes", () =>
    Effect.gen(function* () {
      const server = yield* serve(NodeWebSocketServer.layer(anyPort), {
        onOpen: (channel) => Effect.andThen(channel.send("bye"), channel.close(3002, "go"))
      })
      const channel = yield* (yield* makeClient()).connect(urlOf(server))
      assert.deepStrictEqual(yield* Stream.runCollect(channel.messages), ["bye"])
      assert.deepStrictEqual(yield* channel.closed, { wasClean: true, code: 3002, reason: "go" })
    })
  )

  it.effect("both sides know their own and the other's address", () =>
    Effect.gen(function* () {
      const seen = yield* Deferred.make<ReadonlyArray<unknown>>()
      const server = yield* serve(NodeWebSocketServer.layer(anyPort), {
        onOpen: (channel) => Deferred.succeed(seen, [channel.local, channel.peer, channel.request?.peer])
      })
      const channel = yield* (yield* makeClient()).connect(urlOf(server))
      assert.deepStrictEqual(channel.peer, server.address)
      assert.deepStrictEqual(channel.response?.peer, server.address)
      assert.deepStrictEqual(yield* Deferred.await(seen), [server.address, channel.local, channel.local])
      assert.isUndefined(channel.tls)
    })
  )

  it.effect("a denial arrives whole at a client that has sent more than was read", () =>
    Effect.gen(function* () {
      const body = "denied. ".repeat(16_384)
      const server = yield* serve(
        NodeWebSocketServer.layer(anyPort),
        denyWith(ConnectionDeny.forbidden({ body }))
      )
      const raw = yield* rawTcp(portOf(server.address))
      raw.send(requestHead(), mebibyte, mebibyte)
      const response = yield* raw.readAll
      yield* raw.gone
      assert.isUndefined(raw.error)
      assert.match(response, /^HTTP\/1\.1 403 Forbidden\r\n/)
      assert.strictEqual(response.slice(response.indexOf("\r\n\r\n") + 4), body)
    })
  )

  it.effect("tcpNoDelay reaches the sockets of both sides", () =>
    Effect.gen(function* () {
      const spy = vi.spyOn(Net.Socket.prototype, "setNoDelay")
      onTestFinished(() => spy.mockRestore())
      const server = yield* serve(NodeWebSocketServer.layer(anyPort, { tcpNoDelay: false }), { onOpen: echo })
      const port = portOf(server.address)
      const client = yield* makeClient({ tcpNoDelay: true })
      const channel = yield* client.connect(urlOf(server))
      yield* roundTrip(channel, "x")
      const calls = spy.mock.calls.map(([enabled], i) => {
        const socket = spy.mock.contexts[i]
        return [socket instanceof Net.Socket && socket.localPort === port ? "server" : "client", enabled]
      })
      assert.deepStrictEqual(calls.toSorted(), [
        ["client", true],
        ["server", false]
      ])
    })
  )

  it.effect("a connection made before anyone serves is served", () =>
    Effect.gen(function* () {
      const context = yield* Layer.build(NodeWebSocketServer.layer(anyPort))
      const server = Context.get(context, WebSocketServer.WebSocketServer)
      const raw = yield* rawTcp(portOf(server.address))
      raw.send(requestHead())
      yield* settle
      assert.strictEqual(raw.text, "")
      yield* server.serve({ onOpen: echo })
      assert.match(yield* raw.reads("\r\n\r\n"), /^HTTP\/1\.1 101 /)
      raw.socket.destroy()
    })
  )

  it.effect("a connection that nobody serves is dropped with the server", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const server = yield* Scope.provide(NodeTransportServer.make(anyPort), scope)
      const raw = yield* rawTcp(portOf(server.address))
      yield* settle
      yield* Scope.close(scope, Exit.void)
      yield* raw.gone
    })
  )

  it.effect("a port that is taken fails with a TransportError that names it", () =>
    Effect.gen(function* () {
      const port = yield* rawServer(() => {})
      const error = yield* Effect.flip(Layer.build(NodeWebSocketServer.layer({ host, port })))
      assert.strictEqual(error._tag, "TransportError")
      assert.include(error.message, `cannot listen on ${host}, port ${port}: `)
      if (error._tag === "TransportError") assert.propertyVal(error.cause, "code", "EADDRINUSE")
    })
  )

  it.effect("a port that cannot be is a TransportError that names it", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Layer.build(NodeWebSocketServer.layer({ host, port: 65_536 })))
      assert.strictEqual(error._tag, "TransportError")
      assert.include(error.message, `cannot listen on ${host}, port 65536: `)
    })
  )

  it.effect("a port that nobody listens on fails with a ConnectFailure that names it", () =>
    Effect.gen(function* () {
      const port = yield* Effect.scoped(rawServer(() => {}))
      const error = yield* Effect.flip((yield* makeClient()).connect(`ws://${host}:${port}/`))
      assert.strictEqual(error.reason._tag, "ConnectFailure")
      assert.include(error.message, `cannot connect to ${host}, port ${port}: `)
    })
  )

  it.effect("a host of several addresses fails with the reason of each", () =>
    Effect.gen(function* () {
      const port = yield* Effect.scoped(rawServer(() => {}))
      const addresses = ["127.0.0.1", "127.0.0.2"]
      const spy = vi.spyOn(Dns, "lookup").mockImplementation((...args: ReadonlyArray<unknown>) => {
        const done = args.at(-1)
        const found = addresses.map((address) => ({ address, family: 4 }))
        if (typeof done === "function") done(null, found)
      })
      onTestFinished(() => spy.mockRestore())
      const error = yield* Effect.flip((yield* makeClient()).connect(`ws://two.test:${port}/`))
      const reasons = addresses.map((address) => `connect ECONNREFUSED ${address}:${port}`)
      assert.strictEqual(
        error.reason.message,
        `cannot connect to two.test, port ${port}: ${reasons.join("; ")}`
      )
    })
  )

  it.effect("a server that is interrupted while its host is looked up does not listen afterwards", () =>
    Effect.gen(function* () {
      const lookups: Array<() => void> = []
      const spy = vi.spyOn(Dns, "lookup").mockImplementation((...args: ReadonlyArray<unknown>) => {
        const done = args.at(-1)
        if (typeof done === "function") lookups.push(() => done(null, [{ address: host, family: 4 }]))
      })
      onTestFinished(() => spy.mockRestore())
      const listeners = () =>
        process.getActiveResourcesInfo().filter((resource) => resource === "TCPServerWrap").length
      const before = listeners()
      const layer = NodeWebSocketServer.layer({ host: "slow.test", port: 0 })
      const starting = yield* Effect.forkChild(Effect.scoped(Layer.build(layer)), { startImmediately: true })
      assert.lengthOf(lookups, 1)
      yield* Fiber.interrupt(starting)
      for (const answer of lookups) answer()
      yield* settle
      assert.strictEqual(listeners(), before)
    })
  )

  it.effect("the wait for a response ends with openHandshakeTimeout, and drops the socket", () =>
    Effect.gen(function* () {
      const received = yield* Deferred.make<Net.Socket>()
      const port = yield* rawServer((socket) => {
        socket.once("data", () => Deferred.doneUnsafe(received, Effect.succeed(socket)))
      })
      const client = yield* makeClient({ openHandshakeTimeout: "3 seconds" })
      const connecting = yield* Effect.forkChild(Effect.flip(client.connect(`ws://${host}:${port}/`)))
      const socket = yield* Deferred.await(received)
      const ended = yield* Effect.forkChild(
        Effect.callback<void>((resume) => {
          socket.once("end", () => resume(Effect.void))
          socket.once("error", () => resume(Effect.void))
        }),
        { startImmediately: true }
      )
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual((yield* Fiber.join(connecting)).reason._tag, "HandshakeTimeout")
      yield* Fiber.join(ended)
    })
  )
})

describe("a peer that resets", () => {
  it.effect("after the opening handshake: the handler fails typed, and the server goes on", () =>
    Effect.gen(function* () {
      const failure = yield* Deferred.make<WebSocketError.WebSocketError>()
      const server = yield* serve(NodeWebSocketServer.layer(anyPort), {
        onOpen: (channel) => Effect.tapError(echo(channel), (error) => Deferred.succeed(failure, error))
      })
      const { raw, reset } = yield* resetTcp(portOf(server.address), requestHead())
      yield* raw.reads("\r\n\r\n")
      yield* reset
      const { reason } = yield* Deferred.await(failure)
      if (reason._tag === "ConnectionClosed") assert.strictEqual(reason.code, 1006)
      else assert.strictEqual(reason._tag, "TransportFailure")
      yield* goesOn(server)
    })
  )

  it.effect.each([
    { when: "before the request", parts: [] },
    { when: "inside the request's head", parts: [requestHead().slice(0, 40)] }
  ])("$when: the server goes on", ({ parts }) =>
    Effect.gen(function* () {
      const server = yield* echoing
      const { reset } = yield* resetTcp(portOf(server.address), ...parts)
      yield* settle
      yield* reset
      yield* goesOn(server)
    })
  )

  it.effect("while a server answers nothing: the client fails with ConnectFailure", () =>
    Effect.gen(function* () {
      const port = yield* rawServer((socket) => socket.once("data", () => socket.resetAndDestroy()))
      const error = yield* Effect.flip((yield* makeClient()).connect(`ws://${host}:${port}/`))
      assert.strictEqual(error.reason._tag, "ConnectFailure")
    })
  )
})

describe("the end of the scopes", () => {
  it.live("no socket is left, whoever closed, and none after a denial or a reset", () =>
    Effect.gen(function* () {
      yield* settle
      const before = openSockets()
      yield* Effect.scoped(
        Effect.gen(function* () {
          const server = yield* serve(NodeWebSocketServer.layer(anyPort), {
            onConnect: ({ path }) => (path === "/no" ? Effect.fail(ConnectionDeny.forbidden()) : Effect.void),
            onOpen: echo
          })
          const client = yield* makeClient()
          const open = yield* client.connect(urlOf(server))
          yield* roundTrip(open, "left open")
          yield* Effect.scoped(client.connect(urlOf(server)))
          yield* Effect.flip(client.connect(urlOf(server, "/no")))
          const { raw, reset } = yield* resetTcp(portOf(server.address), requestHead())
          yield* raw.reads("\r\n\r\n")
          yield* reset
          assert.isAbove(openSockets().length, before.length)
        })
      )
      yield* settle
      assert.deepStrictEqual(openSockets(), before)
    })
  )

  it.effect("no timer is left", () =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      let sleeping = 0
      let slept = 0
      const counting = {
        ...clock,
        sleep: () =>
          Effect.suspend(() => {
            sleeping++
            slept++
            return Effect.ensuring(
              Effect.never,
              Effect.sync(() => {
                sleeping--
              })
            )
          })
      }
      const limits = { openHandshakeTimeout: "1 minute", closeHandshakeTimeout: "1 minute" } as const
      yield* Effect.gen(function* () {
        const server = yield* serve(NodeWebSocketServer.layer(anyPort, limits), {
          onConnect: ({ path }) => (path === "/no" ? Effect.fail(ConnectionDeny.forbidden()) : Effect.void),
          onOpen: echo
        })
        const client = yield* makeClient(limits)
        yield* roundTrip(yield* client.connect(urlOf(server)), "left open")
        const closed = yield* client.connect(urlOf(server))
        yield* closed.close(1000)
        yield* Effect.flip(client.connect(urlOf(server, "/no")))
      }).pipe(Effect.scoped, Effect.provideService(Clock.Clock, counting))
      yield* settle
      assert.isAbove(slept, 0)
      assert.strictEqual(sleeping, 0)
    })
  )

  it.effect("a server's connections are closed with 1001", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const server = yield* Scope.provide(echoing, scope)
      const channel = yield* (yield* makeClient()).connect(urlOf(server))
      assert.strictEqual(yield* roundTrip(channel, "x"), "x")
      assert.strictEqual(yield* server.connections, 1)
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(yield* channel.closed, { wasClean: true, code: 1001, reason: "" })
      assert.strictEqual(yield* server.connections, 0)
    })
  )

  it.effect("a drained server refuses connections", () =>
    Effect.gen(function* () {
      const server = yield* echoing
      assert.deepStrictEqual(yield* server.drain(), { finished: 0, dropped: 0 })
      const error = yield* Effect.flip((yield* makeClient()).connect(urlOf(server)))
      assert.strictEqual(error.reason._tag, "ConnectFailure")
    })
  )
})

describe("Unix-domain sockets", () => {
  const socketPath = Effect.map(temporaryDirectory, (directory) => Path.join(directory, "the.sock"))

  it.effect("echo and close", () =>
    Effect.gen(function* () {
      const path = yield* socketPath
      const asked: Array<ConnectionRequest> = []
      const server = yield* serve(NodeWebSocketServer.layer({ path }), {
        onConnect: (request) => Effect.sync(() => void asked.push(request)),
        onOpen: echo
      })
      assert.deepStrictEqual(server.address, NetAddress.unixPathAddress(path))
      const channel = yield* (yield* makeClient()).connect(`ws://unix:${path}:/chat?room=1`)
      assert.deepStrictEqual(
        asked.map(({ host, params, path }) => [host, path, { ...params }]),
        [["localhost", "/chat", { room: ["1"] }]]
      )
      for (const message of ["hello", mebibyte]) {
        assert.deepStrictEqual(yield* roundTrip(channel, message), message)
      }
      assert.deepStrictEqual([channel.peer, channel.local, channel.tls], [undefined, undefined, undefined])
      assert.deepStrictEqual(yield* channel.close(1000), { wasClean: true, code: 1000, reason: "" })
    })
  )

  it.effect("a denial, with status, headers and body", () =>
    Effect.gen(function* () {
      const path = yield* socketPath
      const deny = ConnectionDeny.unauthorized({ headers: { "X-Why": "no name" }, body: "who are you?" })
      yield* serve(NodeWebSocketServer.layer({ path }), denyWith(deny))
      const { reason } = yield* Effect.flip((yield* makeClient()).connect(`ws://unix:${path}`))
      assert.strictEqual(reason._tag, "Rejected")
      if (reason._tag !== "Rejected") return
      assert.deepStrictEqual(
        [reason.status, reason.headers["x-why"], reason.body],
        [401, "no name", "who are you?"]
      )
    })
  )

  it.effect("a raw client is served", () =>
    Effect.gen(function* () {
      const path = yield* socketPath
      yield* serve(NodeWebSocketServer.layer({ path }), { onOpen: echo })
      const raw = yield* rawSocket(() => Net.connect({ path }))
      raw.send(requestHead())
      assert.match(yield* raw.reads("\r\n\r\n"), /^HTTP\/1\.1 101 /)
    })
  )

  it.effect("a path that cannot be listened on, or where nobody listens, is named", () =>
    Effect.gen(function* () {
      const path = Path.join(yield* temporaryDirectory, "none", "the.sock")
      const listening = yield* Effect.flip(Layer.build(NodeWebSocketServer.layer({ path })))
      assert.include(listening.message, `cannot listen on ${path}: `)
      const connecting = yield* Effect.flip((yield* makeClient()).connect(`ws://unix:${path}`))
      assert.strictEqual(connecting.reason._tag, "ConnectFailure")
      assert.include(connecting.message, `cannot connect to ${path}: `)
    })
  )
})
