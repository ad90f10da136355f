import * as Http from "node:http"
import type { Duplex } from "node:stream"
import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as NetAddress from "effect/net/NetAddress"
import * as Scope from "effect/Scope"
import { ConnectionDeny, WebSocketServer } from "effect-websocket"
import { type NodeHttpUpgrade, NodeWebSocketServer } from "effect-websocket/node"
import { settle } from "../support/apiSession.ts"
import { recordLog } from "../support/bothEnds.ts"
import {
  anyPort,
  denyWith,
  echo,
  effectUpgrade,
  host,
  listening,
  makeClient,
  pageRequest,
  portOf,
  rawTcp,
  resetTcp,
  responseTo,
  roundTrip,
  serve,
  upgradeTo,
  withPages
} from "../support/node.ts"
import { exampleAccept, requestHead } from "../support/RawPeer.ts"
import { encodeFrame, Opcode } from "../support/rawFrames.ts"

const mebibyte = new Uint8Array(1_048_576).map((_, i) => i % 251)

/** An HTTP server with pages that listens. */
const makeHttp = Effect.gen(function* () {
  const http = withPages(Http.createServer())
  return { http, port: yield* listening(http) }
})

const echoOn = (http: Http.Server, upgrade?: NodeHttpUpgrade.UpgradeOptions) =>
  serve(NodeWebSocketServer.layerUpgrade(http, upgrade), { onOpen: echo })

