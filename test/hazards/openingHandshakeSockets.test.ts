/**
 * What has broken other libraries in the opening handshake on real sockets, tried here. Each group is a class
 * of bugs that was shipped.
 */
import * as Http from "node:http"
import type { Socket } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type { Message, WebSocketChannel, WebSocketServer } from "effect-websocket"
import { NodeWebSocketServer } from "effect-websocket/node"
import { settle } from "../support/apiSession.ts"
import * as Node from "../support/node.ts"
import { hasOpenssl, makeCertificates } from "../support/nodeCertificates.ts"
import { parseHead, requestHead, responseHead } from "../support/RawPeer.ts"
import { closePayload, encodeFrame, Opcode } from "../support/rawFrames.ts"

type Server = WebSocketServer.WebSocketServer["Service"]

const listeners = [
  ["a server of its own", Effect.succeed(NodeWebSocketServer.layer(Node.anyPort))],
  [
    "a server on node:http",
    Effect.gen(function* () {
      const http = Http.createServer()
      yield* Node.listening(http)
      return NodeWebSocketServer.layerUpgrade(http)
    })
  ]
] as const

/** A new client is served. */
const goesOn = Effect.fnUntraced(function* (server: Server) {
  const channel = yield* (yield* Node.makeClient()).connect(Node.urlOf(server))
  assert.strictEqual(yield* Node.roundTrip(channel, "still here"), "still here")
}, Effect.scoped)

describe("a frame in the same packet as the 101; RST in the middle of the upgrade", () => {
  const text = encodeFrame({ opcode: Opcode.text, payload: "first", masked: true })
  const close = encodeFrame({ opcode: Opcode.close, payload: closePayload(1000), masked: true })

  it.effect.each(listeners)("%s: frames in the packet of the request are delivered", ([, listener]) =>
    Effect.gen(function* () {
      const received = yield* Deferred.make<ReadonlyArray<Message>>()
      const server = yield* Node.serve(yield* listener, {
        onOpen: (channel) =>
          Effect.flatMap(Stream.runCollect(channel.messages), (messages) =>
            Deferred.succeed(received, messages)
          )
      })
      const raw = yield* Node.rawTcp(Node.portOf(server.address))
      raw.send(requestHead(), text, text, close)
      assert.deepStrictEqual<ReadonlyArray<Message>>(yield* Deferred.await(received), ["first", "first"])
      const answer = yield* raw.readAll
      assert.match(answer, /^HTTP\/1\.1 101 /)
      assert.isTrue(answer.endsWith("\r\n\r\n\x88\x02\x03\xe8"))
    })
  )

  /** A server that answers the request's key by `respond`. */
  const answering = (respond: (socket: Socket, key: string) => void) =>
    Node.rawServer((socket) => {
      socket.on("error", () => {})
      let head = ""
      socket.on("data", (chunk: Buffer) => {
        if (head.endsWith("\r\n\r\n")) return
        head += chunk.toString("latin1")
        if (head.endsWith("\r\n\r\n")) respond(socket, parseHead(head).headers["sec-websocket-key"] ?? "")
      })
    })

  it.effect("client: frames in the packet of the 101 are delivered", () =>
    Effect.gen(function* () {
      const port = yield* answering((socket, key) =>
        socket.end(`${responseHead(key)}\x81\x05first\x81\x06second\x88\x02\x03\xe8`, "latin1")
      )
      const channel = yield* (yield* Node.makeClient()).connect(`ws://${Node.host}:${port}/`)
      assert.deepStrictEqual([yield* channel.receive, yield* channel.receive], ["first", "second"])
      assert.deepStrictEqual(yield* channel.closed, { wasClean: true, code: 1000, reason: "" })
    })
  )

  // An `error` event that nobody hears ends the process, and with it the test run.
  const head = requestHead()
  const cuts = [0, 1, 20, head.length - 1, head.length, head.length + 3]

  it.effect.each(listeners)("%s goes on after a RST anywhere in the request", ([, listener]) =>
    Effect.gen(function* () {
      const server = yield* Node.serve(yield* listener, { onOpen: Node.echo })
      for (const cut of cuts) {
        const bytes = Buffer.concat([Buffer.from(head), text]).subarray(0, cut)
        const { reset } = yield* Node.resetTcp(Node.portOf(server.address), bytes)
        yield* settle
        yield* reset
        yield* goesOn(server)
      }
    })
  )

  it.effect.each(listeners)("%s goes on after a RST while its application decides", ([, listener]) =>
    Effect.gen(function* () {
      const asked = yield* Deferred.make<void>()
      const decided = yield* Deferred.make<void>()
      const opened = yield* Queue.unbounded<WebSocketChannel.Channel>()
      const server = yield* Node.serve(yield* listener, {
        onConnect: ({ path }) =>
          path === "/wait"
            ? Effect.andThen(Deferred.succeed(asked, undefined), Deferred.await(decided))
            : Effect.void,
        onOpen: (channel) => Effect.andThen(Queue.offer(opened, channel), Node.echo(channel))
      })
      const waiting = requestHead({}, "GET /wait HTTP/1.1")
      const { reset } = yield* Node.resetTcp(Node.portOf(server.address), waiting)
      yield* Deferred.await(asked)
      yield* reset
      yield* settle
      yield* Deferred.succeed(decided, undefined)
      const { closed } = yield* Queue.take(opened)
      assert.deepStrictEqual(yield* closed, { wasClean: false, code: 1006, reason: "" })
      yield* goesOn(server)
    })
  )

  const resets: ReadonlyArray<readonly [string, (socket: Socket, key: string) => void]> = [
    ["instead of an answer", (socket) => socket.resetAndDestroy()],
    [
      "inside the 101",
      (socket, key) => socket.write(responseHead(key).slice(0, 40), () => socket.resetAndDestroy())
    ],
    ["inside a refusal", (socket) => socket.write("HTTP/1.1 403 F", () => socket.resetAndDestroy())]
  ]

  it.effect.each(resets)("client: a RST %s is a ConnectFailure", ([, act]) =>
    Effect.gen(function* () {
      const port = yield* answering(act)
      const { reason } = yield* Effect.flip((yield* Node.makeClient()).connect(`ws://${Node.host}:${port}/`))
      assert.strictEqual(reason._tag, "ConnectFailure")
    })
  )

  it.effect("client: a RST inside the first frame fails typed", () =>
    Effect.gen(function* () {
      const opened = yield* Deferred.make<void>()
      const port = yield* answering((socket, key) => {
        socket.write(`${responseHead(key)}\x81\x05fi`, "latin1")
        Effect.runFork(
          Effect.andThen(
            Deferred.await(opened),
            Effect.sync(() => socket.resetAndDestroy())
          )
        )
      })
      const channel = yield* (yield* Node.makeClient()).connect(`ws://${Node.host}:${port}/`)
      const receiving = yield* Effect.forkChild(Effect.flip(channel.receive))
      yield* Deferred.succeed(opened, undefined)
      assert.strictEqual((yield* Fiber.join(receiving)).reason._tag, "TransportFailure")
    })
  )
})

