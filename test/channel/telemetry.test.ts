/**
 * Connections as metrics and spans, for those who ask for them.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import * as TestClock from "effect/testing/TestClock"
import { ConnectionMetrics, Protocol, Transport, WebSocketClient, WebSocketServer } from "effect-websocket"
import { InMemoryTransport, WebSocketTest } from "effect-websocket/testing"
import { accepting, settle } from "../support/apiSession.ts"
import { RawPeer, requestHead } from "../support/RawPeer.ts"

/** A registry of the test's own, so that no other test counts. */
const registry = () => Layer.succeed(Metric.MetricRegistry, new Map())

const echo = WebSocketServer.serve({
  onConnect: () => Effect.succeed({ subprotocol: "chat" }),
  onOpen: (channel) => Effect.forever(Effect.flatMap(channel.receive, channel.send))
})

/** An echoing server, and a client connected to it. */
const network = (options?: WebSocketTest.WebSocketTestOptions) =>
  Layer.provideMerge(echo, WebSocketTest.layer(options))

const connect = WebSocketClient.connect("ws://test/room", { protocols: ["chat"] })

const at = <Input, State>(
  metric: Metric.Metric<Input, State>,
  attributes: Readonly<Record<string, string>>
) => Metric.value(Metric.withAttributes(metric, attributes))

describe("metrics", () => {
  it.effect("count connections, handshakes and traffic by role", () =>
    Effect.gen(function* () {
      const channel = yield* connect
      yield* channel.send("hello")
      assert.strictEqual(yield* channel.receive, "hello")
      for (const role of ["client", "server"] as const) {
        assert.strictEqual((yield* at(ConnectionMetrics.open, { role })).value, 1)
        assert.strictEqual((yield* at(ConnectionMetrics.handshake, { role })).count, 1)
        assert.strictEqual(
          (yield* at(ConnectionMetrics.traffic.messages, { role, direction: "sent" })).count,
          0,
          "traffic is not added yet"
        )
      }
      yield* TestClock.adjust("10 seconds")
      yield* channel.send("again")
      assert.strictEqual(yield* channel.receive, "again")
      const traffic = Effect.fnUntraced(function* (role: "client" | "server") {
        const read = (kind: keyof typeof ConnectionMetrics.traffic, direction: string) =>
          Effect.map(at(ConnectionMetrics.traffic[kind], { role, direction }), ({ count }) => count)
        return {
          messages: [yield* read("messages", "sent"), yield* read("messages", "received")],
          octets: [yield* read("messageOctets", "sent"), yield* read("messageOctets", "received")],
          wire: [yield* read("wireOctets", "sent"), yield* read("wireOctets", "received")]
        }
      })
      assert.deepStrictEqual(yield* traffic("client"), { messages: [1, 1], octets: [5, 5], wire: [11, 7] })
      assert.deepStrictEqual(yield* traffic("server"), { messages: [1, 1], octets: [5, 5], wire: [7, 11] })

      yield* channel.close(1000)
      yield* settle
      // Both Close frames are counted, a masked one of 8 octets and one of 4.
      assert.deepStrictEqual(yield* traffic("client"), {
        messages: [2, 2],
        octets: [10, 10],
        wire: [30, 18]
      })
      for (const role of ["client", "server"] as const) {
        assert.strictEqual((yield* at(ConnectionMetrics.open, { role })).value, 0)
        assert.strictEqual((yield* at(ConnectionMetrics.closed, { role, code: "1000" })).count, 1)
      }
    }).pipe(
      Effect.provide(
        network().pipe(Layer.provideMerge(ConnectionMetrics.layer()), Layer.provideMerge(registry()))
      )
    )
  )

  it.effect("time the round trips of automatic pings", () =>
    Effect.gen(function* () {
      yield* connect
      yield* TestClock.adjust("1 second")
      yield* TestClock.adjust("1 second")
      const { count, max } = yield* at(ConnectionMetrics.roundTrip, { role: "client" })
      assert.deepStrictEqual([count, max], [1, 0])
    }).pipe(
      Effect.provide(
        network({ client: { autoPingInterval: "1 second" } }).pipe(
          Layer.provideMerge(ConnectionMetrics.layer({ interval: "1500 millis" })),
          Layer.provideMerge(registry())
        )
      )
    )
  )

  it.effect("are not kept where nobody asks for them", () =>
    Effect.gen(function* () {
      const channel = yield* connect
      yield* channel.close(1000)
      assert.deepStrictEqual(yield* Metric.snapshot, [])
    }).pipe(Effect.provide(Layer.provideMerge(network(), registry())))
  )
})

