/**
 * How connections of routes end: with the client, the request, and the server.
 */
import * as Http from "node:http"
import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import type { WebSocketError as Errors, WebSocketServer } from "effect-websocket"
import { NodeWebSocketRoute } from "effect-websocket/node/route"
import {
  anyPort,
  echo,
  host,
  makeClient,
  pageRequest,
  rawTcp,
  resetTcp,
  responseTo,
  roundTrip,
  upgradeTo
} from "../support/node.ts"
import { requestHead } from "../support/RawPeer.ts"
import { encodeFrame, Opcode } from "../support/rawFrames.ts"
import { echoAt, serveRoutes } from "../support/routes.ts"

/** Something to stop at. */
const makeGate = Effect.gen(function* () {
  const reached = yield* Deferred.make<void>()
  const opened = yield* Deferred.make<void>()
  return {
    reached: Deferred.await(reached),
    open: Deferred.succeed(opened, undefined),
    pass: Effect.andThen(Deferred.succeed(reached, undefined), Deferred.await(opened))
  }
})

describe("when the server goes", () => {
  it.effect.each([
    { name: "by default", http: anyPort },
    { name: "without preemptive shutdown", http: { ...anyPort, disablePreemptiveShutdown: true } }
  ])("connections are closed with 1001, before the HTTP server waits for them; $name", ({ http }) =>
    Effect.gen(function* () {
      const events: Array<string> = []
      const route = HttpRouter.add(
        "GET",
        "/",
        NodeWebSocketRoute.handler({
          onOpen: (channel) =>
            Effect.ensuring(
              echo(channel),
              Effect.sync(() => events.push("handler ends"))
            )
        })
      )
      const scope = yield* Scope.make()
      const { port } = yield* Scope.provide(serveRoutes(route, {}, Http.createServer(), http), scope)
      const channel = yield* (yield* makeClient()).connect(`ws://${host}:${port}/`)
      assert.strictEqual(yield* roundTrip(channel, "x"), "x")
      // Nobody moves the clock, so nothing waits for a time limit.
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(events, ["handler ends"])
      assert.deepStrictEqual(yield* channel.closed, { wasClean: true, code: 1001, reason: "" })
    })
  )

  it.effect("while it drains, open connections close with 1001, new ones get 503, and pages are served", () =>
    Effect.gen(function* () {
      const page = HttpRouter.add("GET", "/page", HttpServerResponse.text("a page"))
      const { port, sockets } = yield* serveRoutes(Layer.merge(echoAt("/ws"), page))
      const channel = yield* (yield* makeClient()).connect(`ws://${host}:${port}/ws`)
      assert.strictEqual(yield* sockets.connections, 1)
      assert.deepStrictEqual(yield* sockets.drain(), { finished: 1, dropped: 0 })
      assert.deepStrictEqual(yield* channel.closed, { wasClean: true, code: 1001, reason: "" })
      assert.strictEqual(yield* sockets.connections, 0)
      assert.match(yield* responseTo(port, upgradeTo("/ws")), /^HTTP\/1\.1 503 /)
      assert.include(yield* responseTo(port, pageRequest("/page")), "a page")
    })
  )

  it.effect("once nobody serves, an upgrade request is answered", () =>
    Effect.gen(function* () {
      const server = Http.createServer()
      const { emit } = server
      const scope = yield* Scope.make()
      const http = NodeHttpServer.layer(() => server, anyPort)
      yield* Scope.provide(Layer.build(Layer.provideMerge(NodeWebSocketRoute.layer(server), http)), scope)
      const address = server.address()
      if (address === null || typeof address === "string") return assert.fail("no port")
      assert.match(yield* responseTo(address.port, requestHead()), /^HTTP\/1\.1 404 /)
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(server.emit, emit)
      assert.strictEqual(server.listenerCount("upgrade"), 0)
    })
  )
})

