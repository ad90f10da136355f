/**
 * A server and what the application gives it: handlers, their requirements, and the ends of connections.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as NetAddress from "effect/net/NetAddress"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { ConnectionDeny, WebSocketChannel, WebSocketClient, WebSocketServer } from "effect-websocket"
import { expectTypeOf } from "vitest"
import { settle } from "../support/apiSession.ts"
import { clean, layer, openRawClient, rawClient, recordLog, untilClosed } from "../support/bothEnds.ts"
import { requestHead } from "../support/RawPeer.ts"

const echo = (channel: WebSocketChannel.Channel) => Stream.runForEach(channel.messages, channel.send)

const first = (channel: WebSocketChannel.Channel) =>
  Effect.map(Stream.runCollect(Stream.take(channel.messages, 1)), ([message]) => message)

/** Sends a message and gives the answer. */
const ask = (channel: WebSocketChannel.Channel, message: string) =>
  Effect.andThen(channel.send(message), first(channel))

const connect = WebSocketClient.connect("ws://test/")

/** Who may connect. */
class Guests extends Context.Service<
  Guests,
  { readonly isWelcome: (path: string) => Effect.Effect<boolean> }
>()("test/Guests") {}

/** What a guest is told. */
class Greeting extends Context.Service<Greeting, { readonly words: string }>()("test/Greeting") {}

const welcoming = Layer.succeed(Guests, { isWelcome: (path) => Effect.succeed(path === "/welcome") })
const greeting = Layer.succeed(Greeting, { words: "good day" })

const receiving = {
  onConnect: Effect.fnUntraced(function* ({ path }: { readonly path: string }) {
    const guests = yield* Guests
    if (!(yield* guests.isWelcome(path))) return yield* ConnectionDeny.forbidden()
  }),
  onOpen: (channel: WebSocketChannel.Channel) =>
    Effect.flatMap(Greeting, ({ words }) => Effect.andThen(channel.send(words), channel.closed))
}

describe("serve", () => {
  it.effect("as an Effect serves until its scope closes, which closes connections with 1001", () =>
    Effect.gen(function* () {
      const server = yield* WebSocketServer.WebSocketServer
      const scope = yield* Scope.make()
      yield* Scope.provide(server.serve({ onOpen: echo }), scope)
      const channel = yield* connect
      assert.strictEqual(yield* ask(channel, "hello"), "hello")
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(yield* channel.closed, clean(1001))
      assert.strictEqual((yield* Effect.flip(connect)).reason._tag, "ConnectFailure")
    }).pipe(Effect.provide(layer()))
  )

  it.effect("as a Layer serves until the layer's scope closes, which closes connections with 1001", () =>
    Effect.gen(function* () {
      const channel = yield* Effect.gen(function* () {
        const channel = yield* connect
        assert.strictEqual(yield* ask(channel, "hello"), "hello")
        return channel
      }).pipe(Effect.provide(WebSocketServer.serve({ onOpen: echo })))
      assert.deepStrictEqual(yield* channel.closed, clean(1001))
      assert.strictEqual((yield* Effect.flip(connect)).reason._tag, "ConnectFailure")
    }).pipe(Effect.provide(layer()))
  )

  it.effect("serves those too who connected before", () =>
    Effect.gen(function* () {
      const server = yield* WebSocketServer.WebSocketServer
      const connecting = yield* Effect.forkChild(connect)
      yield* settle
      assert.isUndefined(connecting.pollUnsafe())
      yield* server.serve({ onOpen: echo })
      assert.strictEqual(yield* ask(yield* Fiber.join(connecting), "hello"), "hello")
    }).pipe(Effect.provide(layer()))
  )

  it.effect("without onConnect accepts everyone, without a subprotocol", () =>
    Effect.gen(function* () {
      const server = yield* WebSocketServer.WebSocketServer
      yield* server.serve({ onOpen: untilClosed })
      const channel = yield* WebSocketClient.connect("ws://test/any", { protocols: ["chat"] })
      assert.isUndefined(channel.subprotocol)
    }).pipe(Effect.provide(layer()))
  )
})