describe("statistics of the opening handshake", () => {
  it.effect("tell its octets and its time", () =>
    Effect.gen(function* () {
      const connecting = yield* Effect.forkChild(connect, { startImmediately: true })
      yield* TestClock.adjust("30 millis")
      const channel = yield* Fiber.join(connecting)
      const { handshake } = yield* channel.statistics
      assert.isTrue(Duration.equals(handshake.duration, Duration.millis(20)))
      assert.isAbove(handshake.sentOctets, 150)
      assert.isAbove(handshake.receivedOctets, 100)
      const closing = yield* Effect.forkChild(channel.close())
      yield* TestClock.adjust("50 millis")
      yield* Fiber.join(closing)
    }).pipe(Effect.provide(network({ network: { latency: "10 millis" } })))
  )

  it.effect("begin at a server with the accepted connection, before a TLS handshake", () =>
    Effect.gen(function* () {
      const pair = yield* InMemoryTransport.makePair()
      const secured = Effect.delay(Effect.succeed(pair.server), "300 millis")
      const transports = Effect.map(Transport.TransportServer, (server) => ({
        ...server,
        accept: (onTransport: Transport.OnTransport) =>
          server.accept((accepted) => onTransport({ ...accepted, transport: secured }))
      }))
      const time = yield* Deferred.make<Duration.Duration>()
      const server = WebSocketServer.serve({
        onOpen: (channel) =>
          Effect.flatMap(channel.statistics, ({ handshake }) => Deferred.succeed(time, handshake.duration))
      })
      yield* server.pipe(
        Layer.provide(WebSocketServer.layer()),
        Layer.provide(Layer.effect(Transport.TransportServer, transports)),
        Layer.provide([Protocol.layer, accepting(pair.server)]),
        Layer.build
      )
      const peer = new RawPeer(pair.client, "client")
      yield* Effect.addFinalizer(() => Effect.sync(() => peer.drop()))
      peer.send(requestHead())
      yield* settle
      yield* TestClock.adjust("300 millis")
      assert.strictEqual(Duration.toMillis(yield* Deferred.await(time)), 300)
    })
  )
})

/** A tracer whose spans the test reads. */
const recordSpans = () => {
  const spans: Array<Tracer.NativeSpan> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
  return { spans, layer: Layer.succeed(Tracer.Tracer, tracer) }
}

describe("spans", () => {
  it.effect("one for each connection and side, until it ends", () => {
    const { layer, spans } = recordSpans()
    const connections = () => spans.filter(({ name }) => name === "websocket.connection")
    return Effect.gen(function* () {
      const channel = yield* connect
      yield* settle
      assert.deepStrictEqual(
        connections()
          .map(({ kind }) => kind)
          .sort(),
        ["client", "server"]
      )
      assert.isTrue(connections().every(({ status }) => status._tag === "Started"))
      yield* channel.close(4000, "bye")
      yield* settle
      for (const { attributes, status } of connections()) {
        assert.strictEqual(status._tag, "Ended")
        assert.strictEqual(attributes.get("websocket.subprotocol"), "chat")
        assert.strictEqual(attributes.get("websocket.close.clean"), true)
      }
    }).pipe(Effect.provide(network()), Effect.provide(layer))
  })

  it.effect("the server's is its handler's parent, and the child of the caller's span", () => {
    const { layer, spans } = recordSpans()
    const parent = "0af7651916cd43dd8448eb211c80319c"
    const server = WebSocketServer.serve({
      onOpen: () => Effect.withSpan(Effect.void, "handler")
    })
    return Effect.gen(function* () {
      const channel = yield* WebSocketClient.connect("ws://test/room", {
        headers: { traceparent: `00-${parent}-b7ad6b7169203331-01` }
      })
      yield* channel.closed
      const ofServer = spans.find(({ kind }) => kind === "server")
      const handler = spans.find(({ name }) => name === "handler")
      assert.strictEqual(ofServer?.traceId, parent)
      assert.strictEqual(ofServer?.attributes.get("url.path"), "/room")
      assert.strictEqual(handler?.traceId, parent)
      assert.strictEqual(handler?.parent.pipe(Option.getOrUndefined), ofServer)
    }).pipe(Effect.provide(Layer.provideMerge(server, WebSocketTest.layer())), Effect.provide(layer))
  })
})
