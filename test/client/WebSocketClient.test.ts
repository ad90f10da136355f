/**
 * A client: what it asks for and gets, how its connections end, and how connecting can fail.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import {
  ConnectionDeny,
  type ConnectionRequest,
  type HandshakeError,
  Protocol,
  Transport,
  type WebSocketChannel,
  WebSocketClient,
  WebSocketServer
} from "effect-websocket"
import { InMemoryNetwork, InMemoryTransport } from "effect-websocket/testing"
import { settle } from "../support/apiSession.ts"
import {
  answer,
  clean,
  connectToRawServer,
  layer,
  rawServer,
  serveEnds,
  untilClosed
} from "../support/bothEnds.ts"
import { RawPeer, responseHead } from "../support/RawPeer.ts"

const connect = WebSocketClient.connect("ws://test/")

describe("connect", () => {
  it.effect("asks for what the session's parameters say", () =>
    Effect.gen(function* () {
      const server = yield* WebSocketServer.WebSocketServer
      const asked = yield* Deferred.make<ConnectionRequest>()
      yield* server.serve({
        onConnect: (request) => Effect.asVoid(Deferred.succeed(asked, request)),
        onOpen: untilClosed
      })
      yield* WebSocketClient.connect("ws://test:8080/chat?room=1&room=2", {
        protocols: ["chat", "superchat"],
        origin: "https://example.com",
        userAgent: "tester/1",
        headers: { Authorization: "Bearer token", "X-List": ["a", "b"] }
      })
      const { headers, host, origin, params, path, protocols, version } = yield* Deferred.await(asked)
      assert.deepStrictEqual(
        { host, path, rooms: params.room, protocols, origin, version },
        {
          host: "test:8080",
          path: "/chat",
          rooms: ["1", "2"],
          protocols: ["chat", "superchat"],
          origin: "https://example.com",
          version: 13
        }
      )
      assert.strictEqual(headers["user-agent"], "tester/1")
      assert.strictEqual(headers.authorization, "Bearer token")
      assert.strictEqual(headers["x-list"], "a, b")
    }).pipe(Effect.provide(layer()))
  )

  it.effect("asks for nothing that it was not told", () =>
    Effect.gen(function* () {
      const server = yield* WebSocketServer.WebSocketServer
      const asked = yield* Deferred.make<ConnectionRequest>()
      yield* server.serve({
        onConnect: (request) => Effect.asVoid(Deferred.succeed(asked, request)),
        onOpen: untilClosed
      })
      yield* connect
      const { headers } = yield* Deferred.await(asked)
      assert.deepStrictEqual(Object.keys(headers).sort(), [
        "connection",
        "host",
        "sec-websocket-key",
        "sec-websocket-version",
        "upgrade",
        "user-agent"
      ])
    }).pipe(Effect.provide(layer()))
  )

  it.effect("speaks protocol version 8 with our own server, if that is wanted", () =>
    Effect.gen(function* () {
      const server = yield* WebSocketServer.WebSocketServer
      const asked = yield* Deferred.make<ConnectionRequest>()
      yield* server.serve({
        onConnect: (request) => Effect.asVoid(Deferred.succeed(asked, request)),
        onOpen: (channel) => Stream.runForEach(channel.messages, channel.send)
      })
      const channel = yield* WebSocketClient.connect("ws://test/", { origin: "http://example.com" })
      yield* channel.send("hello")
      assert.strictEqual(yield* channel.receive, "hello")
      assert.strictEqual(channel.response?.version, 8)
      assert.deepInclude(yield* Deferred.await(asked), { version: 8, origin: "http://example.com" })
    }).pipe(Effect.provide(layer({ client: { version: 10 } })))
  )

  it.effect("gives a channel with the facts of the connection", () =>
    Effect.gen(function* () {
      const server = yield* WebSocketServer.WebSocketServer
      const opened = yield* Deferred.make<WebSocketChannel.Channel>()
      yield* server.serve({
        onConnect: () => Effect.succeed({ subprotocol: "chat", headers: { "X-Server": "one" } }),
        onOpen: (channel) => Effect.andThen(Deferred.succeed(opened, channel), channel.closed)
      })
      const channel = yield* WebSocketClient.connect("ws://test/", { protocols: ["superchat", "chat"] })
      const other = yield* Deferred.await(opened)
      assert.strictEqual(channel.role, "client")
      assert.strictEqual(channel.subprotocol, "chat")
      assert.deepStrictEqual(channel.extensions, [])
      assert.deepStrictEqual(channel.peer, other.local)
      assert.deepStrictEqual(channel.local, other.peer)
      assert.deepStrictEqual(channel.peer, server.address)
      assert.isUndefined(channel.tls)
      assert.isUndefined(channel.request)
      assert(channel.response !== undefined)
      const { extensions, headers, peer, protocol, version } = channel.response
      assert.deepStrictEqual([protocol, version, extensions], ["chat", 13, []])
      assert.deepStrictEqual(peer, channel.peer)
      assert.strictEqual(headers["x-server"], "one")
      assert.strictEqual(headers["sec-websocket-protocol"], "chat")
    }).pipe(Effect.provide(layer()))
  )
})

describe("when the scope ends the connection is closed", () => {
  const endings: ReadonlyArray<readonly [how: string, code: number, use: Effect.Effect<void, string>]> = [
    ["its effect succeeded", 1000, Effect.void],
    ["its effect failed", 1001, Effect.fail("no more")],
    ["its effect died", 1001, Effect.die("a defect")],
    ["its effect was interrupted", 1001, Effect.interrupt]
  ]

  it.effect.each(endings)("%s: with %i, which the server sees", ([, code, use]) =>
    Effect.gen(function* () {
      const ends = yield* serveEnds
      yield* Effect.exit(Effect.scoped(Effect.andThen(connect, use)))
      assert.deepStrictEqual(yield* Queue.take(ends), clean(code))
    }).pipe(Effect.provide(layer()))
  )

  it.effect("from outside, by an interruption: with 1001, which the server sees", () =>
    Effect.gen(function* () {
      const ends = yield* serveEnds
      const connected = yield* Deferred.make<void>()
      const using = yield* connect.pipe(
        Effect.andThen(Deferred.succeed(connected, undefined)),
        Effect.andThen(Effect.never),
        Effect.scoped,
        Effect.forkChild
      )
      yield* Deferred.await(connected)
      yield* Fiber.interrupt(using)
      assert.deepStrictEqual(yield* Queue.take(ends), clean(1001))
    }).pipe(Effect.provide(layer()))
  )

  it.effect("unless it is closed already: then the first code stands", () =>
    Effect.gen(function* () {
      const ends = yield* serveEnds
      yield* Effect.scoped(Effect.flatMap(connect, (channel) => channel.close(4000, "enough")))
      assert.deepStrictEqual(yield* Queue.take(ends), clean(4000, "enough"))
    }).pipe(Effect.provide(layer()))
  )

  it.effect("and what was sent before arrives", () =>
    Effect.gen(function* () {
      const server = yield* WebSocketServer.WebSocketServer
      const received = yield* Deferred.make<ReadonlyArray<unknown>>()
      yield* server.serve({
        onOpen: (channel) =>
          Effect.flatMap(Stream.runCollect(channel.messages), (all) => Deferred.succeed(received, all))
      })
      yield* Effect.scoped(Effect.flatMap(connect, ({ send }) => Effect.forEach(["a", "b", "c"], send)))
      assert.deepStrictEqual(yield* Deferred.await(received), ["a", "b", "c"])
    }).pipe(Effect.provide(layer()))
  )

  const patience: ReadonlyArray<readonly [limit: "5 seconds" | 0, before: number]> = [
    ["5 seconds", 4999],
    [0, 29_999]
  ]

  it.effect.each(patience)(
    "and a server that does not answer is dropped (closeHandshakeTimeout %s)",
    ([limit, before]) =>
      Effect.gen(function* () {
        const peers = yield* rawServer
        const scope = yield* Scope.make()
        const { peer } = yield* Scope.provide(connectToRawServer(peers), scope)
        const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
        assert.strictEqual(yield* peer.read, "close 1000")
        yield* TestClock.adjust(before)
        assert.isUndefined(closing.pollUnsafe())
        assert.isUndefined(peer.end)
        yield* TestClock.adjust(1)
        yield* Fiber.join(closing)
        assert.deepStrictEqual(yield* peer.rest, { frames: [], end: "drop" })
      }).pipe((test) => Effect.provide(test, layer({ client: { closeHandshakeTimeout: limit } })))
  )
})

describe("a client", () => {
  it.effect("connects again after a close, and holds several connections at a time", () =>
    Effect.gen(function* () {
      const ends = yield* serveEnds
      const server = yield* WebSocketServer.WebSocketServer
      for (const code of [4001, 4002]) {
        const channel = yield* connect
        yield* channel.close(code)
        assert.deepStrictEqual(yield* Queue.take(ends), clean(code))
      }
      const channels = yield* Effect.all([connect, connect, connect], { concurrency: "unbounded" })
      assert.strictEqual(yield* server.connections, 3)
      assert.strictEqual(new Set(channels).size, 3)
    }).pipe(Effect.provide(layer()))
  )

  it.effect("leaves nothing in the caller's scope of a connection that has ended", () =>
    Effect.gen(function* () {
      const pair = yield* InMemoryTransport.makePair()
      const peer = new RawPeer(pair.server, "server")
      let isReleased = false
      const release = Effect.sync(() => {
        isReleased = true
      })
      const client = yield* WebSocketClient.make().pipe(
        Effect.provideService(Transport.TransportClient, {
          connect: () => Effect.acquireRelease(Effect.succeed(pair.client), () => release)
        })
      )
      yield* Effect.forkChild(answer(peer))
      // The test's scope stays open.
      const channel = yield* client.connect("ws://test/")
      assert.isFalse(isReleased)
      peer.send(peer.close(1000))
      peer.finish()
      assert.isTrue((yield* channel.closed).wasClean)
      yield* settle
      assert.isTrue(isReleased)
    }).pipe(Effect.provide(Protocol.layer))
  )

  it.effect(
    "that answers messages of a chunk that ends with a Close gets its answers out before the Close",
    () =>
      Effect.gen(function* () {
        const { channel, peer } = yield* connectToRawServer(yield* rawServer)
        yield* Effect.forkChild(Stream.runForEach(channel.messages, channel.send))
        yield* settle
        peer.send(peer.text("a"), peer.text("b"), peer.close(1000))
        const frames = [yield* peer.read, yield* peer.read, yield* peer.read]
        assert.deepStrictEqual(frames, ['text "a"', 'text "b"', "close 1000"])
        peer.finish()
      }).pipe(Effect.provide(layer()))
  )
})

describe("InvalidRequest", () => {
  const requests: ReadonlyArray<
    readonly [what: string, url: string, session: WebSocketClient.SessionParameters, message: RegExp]
  > = [
    ["another scheme", "http://test/", {}, /ws:\/\/ or wss:\/\//],
    ["no URL", "", {}, /ws:\/\/ or wss:\/\//],
    ["a fragment", "ws://test/#a", {}, /fragment/],
    ["no host", "ws:///path", {}, /no valid host/],
    ["a newline in the URL", "ws://test/\r\nX: y", {}, /control character/],
    ["a newline in a header", "ws://test/", { headers: { "X-A": "b\r\nX-C: d" } }, /x-a/i],
    ["a header name that is no token", "ws://test/", { headers: { "X A": "b" } }, /x a/i],
    ["a newline in the origin", "ws://test/", { origin: "a\r\nb" }, /origin/i],
    ["a newline in the user agent", "ws://test/", { userAgent: "a\nb" }, /user-agent/i],
    ["a subprotocol twice", "ws://test/", { protocols: ["a", "b", "a"] }, /subprotocol/],
    ["a subprotocol that is no token", "ws://test/", { protocols: ["a b"] }, /subprotocol/]
  ]

  it.effect.each(requests)("%s: nobody is connected to", ([, url, session, message]) =>
    Effect.gen(function* () {
      const network = yield* InMemoryNetwork.InMemoryNetwork
      const caught = yield* WebSocketClient.connect(url, session).pipe(
        Effect.as("connected"),
        Effect.catchReason("HandshakeError", "InvalidRequest", (reason) => Effect.succeed(reason.message))
      )
      assert.match(caught, message)
      assert.lengthOf(yield* network.connections, 0)
    }).pipe(Effect.provide(layer()))
  )
})

describe("HandshakeError", () => {
  it.effect("has the URL without user information, and in its message without the query", () =>
    Effect.gen(function* () {
      const connecting = WebSocketClient.connect("ws://user:secret@test/a?token=secret")
      const error = yield* Effect.flip(connecting)
      assert.strictEqual(error.url, "ws://test/a?token=secret")
      assert.strictEqual(error.message, `ws://test/a: ${error.reason.message}`)
      assert.notInclude(Cause.pretty(Cause.fail(error)), "secret")
    }).pipe(Effect.provide(layer()))
  )
})

describe("Rejected", () => {
  it.effect("carries the server's status, reason phrase, headers and body", () =>
    Effect.gen(function* () {
      const server = yield* WebSocketServer.WebSocketServer
      const headers = { "WWW-Authenticate": ["Basic", "Bearer"] }
      yield* server.serve({
        onConnect: () =>
          ConnectionDeny.unauthorized({ reason: "Who Are You", headers, body: "log in first: ü" }),
        onOpen: untilClosed
      })
      const rejected = yield* connect.pipe(
        Effect.andThen(Effect.die("connected")),
        Effect.catchReason("HandshakeError", "Rejected", Effect.succeed)
      )
      assert.strictEqual(rejected.status, 401)
      assert.strictEqual(rejected.statusText, "Who Are You")
      assert.strictEqual(rejected.headers["www-authenticate"], "Basic, Bearer")
      assert.strictEqual(rejected.body, "log in first: ü")
      assert.strictEqual(rejected.message, "the server rejected the connection: 401 Who Are You")
    }).pipe(Effect.provide(layer()))
  )
})

/** What a server answers with, and what the client then makes of it. */
const failing: ReadonlyArray<
  readonly [what: string, reason: HandshakeError.HandshakeErrorReason["_tag"], act: (peer: RawPeer) => void]
