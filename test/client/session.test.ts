/**
 * What an application has a say in while a connection is opened: headers, `onConnecting`, `onConnect`.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as NetAddress from "effect/net/NetAddress"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import {
  type ConnectingRequest,
  type ConnectionResponse,
  type HandshakeError,
  type Transport,
  type WebSocketChannel,
  WebSocketClient
} from "effect-websocket"
import { InMemoryNetwork } from "effect-websocket/testing"
import { settle } from "../support/apiSession.ts"
import { layer, rawServer } from "../support/bothEnds.ts"
import { parseHead, type RawPeer, responseHead } from "../support/RawPeer.ts"

class NoToken extends Data.TaggedError("NoToken")<{ readonly user: string }> {}
class NotWelcome extends Data.TaggedError("NotWelcome")<{ readonly server: string }> {}
class Tokens extends Context.Service<Tokens, { readonly next: Effect.Effect<string, NoToken> }>()("Tokens") {}

const url = "ws://test:8080/chat"

/** A client under way, and the server's end once it is there. */
const started = Effect.fnUntraced(function* <E, R>(connect: Effect.Effect<WebSocketChannel.Channel, E, R>) {
  const peers = yield* rawServer
  const connecting = yield* Effect.forkChild(connect)
  const peer = yield* Queue.take(peers)
  yield* Effect.addFinalizer(() => Effect.sync(() => peer.drop()))
  return { connecting, peer }
})

/** Plays the server's part of the opening handshake. */
const respond = Effect.fnUntraced(function* (peer: RawPeer, lines: Record<string, string> = {}) {
  const request = yield* peer.readHead
  peer.send(responseHead(parseHead(request).headers["sec-websocket-key"] ?? "", lines))
  return request
})

it.effect("what is undefined is as if it was left out", () =>
  Effect.gen(function* () {
    const { connecting, peer } = yield* started(
      WebSocketClient.connect(url, {
        protocols: undefined,
        origin: undefined,
        userAgent: undefined,
        headers: undefined,
        proxy: undefined,
        onConnecting: undefined,
        onConnect: undefined
      })
    )
    const { headers } = parseHead(yield* respond(peer))
    yield* Fiber.join(connecting)
    assert.notProperty(headers, "origin")
    assert.notProperty(headers, "sec-websocket-protocol")
    assert.property(headers, "user-agent")
  }).pipe(Effect.provide(layer()))
)

describe("headers as an effect", () => {
  const connect = WebSocketClient.connect(url, {
    headers: Effect.gen(function* () {
      const { next } = yield* Tokens
      return { Authorization: yield* next }
    })
  })

  it.effect("are made anew at each attempt", () => {
    let count = 0
    const tokens = Tokens.of({ next: Effect.sync(() => `Bearer ${++count}`) })
    return Effect.gen(function* () {
      const peers = yield* rawServer
      for (const token of ["Bearer 1", "Bearer 2"]) {
        yield* Effect.forkChild(Effect.ignore(connect))
        const { headers } = parseHead(yield* (yield* Queue.take(peers)).readHead)
        assert.strictEqual(headers["authorization"], token)
      }
    }).pipe(Effect.provideService(Tokens, tokens), Effect.provide(layer()))
  })

  it.effect("fail connect with their own failure: nobody is connected to", () =>
    Effect.gen(function* () {
      const error: HandshakeError.HandshakeError | NoToken = yield* Effect.flip(connect)
      assert.deepInclude(error, { _tag: "NoToken", user: "ann" })
      assert.lengthOf(yield* (yield* InMemoryNetwork.InMemoryNetwork).connections, 0)
    }).pipe(
      Effect.provideService(Tokens, { next: Effect.fail(new NoToken({ user: "ann" })) }),
      Effect.provide(layer())
    )
  )

  it.effect("are checked, and belong to openHandshakeTimeout", () =>
    Effect.gen(function* () {
      const injected = WebSocketClient.connect(url, { headers: Effect.succeed({ "X-A": "a\r\nX-B: b" }) })
      const error = yield* Effect.flip(injected)
      assert.strictEqual(error.reason._tag, "InvalidRequest")
      const hanging = yield* Effect.forkChild(
        Effect.flip(WebSocketClient.connect(url, { headers: Effect.never }))
      )
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* Fiber.join(hanging)).reason._tag, "HandshakeTimeout")
      assert.lengthOf(yield* (yield* InMemoryNetwork.InMemoryNetwork).connections, 0)
    }).pipe(Effect.provide(layer({ client: { openHandshakeTimeout: "5 seconds" } })))
  )
})

