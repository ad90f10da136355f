import { NodeSocket, NodeSocketServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Socket from "effect/socket/Socket"
import * as SocketServer from "effect/socket/SocketServer"
import { Protocol, SocketTransport, Transport, WebSocketClient, WebSocketServer } from "effect-websocket"
import { settle } from "../support/apiSession.ts"
import { anyPort, echo, host, portOf, rawServer, roundTrip } from "../support/node.ts"
import { latin1, Recorder, record } from "../support/nodeRecorder.ts"

/** A server of sockets, each made a transport, and the way to connect to it. */
const makeNetwork = Effect.gen(function* () {
  const layer = NodeSocketServer.layer({ ...anyPort, allowHalfOpen: true })
  const server = Context.get(yield* Layer.build(layer), SocketServer.SocketServer)
  const accepted = yield* Queue.unbounded<Transport.Transport>()
  yield* server
    .run((socket) =>
      Effect.gen(function* () {
        yield* Queue.offer(accepted, yield* SocketTransport.fromSocket(socket))
        return yield* Effect.never
      }).pipe(Effect.scoped)
    )
    .pipe(Effect.forkScoped)
  const connect = Effect.flatMap(
    NodeSocket.makeNet({ host, port: portOf(server.address), allowHalfOpen: true }),
    SocketTransport.fromSocket
  )
  return { address: server.address, accepted, connect }
})

const makePair = Effect.gen(function* () {
  const { accepted, connect } = yield* makeNetwork
  const client = yield* connect
  const server = yield* Queue.take(accepted)
  const atClient = record(client)
  const atServer = record(server)
  client.resume()
  server.resume()
  return { client, server, atClient, atServer }
})

const mebibyte = new Uint8Array(1_048_576).map((_, i) => i % 251)

describe("SocketTransport", () => {
  it.effect("reads and writes, in order", () =>
    Effect.gen(function* () {
      const { atClient, atServer, client, server } = yield* makePair
      client.write([latin1("ab"), latin1("c")])
      client.write([latin1("d")])
      server.write([latin1("e")])
      yield* Effect.all([atServer.bytes(4), atClient.bytes(1)])
      assert.strictEqual(atServer.text, "abcd")
      assert.strictEqual(atClient.text, "e")
      assert.isUndefined(client.peer)
      assert.isUndefined(client.local)
      assert.isUndefined(client.tls)
      client.setNoDelay(true)
    })
  )

  it.effect("what arrives belongs to the listener", () =>
    Effect.gen(function* () {
      const shared = latin1("shared")
      const socket = Socket.make({
        reader: Effect.succeed({
          pull: Effect.succeed([shared] as const),
          upgrade: () => Effect.never
        }),
        writer: Effect.succeed({ write: () => Effect.never, writeAll: () => Effect.never })
      })
      const transport = yield* SocketTransport.fromSocket(socket)
      const recorder = new Recorder()
      transport.listen({
        onData: (chunk) => {
          transport.pause()
          chunk.fill(0)
          return recorder.onData(chunk)
        },
        onEnd: () => {},
        onDrain: () => {},
        onClose: () => {}
      })
      transport.resume()
      yield* recorder.bytes(1)
      assert.deepStrictEqual(shared, latin1("shared"))
    })
  )

  it.effect("what the peer does not read is buffered, and drains when it does", () =>
    Effect.gen(function* () {
      const { atClient, atServer, client, server } = yield* makePair
      server.pause()
      // More than the kernel takes.
      const count = 64
      for (let i = 0; i < count; i++) client.write([mebibyte])
      yield* settle
      assert.isAbove(client.bufferedAmount, 0)
      assert.deepStrictEqual(atClient.told, [])
      server.resume()
      yield* atClient.hears("drain")
      assert.strictEqual(client.bufferedAmount, 0)
      assert.deepStrictEqual(atClient.told, ["drain"])
      yield* atServer.bytes(count * mebibyte.length)
      assert.strictEqual(atServer.received, count * mebibyte.length)
    })
  )

  it.effect("a pause keeps the chunks, also within a batch", () =>
    Effect.gen(function* () {
      const batch = [latin1("a"), latin1("b"), latin1("c")] as const
      const socket = Socket.make({
        reader: Effect.succeed({ pull: Effect.succeed(batch), upgrade: () => Effect.never }),
        writer: Effect.succeed({ write: () => Effect.never, writeAll: () => Effect.never })
      })
      const transport = yield* SocketTransport.fromSocket(socket)
      class PausesAlways extends Recorder {
        override onData(chunk: Uint8Array): boolean {
          transport.pause()
          return super.onData(chunk)
        }
      }
      const recorder = new PausesAlways()
      transport.listen(recorder)
      yield* settle
      assert.strictEqual(recorder.text, "")
      for (const expected of ["a", "ab", "abc", "abca"]) {
        transport.resume()
        yield* settle
        assert.strictEqual(recorder.text, expected)
      }
    })
  )

  it.effect("an end is a half-close: everything written arrives first, and reading goes on", () =>
    Effect.gen(function* () {
      const { atClient, atServer, client, server } = yield* makePair
      client.write([mebibyte])
      client.end()
      client.write([latin1("lost")])
      yield* atServer.hears("end")
      assert.strictEqual(atServer.received, mebibyte.length)
      server.write([latin1("late")])
      yield* atClient.bytes(4)
      assert.strictEqual(atClient.text, "late")
      server.end()
      yield* Effect.all([atClient.hears("close"), atServer.hears("close")])
      assert.deepStrictEqual(
        atClient.told.filter((what) => what !== "drain"),
        ["end", "close"]
      )
      assert.deepStrictEqual(
        atServer.told.filter((what) => what !== "drain"),
        ["end", "close"]
      )
    })
  )

  it.effect("an abort closes at once, and the peer sees the end", () =>
    Effect.gen(function* () {
      const { atClient, atServer, client } = yield* makePair
      client.abort()
      client.abort()
      client.write([latin1("lost")])
      client.end()
      assert.deepStrictEqual(atClient.told, [])
      yield* atClient.hears("close")
      yield* atServer.until(() => atServer.told.length > 0)
      assert.deepStrictEqual(atClient.told, ["close"])
      assert.strictEqual(atServer.text, "")
    })
  )

  it.effect("a reset closes with the socket's reason, and a later listener is told again", () =>
    Effect.gen(function* () {
      const connected = yield* Deferred.make<() => void>()
      const port = yield* rawServer((socket) => {
        Deferred.doneUnsafe(
          connected,
          Effect.succeed(() => void socket.resetAndDestroy())
        )
      })
      const transport = yield* Effect.flatMap(NodeSocket.makeNet({ host, port }), SocketTransport.fromSocket)
      const recorder = record(transport)
      transport.resume()
      const reset = yield* Deferred.await(connected)
      reset()
      yield* recorder.hears("failure")
      assert.deepStrictEqual(recorder.told, ["failure"])
      assert.instanceOf(recorder.cause, Socket.SocketReadError)
      const late = record(transport)
      assert.deepStrictEqual(late.told, [])
      yield* late.hears("failure")
      assert.strictEqual(late.cause, recorder.cause)
    })
  )

  it.effect.each([
    {
      name: "a write",
      call: (transport: Transport.Transport) => transport.write([latin1("a")]),
      told: ["drain"]
    },
    { name: "an end", call: (transport: Transport.Transport) => transport.end(), told: [] },
    { name: "a resume", call: (transport: Transport.Transport) => transport.resume(), told: [] },
    { name: "an abort", call: (transport: Transport.Transport) => transport.abort(), told: ["close"] },
    {
      name: "an abort after a write",
      call: (transport: Transport.Transport) => {
        transport.write([latin1("a")])
        transport.abort()
      },
      told: ["close"]
    }
  ])("$name makes no call to the listener, and $told follows", ({ call, told }) =>
    Effect.gen(function* () {
      const socket = Socket.make({
        reader: Effect.succeed({
          pull: Effect.succeed([latin1("waits")] as const),
          upgrade: () => Effect.never
        }),
        writer: Effect.succeed({ write: () => Effect.void, writeAll: () => Effect.void })
      })
      const transport = yield* SocketTransport.fromSocket(socket)
      class PausesAlways extends Recorder {
        override onData(chunk: Uint8Array): boolean {
          transport.pause()
          return super.onData(chunk)
        }
      }
      const recorder = new PausesAlways()
      transport.listen(recorder)
      yield* settle
      call(transport)
      assert.deepStrictEqual([recorder.told, recorder.received], [[], 0])
      yield* settle
      assert.deepStrictEqual(recorder.told, told)
    })
  )

  it.effect("a write that fails closes with its error", () =>
    Effect.gen(function* () {
      const failure = new Socket.SocketError({ reason: new Socket.SocketWriteError({ cause: "broken" }) })
      const socket = Socket.make({
        reader: Effect.succeed({ pull: Effect.never, upgrade: () => Effect.never }),
        writer: Effect.succeed({ write: () => Effect.fail(failure), writeAll: () => Effect.fail(failure) })
      })
      const transport = yield* SocketTransport.fromSocket(socket)
      const recorder = record(transport)
      transport.write([latin1("a")])
      yield* recorder.hears("failure")
      assert.strictEqual(recorder.cause, failure)
    })
  )

  it.effect("a socket that cannot be opened fails with its SocketError", () =>
    Effect.gen(function* () {
      const gone = yield* Effect.scoped(rawServer(() => {}))
      const error = yield* Effect.flip(
        Effect.flatMap(NodeSocket.makeNet({ host, port: gone }), SocketTransport.fromSocket)
      )
      assert.strictEqual(error.reason._tag, "SocketOpenError")
    })
  )

  it.effect("the end of the scope closes the transport", () =>
    Effect.gen(function* () {
      const { accepted, connect } = yield* makeNetwork
      const scope = yield* Scope.make()
      const client = yield* Scope.provide(connect, scope)
      const server = yield* Queue.take(accepted)
      const atClient = record(client)
      const atServer = record(server)
      server.resume()
      yield* Scope.close(scope, Exit.void)
      yield* Effect.all([atClient.hears("close"), atServer.hears("end")])
    })
  )

  it.effect("carries WebSockets: opening handshake, echo, closing handshake", () =>
    Effect.gen(function* () {
      const { accepted, address, connect } = yield* makeNetwork
      const network = Layer.mergeAll(
        Layer.succeed(Transport.TransportServer, {
          address,
          accept: (onTransport) =>
            Queue.take(accepted).pipe(
              Effect.map((transport) => onTransport(Transport.accepted(transport))),
              Effect.forever,
              Effect.forkScoped,
              Effect.asVoid
            ),
          stop: Effect.void
        }),
        Layer.succeed(Transport.TransportClient, {
          connect: () =>
            Effect.mapError(
              connect,
              (cause) => new Transport.TransportError({ message: cause.message, cause })
            )
        })
      )
      const context = yield* Layer.mergeAll(WebSocketServer.layer(), WebSocketClient.layer()).pipe(
        Layer.provide([network, Protocol.layer]),
        Layer.build
      )
      yield* Context.get(context, WebSocketServer.WebSocketServer).serve({ onOpen: echo })
      const client = Context.get(context, WebSocketClient.WebSocketClient)
      const channel = yield* client.connect("ws://test/")
      assert.strictEqual(yield* roundTrip(channel, "hello"), "hello")
      assert.deepStrictEqual(yield* roundTrip(channel, mebibyte), mebibyte)
      assert.deepStrictEqual(yield* channel.close(3000, "enough"), {
        wasClean: true,
        code: 1000,
        reason: ""
      })
      assert.deepStrictEqual(yield* Stream.runCollect(channel.messages), [])
    })
  )
})
