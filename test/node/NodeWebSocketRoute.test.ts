import * as Http from "node:http"
import * as Http2 from "node:http2"
import * as Https from "node:https"
import * as Tls from "node:tls"
import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import { ConnectionDeny, type Transport, WebSocketServer } from "effect-websocket"
import { NodeWebSocketServer } from "effect-websocket/node"
import { NodeWebSocketRoute } from "effect-websocket/node/route"
import { WebSocket } from "ws"
import {
  anyPort,
  echo,
  effectUpgrade,
  host,
  makeClient,
  pageRequest,
  portOf,
  rawSocket,
  rawTcp,
  responseTo,
  roundTrip,
  serve,
  upgradeTo
} from "../support/node.ts"
import { hasOpenssl, makeCertificates } from "../support/nodeCertificates.ts"
import { exampleAccept, requestHead } from "../support/RawPeer.ts"
import { encodeFrame, Opcode } from "../support/rawFrames.ts"
import { echoAt, makeResponses, recordResponses, serveRoutes } from "../support/routes.ts"

const mebibyte = new Uint8Array(1_048_576).map((_, i) => i % 251)

const text = (payload: string): Uint8Array => encodeFrame({ opcode: Opcode.text, masked: true, payload })

/** Who asks, as middleware found out. */
class User extends Context.Service<User, string>()("test/User") {}

/** Lets in who says a name, and keeps the user as long as the request lives. */
const makeAuthentication = (events: Array<string>) =>
  HttpRouter.middleware<{ provides: User }>()((app) =>
    Effect.gen(function* () {
      const { headers } = yield* HttpServerRequest.HttpServerRequest
      const name = headers["authorization"]
      if (name === undefined) {
        return HttpServerResponse.text("who are you?", { status: 401, headers: { "x-by": "middleware" } })
      }
      yield* Effect.acquireRelease(
        Effect.sync(() => events.push(`${name} in`)),
        () => Effect.sync(() => events.push(`${name} out`))
      )
      return yield* Effect.provideService(app, User, name)
    })
  ).layer

const paramOf = (name: string) => Effect.map(HttpRouter.params, (params) => params[name])