describe("onConnecting", () => {
  const session = {
    protocols: ["a", "b"],
    origin: "http://one",
    userAgent: "one",
    headers: { "X-One": "1" }
  }

  it.effect("gets the details of the transport before anything is sent, and may change nothing", () =>
    Effect.gen(function* () {
      const told = yield* Deferred.make<Transport.TransportDetails>()
      const goOn = yield* Deferred.make<void>()
      const { connecting, peer } = yield* started(
        WebSocketClient.connect(url, {
          ...session,
          onConnecting: (details) => Effect.andThen(Deferred.succeed(told, details), Deferred.await(goOn))
        })
      )
      const details = yield* Deferred.await(told)
      yield* settle
      assert.strictEqual(peer.received, 0)
      yield* Deferred.succeed(goOn, undefined)
      const { headers, startLine } = parseHead(yield* respond(peer))
      assert.strictEqual(startLine, "GET /chat HTTP/1.1")
      assert.include(headers, {
        host: "test:8080",
        origin: "http://one",
        "user-agent": "one",
        "x-one": "1",
        "sec-websocket-protocol": "a, b"
      })
      const channel = yield* Fiber.join(connecting)
      const expected = {
        channelType: "memory" as const,
        secure: false,
        local: channel.local,
        peer: channel.peer
      }
      assert.deepInclude(details, { ...expected, peerCertificate: undefined, channelId: undefined })
      assert.deepInclude(channel.details, expected)
      assert.isTrue(channel.peer !== undefined && NetAddress.isInetAddress(channel.peer))
    }).pipe(Effect.provide(layer()))
  )

  const changes: ReadonlyArray<
    readonly [instead: ConnectingRequest, startLine: string, headers: Record<string, string | undefined>]
  > = [
    [{ host: "public.example" }, "GET /chat HTTP/1.1", { host: "public.example:8080", origin: "http://one" }],
    [{ port: 80 }, "GET /chat HTTP/1.1", { host: "test" }],
    [{ host: "::1", port: 9000 }, "GET /chat HTTP/1.1", { host: "[::1]:9000" }],
    [{ resource: "/other?a=1" }, "GET /other?a=1 HTTP/1.1", { host: "test:8080", "x-one": "1" }],
    [{ headers: { "X-Two": ["2", "3"] } }, "GET /chat HTTP/1.1", { "x-one": undefined, "x-two": "2, 3" }],
    [{ userAgent: "two" }, "GET /chat HTTP/1.1", { "user-agent": "two" }],
    [{ userAgent: "" }, "GET /chat HTTP/1.1", { "user-agent": undefined }],
    [{ origin: "http://two" }, "GET /chat HTTP/1.1", { origin: "http://two" }],
    [{ protocols: ["c"] }, "GET /chat HTTP/1.1", { "sec-websocket-protocol": "c" }],
    [{ protocols: [] }, "GET /chat HTTP/1.1", { "sec-websocket-protocol": undefined }],
    [{}, "GET /chat HTTP/1.1", { host: "test:8080", "user-agent": "one", "x-one": "1" }]
  ]
  it.effect.each(changes)("replaces what it gives: %j", ([instead, startLine, headers]) =>
    Effect.gen(function* () {
      const { peer } = yield* started(
        WebSocketClient.connect(url, { ...session, onConnecting: () => Effect.succeed(instead) })
      )
      const request = parseHead(yield* peer.readHead)
      assert.strictEqual(request.startLine, startLine)
      for (const [name, value] of Object.entries(headers)) assert.strictEqual(request.headers[name], value)
    }).pipe(Effect.provide(layer()))
  )

  const answers: ReadonlyArray<readonly [chosen: string, outcome: string]> = [
    ["c", "c"],
    ["a", "InvalidResponse"]
  ]
  it.effect.each(answers)("its subprotocols are those the response is checked for: %s", ([chosen, outcome]) =>
    Effect.gen(function* () {
      const { connecting, peer } = yield* started(
        WebSocketClient.connect(url, {
          ...session,
          onConnecting: () => Effect.succeed({ protocols: ["c"] })
        })
      )
      yield* respond(peer, { "Sec-WebSocket-Protocol": chosen })
      const got = yield* Fiber.join(connecting).pipe(
        Effect.map((channel) => channel.subprotocol),
        Effect.catch(({ reason }) => Effect.succeed(reason._tag))
      )
      assert.strictEqual(got, outcome)
    }).pipe(Effect.provide(layer()))
  )

  const invalid: ReadonlyArray<ConnectingRequest> = [
    { host: "a\r\nX-A: b" },
    { host: "" },
    { port: 0 },
    { port: 1.5 },
    { resource: "chat" },
    { resource: "/a b" },
    { resource: "/#a" },
    { headers: { "X-A": "b\nc" } },
    { headers: { Host: "b" } },
    { userAgent: "a\r\n" },
    { origin: "a\0" },
    { protocols: ["a", "a"] }
  ]
  it.effect.each(invalid)("%j is InvalidRequest: nothing is sent, and the transport is dropped", (instead) =>
    Effect.gen(function* () {
      const { connecting, peer } = yield* started(
        WebSocketClient.connect(url, { onConnecting: () => Effect.succeed(instead) })
      )
      assert.strictEqual((yield* Effect.flip(Fiber.join(connecting))).reason._tag, "InvalidRequest")
      yield* settle
      assert.isTrue(peer.isClosed)
      assert.strictEqual(peer.received, 0)
    }).pipe(Effect.provide(layer()))
  )
})