describe("the handlers' requirements", () => {
  it.effect("come from the application's layers", () =>
    Effect.gen(function* () {
      const channel = yield* WebSocketClient.connect("ws://test/welcome")
      assert.strictEqual(yield* first(channel), "good day")
      const { reason } = yield* Effect.flip(WebSocketClient.connect("ws://test/elsewhere"))
      assert.strictEqual(reason._tag === "Rejected" && reason.status, 403)
    }).pipe(
      Effect.provide(WebSocketServer.serve(receiving).pipe(Layer.provide([welcoming, greeting]))),
      Effect.provide(layer())
    )
  )

  it("are the layer's, and the effect's, until a layer provides them", () => {
    const served = WebSocketServer.serve(receiving)
    expectTypeOf(served).toEqualTypeOf<
      Layer.Layer<never, never, WebSocketServer.WebSocketServer | Guests | Greeting>
    >()
    expectTypeOf(Layer.provide(served, greeting)).toEqualTypeOf<
      Layer.Layer<never, never, WebSocketServer.WebSocketServer | Guests>
    >()
    expectTypeOf(served.pipe(Layer.provide([greeting, welcoming]))).toEqualTypeOf<
      Layer.Layer<never, never, WebSocketServer.WebSocketServer>
    >()
    const effect = Effect.flatMap(WebSocketServer.WebSocketServer, (server) => server.serve(receiving))
    expectTypeOf(effect).toEqualTypeOf<
      Effect.Effect<void, never, WebSocketServer.WebSocketServer | Guests | Greeting | Scope.Scope>
    >()
    assert.isTrue(Layer.isLayer(served))
  })

  it("do not name what the server provides: the channel, and the connection's scope", () => {
    const served = WebSocketServer.serve({
      onConnect: () => Effect.asVoid(Effect.acquireRelease(Effect.void, () => Effect.void)),
      onOpen: () => Effect.andThen(Effect.scope, WebSocketChannel.WebSocketChannel)
    })
    expectTypeOf(served).toEqualTypeOf<Layer.Layer<never, never, WebSocketServer.WebSocketServer>>()
    assert.isTrue(Layer.isLayer(served))
  })

  it.effect("WebSocketChannel in onOpen's context is the channel it was given", () =>
    Effect.gen(function* () {
      const server = yield* WebSocketServer.WebSocketServer
      const same = yield* Deferred.make<boolean>()
      yield* server.serve({
        onOpen: (channel) =>
          Effect.flatMap(WebSocketChannel.WebSocketChannel, (own) => Deferred.succeed(same, own === channel))
      })
      yield* connect
      assert.isTrue(yield* Deferred.await(same))
    }).pipe(Effect.provide(layer()))
  )
})

describe("a connection's resources", () => {
  const acquired = (name: string, events: Array<string>) =>
    Effect.acquireRelease(
      Effect.sync(() => void events.push(`acquired ${name}`)),
      () => Effect.sync(() => void events.push(`released ${name}`))
    )

  const serveResources = Effect.gen(function* () {
    const server = yield* WebSocketServer.WebSocketServer
    const events: Array<string> = []
    yield* server.serve({
      onConnect: () => acquired("onConnect", events),
      onOpen: (channel) => Effect.andThen(acquired("onOpen", events), first(channel))
    })
    return events
  })

  it.effect("are released when the connection has been closed, and the server goes on", () =>
    Effect.gen(function* () {
      const events = yield* serveResources
      const peer = yield* openRawClient
      peer.send(peer.text("that is all"))
      assert.strictEqual(yield* peer.read, "close 1000")
      yield* settle
      assert.deepStrictEqual(events, ["acquired onConnect", "acquired onOpen"])
      peer.send(peer.close(1000))
      yield* peer.rest
      yield* settle
      assert.lengthOf(events, 2, "the transport has not ended yet")
      peer.finish()
      yield* settle
      assert.deepStrictEqual(events.slice(2), ["released onOpen", "released onConnect"])
      yield* openRawClient
    }).pipe(Effect.provide(layer({ server: { closeHandshakeTimeout: 0 } })))
  )

  it.effect("are released when the connection is lost", () =>
    Effect.gen(function* () {
      const events = yield* serveResources
      const peer = yield* openRawClient
      peer.drop()
      yield* settle
      assert.deepStrictEqual(events.slice(2), ["released onOpen", "released onConnect"])
    }).pipe(Effect.provide(layer()))
  )

  it.effect("of onConnect are released when it denies the connection", () =>
    Effect.gen(function* () {
      const server = yield* WebSocketServer.WebSocketServer
      const events: Array<string> = []
      yield* server.serve({
        onConnect: () => Effect.andThen(acquired("onConnect", events), ConnectionDeny.notFound()),
        onOpen: untilClosed
      })
      yield* Effect.flip(connect)
      yield* settle
      assert.deepStrictEqual(events, ["acquired onConnect", "released onConnect"])
    }).pipe(Effect.provide(layer()))
  )
})

