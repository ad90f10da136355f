import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import { TestClock } from "effect/testing"
import { type ConnectionAccept, ConnectionDeny, type WebSocketServer } from "effect-websocket"
import { exampleAccept, requestHead } from "../support/RawPeer.ts"
import { hex, utf8 } from "../support/rawFrames.ts"
import { serveRaw } from "../support/rawHttp.ts"
import { makeServer, take } from "../support/rawSession.ts"

/** What goes wrong in the application is in the log; here it is expected. */
const silent = Effect.provide(Logger.layer([]))

/** A Server header is not the RFC's affair. */
const anonymous = { server: "" }

const protocols = { "Sec-WebSocket-Protocol": "chat, superchat" }

const accept101 = (...lines: ReadonlyArray<string>): string =>
  [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Accept: ${exampleAccept}`,
    ...lines,
    "",
    ""
  ].join("\r\n")

describe("RFC 6455 section 4.2.2, item 5: the 101", () => {
  const accepted: ReadonlyArray<
    readonly [rule: string, onConnect: WebSocketServer.OnConnect<never>, response: string]
  > = [
    ["nothing", () => Effect.void, accept101()],
    ["undefined", () => Effect.succeed(undefined), accept101()],
    ["a subprotocol", () => Effect.succeed("superchat"), accept101("Sec-WebSocket-Protocol: superchat")],
    ["an empty acceptance", () => Effect.succeed({}), accept101()],
    [
      "an acceptance with a subprotocol",
      () => Effect.succeed({ subprotocol: "chat" }),
      accept101("Sec-WebSocket-Protocol: chat")
    ],
    ["an acceptance without one", () => Effect.succeed({ subprotocol: undefined }), accept101()],
    [
      "an acceptance with headers",
      () =>
        Effect.succeed({
          subprotocol: "chat",
          headers: { "Set-Cookie": ["a=1", "b=2; Path=/"], "X-Caf\u0065": "caf\xe9", "X-Empty": "" }
        }),
      accept101(
        "Sec-WebSocket-Protocol: chat",
        "Set-Cookie: a=1",
        "Set-Cookie: b=2; Path=/",
        "X-Cafe: caf\xe9",
        "X-Empty: "
      )
    ],
    [
      "the client's first choice",
      (request) => Effect.succeed(request.protocols[0]),
      accept101("Sec-WebSocket-Protocol: chat")
    ]
  ]
  for (const [rule, onConnect, response] of accepted) {
    it.effect(`onConnect succeeds with ${rule}: the exact bytes`, () =>
      Effect.gen(function* () {
        const server = yield* serveRaw(anonymous, onConnect)
        const peer = yield* server.connect
        peer.send(requestHead(protocols))
        assert.strictEqual(yield* peer.readHead, response)
        peer.send(peer.ping("open"))
        assert.strictEqual(yield* peer.read, "pong 6f70656e")
      })
    )
  }

  it.effect("the channel knows the subprotocol and the request", () =>
    Effect.gen(function* () {
      const server = yield* serveRaw(anonymous, () => Effect.succeed("chat"))
      const { channel } = yield* server.acceptance(requestHead(protocols, "GET /room?x=1 HTTP/1.1"))
      assert.deepInclude(channel, {
        role: "server",
        subprotocol: "chat",
        extensions: [],
        response: undefined
      })
      assert.deepInclude(channel.request, { path: "/room", protocols: ["chat", "superchat"] })
    })
  )

  const offers = ["permessage-deflate", "permessage-deflate; client_max_window_bits, x-webkit", "a, b; c=1"]
  for (const offer of offers) {
    it.effect(`extensions that are not accepted are not answered: ${offer}`, () =>
      Effect.gen(function* () {
        const server = yield* serveRaw(anonymous)
        const request = requestHead({ "Sec-WebSocket-Extensions": offer })
        const { channel, headers, peer } = yield* server.acceptance(request)
        assert.notProperty(headers, "sec-websocket-extensions")
        assert.isEmpty(channel.extensions)
        // None is in use: their reserved bits are violations.
        peer.send(peer.text("x", { rsv: 4 }))
        assert.deepStrictEqual(yield* peer.rest, { frames: [], end: "drop" })
      })
    )
  }

  for (const chunkSize of [undefined, 1, 7]) {
    it.effect(`frames in the same packet as the request are read, cut to ${chunkSize ?? "any"} bytes`, () =>
      Effect.gen(function* () {
        const network = chunkSize === undefined ? undefined : { chunkSize }
        const server = yield* serveRaw(anonymous, () => Effect.yieldNow, { network })
        const peer = yield* server.connect
        const frames = [peer.text("first"), peer.ping("p"), peer.binary(hex("00")), peer.close(1000)]
        peer.send(requestHead(), ...frames)
        assert.strictEqual(yield* peer.readHead, accept101())
        assert.deepStrictEqual(yield* peer.rest, { frames: ["pong 70", "close 1000"], end: "fin" })
        const [request] = server.requests
        assert.strictEqual(request?.path, "/")
      })
    )
  }

  it.effect("messages that came with the request are delivered", () =>
    Effect.gen(function* () {
      const server = yield* serveRaw(anonymous)
      const peer = yield* server.connect
      const { channel } = yield* server.acceptance(
        `${requestHead()}${Buffer.from(peer.text("first")).toString("latin1")}`
      )
      assert.deepStrictEqual(yield* take(channel, 1), ["first"])
    })
  )

  it.effect("the connection is open with the 101: what the server sends follows it", () =>
    Effect.gen(function* () {
      const server = yield* makeServer(
        { onOpen: (channel) => Effect.andThen(channel.send("welcome"), channel.closed) },
        anonymous
      )
      const peer = yield* server.connect
      peer.send(requestHead())
      assert.strictEqual(yield* peer.readHead, accept101())
      assert.strictEqual(yield* peer.read, 'text "welcome"')
    })
  )

  it.effect("nothing is sent before the whole request is there", () =>
    Effect.gen(function* () {
      const server = yield* serveRaw(anonymous)
      const peer = yield* server.connect
      peer.send(requestHead().slice(0, -1))
      yield* TestClock.adjust("1 hour")
      assert.isEmpty(server.requests)
      assert.strictEqual(peer.received, 0)
      peer.send("\n")
      assert.strictEqual(yield* peer.readHead, accept101())
    })
  )
})

describe("RFC 6455 section 4.2.2, item 5: what an application must not answer -> 500", () => {
  const owned = [
    "Upgrade",
    "connection",
    "Sec-WebSocket-Accept",
    "sec-websocket-protocol",
    "Sec-WebSocket-Extensions",
    "Sec-WebSocket-Version",
    "Sec-WebSocket-Key",
    "Content-Length",
    "Transfer-Encoding"
  ]
  const wrong: ReadonlyArray<readonly [rule: string, accept: string | ConnectionAccept]> = [
    ["a subprotocol that was not offered", "other"],
    ["a subprotocol in another case", { subprotocol: "Chat" }],
    ["an empty subprotocol", { subprotocol: "" }],
    ["two subprotocols", { subprotocol: "chat, superchat" }],
    ["a subprotocol with a line end", { subprotocol: "chat\r\nX-A: 1" }],
    ["a header value with CRLF", { headers: { "X-A": "1\r\nX-B: 2" } }],
    ["a header value with LF", { headers: { "X-A": "1\nX-B: 2" } }],
    ["a header value with CR", { headers: { "X-A": ["1", "1\rX-B: 2"] } }],
    ["a header value with NUL", { headers: { "X-A": "\0" } }],
    ["a header value beyond latin1", { headers: { "X-A": "\u20ac" } }],
    ["a header name with CRLF", { headers: { "X-A: 1\r\nX-B": "2" } }],
    ["a header name with a space", { headers: { "X A": "1" } }],
    ["a header name with a colon", { headers: { "X:A": "1" } }],
    ["an empty header name", { headers: { "": "1" } }],
    ...owned.map(
      (name) => [`a header of the handshake's own: ${name}`, { headers: { [name]: "x" } }] as const
    )
  ]
  for (const [rule, accept] of wrong) {
    it.effect(rule, () =>
      Effect.gen(function* () {
        const server = yield* serveRaw(anonymous, ({ path }) =>
          Effect.succeed(path === "/" ? undefined : accept)
        )
        const refusal = yield* server.refusal(requestHead(protocols, "GET /wrong HTTP/1.1"))
        assert.strictEqual(refusal.startLine, "HTTP/1.1 500 Internal Server Error")
        assert.deepStrictEqual(Object.keys(refusal.headers).sort(), ["connection", "content-length"])
        yield* server.goesOn
        assert.strictEqual(yield* server.connections, 1)
      }).pipe(silent)
    )
  }

  it.effect("a subprotocol where the client offered none", () =>
    Effect.gen(function* () {
      const server = yield* serveRaw(anonymous, () => Effect.succeed("chat"))
      assert.strictEqual((yield* server.refusal(requestHead())).status, 500)
    }).pipe(silent)
  )

  const defects: ReadonlyArray<readonly [rule: string, onConnect: WebSocketServer.OnConnect<never>]> = [
    ["dies", () => Effect.die(new Error("expected to die"))],
    ["dies later", () => Effect.andThen(Effect.yieldNow, Effect.die("expected to die"))],
    [
      "throws",
      () => {
        throw new Error("expected to throw")
      }
    ]
  ]
  for (const [rule, onConnect] of defects) {
    it.effect(`an onConnect that ${rule}; the server goes on`, () =>
      Effect.gen(function* () {
        const server = yield* serveRaw(anonymous, (request) =>
          request.path === "/" ? Effect.void : onConnect(request)
        )
        const refusal = yield* server.refusal(requestHead({}, "GET /wrong HTTP/1.1"))
        assert.strictEqual(refusal.startLine, "HTTP/1.1 500 Internal Server Error")
        assert.notInclude(refusal.body, "expected")
        yield* server.goesOn
        assert.strictEqual(yield* server.connections, 1)
      }).pipe(silent)
    )
  }
})

