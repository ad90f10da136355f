/**
 * What the network can do to an opening handshake.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import {
  type CloseEvent,
  Protocol,
  Transport,
  type WebSocketChannel,
  WebSocketClient,
  WebSocketServer
} from "effect-websocket"
import { InMemoryNetwork } from "effect-websocket/testing"
import { settle } from "../support/apiSession.ts"
import { leavesNothing } from "../support/faults.ts"
import { RawPeer, requestHead } from "../support/RawPeer.ts"
import { makeClient } from "../support/rawSession.ts"

const target: Transport.TransportTarget = { host: "test", port: 80, secure: false, socketPath: undefined }

/** A server that echoes, a client, one connection between them, and what becomes of the server's others. */
const echoing = Effect.gen(function* () {
  const context = yield* Layer.mergeAll(WebSocketServer.layer(), WebSocketClient.layer()).pipe(
    Layer.provideMerge(InMemoryNetwork.layer()),
    Layer.provide(Protocol.layer),
    Layer.build
  )
  const server = Context.get(context, WebSocketServer.WebSocketServer)
  const ends: Array<CloseEvent.CloseEvent> = []
  yield* server.serve({
    onOpen: (channel) =>
      Stream.runForEach(channel.messages, channel.send).pipe(
        Effect.ensuring(Effect.map(channel.closed, (end) => ends.push(end)))
      )
  })
  const { connect } = Context.get(context, WebSocketClient.WebSocketClient)
  const bystander = yield* Effect.orDie(connect("ws://test/"))
  const othersWork = echoes(bystander)
  yield* othersWork
  return {
    server,
    connect: connect("ws://test/"),
    rawClient: Effect.map(
      Effect.orDie(Context.get(context, Transport.TransportClient).connect(target)),
      (transport) => new RawPeer(transport, "client")
    ),
    network: Context.get(context, InMemoryNetwork.InMemoryNetwork),
    bystander,
    othersWork,
    ends
  }
})

const echoes = (channel: WebSocketChannel.Channel) =>
  Effect.gen(function* () {
    yield* channel.send("hello")
    assert.strictEqual(yield* channel.receive, "hello")
  }).pipe(Effect.orDie)

describe("a connection that is reset within the opening handshake", () => {
  it.effect.each(["client", "server"] as const)(
    "after any byte of the %s: ConnectFailure, no open connection, and nothing is left",
    (from) =>
      leavesNothing(() =>
        Effect.map(echoing, ({ bystander, connect, ends, network, othersWork, server }) =>
          Effect.gen(function* () {
            const { receivedOctets, sentOctets } = (yield* bystander.statistics).handshake
            const size = from === "client" ? sentOctets : receivedOctets
            assert.isAbove(size, 100)
            for (let bytes = 0; bytes < size; bytes++) {
              yield* network.onConnection(({ resetAfter }) => resetAfter(from, bytes))
              const { reason } = yield* Effect.flip(connect)
              assert.strictEqual(reason._tag, "ConnectFailure", `after ${bytes} bytes`)
              yield* othersWork
              assert.strictEqual(yield* server.connections, 1)
            }
            // A server that has sent its 101 has an open connection until it hears of the end. It has sent
            // none where not even the request came.
            assert.lengthOf(ends, from === "client" ? 0 : size - 1)
            for (const end of ends) assert.deepStrictEqual(end, { wasClean: false, code: 1006, reason: "" })
            yield* network.onConnection(() => Effect.void)
            yield* Effect.scoped(Effect.flatMap(connect, echoes))
          })
        )
      )
  )
})

describe("a peer that ends its side within the opening handshake", () => {
  const request = requestHead()

  it.effect.each([0, 1, request.length - 1])("a client after %i bytes: the server lets go of it", (bytes) =>
    leavesNothing(() =>
      Effect.map(echoing, ({ ends, othersWork, rawClient, server }) =>
        Effect.gen(function* () {
          const peer = yield* rawClient
          peer.send(request.slice(0, bytes))
          yield* settle
          peer.finish()
          yield* settle
          assert.isTrue(peer.isClosed)
          assert.strictEqual(peer.received, 0)
          yield* othersWork
          assert.strictEqual(yield* server.connections, 1)
          assert.lengthOf(ends, 0)
        })
      )
    )
  )

  it.effect("a client after the whole request: the connection opens, and is over", () =>
    leavesNothing(() =>
      Effect.map(echoing, ({ ends, othersWork, rawClient }) =>
        Effect.gen(function* () {
          const peer = yield* rawClient
          peer.send(request)
          peer.finish()
          assert.match(yield* peer.readHead, /^HTTP\/1\.1 101 /)
          yield* settle
          assert.isTrue(peer.isClosed)
          assert.deepStrictEqual(ends, [{ wasClean: false, code: 1006, reason: "" }])
          yield* othersWork
        })
      )
    )
  )

  const answers = ["", "HTTP/1.1 101 Swi", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"]

  it.effect.each(answers)("a server after %j: the client fails typed", (answer) =>
    leavesNothing(() =>
      Effect.map(makeClient(), ({ accept, connect }) =>
        Effect.gen(function* () {
          const failing = yield* Effect.forkChild(Effect.flip(connect("ws://test/")))
          const peer = yield* accept
          yield* peer.readHead
          peer.send(answer)
          peer.finish()
          const { reason } = yield* Fiber.join(failing)
          assert.strictEqual(reason._tag, "ConnectFailure")
          yield* settle
          assert.isTrue(peer.isClosed)
        })
      )
    )
  )
})