describe("NodeHttpUpgrade", () => {
  it.effect("pages and WebSockets share a port", () =>
    Effect.gen(function* () {
      const { http, port } = yield* makeHttp
      const server = yield* echoOn(http)
      assert.strictEqual(portOf(server.address), port)
      const channel = yield* (yield* makeClient()).connect(`ws://${host}:${port}/any?x=1`)
      for (const message of ["hello", mebibyte]) {
        assert.deepStrictEqual(yield* roundTrip(channel, message), message)
      }
      const page = yield* responseTo(port, pageRequest("/a"))
      assert.match(page, /^HTTP\/1\.1 200 OK\r\n/)
      assert.include(page, "page /a")
      assert.deepStrictEqual(yield* channel.close(1000), { wasClean: true, code: 1000, reason: "" })
    })
  )

  it.effect("the server is ready when the HTTP server listens", () =>
    Effect.gen(function* () {
      const http = Http.createServer()
      const building = yield* Effect.forkChild(Layer.build(NodeWebSocketServer.layerUpgrade(http)), {
        startImmediately: true
      })
      yield* settle
      assert.isUndefined(building.pollUnsafe())
      const port = yield* listening(http)
      const { address } = Context.get(yield* Fiber.join(building), WebSocketServer.WebSocketServer)
      assert.deepStrictEqual(address, NetAddress.inetAddressUnsafe(NetAddress.ipv4Loopback, port))
    })
  )

  it.effect.each([
    { name: "a string", path: "/ws", ours: ["/ws", "/ws?room=1"], others: ["/", "/ws/", "/wsx", "/x?/ws"] },
    {
      name: "a function",
      path: (path: string) => path.startsWith("/ws/"),
      ours: ["/ws/a", "/ws/?b"],
      others: ["/ws", "/?/ws/"]
    }
  ])("a path given as $name decides which requests are taken", ({ others, ours, path }) =>
    Effect.gen(function* () {
      const { http, port } = yield* makeHttp
      yield* echoOn(http, { path })
      const client = yield* makeClient()
      for (const target of ours) {
        const channel = yield* client.connect(`ws://${host}:${port}${target}`)
        assert.strictEqual(yield* roundTrip(channel, "x"), "x")
      }
      for (const target of others) {
        const response = yield* responseTo(port, upgradeTo(target))
        assert.match(response, /^HTTP\/1\.1 404 Not Found\r\n/, target)
      }
    })
  )

  it.effect("the application decides: subprotocol and further headers of the 101", () =>
    Effect.gen(function* () {
      const { http, port } = yield* makeHttp
      const seen = yield* Deferred.make<unknown>()
      yield* serve(NodeWebSocketServer.layerUpgrade(http), {
        onConnect: (request) =>
          Effect.as(
            Deferred.succeed(seen, [
              request.path,
              request.params["q"],
              request.headers["x-from"],
              request.peer
            ]),
            { subprotocol: "b", headers: { "Set-Cookie": ["a=1", "b=2"], "X-Extra": "yes" } }
          ),
        onOpen: echo
      })
      const channel = yield* (yield* makeClient()).connect(`ws://${host}:${port}/p?q=1`, {
        protocols: ["a", "b"],
        headers: { "X-From": "test" }
      })
      assert.strictEqual(channel.subprotocol, "b")
      assert.strictEqual(channel.response?.headers["x-extra"], "yes")
      assert.strictEqual(channel.response?.headers["set-cookie"], "a=1, b=2")
      assert.deepStrictEqual(yield* Deferred.await(seen), ["/p", ["1"], "test", channel.local])
    })
  )

  it.effect("a denial, with status, headers and body", () =>
    Effect.gen(function* () {
      const { http, port } = yield* makeHttp
      const deny = ConnectionDeny.forbidden({ headers: { "X-Why": "because" }, body: "not you" })
      yield* serve(NodeWebSocketServer.layerUpgrade(http), denyWith(deny))
      const { reason } = yield* Effect.flip((yield* makeClient()).connect(`ws://${host}:${port}/`))
      assert.strictEqual(reason._tag, "Rejected")
      if (reason._tag !== "Rejected") return
      assert.deepStrictEqual(
        [reason.status, reason.statusText, reason.headers["x-why"], reason.body],
        [403, "Forbidden", "because", "not you"]
      )
    })
  )

  it.effect("a denial arrives whole at a client that has sent more than was read", () =>
    Effect.gen(function* () {
      const { http, port } = yield* makeHttp
      const body = "denied. ".repeat(16_384)
      yield* serve(NodeWebSocketServer.layerUpgrade(http), denyWith(ConnectionDeny.forbidden({ body })))
      const raw = yield* rawTcp(port)
      raw.send(requestHead(), mebibyte)
      const response = yield* raw.readAll
      yield* raw.gone
      assert.isUndefined(raw.error)
      assert.strictEqual(response.slice(response.indexOf("\r\n\r\n") + 4), body)
    })
  )

  it.effect("a frame in the packet of the request is delivered", () =>
    Effect.gen(function* () {
      const { http, port } = yield* makeHttp
      yield* echoOn(http)
      const raw = yield* rawTcp(port)
      raw.send(requestHead(), encodeFrame({ opcode: Opcode.text, masked: true, payload: "at once" }))
      const received = yield* raw.reads("at once")
      assert.include(received, `Sec-WebSocket-Accept: ${exampleAccept}\r\n`)
      assert.isTrue(received.endsWith("\r\n\r\n\x81\x07at once"))
      raw.socket.destroy()
    })
  )

  it.effect("a peer that resets leaves the server serving others", () =>
    Effect.gen(function* () {
      const { http, port } = yield* makeHttp
      yield* echoOn(http)
      const { raw, reset } = yield* resetTcp(port, requestHead())
      yield* raw.reads("\r\n\r\n")
      yield* reset
      const channel = yield* (yield* makeClient()).connect(`ws://${host}:${port}/`)
      assert.strictEqual(yield* roundTrip(channel, "x"), "x")
    })
  )

  it.effect("a connection is not ended by the HTTP server's timeout", () =>
    Effect.gen(function* () {
      const { http, port } = yield* makeHttp
      http.timeout = 60_000
      const sockets: Array<{ readonly timeout?: number }> = []
      http.on("connection", (socket) => void sockets.push(socket))
      yield* echoOn(http)
      yield* (yield* makeClient()).connect(`ws://${host}:${port}/`)
      assert.deepStrictEqual(
        sockets.map(({ timeout }) => timeout),
        [0]
      )
    })
  )

  const head = (lines: Parameters<typeof requestHead>[0], requestLine?: string) =>
    requestHead(lines, requestLine)

  it.effect.each([
    { name: "an unknown version", request: head({ "Sec-WebSocket-Version": "12" }) },
    { name: "no version", request: head({ "Sec-WebSocket-Version": undefined }) },
    { name: "no key", request: head({ "Sec-WebSocket-Key": undefined }) },
    { name: "a malformed key", request: head({ "Sec-WebSocket-Key": "short" }) },
    { name: "two keys", request: head({ "Sec-WebSocket-Key": [exampleAccept, exampleAccept] }) },
    { name: "another protocol to upgrade to", request: head({ Upgrade: "h2c" }) },
    { name: "no Host", request: head({ Host: undefined }) },
    { name: "two Hosts", request: head({ Host: ["a", "b"] }) },
    { name: "a malformed subprotocol", request: head({ "Sec-WebSocket-Protocol": "a b" }) },
    { name: "malformed extensions", request: head({ "Sec-WebSocket-Extensions": ";" }) },
    { name: "another method", request: head({ "Content-Length": "0" }, "POST / HTTP/1.1") },
    { name: "HTTP/1.0", request: head({}, "GET / HTTP/1.0") },
    {
      name: "too many headers",
      request: head({ "X-Many": Array.from({ length: 101 }, (_, i) => String(i)) }),
      statusOnly: true
    },
    {
      name: "a head beyond maxHandshakeSize",
      request: head({ "X-Large": "x".repeat(5000) }),
      options: { maxHandshakeSize: 4096 },
      statusOnly: true
    }
  ])("$name gets the answer of a server of its own", ({ options, request, statusOnly = false }) =>
    Effect.gen(function* () {
      const { http, port } = yield* makeHttp
      yield* serve(NodeWebSocketServer.layerUpgrade(http, {}, options), { onOpen: echo })
      const plain = yield* serve(NodeWebSocketServer.layer(anyPort, options), { onOpen: echo })
      const expected = yield* responseTo(portOf(plain.address), request)
      const answer = yield* responseTo(port, request)
      assert.match(expected, /^HTTP\/1\.1 [245]/)
      if (statusOnly) assert.strictEqual(answer.split("\r\n")[0], expected.split("\r\n")[0])
      else assert.strictEqual(answer, expected)
    })
  )

  it.effect("while the server drains, open connections close with 1001 and new ones get 503", () =>
    Effect.gen(function* () {
      const { http, port } = yield* makeHttp
      const server = yield* echoOn(http, { path: "/ws" })
      const client = yield* makeClient()
      const channel = yield* client.connect(`ws://${host}:${port}/ws`)
      assert.deepStrictEqual(yield* server.drain(), { finished: 1, dropped: 0 })
      assert.deepStrictEqual(yield* channel.closed, { wasClean: true, code: 1001, reason: "" })
      assert.match(yield* responseTo(port, upgradeTo("/ws")), /^HTTP\/1\.1 503 /)
      assert.match(yield* responseTo(port, pageRequest()), /^HTTP\/1\.1 200 /)
    })
  )

  it.effect("so they do while the end of the scope drains the server", () =>
    Effect.gen(function* () {
      const { http, port } = yield* makeHttp
      const scope = yield* Scope.make()
      const ended = yield* Deferred.make<void>()
      const layer = NodeWebSocketServer.layerUpgrade(http)
      // A handler that takes its time, so that there is something to drain.
      const slow = { onOpen: () => Effect.uninterruptible(Deferred.await(ended)) }
      yield* Scope.provide(serve(layer, slow), scope)
      const channel = yield* (yield* makeClient()).connect(`ws://${host}:${port}/`)
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      assert.deepStrictEqual(yield* channel.closed, { wasClean: true, code: 1001, reason: "" })
      assert.match(yield* responseTo(port, upgradeTo("/")), /^HTTP\/1\.1 503 /)
      yield* Deferred.succeed(ended, undefined)
      yield* Fiber.join(closing)
    })
  )

  it.effect("a path that throws leaves the request to the server, and the log says why", () => {
    const log = recordLog()
    return Effect.gen(function* () {
      const { http, port } = yield* makeHttp
      yield* echoOn(http, { path: (path) => decodeURIComponent(path) === "/ä" })
      assert.match(yield* responseTo(port, upgradeTo("/%zz")), /^HTTP\/1\.1 404 /)
      assert.deepStrictEqual(log.lines, ["Error path died: URI malformed"])
      const channel = yield* (yield* makeClient()).connect(`ws://${host}:${port}/ä`)
      assert.strictEqual(yield* roundTrip(channel, "x"), "x")
    }).pipe(Effect.provide(log.layer))
  })

  it.effect("after the scope the HTTP server is as it was", () =>
    Effect.gen(function* () {
      const { http, port } = yield* makeHttp
      const { emit } = http
      const scope = yield* Scope.make()
      yield* Scope.provide(echoOn(http), scope)
      assert.notStrictEqual(http.emit, emit)
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(http.emit, emit)
      assert.strictEqual(http.listenerCount("upgrade"), 0)
      // Without a listener Node treats it as a request for a page.
      const request = requestHead({ Connection: "Upgrade, close" }, "GET /b HTTP/1.1")
      assert.include(yield* responseTo(port, request), "page /b")
    })
  )

  it.effect("an upgrade that nobody serves yet waits, and is dropped with the scope", () =>
    Effect.gen(function* () {
      const { http, port } = yield* makeHttp
      const scope = yield* Scope.make()
      const layer = NodeWebSocketServer.layerUpgrade(http)
      const context = yield* Scope.provide(Layer.build(layer), scope)
      const waiting = yield* rawTcp(port)
      waiting.send(requestHead())
      yield* settle
      assert.strictEqual(waiting.text, "")
      yield* Scope.close(scope, Exit.void)
      yield* waiting.gone
      assert.strictEqual(waiting.text, "")
      assert.isDefined(Context.get(context, WebSocketServer.WebSocketServer))
    })
  )
})