describe("NodeWebSocketRoute", () => {
  it.effect("handlers read path parameters and what middleware provides; it lasts as long as they do", () =>
    Effect.gen(function* () {
      const events: Array<string> = []
      const responses = yield* makeResponses
      const rooms = HttpRouter.route(
        "GET",
        "/rooms/:room",
        NodeWebSocketRoute.handler({
          onConnect: ({ params, path, protocols }) =>
            Effect.gen(function* () {
              events.push(`${yield* User} asks for ${yield* paramOf("room")}, ${path}, ${params["q"]}`)
              return {
                subprotocol: protocols[1],
                headers: { "Set-Cookie": ["a=1", "b=2"], "X-User": yield* User }
              }
            }),
          onOpen: (channel) =>
            Effect.gen(function* () {
              yield* channel.send(`${yield* User} in ${yield* paramOf("room")}`)
              yield* echo(channel)
              events.push("handler ends")
            })
        })
      )
      const { port, sockets } = yield* serveRoutes(
        Layer.merge(
          HttpRouter.addAll([rooms], { prefix: "/v1" }).pipe(Layer.provide(makeAuthentication(events))),
          recordResponses(responses)
        )
      )
      const url = `ws://${host}:${port}/v1/rooms/blue?q=1`
      const client = yield* makeClient()
      const channel = yield* client.connect(url, {
        protocols: ["a", "b"],
        headers: { Authorization: "ada" }
      })
      assert.deepStrictEqual(
        [channel.subprotocol, channel.response?.headers["set-cookie"], channel.response?.headers["x-user"]],
        ["b", "a=1, b=2", "ada"]
      )
      assert.deepStrictEqual(yield* channel.pull, ["ada in blue"])
      assert.deepStrictEqual(yield* roundTrip(channel, mebibyte), mebibyte)
      assert.strictEqual(yield* sockets.connections, 1)
      assert.deepStrictEqual(events, ["ada in", "ada asks for blue, /v1/rooms/blue, 1"])
      assert.strictEqual(yield* Queue.size(responses), 0)
      assert.isTrue((yield* channel.close(1000)).wasClean)
      yield* sockets.drain()
      assert.deepStrictEqual(events.slice(2), ["handler ends", "ada out"])
      assert.strictEqual((yield* Queue.take(responses)).status, 101)
    })
  )

  it.effect("middleware that answers keeps the request from the endpoint", () =>
    Effect.gen(function* () {
      const events: Array<string> = []
      const never = () => Effect.sync(() => void events.push("asked"))
      const route = HttpRouter.add(
        "GET",
        "/",
        NodeWebSocketRoute.handler({ onConnect: never, onOpen: never })
      )
      const { port, sockets } = yield* serveRoutes(Layer.provide(route, makeAuthentication(events)))
      const { reason } = yield* Effect.flip((yield* makeClient()).connect(`ws://${host}:${port}/`))
      assert.strictEqual(reason._tag, "Rejected")
      if (reason._tag !== "Rejected") return
      assert.deepStrictEqual(
        [reason.status, reason.headers["x-by"], reason.body],
        [401, "middleware", "who are you?"]
      )
      assert.deepStrictEqual(events, [])
      assert.strictEqual(yield* sockets.connections, 0)
    })
  )

  it.effect("a denial is sent as everywhere, and middleware sees it", () =>
    Effect.gen(function* () {
      const body = "denied. ".repeat(16_384)
      const deny = ConnectionDeny.forbidden({ headers: { "X-Why": ["a", "b"], "Set-Cookie": "c=1" }, body })
      const handlers: WebSocketServer.Handlers = {
        onConnect: () => Effect.fail(deny),
        onOpen: () => Effect.void
      }
      const responses = yield* makeResponses
      const { port } = yield* serveRoutes(
        Layer.merge(
          HttpRouter.add("GET", "/", NodeWebSocketRoute.handler(handlers)),
          recordResponses(responses)
        )
      )
      const plain = yield* serve(NodeWebSocketServer.layer(anyPort), handlers)
      const expected = yield* responseTo(portOf(plain.address), requestHead())
      const raw = yield* rawTcp(port)
      // More than is read before the answer.
      raw.send(requestHead(), mebibyte)
      assert.strictEqual(yield* raw.readAll, expected)
      assert.include(expected, "HTTP/1.1 403 Forbidden\r\n")
      assert.include(expected, "X-Why: a\r\nX-Why: b\r\n")
      yield* raw.gone
      assert.isUndefined(raw.error)
      const { headers, status, statusText } = yield* Queue.take(responses)
      assert.deepStrictEqual([status, statusText], [403, "Forbidden"])
      assert.deepInclude(headers, {
        "x-why": "a, b",
        "set-cookie": "c=1",
        "content-length": String(body.length)
      })
    })
  )

  it.effect.each([
    { name: "no version", request: requestHead({ "Sec-WebSocket-Version": undefined }) },
    { name: "a malformed key", request: requestHead({ "Sec-WebSocket-Key": "short" }) },
    { name: "another protocol to upgrade to", request: requestHead({ Upgrade: "h2c" }) },
    { name: "no Host", request: requestHead({ Host: undefined }) },
    { name: "HTTP/1.0", request: requestHead({}, "GET / HTTP/1.0") },
    {
      name: "a head beyond maxHandshakeSize",
      request: requestHead({ "X-Large": "x".repeat(5000) }),
      options: { maxHandshakeSize: 4096 },
      statusOnly: true
    }
  ])("$name gets the answer of a server of its own", ({ options, request, statusOnly = false }) =>
    Effect.gen(function* () {
      const responses = yield* makeResponses
      const { port } = yield* serveRoutes(Layer.merge(echoAt("/"), recordResponses(responses)), options)
      const plain = yield* serve(NodeWebSocketServer.layer(anyPort, options), { onOpen: echo })
      const expected = yield* responseTo(portOf(plain.address), request)
      const answer = yield* responseTo(port, request)
      assert.match(expected, /^HTTP\/1\.1 [245]/)
      if (statusOnly) assert.strictEqual(answer.split("\r\n")[0], expected.split("\r\n")[0])
      else assert.strictEqual(answer, expected)
      assert.strictEqual(String((yield* Queue.take(responses)).status), expected.slice(9, 12))
    })
  )

  it.effect.each([
    { name: "GET", webStatus: true, status: "200 OK", includes: "<title>WebSocket endpoint</title>" },
    { name: "GET", webStatus: false, status: "426 Upgrade Required", includes: "websocket" },
    { name: "HEAD", webStatus: true, status: "405 Method Not Allowed", includes: "GET" }
  ])("a plain $name, webStatus $webStatus: $status, written by Effect", (given) =>
    Effect.gen(function* () {
      const { port } = yield* serveRoutes(
        Layer.merge(
          echoAt("/"),
          HttpRouter.middleware(Effect.map(HttpServerResponse.setHeader("x-by", "middleware")), {
            global: true
          })
        ),
        { webStatus: given.webStatus }
      )
      const response = yield* responseTo(port, pageRequest().replace("GET", given.name))
      assert.isTrue(response.startsWith(`HTTP/1.1 ${given.status}\r\n`), response)
      assert.include(response, given.includes)
      assert.match(response, /\r\nx-by: middleware\r\n/)
    })
  )

  it.effect("frames in the packet of the request, and after it, wait for middleware and are delivered", () =>
    Effect.gen(function* () {
      const reached = yield* Deferred.make<void>()
      const goOn = yield* Deferred.make<void>()
      const slow = HttpRouter.middleware((app) =>
        Effect.andThen(Deferred.succeed(reached, undefined), Effect.andThen(Deferred.await(goOn), app))
      ).layer
      const { port } = yield* serveRoutes(Layer.provide(echoAt("/"), slow))
      const raw = yield* rawTcp(port)
      raw.send(requestHead(), text("at once"))
      yield* Deferred.await(reached)
      raw.send(text("soon"))
      // The client's side is over before the server has taken the connection.
      raw.send(encodeFrame({ opcode: Opcode.close, masked: true, payload: Uint8Array.of(3, 232) }))
      raw.socket.end()
      yield* Deferred.succeed(goOn, undefined)
      const received = yield* raw.readAll
      assert.include(received, `Sec-WebSocket-Accept: ${exampleAccept}\r\n`)
      assert.isTrue(received.endsWith("\r\n\r\n\x81\x07at once\x81\x04soon\x88\x02\x03\xe8"), received)
      yield* raw.gone
    })
  )

  it.effect("routes, pages and Effect's own upgrades share a port, also on several servers", () =>
    Effect.gen(function* () {
      const client = yield* makeClient()
      const hello = NodeWebSocketRoute.handler({ onOpen: (channel) => channel.send("hello") })
      const routes = Layer.mergeAll(
        echoAt("/echo"),
        HttpRouter.add("GET", "/hello", hello),
        HttpRouter.add("GET", "/page", HttpServerResponse.text("a page")),
        HttpRouter.add("GET", "/theirs", effectUpgrade)
      )
      const first = yield* serveRoutes(routes)
      const second = yield* serveRoutes(Layer.fresh(routes))
      for (const { port, sockets } of [first, second]) {
        const channel = yield* client.connect(`ws://${host}:${port}/echo`)
        assert.strictEqual(yield* roundTrip(channel, "x"), "x")
        const other = yield* client.connect(`ws://${host}:${port}/hello`)
        assert.deepStrictEqual(yield* other.pull, ["hello"])
        assert.deepStrictEqual(yield* other.closed, { wasClean: true, code: 1000, reason: "" })
        const theirs = yield* client.connect(`ws://${host}:${port}/theirs`)
        assert.deepStrictEqual(yield* theirs.pull, ["from Effect's own"])
        assert.deepStrictEqual(yield* theirs.closed, { wasClean: true, code: 1000, reason: "" })
        assert.include(yield* responseTo(port, pageRequest("/page")), "a page")
        assert.match(yield* responseTo(port, upgradeTo("/none")), /^HTTP\/1\.1 404 /)
        assert.include(yield* responseTo(port, upgradeTo("/page")), "a page")
        assert.strictEqual(yield* sockets.connections, 1)
      }
    })
  )

  it.effect("a client of the package ws", () =>
    Effect.gen(function* () {
      const { port } = yield* serveRoutes(echoAt("/:any"))
      const events = yield* Effect.callback<ReadonlyArray<unknown>>((resume) => {
        const seen: Array<unknown> = []
        const socket = new WebSocket(`ws://${host}:${port}/any`)
        socket.on("open", () => socket.send("hello"))
        socket.on("message", (data) => {
          seen.push(String(data))
          socket.close(1000, "bye")
        })
        socket.on("close", (code) => resume(Effect.succeed([...seen, code])))
      })
      assert.deepStrictEqual(events, ["hello", 1000])
    })
  )

  it.effect("without the server that listens no request becomes a connection", () =>
    Effect.gen(function* () {
      const context = yield* Layer.build(
        HttpRouter.serve(echoAt("/"), { disableListenLog: true, disableLogger: true }).pipe(
          Layer.provideMerge(NodeWebSocketRoute.layer(Http.createServer())),
          Layer.provide(NodeHttpServer.layer(Http.createServer, anyPort))
        )
      )
      const { address } = Context.get(context, WebSocketServer.WebSocketServer)
      const response = yield* responseTo(portOf(address), requestHead())
      assert.match(response, /^HTTP\/1\.1 501 /)
      assert.include(response, "the HTTP server does not hand over its connections")
    })
  )
})