> = [
  ["a denial", "Rejected", (peer) => peer.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")],
  [
    "a redirect",
    "Rejected",
    (peer) => peer.send("HTTP/1.1 301 Moved\r\nLocation: ws://other/\r\nContent-Length: 0\r\n\r\n")
  ],
  ["a wrong Sec-WebSocket-Accept", "InvalidResponse", (peer) => peer.send(responseHead("another key"))],
  ["no HTTP", "InvalidResponse", (peer) => peer.send("SSH-2.0-OpenSSH_9.9\r\n\r\n")],
  ["the end of the transport", "ConnectFailure", (peer) => peer.finish()],
  [
    "half a response, and the end",
    "ConnectFailure",
    (peer) => {
      peer.send("HTTP/1.1 101 Sw")
      peer.finish()
    }
  ],
  ["a reset", "ConnectFailure", (peer) => peer.drop()]
]

describe("a handshake that fails", () => {
  it.effect.each(failing)("by %s is %s, and drops its transport at once", ([, tag, act]) =>
    Effect.gen(function* () {
      const peers = yield* rawServer
      // The test's scope stays open.
      const connecting = yield* Effect.forkChild(Effect.flip(connect))
      const peer = yield* Queue.take(peers)
      yield* peer.readHead
      act(peer)
      const error = yield* Fiber.join(connecting)
      assert.strictEqual(error.reason._tag, tag)
      assert.strictEqual(error.url, "ws://test/")
      assert.strictEqual(error.message, `ws://test/: ${error.reason.message}`)
      yield* settle
      assert.isTrue(peer.isClosed)
    }).pipe(Effect.provide(layer()))
  )

  it.effect("by time is HandshakeTimeout, and drops its transport at once", () =>
    Effect.gen(function* () {
      const peers = yield* rawServer
      const caught = yield* connect.pipe(
        Effect.as("connected"),
        Effect.catchReason("HandshakeError", "HandshakeTimeout", (reason) => Effect.succeed(reason.message)),
        Effect.forkChild
      )
      const peer = yield* Queue.take(peers)
      yield* TestClock.adjust("4999 millis")
      assert.isUndefined(caught.pollUnsafe())
      assert.isFalse(peer.isClosed)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* Fiber.join(caught), "no response within openHandshakeTimeout")
      yield* settle
      assert.isTrue(peer.isClosed)
    }).pipe(Effect.provide(layer({ client: { openHandshakeTimeout: "5 seconds" } })))
  )
})