describe("other upgrade listeners", () => {
  /** A listener of the application's own. */
  const listenFor = (http: Http.Server): void => {
    http.on("upgrade", (request: Http.IncomingMessage, socket: Duplex) => {
      socket.end(`HTTP/1.1 418 Theirs\r\nContent-Length: 0\r\n\r\n${request.url}`)
    })
  }

  it.effect.each([
    { order: "before", before: true },
    { order: "after", before: false }
  ])("one that came $order gets the other paths, and not ours", ({ before }) =>
    Effect.gen(function* () {
      const { http, port } = yield* makeHttp
      if (before) listenFor(http)
      yield* echoOn(http, { path: "/ws" })
      if (!before) listenFor(http)
      const raw = yield* rawTcp(port)
      raw.send(upgradeTo("/ws"))
      assert.match(yield* raw.reads("\r\n\r\n"), /^HTTP\/1\.1 101 /)
      const other = yield* responseTo(port, upgradeTo("/other"))
      assert.match(other, /^HTTP\/1\.1 418 Theirs\r\n/)
      assert.isTrue(other.endsWith("/other"))
      assert.notInclude(raw.text, "418")
      raw.socket.destroy()
    })
  )

  it.effect.each([
    { order: "first", first: true },
    { order: "last", first: false }
  ])("of two servers on one HTTP server each has its path; the one mounted $order may go", ({ first }) =>
    Effect.gen(function* () {
      const { http, port } = yield* makeHttp
      const { emit } = http
      const scopes = { a: yield* Scope.make(), b: yield* Scope.make() }
      yield* Scope.provide(echoOn(http, { path: "/a" }), scopes.a)
      yield* Scope.provide(echoOn(http, { path: "/b" }), scopes.b)
      const status = Effect.fnUntraced(function* (path: string) {
        const raw = yield* rawTcp(port)
        raw.send(upgradeTo(path))
        const [line] = (yield* raw.reads("\r\n\r\n")).split("\r\n")
        return line?.slice(9, 12)
      }, Effect.scoped)
      const statuses = Effect.all([status("/a"), status("/b"), status("/c")])
      assert.deepStrictEqual(yield* statuses, ["101", "101", "404"])
      yield* Scope.close(first ? scopes.a : scopes.b, Exit.void)
      assert.deepStrictEqual(yield* statuses, first ? ["404", "101", "404"] : ["101", "404", "404"])
      yield* Scope.close(first ? scopes.b : scopes.a, Exit.void)
      assert.strictEqual(http.listenerCount("upgrade"), 0)
      if (!first) assert.strictEqual(http.emit, emit)
    })
  )

  it.effect.each([
    { order: "first", oursFirst: true },
    { order: "last", oursFirst: false }
  ])("Effect's NodeHttpServer keeps its pages and its upgrades, ours mounted $order", ({ oursFirst }) =>
    Effect.gen(function* () {
      const server = Http.createServer()
      const theirs = HttpRouter.add("GET", "/theirs", effectUpgrade)
      const page = HttpRouter.add("GET", "/page", HttpServerResponse.text("a page"))
      const pages = HttpRouter.serve(Layer.mergeAll(page, theirs), {
        disableListenLog: true,
        disableLogger: true
      })
      const sockets = WebSocketServer.serve({ onOpen: echo }).pipe(
        Layer.provide(NodeWebSocketServer.layerUpgrade(server, { path: "/ours" }))
      )
      yield* Layer.build(
        (oursFirst ? Layer.provideMerge(pages, sockets) : Layer.provideMerge(sockets, pages)).pipe(
          Layer.provide(NodeHttpServer.layer(() => server, anyPort))
        )
      )
      const address = server.address()
      if (address === null || typeof address === "string") return assert.fail("no port")
      const { port } = address
      const client = yield* makeClient()

      const channel = yield* client.connect(`ws://${host}:${port}/ours`)
      assert.strictEqual(yield* roundTrip(channel, "x"), "x")
      const other = yield* client.connect(`ws://${host}:${port}/theirs`)
      assert.deepStrictEqual(yield* other.pull, ["from Effect's own"])
      assert.deepStrictEqual(yield* other.closed, { wasClean: true, code: 1000, reason: "" })
      assert.include(yield* responseTo(port, pageRequest("/page")), "a page")
      assert.match(yield* responseTo(port, upgradeTo("/none")), /^HTTP\/1\.1 404 /)
      yield* channel.close(1000)
    })
  )
})