describe("RFC 6455 section 4.2.2: the application refuses (ConnectionDeny)", () => {
  const deny = (denial: ConnectionDeny, request = requestHead(protocols)) =>
    Effect.gen(function* () {
      const server = yield* serveRaw(anonymous, () => Effect.fail(denial))
      return yield* server.refusal(request)
    })

  it.effect("status, reason, headers and body, byte for byte", () =>
    Effect.gen(function* () {
      const server = yield* serveRaw(anonymous, () =>
        Effect.fail(
          new ConnectionDeny({
            status: 499,
            reason: "Not Today",
            headers: { "Set-Cookie": ["a=1", "b=2"], "X-A": "caf\xe9" },
            body: "g\u00f6 \u20ac"
          })
        )
      )
      const peer = yield* server.connect
      peer.send(requestHead())
      assert.strictEqual(
        yield* peer.readHead,
        "HTTP/1.1 499 Not Today\r\nConnection: close\r\nContent-Length: 7\r\nContent-Type: text/plain; charset=utf-8\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-A: caf\xe9\r\n\r\n"
      )
      assert.strictEqual(yield* peer.readBody, "g\u00f6 \u20ac")
      assert.strictEqual(peer.end, "fin")
    })
  )

  const typed: ReadonlyArray<readonly [deny: ConnectionDeny, type: string | undefined]> = [
    [ConnectionDeny.forbidden(), undefined],
    [ConnectionDeny.forbidden({ body: new Uint8Array([1]) }), undefined],
    [ConnectionDeny.forbidden({ body: "no" }), "text/plain; charset=utf-8"],
    [ConnectionDeny.forbidden({ body: "<p>", headers: { "content-type": "text/html" } }), "text/html"]
  ]
  it.effect.each(typed)(
    "a body of text is typed as such, unless it is typed already: case %#",
    ([deny, type]) =>
      Effect.gen(function* () {
        const { refusal } = yield* serveRaw({}, () => Effect.fail(deny))
        assert.strictEqual((yield* refusal(requestHead())).headers["content-type"], type)
      })
  )

  const denials: ReadonlyArray<readonly [denial: ConnectionDeny, startLine: string]> = [
    [ConnectionDeny.badRequest(), "400 Bad Request"],
    [ConnectionDeny.unauthorized(), "401 Unauthorized"],
    [ConnectionDeny.forbidden(), "403 Forbidden"],
    [ConnectionDeny.notFound(), "404 Not Found"],
    [ConnectionDeny.notAcceptable(), "406 Not Acceptable"],
    [ConnectionDeny.requestTimeout(), "408 Request Timeout"],
    [ConnectionDeny.tooManyRequests(), "429 Too Many Requests"],
    [ConnectionDeny.internalServerError(), "500 Internal Server Error"],
    [ConnectionDeny.notImplemented(), "501 Not Implemented"],
    [ConnectionDeny.serviceUnavailable(), "503 Service Unavailable"],
    [new ConnectionDeny({ status: 302, headers: { Location: "/elsewhere" } }), "302 Found"],
    [new ConnectionDeny({ status: 418, reason: "I'm a teapot" }), "418 I'm a teapot"],
    [new ConnectionDeny({ status: 599 }), "599 "]
  ]
  for (const [denial, startLine] of denials) {
    it.effect(`-> ${startLine}`, () =>
      Effect.gen(function* () {
        const refusal = yield* deny(denial)
        assert.strictEqual(refusal.startLine, `HTTP/1.1 ${startLine}`)
        assert.strictEqual(refusal.body, "")
        assert.strictEqual(refusal.headers["location"], denial.status === 302 ? "/elsewhere" : undefined)
      })
    )
  }

  it.effect("the body may be bytes", () =>
    Effect.gen(function* () {
      const refusal = yield* deny(
        ConnectionDeny.forbidden({ body: utf8("no \u20ac"), headers: { "Content-Type": "text/plain" } })
      )
      assert.deepInclude(refusal, { status: 403, body: "no \u20ac" })
      assert.strictEqual(refusal.headers["content-type"], "text/plain")
    })
  )

  const wrong: ReadonlyArray<readonly [rule: string, denial: ConnectionDeny]> = [
    ["the status 200", new ConnectionDeny({ status: 200 })],
    ["the status 101", new ConnectionDeny({ status: 101 })],
    ["the status 600", new ConnectionDeny({ status: 600 })],
    ["a reason with CRLF", ConnectionDeny.forbidden({ reason: "a\r\nX-A: 1" })],
    ["a header value with CRLF", ConnectionDeny.forbidden({ headers: { "X-A": "1\r\n\r\nbody" } })],
    ["a header name with a colon", ConnectionDeny.forbidden({ headers: { "X-A: 1": "1" } })],
    ["its own Content-Length", ConnectionDeny.forbidden({ headers: { "Content-Length": "3" }, body: "abc" })],
    ["its own Transfer-Encoding", ConnectionDeny.forbidden({ headers: { "transfer-encoding": "chunked" } })],
    ["Sec-WebSocket-Accept", ConnectionDeny.forbidden({ headers: { "Sec-WebSocket-Accept": exampleAccept } })]
  ]
  for (const [rule, denial] of wrong) {
    it.effect(`a denial with ${rule} -> 500`, () =>
      Effect.gen(function* () {
        const refusal = yield* deny(denial)
        assert.strictEqual(refusal.startLine, "HTTP/1.1 500 Internal Server Error")
        assert.strictEqual(refusal.body, "")
        assert.deepStrictEqual(Object.keys(refusal.headers).sort(), ["connection", "content-length"])
      }).pipe(silent)
    )
  }

  it.effect("frames that came with the request are discarded, and the transport ends after the answer", () =>
    Effect.gen(function* () {
      const server = yield* serveRaw(anonymous, () => Effect.fail(ConnectionDeny.forbidden()))
      const peer = yield* server.connect
      peer.send(requestHead(), peer.text("x"), peer.ping())
      assert.deepInclude(yield* peer.readMessage, {
        startLine: "HTTP/1.1 403 Forbidden",
        body: "",
        end: "fin"
      })
      peer.send(peer.text("y"))
      yield* TestClock.adjust("999 millis")
      assert.isFalse(peer.isClosed, "the server waits for the client's end")
      yield* TestClock.adjust("1 millis")
      assert.isTrue(peer.isClosed, "and drops a transport that does not end")
      assert.strictEqual(yield* server.connections, 0)
    })
  )
})