describe("when the client goes", () => {
  const serveGated = Effect.fnUntraced(function* (where: "middleware" | "onConnect") {
    const gate = yield* makeGate
    const interrupted = yield* Deferred.make<void>()
    const stop = Effect.onInterrupt(gate.pass, () => Deferred.succeed(interrupted, undefined))
    const at = (here: string) => (where === here ? stop : Effect.void)
    const route = HttpRouter.add(
      "GET",
      "/",
      NodeWebSocketRoute.handler({ onConnect: () => at("onConnect"), onOpen: echo })
    )
    const middleware = HttpRouter.middleware((app) => Effect.andThen(at("middleware"), app)).layer
    const server = yield* serveRoutes(Layer.provide(Layer.merge(route, echoAt("/other")), middleware))
    return { ...server, gate, interrupted: Deferred.await(interrupted) }
  })

  it.effect.each([{ where: "middleware" as const }, { where: "onConnect" as const }])(
    "a reset while $where decides interrupts it, and the server serves others",
    ({ where }) =>
      Effect.gen(function* () {
        const { gate, interrupted, port, sockets } = yield* serveGated(where)
        const { reset } = yield* resetTcp(port, requestHead())
        yield* gate.reached
        yield* reset
        yield* interrupted
        yield* gate.open
        const channel = yield* (yield* makeClient()).connect(`ws://${host}:${port}/other`)
        assert.strictEqual(yield* roundTrip(channel, "x"), "x")
        assert.strictEqual(yield* sockets.connections, 1)
      })
  )

  it.effect("a reset of an open connection lets its handler end, before the request does", () =>
    Effect.gen(function* () {
      const events: Array<string> = []
      const gate = yield* makeGate
      const done = yield* Deferred.make<void>()
      const route = HttpRouter.add(
        "GET",
        "/",
        NodeWebSocketRoute.handler({
          onOpen: (channel) =>
            Effect.gen(function* () {
              const { reason } = yield* Effect.flip(echo(channel))
              yield* gate.pass
              events.push(reason._tag)
            }).pipe(Effect.onInterrupt(() => Effect.sync(() => events.push("interrupted"))))
        })
      )
      const middleware = HttpRouter.middleware((app) =>
        // Effect, which interrupts the request, is then the first to hear of the reset.
        Effect.onExit(Effect.andThen(Effect.yieldNow, app), () =>
          Effect.andThen(
            Effect.sync(() => events.push("request ends")),
            Deferred.succeed(done, undefined)
          )
        )
      ).layer
      const { port } = yield* serveRoutes(Layer.provide(route, middleware))
      const { raw, reset } = yield* resetTcp(port, requestHead())
      yield* raw.reads("\r\n\r\n")
      yield* reset
      yield* gate.reached
      assert.deepStrictEqual(events, [])
      yield* gate.open
      yield* Deferred.await(done)
      assert.deepStrictEqual(events, ["TransportFailure", "request ends"])
    })
  )

  it.effect("a client whose end came before the route was reached is told, and let go", () =>
    Effect.gen(function* () {
      const server = Http.createServer()
      const ended = yield* Deferred.make<void>()
      server.on("connection", (socket) => socket.once("end", () => Deferred.doneUnsafe(ended, Exit.void)))
      const gate = yield* makeGate
      const middleware = HttpRouter.middleware((app) => Effect.andThen(gate.pass, app)).layer
      const { port, sockets } = yield* serveRoutes(Layer.provide(echoAt("/"), middleware), {}, server)
      const raw = yield* rawTcp(port)
      raw.send(requestHead())
      yield* gate.reached
      raw.socket.end()
      yield* Deferred.await(ended)
      yield* gate.open
      assert.match(yield* raw.readAll, /^HTTP\/1\.1 101 /)
      yield* raw.gone
      assert.isUndefined(raw.error)
      assert.strictEqual(yield* sockets.connections, 0)
    })
  )
})

describe("when the request is interrupted", () => {
  /** Serves under middleware with a time limit, whose time is up when the test says so. */
  const serveLimited = Effect.fnUntraced(function* (
    handlers: (
      events: Array<string>,
      reached: Effect.Effect<unknown>
    ) => WebSocketServer.Handlers<Errors.WebSocketError>
  ) {
    const events: Array<string> = []
    const reached = yield* Deferred.make<void>()
    const limit = yield* Deferred.make<void>()
    const late = HttpServerResponse.text("late", { status: 503 })
    const middleware = HttpRouter.middleware((app) =>
      Effect.raceFirst(app, Effect.as(Deferred.await(limit), late))
    ).layer
    const handler = NodeWebSocketRoute.handler(handlers(events, Deferred.succeed(reached, undefined)))
    const { port } = yield* serveRoutes(Layer.provide(HttpRouter.add("GET", "/", handler), middleware))
    const raw = yield* rawTcp(port)
    raw.send(requestHead())
    yield* Deferred.await(reached)
    return { raw, events, timeUp: Deferred.succeed(limit, undefined) }
  })

  it.effect("an open connection is closed with 1001, and its handler ends by itself", () =>
    Effect.gen(function* () {
      const { events, raw, timeUp } = yield* serveLimited((events, reached) => ({
        onOpen: (channel) =>
          Effect.andThen(reached, echo(channel)).pipe(
            Effect.onExit((exit) => Effect.sync(() => void events.push(exit._tag)))
          )
      }))
      yield* raw.reads("\r\n\r\n")
      yield* timeUp
      const received = yield* raw.reads("\x88\x02\x03\xe9")
      assert.isTrue(received.endsWith("\r\n\r\n\x88\x02\x03\xe9"))
      raw.send(encodeFrame({ opcode: Opcode.close, masked: true, payload: Uint8Array.of(3, 233) }))
      // The answer of the middleware is not for a client that has a WebSocket.
      assert.strictEqual(yield* raw.readAll, received)
      yield* raw.gone
      assert.deepStrictEqual(events, ["Success"])
    })
  )

  it.effect("a request that is still decided on is dropped", () =>
    Effect.gen(function* () {
      const { raw, timeUp } = yield* serveLimited((_events, reached) => ({
        onConnect: () => Effect.andThen(reached, Effect.never),
        onOpen: () => Effect.void
      }))
      yield* timeUp
      assert.strictEqual(yield* raw.readAll, "")
    })
  )
})