describe("onConnect", () => {
  it.effect("gets the response; connect waits for it; what comes meanwhile is there", () =>
    Effect.gen(function* () {
      const told = yield* Deferred.make<ConnectionResponse>()
      const goOn = yield* Deferred.make<void>()
      const { connecting, peer } = yield* started(
        WebSocketClient.connect(url, {
          protocols: ["a"],
          onConnect: (response) => Effect.andThen(Deferred.succeed(told, response), Deferred.await(goOn))
        })
      )
      yield* respond(peer, { "Sec-WebSocket-Protocol": "a", "X-Server": "one" })
      const response = yield* Deferred.await(told)
      peer.send(peer.text("early"))
      yield* settle
      assert.isUndefined(connecting.pollUnsafe())
      yield* Deferred.succeed(goOn, undefined)
      const channel = yield* Fiber.join(connecting)
      assert.strictEqual(response, channel.response)
      assert.deepInclude(response, { protocol: "a", version: 13, extensions: [], peer: channel.peer })
      assert.strictEqual(response.headers["x-server"], "one")
      assert.strictEqual(yield* channel.receive, "early")
    }).pipe(Effect.provide(layer()))
  )

  it.effect("that fails closes with 1000; connect fails with that failure after the closing handshake", () =>
    Effect.gen(function* () {
      const { connecting, peer } = yield* started(
        WebSocketClient.connect(url, {
          onConnect: ({ headers }) => Effect.fail(new NotWelcome({ server: headers["x-server"] ?? "" }))
        })
      )
      yield* respond(peer, { "X-Server": "one" })
      assert.strictEqual(yield* peer.read, "close 1000")
      yield* settle
      assert.isUndefined(connecting.pollUnsafe())
      peer.send(peer.close(1000))
      peer.finish()
      const error: HandshakeError.HandshakeError | NotWelcome = yield* Effect.flip(Fiber.join(connecting))
      assert.deepInclude(error, { _tag: "NotWelcome", server: "one" })
      assert.deepStrictEqual(yield* peer.rest, { frames: [], end: "fin" })
    }).pipe(Effect.provide(layer()))
  )

  it.effect("that fails does not wait for a server that does not answer its Close", () =>
    Effect.gen(function* () {
      const { connecting, peer } = yield* started(
        WebSocketClient.connect(url, { onConnect: () => Effect.fail("no") })
      )
      yield* respond(peer)
      assert.strictEqual(yield* peer.read, "close 1000")
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Effect.flip(Fiber.join(connecting)), "no")
      assert.deepStrictEqual(yield* peer.rest, { frames: [], end: "drop" })
    }).pipe(Effect.provide(layer({ client: { openHandshakeTimeout: "500 millis" } })))
  )
})