describe("onConnect", () => {
  it.effect("accepts with a subprotocol, with headers, or denies, by what it gives back", () =>
    Effect.gen(function* () {
      const server = yield* WebSocketServer.WebSocketServer
      yield* server.serve({
        onConnect: ({ path, protocols }) => {
          if (path === "/plain") return Effect.succeed(protocols[1])
          if (path === "/accept") {
            return Effect.succeed({ subprotocol: "a", headers: { "Set-Cookie": ["x=1", "y=2"] } })
          }
          const headers = { "X-Why": "because" }
          return Effect.fail(new ConnectionDeny({ status: 418, reason: "Teapot", headers, body: "short" }))
        },
        onOpen: untilClosed
      })
      const protocols = ["a", "b"]
      assert.strictEqual((yield* WebSocketClient.connect("ws://test/plain", { protocols })).subprotocol, "b")
      const accepted = yield* WebSocketClient.connect("ws://test/accept", { protocols })
      assert.strictEqual(accepted.subprotocol, "a")
      assert.strictEqual(accepted.response?.headers["set-cookie"], "x=1, y=2")
      const { reason } = yield* Effect.flip(WebSocketClient.connect("ws://test/deny"))
      assert(reason._tag === "Rejected")
      assert.deepStrictEqual([reason.status, reason.statusText, reason.body], [418, "Teapot", "short"])
      assert.strictEqual(reason.headers["x-why"], "because")
    }).pipe(Effect.provide(layer()))
  )

  const wrong: ReadonlyArray<
    readonly [what: string, onConnect: WebSocketServer.OnConnect<never>, log: string]
  > = [
    [
      "throws",
      () => {
        throw new Error("oops")
      },
      "Error onConnect died: oops"
    ],
    ["dies", () => Effect.die(new Error("oops")), "Error onConnect died: oops"],
    [
      "dies later",
      () => Effect.andThen(Effect.yieldNow, Effect.die(new Error("oops"))),
      "Error onConnect died: oops"
    ],
    [
      "chooses a subprotocol that was not asked for",
      () => Effect.succeed("other"),
      "Error onConnect chose the subprotocol other, which the client did not announce"
    ]
  ]

  it.effect.each(wrong)(
    "that %s gets the client a 500 and a line in the log; the server goes on",
    ([, onConnect, line]) => {
      const log = recordLog()
      return Effect.gen(function* () {
        const server = yield* WebSocketServer.WebSocketServer
        yield* server.serve({
          onConnect: (request) => (request.path === "/wrong" ? onConnect(request) : Effect.void),
          onOpen: echo
        })
        const other = yield* connect
        const { reason } = yield* Effect.flip(WebSocketClient.connect("ws://test/wrong"))
        assert.strictEqual(reason._tag === "Rejected" && reason.status, 500)
        assert.deepStrictEqual(log.lines, [line])
        assert.strictEqual(yield* ask(other, "before"), "before")
        assert.strictEqual(yield* ask(yield* connect, "after"), "after")
      }).pipe(Effect.provide(layer()), Effect.provide(log.layer))
    }
  )
})