describe("RFC 6455 section 4.2: openHandshakeTimeout", () => {
  const options = { openHandshakeTimeout: "5 seconds" } as const
  const parts = ["", "GET / HTTP/1.1\r\nHost: test\r\n", requestHead().slice(0, -1)]
  for (const part of parts) {
    it.effect(`${part.length} bytes of a request in time -> 408 and the end of the transport`, () =>
      Effect.gen(function* () {
        const server = yield* serveRaw(options)
        const peer = yield* server.connect
        peer.send(part)
        yield* TestClock.adjust("4999 millis")
        assert.strictEqual(peer.received, 0)
        yield* TestClock.adjust("1 millis")
        const message = yield* peer.readMessage
        assert.deepInclude(message, { startLine: "HTTP/1.1 408 Request Timeout", end: "fin" })
        peer.finish()
        yield* server.goesOn
      })
    )
  }

  it.effect("a byte now and then does not prolong it", () =>
    Effect.gen(function* () {
      const server = yield* serveRaw(options)
      const peer = yield* server.connect
      for (const byte of "GET /") {
        peer.send(byte)
        yield* TestClock.adjust("1 second")
      }
      assert.strictEqual((yield* peer.readMessage).startLine, "HTTP/1.1 408 Request Timeout")
    })
  )

  it.effect("an onConnect that takes longer is interrupted -> 408", () =>
    Effect.gen(function* () {
      let interrupted = false
      const started = yield* Deferred.make<void>()
      const server = yield* serveRaw(options, () =>
        Effect.onInterrupt(Effect.andThen(Deferred.succeed(started, undefined), Effect.never), () =>
          Effect.sync(() => {
            interrupted = true
          })
        )
      )
      const answering = yield* Effect.forkChild(server.refusal(requestHead()))
      yield* Deferred.await(started)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* Fiber.join(answering)).status, 408)
      assert.isTrue(interrupted)
    })
  )

  it.effect("is over once the connection is open", () =>
    Effect.gen(function* () {
      const server = yield* serveRaw(options)
      const { peer } = yield* server.acceptance(requestHead())
      yield* TestClock.adjust("1 hour")
      peer.send(peer.ping("still open"))
      assert.match(yield* peer.read, /^pong/)
    })
  )
})