describe("ConnectFailure", () => {
  it.effect("a server that does not accept", () =>
    Effect.gen(function* () {
      const server = yield* WebSocketServer.WebSocketServer
      yield* server.drain()
      const caught = yield* connect.pipe(
        Effect.as("connected"),
        Effect.catchReason("HandshakeError", "ConnectFailure", (reason) => Effect.succeed(reason.message))
      )
      assert.strictEqual(caught, "the in-memory server does not accept connections")
    }).pipe(Effect.provide(layer()))
  )

  it.effect("carries what the transport failed with", () => {
    const cause = new Error("ECONNREFUSED")
    const error = new Transport.TransportError({ message: "cannot connect to test:80", cause })
    return Effect.gen(function* () {
      const client = yield* WebSocketClient.make()
      const { reason } = yield* Effect.flip(client.connect("ws://test/"))
      assert(reason._tag === "ConnectFailure")
      assert.strictEqual(reason.message, "cannot connect to test:80")
      assert.strictEqual(reason.cause, cause)
    }).pipe(
      Effect.provide(Layer.succeed(Transport.TransportClient, { connect: () => Effect.fail(error) })),
      Effect.provide(Protocol.layer)
    )
  })
})

describe("an interrupted connect leaves nothing open", () => {
  const points: ReadonlyArray<readonly [when: string, act: (peer: RawPeer) => Effect.Effect<unknown>]> = [
    ["before the response", (peer) => peer.readHead],
    ["in the middle of the response", (peer) => Effect.sync(() => peer.send("HTTP/1.1 101 Swi"))],
    [
      "in the middle of a denial's body",
      (peer) => Effect.sync(() => peer.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\nno"))
    ]
  ]

  it.effect.each(points)("%s", ([, act]) =>
    Effect.gen(function* () {
      const peers = yield* rawServer
      // The test's scope stays open.
      const connecting = yield* Effect.forkChild(connect)
      const peer = yield* Queue.take(peers)
      yield* act(peer)
      yield* settle
      assert.isUndefined(connecting.pollUnsafe())
      assert.isFalse(peer.isClosed)
      yield* Fiber.interrupt(connecting)
      yield* settle
      assert.isTrue(peer.isClosed)
    }).pipe(Effect.provide(layer()))
  )

  it.effect("while the transport connects: the attempt is given up", () => {
    let attempt = "none"
    const hanging = Effect.sync(() => {
      attempt = "under way"
    }).pipe(
      Effect.andThen(Effect.never),
      Effect.onInterrupt(() =>
        Effect.sync(() => {
          attempt = "given up"
        })
      )
    )
    return Effect.gen(function* () {
      const client = yield* WebSocketClient.make()
      const connecting = yield* Effect.forkChild(client.connect("ws://test/"))
      yield* settle
      assert.strictEqual(attempt, "under way")
      yield* Fiber.interrupt(connecting)
      assert.strictEqual(attempt, "given up")
    }).pipe(
      Effect.provide(Layer.succeed(Transport.TransportClient, { connect: () => hanging })),
      Effect.provide(Protocol.layer)
    )
  })

  it.effect("after any number of turns", () =>
    Effect.gen(function* () {
      const peers = yield* rawServer
      const reached: Array<RawPeer> = []
      yield* Effect.forkChild(
        Effect.forever(
          Effect.gen(function* () {
            const peer = yield* Queue.take(peers)
            reached.push(peer)
            yield* Effect.exit(answer(peer))
          })
        )
      )
      const seen = new Set<string>()
      for (let turns = 0; turns < 40; turns++) {
        const scope = yield* Scope.make()
        const connecting = yield* Effect.forkChild(Scope.provide(connect, scope))
        for (let turn = 0; turn < turns; turn++) yield* Effect.yieldNow
        yield* Fiber.interrupt(connecting)
        yield* settle
        const isConnected = Exit.isSuccess(yield* Fiber.await(connecting))
        const open = reached.splice(0).filter((peer) => !peer.isClosed)
        assert.lengthOf(open, isConnected ? 1 : 0, `interrupted ${turns} turns after the start`)
        seen.add(isConnected ? "connected" : "given up")
        for (const peer of open) peer.drop()
        yield* Scope.close(scope, Exit.void)
      }
      assert.deepStrictEqual([...seen], ["given up", "connected"])
    }).pipe(Effect.provide(layer()))
  )
})
