/**
 * What a server answers when it cannot go on: an application or a service that is wrong, a client that is
 * gone.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as NetAddress from "effect/net/NetAddress"
import * as Result from "effect/Result"
import {
  Compression,
  ConnectionDeny,
  ConnectionMetrics,
  Framing,
  Handshake,
  Protocol,
  Transport,
  WebSocketClient,
  WebSocketServer
} from "effect-websocket"
import { InMemoryTransport, WebSocketTest } from "effect-websocket/testing"
import { settle } from "../support/apiSession.ts"
import { layer, rawClient, recordLog, untilClosed } from "../support/bothEnds.ts"
import { RawPeer, requestHead } from "../support/RawPeer.ts"

const connect = (path: string) => WebSocketClient.connect(`ws://test${path}`)

const rejection = (path: string) =>
  connect(path).pipe(
    Effect.andThen(Effect.die("connected")),
    Effect.catchReason("HandshakeError", "Rejected", Effect.succeed)
  )

const denials: ReadonlyArray<readonly [what: string, deny: ConnectionDeny, line: string]> = [
  [
    "a status below 300",
    new ConnectionDeny({ status: 200 }),
    "Error ConnectionDeny: the status of a denial is not an integer from 300 to 599"
  ],
  [
    "a status above 599",
    new ConnectionDeny({ status: 600 }),
    "Error ConnectionDeny: the status of a denial is not an integer from 300 to 599"
  ],
  [
    "a reason phrase with a line end",
    ConnectionDeny.forbidden({ reason: "No\r\nX-Injected: 1" }),
    "Error ConnectionDeny: the reason phrase of a denial is not visible ASCII"
  ],
  [
    "a header value with a line end",
    ConnectionDeny.forbidden({ headers: { "X-A": "1\r\nX-Injected: 1" } }),
    "Error ConnectionDeny: invalid value of header X-A"
  ],
  [
    "a header of the denial's own",
    ConnectionDeny.forbidden({ headers: { "Content-Length": "1000" } }),
    "Error ConnectionDeny: header Content-Length is set by the opening handshake"
  ]
]

describe("a denial that cannot be sent", () => {
  it.effect.each(denials)("%s: the client gets a 500, and the log says why", ([, deny, line]) => {
    const log = recordLog()
    return Effect.gen(function* () {
      const server = yield* WebSocketServer.WebSocketServer
      yield* server.serve({ onConnect: () => Effect.fail(deny), onOpen: untilClosed })
      const { headers, status, statusText } = yield* rejection("/")
      assert.strictEqual(`${status} ${statusText}`, "500 Internal Server Error")
      assert.notProperty(headers, "x-injected")
      assert.deepStrictEqual(log.lines, [line])
    }).pipe(Effect.provide([layer(), log.layer]))
  })
})

const acceptances: ReadonlyArray<
  readonly [what: string, headers: Readonly<Record<string, string>>, line: string]
> = [
  [
    "a header value with a line end",
    { "X-A": "1\r\nX-Injected: 1" },
    "Error onConnect's acceptance: invalid value of header X-A"
  ],
  ["a header name that is none", { "X A": "1" }, `Error onConnect's acceptance: invalid header name "X A"`],
  [
    "a header of the handshake's own",
    { "sec-websocket-accept": "1" },
    "Error onConnect's acceptance: header sec-websocket-accept is set by the opening handshake"
  ]
]

describe("an acceptance that cannot be sent", () => {
  it.effect.each(acceptances)("%s: the client gets a 500, and the log says why", ([, headers, line]) => {
    const log = recordLog()
    return Effect.gen(function* () {
      const server = yield* WebSocketServer.WebSocketServer
      yield* server.serve({ onConnect: () => Effect.succeed({ headers }), onOpen: untilClosed })
      assert.strictEqual((yield* rejection("/")).status, 500)
      assert.deepStrictEqual(log.lines, [line])
    }).pipe(Effect.provide([layer(), log.layer]))
  })
})

const broken = (): never => {
  throw new Error("a broken service")
}

const replaced = <Service extends Protocol.Protocol>(mock: Layer.Layer<Service>) =>
  WebSocketTest.layerNoProtocol().pipe(Layer.provide(mock), Layer.provide(Protocol.layer))

describe("a service that throws", () => {
  it.effect("while it accepts: the client gets a 500, and the log says why", () => {
    const log = recordLog()
    const mock = Layer.succeed(Compression.Compression, {
      offer: () => [],
      accept: broken,
      acceptResponse: () => Result.succeed(Compression.none)
    })
    return Effect.gen(function* () {
      const server = yield* WebSocketServer.WebSocketServer
      yield* server.serve({ onOpen: untilClosed })
      assert.strictEqual((yield* rejection("/")).status, 500)
      assert.deepStrictEqual(log.lines, ["Error accepting the connection died: a broken service"])
    }).pipe(Effect.provide([replaced(mock), log.layer]))
  })

  it.effect("while it makes the codec: the client gets a 500, and no 101 before it", () => {
    const log = recordLog()
    return Effect.gen(function* () {
      const server = yield* WebSocketServer.WebSocketServer
      yield* server.serve({ onOpen: untilClosed })
      assert.strictEqual((yield* rejection("/")).status, 500)
      assert.deepStrictEqual(log.lines, ["Error accepting the connection died: a broken service"])
    }).pipe(Effect.provide([replaced(Layer.succeed(Framing.Framing, { make: broken })), log.layer]))
  })

  const observers: ReadonlyArray<readonly [what: string, observer: () => Effect.Effect<void>]> = [
    ["throws", broken],
    ["dies", () => Effect.sync(broken)]
  ]

  it.effect.each(observers)(
    "who %s when told of the connection: a 500, and no 101 before it",
    ([, observe]) => {
      const log = recordLog()
      const observer = Layer.succeed(ConnectionMetrics.ConnectionObserver, observe)
      return Effect.gen(function* () {
        const server = yield* WebSocketServer.WebSocketServer
        yield* Effect.provide(server.serve({ onOpen: untilClosed }), observer)
        const peer = yield* rawClient
        peer.send(requestHead())
        assert.match(yield* peer.readHead, /^HTTP\/1\.1 500 /)
        assert.deepStrictEqual(log.lines, ["Error accepting the connection died: a broken service"])
      }).pipe(Effect.provide([layer(), log.layer]))
    }
  )

  it.effect("who takes time when told of the connection does not hold it up", () => {
    const observer = Layer.succeed(ConnectionMetrics.ConnectionObserver, () => Effect.never)
    return Effect.gen(function* () {
      const server = yield* WebSocketServer.WebSocketServer
      yield* Effect.provide(server.serve({ onOpen: untilClosed }), observer)
      yield* connect("/")
      assert.strictEqual(yield* server.connections, 1)
    }).pipe(Effect.provide(layer()))
  })

  it.effect(
    "in a finalizer of the connection: the log says so, and nothing is left of the connection",
    () => {
      const log = recordLog()
      return Effect.gen(function* () {
        const server = yield* WebSocketServer.WebSocketServer
        yield* server.serve({
          onOpen: (channel) =>
            Effect.andThen(
              Effect.addFinalizer(() => Effect.sync(broken)),
              channel.closed
            )
        })
        yield* Effect.flatMap(connect("/"), (channel) => channel.close(1000))
        yield* settle
        assert.deepStrictEqual(log.lines, ["Error a connection died: a broken service"])
        assert.deepStrictEqual(yield* server.drain("1 second"), { finished: 0, dropped: 0 })
      }).pipe(Effect.provide([layer(), log.layer]))
    }
  )

  it.effect(
    "while it reads the request: the connection is dropped, the log says why, the server goes on",
    () => {
      const log = recordLog()
      const mock = Layer.effect(
        Handshake.Handshake,
        Effect.map(Handshake.Handshake, (handshake) => ({
          ...handshake,
          parseRequest: (...args: Parameters<typeof handshake.parseRequest>) =>
            args[0].target === "/broken" ? broken() : handshake.parseRequest(...args)
        }))
      ).pipe(Layer.provide(Protocol.layer))
      return Effect.gen(function* () {
        const server = yield* WebSocketServer.WebSocketServer
        yield* server.serve({ onOpen: untilClosed })
        const { reason } = yield* Effect.flip(connect("/broken"))
        assert.strictEqual(reason._tag, "ConnectFailure")
        assert.deepStrictEqual(log.lines, ["Error a connection died: a broken service"])
        yield* connect("/")
        assert.strictEqual(yield* server.connections, 1)
      }).pipe(Effect.provide([replaced(mock), log.layer]))
    }
  )
})

const cuts: ReadonlyArray<readonly [what: string, sent: string]> = [
  ["before it has sent anything", ""],
  ["in the middle of its request", requestHead().slice(0, 40)]
]

describe("a client that goes away during the opening handshake", () => {
  it.effect.each(cuts)("%s: nothing is left of it, and the log says nothing", ([, sent]) => {
    const log = recordLog()
    return Effect.gen(function* () {
      const server = yield* WebSocketServer.WebSocketServer
      yield* server.serve({ onOpen: untilClosed })
      for (const leave of ["finish", "drop"] as const) {
        const peer = yield* rawClient
        if (sent !== "") peer.send(sent)
        yield* settle
        peer[leave]()
        yield* settle
      }
      assert.strictEqual(yield* server.connections, 0)
      assert.deepStrictEqual(yield* server.drain(), { finished: 0, dropped: 0 })
      assert.deepStrictEqual(log.lines, [])
    }).pipe(Effect.provide([layer(), log.layer]))
  })

  it.effect("while onConnect decides: its channel has ended when it opens", () =>
    Effect.gen(function* () {
      const server = yield* WebSocketServer.WebSocketServer
      const ends: Array<unknown> = []
      yield* server.serve({
        onConnect: () => settle,
        onOpen: (channel) => Effect.map(channel.closed, (end) => ends.push(end))
      })
      const peer = yield* rawClient
      peer.send(requestHead())
      yield* Effect.yieldNow
      peer.drop()
      yield* settle
      yield* settle
      assert.deepStrictEqual(ends, [{ wasClean: false, code: 1006, reason: "" }])
    }).pipe(Effect.provide(layer()))
  )
})

describe("a server that drains on a network that goes on accepting", () => {
  it.effect("answers 503, and does not ask the application", () =>
    Effect.gen(function* () {
      let onTransport: Transport.OnTransport = () => assert.fail("nobody accepts")
      const network = Layer.succeed(Transport.TransportServer, {
        address: NetAddress.inetAddressUnsafe(NetAddress.ipv4Loopback, 80),
        accept: (accept) =>
          Effect.sync(() => {
            onTransport = accept
          }),
        stop: Effect.void
      })
      const server = yield* WebSocketServer.make().pipe(Effect.provide([network, Protocol.layer]))
      const asked: Array<string> = []
      yield* server.serve({
        onConnect: ({ path }) => {
          asked.push(path)
          return Effect.void
        },
        onOpen: untilClosed
      })
      yield* server.drain()
      const pair = yield* InMemoryTransport.makePair()
      onTransport(Transport.accepted(pair.server))
      const peer = new RawPeer(pair.client, "client")
      peer.send(requestHead())
      assert.strictEqual((yield* peer.readMessage).startLine, "HTTP/1.1 503 Service Unavailable")
      peer.finish()
      assert.deepStrictEqual(asked, [])
    })
  )
})