describe.each(["onConnecting", "onConnect"] as const)("an %s", (hook) => {
  const connectWith = <E>(effect: Effect.Effect<undefined, E>) =>
    Effect.gen(function* () {
      const { connecting, peer } = yield* started(WebSocketClient.connect(url, { [hook]: () => effect }))
      if (hook === "onConnect") yield* respond(peer)
      return { connecting, peer }
    })

  const endings: ReadonlyArray<
    readonly [how: string, effect: Effect.Effect<undefined>, end: Effect.Effect<void>]
  > = [
    ["dies", Effect.die("a defect"), Effect.void],
    ["is interrupted", Effect.interrupt, Effect.void],
    ["takes longer than openHandshakeTimeout", Effect.never, TestClock.adjust("5 seconds")]
  ]
  it.effect.each(endings)("that %s drops the transport", ([how, effect, end]) =>
    Effect.gen(function* () {
      const { connecting, peer } = yield* connectWith(effect)
      yield* settle
      yield* end
      const exit = yield* Fiber.await(connecting)
      assert.isTrue(Exit.isFailure(exit))
      if (Exit.isSuccess(exit)) return
      const { cause } = exit
      if (how === "dies") assert.isTrue(Cause.hasDies(cause))
      else if (how === "is interrupted") assert.isTrue(Cause.hasInterrupts(cause))
      else assert.propertyVal(Cause.squash(cause), "_tag", "HandshakeError")
      yield* settle
      assert.strictEqual(peer.end, "drop")
      assert.isTrue(peer.isClosed)
    }).pipe(Effect.provide(layer({ client: { openHandshakeTimeout: "5 seconds" } })))
  )

  it.effect("that is under way when connect is interrupted leaves nothing open", () =>
    Effect.gen(function* () {
      const { connecting, peer } = yield* connectWith(Effect.never)
      yield* settle
      yield* Fiber.interrupt(connecting)
      yield* settle
      assert.isTrue(peer.isClosed)
    }).pipe(Effect.provide(layer()))
  )
})

describe("the effects of a session", () => {
  it.effect("have failures and requirements of their own, all in connect's type", () =>
    Effect.gen(function* () {
      const connect = WebSocketClient.connect(url, {
        headers: Effect.as(Tokens, { "X-A": "a" }),
        onConnecting: () => Effect.fail(new NoToken({ user: "ann" })),
        onConnect: () => Effect.fail(new NotWelcome({ server: "one" }))
      })
      const typed: Effect.Effect<
        WebSocketChannel.Channel,
        HandshakeError.HandshakeError | NoToken | NotWelcome,
        Tokens | WebSocketClient.WebSocketClient | Scope.Scope
      > = connect
      const error = yield* Effect.flip(typed)
      assert.strictEqual(error._tag, "NoToken")
    }).pipe(Effect.provideService(Tokens, { next: Effect.succeed("") }), Effect.provide(layer()))
  )
})