describe.skipIf(!hasOpenssl)("TLS not verified by the client, or verified for the wrong name", () => {
  const { ca, otherHost, selfSigned, valid } = hasOpenssl
    ? makeCertificates()
    : { ca: "", valid: {}, otherHost: {}, selfSigned: {} }

  it.effect.each([
    ["a certificate for another host", otherHost, { ca }, "ERR_TLS_CERT_ALTNAME_INVALID"],
    ["a self-signed certificate", selfSigned, { ca }, "DEPTH_ZERO_SELF_SIGNED_CERT"],
    ["an authority that nobody trusts", valid, {}, "UNABLE_TO_VERIFY_LEAF_SIGNATURE"],
    [
      "another name that was asked for",
      valid,
      { ca, servername: "other.test" },
      "ERR_TLS_CERT_ALTNAME_INVALID"
    ]
  ] as const)("%s fails typed, and the server sees no request", ([, certificate, tls, code]) =>
    Effect.gen(function* () {
      let requests = 0
      const server = yield* Node.serve(NodeWebSocketServer.layerTls(Node.anyPort, certificate), {
        onConnect: () => Effect.sync(() => void requests++),
        onOpen: Node.echo
      })
      const client = yield* Node.makeClient({}, tls)
      for (const name of ["localhost", Node.host]) {
        const url = `wss://${name}:${Node.portOf(server.address)}/`
        const { reason } = yield* Effect.flip(client.connect(url, { headers: { Authorization: "secret" } }))
        assert.strictEqual(reason._tag, "ConnectFailure")
        if (reason._tag === "ConnectFailure") assert.propertyVal(reason.cause, "code", code)
      }
      yield* settle
      assert.strictEqual(requests, 0)
      const trusting = yield* Node.makeClient({}, { rejectUnauthorized: false })
      const channel = yield* trusting.connect(`wss://${Node.host}:${Node.portOf(server.address)}/`)
      assert.strictEqual(yield* Node.roundTrip(channel, "goes on"), "goes on")
    })
  )
})

describe("credentials kept across redirects", () => {
  it.effect.each([301, 302, 303, 307, 308])(
    "a %i is Rejected with its Location, and no other connection is made",
    (status) =>
      Effect.gen(function* () {
        let elsewhere = 0
        let here = 0
        const other = yield* Node.rawServer(() => void elsewhere++)
        const location = `http://${Node.host}:${other}/`
        const port = yield* Node.rawServer((socket) => {
          here++
          socket.once("data", () => {
            socket.end(`HTTP/1.1 ${status} Moved\r\nLocation: ${location}\r\nContent-Length: 0\r\n\r\n`)
          })
        })
        const { reason } = yield* Effect.flip(
          (yield* Node.makeClient()).connect(`ws://${Node.host}:${port}/`, {
            headers: { Authorization: "Basic dXNlcjpwYXNz", Cookie: "session=1" }
          })
        )
        assert.strictEqual(reason._tag, "Rejected")
        if (reason._tag === "Rejected")
          assert.deepStrictEqual([reason.status, reason.headers["location"]], [status, location])
        yield* settle
        assert.deepStrictEqual([here, elsewhere], [1, 0])
      })
  )
})