describe.skipIf(!hasOpenssl)("over TLS", () => {
  const { ca, valid } = makeCertificates()

  it.effect("node:https has pages and WebSockets on one port, with the facts of TLS", () =>
    Effect.gen(function* () {
      const facts = yield* Deferred.make<Transport.TlsFacts | undefined>()
      const { port } = yield* serveRoutes(
        HttpRouter.add(
          "GET",
          "/ws",
          NodeWebSocketRoute.handler({
            onOpen: (channel) => Effect.andThen(Deferred.succeed(facts, channel.tls), echo(channel))
          })
        ),
        {},
        Https.createServer(valid)
      )
      const channel = yield* (yield* makeClient({}, { ca })).connect(`wss://${host}:${port}/ws`)
      assert.deepStrictEqual(yield* roundTrip(channel, mebibyte), mebibyte)
      // The server has a certificate, its client has none.
      assert.isDefined(channel.tls?.peerCertificate)
      assert.deepStrictEqual(yield* Deferred.await(facts), {
        ...channel.tls,
        authorized: false,
        peerCertificate: undefined
      })
      const raw = yield* rawSocket(() => Tls.connect({ host, port, ca }), "secureConnect")
      raw.send(pageRequest("/ws"))
      assert.match(yield* raw.readAll, /^HTTP\/1\.1 200 OK\r\n/)
      yield* channel.close(1000)
    })
  )

  it.effect("node:http2 upgrades HTTP/1.1, and answers 505 to HTTP/2", () =>
    Effect.gen(function* () {
      const server = Http2.createSecureServer({ ...valid, allowHTTP1: true })
      const { port } = yield* serveRoutes(echoAt("/ws"), {}, server)
      const channel = yield* (yield* makeClient({}, { ca })).connect(`wss://${host}:${port}/ws`)
      assert.strictEqual(yield* roundTrip(channel, "x"), "x")
      const status = yield* Effect.callback<unknown>((resume) => {
        const session = Http2.connect(`https://${host}:${port}`, { ca })
        session
          .request({ ":path": "/ws" })
          .on("response", (headers) => {
            resume(Effect.succeed(headers[":status"]))
            session.close()
          })
          .resume()
      })
      assert.strictEqual(status, 505)
      yield* channel.close(1000)
    })
  )
})
