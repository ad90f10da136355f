/**
 * What a client makes of the responses to its opening request.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import { WebSocketClient } from "effect-websocket"
import { settle } from "../support/apiSession.ts"
import { layer, rawServer } from "../support/bothEnds.ts"
import { parseHead, responseHead } from "../support/RawPeer.ts"

/** A client under way, the server's end, and the 101 that it waits for. */
const requested = Effect.gen(function* () {
  const peers = yield* rawServer
  const connecting = yield* Effect.forkChild(Effect.result(WebSocketClient.connect("ws://test/")))
  const peer = yield* Queue.take(peers)
  const { headers } = parseHead(yield* peer.readHead)
  const opens = responseHead(headers["sec-websocket-key"] ?? "")
  yield* Effect.addFinalizer(() => Effect.sync(() => peer.drop()))
  return { connecting, opens, peer }
})

const hints = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"
const goOn = "HTTP/1.1 100 Continue\r\n\r\n"

describe("informational responses", () => {
  it.effect("may come before the 101, in one chunk with it and its first frame", () =>
    Effect.gen(function* () {
      const { connecting, opens, peer } = yield* requested
      peer.send(goOn, hints, opens, peer.text("first"))
      const channel = yield* Effect.fromResult(yield* Fiber.join(connecting))
      assert.strictEqual(yield* channel.receive, "first")
      assert.notProperty(channel.response?.headers, "link")
    }).pipe(Effect.provide(layer()))
  )

  it.effect("may come on their own, cut anywhere", () =>
    Effect.gen(function* () {
      const { connecting, opens, peer } = yield* requested
      for (const byte of `${goOn}${hints}${opens}`) peer.send(byte)
      yield* Effect.fromResult(yield* Fiber.join(connecting))
    }).pipe(Effect.provide(layer()))
  )

  it.effect("may come before a denial", () =>
    Effect.gen(function* () {
      const { connecting, peer } = yield* requested
      peer.send(hints, "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone")
      const { reason } = yield* Effect.flip(Effect.fromResult(yield* Fiber.join(connecting)))
      assert.deepInclude(reason, { _tag: "Rejected", status: 404, body: "none" })
    }).pipe(Effect.provide(layer()))
  )

  it.effect("are too many when more than 16 come", () =>
    Effect.gen(function* () {
      const sent = (count: number) =>
        Effect.gen(function* () {
          const { connecting, opens, peer } = yield* requested
          peer.send(goOn.repeat(count), opens)
          return yield* Fiber.join(connecting)
        })
      yield* Effect.fromResult(yield* sent(16))
      const { reason } = yield* Effect.flip(Effect.fromResult(yield* sent(17)))
      assert.strictEqual(reason._tag, "InvalidResponse")
      assert.strictEqual(reason.message, "too many informational responses")
    }).pipe(Effect.provide(layer()))
  )

  it.effect("are not an answer: without another one the connection fails", () =>
    Effect.gen(function* () {
      const { connecting, peer } = yield* requested
      peer.send(hints)
      yield* settle
      assert.isUndefined(connecting.pollUnsafe())
      peer.finish()
      const { reason } = yield* Effect.flip(Effect.fromResult(yield* Fiber.join(connecting)))
      assert.strictEqual(reason._tag, "ConnectFailure")
      assert.strictEqual(reason.message, "the server ended the connection without a response")
    }).pipe(Effect.provide(layer()))
  )
})

const bodies: ReadonlyArray<readonly [what: string, response: string, body: string]> = [
  ["of a known length", "Content-Length: 5\r\n\r\nhello, and more", "hello"],
  ["in chunks", "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", "hello"],
  ["up to the end of the connection", "Connection: close\r\n\r\nhello", "hello"],
  ["that is cut by the end of the connection", "Content-Length: 1000\r\n\r\nhello", "hello"],
  ["of no bytes", "Content-Length: 0\r\n\r\n", ""],
  ["that is no UTF-8", "Content-Length: 1\r\n\r\n\xff", "\ufffd"],
  ["of more than 64 KiB", `Content-Length: 100000\r\n\r\n${"x".repeat(100_000)}`, "x".repeat(65_536)]
]

describe("the body of a denial", () => {
  it.effect.each(bodies)("%s", ([, response, body]) =>
    Effect.gen(function* () {
      const { connecting, peer } = yield* requested
      peer.send(`HTTP/1.1 403 Forbidden\r\n${response}`)
      peer.finish()
      const { reason } = yield* Effect.flip(Effect.fromResult(yield* Fiber.join(connecting)))
      assert(reason._tag === "Rejected")
      assert.strictEqual(reason.body, body)
    }).pipe(Effect.provide(layer()))
  )
})