describe("onOpen", () => {
  type OnOpen = (channel: WebSocketChannel.Channel) => Effect.Effect<unknown, unknown>
  const ends: ReadonlyArray<
    readonly [what: string, onOpen: OnOpen, code: number, log: ReadonlyArray<string>]
  > = [
    ["succeeds", () => Effect.void, 1000, []],
    ["fails", () => Effect.fail(new Error("no more")), 1011, ["Error onOpen failed: no more"]],
    ["dies", () => Effect.die(new Error("a defect")), 1011, ["Error onOpen failed: a defect"]],
    [
      "throws",
      () => {
        throw new Error("thrown")
      },
      1011,
      ["Error onOpen failed: thrown"]
    ],
    [
      "fails later",
      (channel) => Effect.andThen(first(channel), Effect.fail(new Error("no more"))),
      1011,
      ["Error onOpen failed: no more"]
    ],
    [
      "fails with a WebSocketError of an open connection",
      (channel) => channel.sendPing(new Uint8Array(126)),
      1011,
      ["Error onOpen failed: a control frame carries at most 125 bytes, got 126"]
    ]
  ]

  it.effect.each(ends)("that %s closes its connection, and touches no other", ([, onOpen, code, lines]) => {
    const log = recordLog()
    return Effect.gen(function* () {
      const server = yield* WebSocketServer.WebSocketServer
      yield* server.serve({
        onOpen: (channel) => (channel.request?.path === "/this" ? onOpen(channel) : echo(channel))
      })
      const other = yield* connect
      const channel = yield* WebSocketClient.connect("ws://test/this")
      // A connection that is closed already takes no message.
      yield* Effect.ignore(channel.send("go on"))
      assert.deepStrictEqual(yield* channel.closed, clean(code))
      assert.deepStrictEqual(log.lines, lines)
      assert.strictEqual(yield* ask(other, "still here"), "still here")
      assert.strictEqual(yield* ask(yield* connect, "new"), "new")
    }).pipe(Effect.provide(layer()), Effect.provide(log.layer))
  })

  it.effect("that fails because the peer went away is no news", () => {
    const log = recordLog()
    return Effect.gen(function* () {
      const server = yield* WebSocketServer.WebSocketServer
      yield* server.serve({
        onConnect: () => Effect.void,
        onOpen: (channel) =>
          channel.request?.path === "/sender"
            ? Effect.forever(Effect.andThen(Effect.yieldNow, channel.send("more")))
            : echo(channel)
      })
      const reader = yield* openRawClient
      const sender = yield* rawClient
      sender.send(requestHead({}, "GET /sender HTTP/1.1"))
      yield* sender.readHead
      reader.drop()
      yield* sender.readFrame
      sender.drop()
      yield* settle
      assert.strictEqual(yield* server.connections, 0)
      assert.deepStrictEqual(log.lines, [])
    }).pipe(Effect.provide(layer()), Effect.provide(log.layer))
  })

  it.effect(
    "that answers messages of a chunk that ends with a Close gets its answers out before the Close",
    () =>
      Effect.gen(function* () {
        const server = yield* WebSocketServer.WebSocketServer
        yield* server.serve({ onOpen: echo })
        const peer = yield* openRawClient
        yield* settle
        peer.send(peer.text("a"), peer.text("b"), peer.close(1000))
        assert.deepStrictEqual((yield* peer.rest).frames, ['text "a"', 'text "b"', "close 1000"])
      }).pipe(Effect.provide(layer()))
  )
})

describe("the server's facts", () => {
  it.effect("connections counts those that are open", () =>
    Effect.gen(function* () {
      const server = yield* WebSocketServer.WebSocketServer
      yield* server.serve({
        onConnect: ({ path }) => (path === "/denied" ? ConnectionDeny.forbidden() : Effect.void),
        onOpen: untilClosed
      })
      assert.strictEqual(yield* server.connections, 0)
      yield* rawClient
      yield* Effect.flip(WebSocketClient.connect("ws://test/denied"))
      yield* settle
      assert.strictEqual(yield* server.connections, 0, "opening handshakes and denials do not count")
      const channel = yield* connect
      const peer = yield* openRawClient
      assert.strictEqual(yield* server.connections, 2)
      yield* channel.close(1000)
      yield* settle
      assert.strictEqual(yield* server.connections, 1)
      peer.drop()
      yield* settle
      assert.strictEqual(yield* server.connections, 0)
    }).pipe(Effect.provide(layer()))
  )

  it.effect("address is the network's", () =>
    Effect.gen(function* () {
      const { address } = yield* WebSocketServer.WebSocketServer
      assert.deepStrictEqual(address, NetAddress.inetAddressUnsafe(NetAddress.ipv4Loopback, 80))
    }).pipe(Effect.provide(layer()))
  )
})
