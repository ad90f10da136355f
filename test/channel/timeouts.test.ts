/**
 * Timeouts, by the test clock: no time passes.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import {
  Protocol,
  type ServerOptions,
  Timeouts,
  Transport,
  type WebSocketChannel,
  WebSocketClient,
  WebSocketServer
} from "effect-websocket"
import { InMemoryTransport } from "effect-websocket/testing"
import { accepting, connecting, observed, open, roles, settle } from "../support/apiSession.ts"
import { RawPeer, requestHead } from "../support/RawPeer.ts"
import { hex, toHex, utf8 } from "../support/rawFrames.ts"
import { transportEnd } from "../support/rawSession.ts"

/** A server on one end, and before the opening handshake the raw client on the other. */
const serve = Effect.fnUntraced(function* (
  options: ServerOptions.ServerOptionsInput,
  onConnect: WebSocketServer.OnConnect<never> = () => Effect.void
) {
  const pair = yield* InMemoryTransport.makePair()
  yield* WebSocketServer.serve({ onConnect, onOpen: (channel) => channel.closed }).pipe(
    Layer.provide(WebSocketServer.layer(options)),
    Layer.provide([Protocol.layer, accepting(pair.server)]),
    Layer.build
  )
  yield* Effect.addFinalizer(() => pair.faults.reset)
  return { client: pair.client, peer: new RawPeer(pair.client, "client") }
})

/** Waits until a transport is gone, both ways. */
const endOf = (transport: Transport.Transport) =>
  Effect.callback<void>((resume) => {
    const nothing = () => {}
    transport.listen({
      onData: () => true,
      onEnd: nothing,
      onDrain: nothing,
      onClose: () => resume(Effect.void)
    })
  })

const isOver = (channel: WebSocketChannel.Channel) =>
  Effect.andThen(
    settle,
    Effect.map(
      Effect.forkChild(channel.closed, { startImmediately: true }),
      (fiber) => fiber.pollUnsafe() !== undefined
    )
  )

describe("a server's openHandshakeTimeout", () => {
  const options = { openHandshakeTimeout: "10 seconds" }

  const waits: ReadonlyArray<readonly [what: string, sent: string]> = [
    ["a client that sends nothing", ""],
    ["a client that sends half a request", requestHead().slice(0, 30)]
  ]

  it.effect.each(waits)("%s gets 408, and not before", ([, sent]) =>
    Effect.gen(function* () {
      const { peer } = yield* serve(options)
      if (sent !== "") peer.send(sent)
      yield* TestClock.adjust("9999 millis")
      yield* settle
      assert.isUndefined(peer.end)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* peer.readMessage).startLine, "HTTP/1.1 408 Request Timeout")
    })
  )

  it.effect("a client that sends a byte a second gets no more time", () =>
    Effect.gen(function* () {
      const { peer } = yield* serve(options)
      for (const byte of requestHead().slice(0, 10)) {
        peer.send(byte)
        yield* TestClock.adjust("1 second")
      }
      assert.strictEqual((yield* peer.readMessage).startLine, "HTTP/1.1 408 Request Timeout")
    })
  )

  it.effect("bounds onConnect too, which is interrupted", () =>
    Effect.gen(function* () {
      let isInterrupted = false
      const { peer } = yield* serve(options, () =>
        Effect.onInterrupt(Effect.never, () =>
          Effect.sync(() => {
            isInterrupted = true
          })
        )
      )
      peer.send(requestHead())
      yield* settle
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* peer.readMessage).startLine, "HTTP/1.1 408 Request Timeout")
      assert.isTrue(isInterrupted)
    })
  )

  it.effect("does not run on an open connection", () =>
    Effect.gen(function* () {
      const { channel } = yield* open("server", options)
      yield* TestClock.adjust("1 day")
      assert.isFalse(yield* isOver(channel))
    })
  )

  it.effect("of 0 is none", () =>
    Effect.gen(function* () {
      const { peer } = yield* serve({ openHandshakeTimeout: 0 })
      yield* TestClock.adjust("1 day")
      peer.send(requestHead())
      assert.match(yield* peer.readHead, /^HTTP\/1.1 101 /)
    })
  )

  it.effect("does not answer a second time when it is over while the 101 is sent", () =>
    Effect.gen(function* () {
      const { client, server } = yield* InMemoryTransport.makePair()
      const timeUp = yield* Deferred.make<void>()
      const transport = observed(server, () => Deferred.doneUnsafe(timeUp, Exit.void))
      yield* WebSocketServer.serve({ onOpen: (channel) => channel.closed }).pipe(
        Layer.provide(WebSocketServer.layer({ maxConnections: 1 })),
        Layer.provide(
          Layer.succeed(Timeouts.Timeouts, {
            after: (kind) => (kind === "openHandshake" ? Deferred.await(timeUp) : Effect.never)
          })
        ),
        Layer.provide([Protocol.layer, accepting(transport)]),
        Layer.build
      )
      const peer = new RawPeer(client, "client")
      yield* Effect.addFinalizer(() => Effect.sync(() => peer.drop()))
      peer.send(requestHead())
      assert.match(yield* peer.readHead, /^HTTP\/1\.1 101 /)
      peer.send(peer.ping("still there"))
      assert.strictEqual(yield* peer.read, `pong ${toHex(utf8("still there"))}`)
      assert.isUndefined(peer.end)
    })
  )
})

describe("a client's openHandshakeTimeout", () => {
  const connect = Effect.fnUntraced(function* (network: Layer.Layer<Transport.TransportClient>) {
    const client = yield* WebSocketClient.make({ openHandshakeTimeout: "10 seconds" }).pipe(
      Effect.provide([Protocol.layer, network])
    )
    return yield* Effect.forkChild(Effect.flip(client.connect("ws://test/")))
  })

  const answers: ReadonlyArray<readonly [what: string, answer: string]> = [
    ["a server that answers nothing", ""],
    ["a server that answers half a head", "HTTP/1.1 101 Switching Pro"]
  ]

  it.effect.each(answers)("%s fails the connection with HandshakeTimeout, and not before", ([, answer]) =>
    Effect.gen(function* () {
      const pair = yield* InMemoryTransport.makePair()
      const peer = new RawPeer(pair.server, "server")
      const failing = yield* connect(connecting(pair.client))
      yield* peer.readHead
      if (answer !== "") peer.send(answer)
      yield* TestClock.adjust("9999 millis")
      yield* settle
      assert.isUndefined(failing.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      const error = yield* Fiber.join(failing)
      assert.strictEqual(error.reason._tag, "HandshakeTimeout")
      assert.strictEqual(error.message, "ws://test/: no response within openHandshakeTimeout")
      assert.deepStrictEqual(yield* peer.rest, { frames: [], end: "drop" }, "the transport is dropped")
    })
  )

  it.effect(
    "a denial whose body does not end is cut after serverConnectionDropTimeout: its status counts",
    () =>
      Effect.gen(function* () {
        const pair = yield* InMemoryTransport.makePair()
        const peer = new RawPeer(pair.server, "server")
        const failing = yield* connect(connecting(pair.client))
        yield* peer.readHead
        peer.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 10\r\n\r\nhalf")
        yield* settle
        yield* TestClock.adjust("999 millis")
        yield* settle
        assert.isUndefined(failing.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        const { reason } = yield* Fiber.join(failing)
        assert.deepInclude(reason, { _tag: "Rejected", status: 403, statusText: "Forbidden", body: "half" })
        assert.deepStrictEqual(yield* peer.rest, { frames: [], end: "drop" })
      })
  )

  it.effect("bounds the connecting of the transport too, which is interrupted", () =>
    Effect.gen(function* () {
      let isInterrupted = false
      const never = Effect.onInterrupt(Effect.never, () =>
        Effect.sync(() => {
          isInterrupted = true
        })
      )
      const failing = yield* connect(Layer.succeed(Transport.TransportClient, { connect: () => never }))
      yield* settle
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* Fiber.join(failing)).reason._tag, "HandshakeTimeout")
      assert.isTrue(isInterrupted)
    })
  )

  it.effect("does not run on an open connection", () =>
    Effect.gen(function* () {
      const { channel } = yield* open("client", { openHandshakeTimeout: "10 seconds" })
      yield* TestClock.adjust("1 day")
      assert.isFalse(yield* isOver(channel))
    })
  )
})

describe.each(roles)("the timeouts of a closing %s", (role) => {
  it.effect("closeHandshakeTimeout drops a peer that does not answer our Close: CloseTimeout, and 1006", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role, { closeHandshakeTimeout: "5 seconds" })
      const reading = yield* Effect.forkChild(Effect.flip(Stream.runDrain(channel.messages)))
      const closing = yield* Effect.forkChild(channel.close(1000))
      assert.strictEqual(yield* peer.read, "close 1000")
      yield* TestClock.adjust("4999 millis")
      yield* settle
      assert.isUndefined(peer.end)
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* peer.rest, { frames: [], end: "drop" })
      assert.deepStrictEqual(yield* Fiber.join(closing), { wasClean: false, code: 1006, reason: "" })
      const { reason } = yield* Fiber.join(reading)
      assert.strictEqual(reason._tag, "CloseTimeout")
      assert.strictEqual(reason.message, "the peer did not answer the Close frame in time")
    })
  )

  it.effect("closeHandshakeTimeout is 1 second unless set", () =>
    Effect.gen(function* () {
      const { channel } = yield* open(role)
      const closing = yield* Effect.forkChild(channel.close(1000))
      yield* settle
      yield* TestClock.adjust("999 millis")
      yield* settle
      assert.isUndefined(closing.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.isFalse((yield* Fiber.join(closing)).wasClean)
    })
  )

  it.effect("closeHandshakeTimeout bounds a peer that answers pings but no Close", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role, { closeHandshakeTimeout: "5 seconds" })
      const closing = yield* Effect.forkChild(channel.close(1000))
      yield* peer.read
      for (let i = 0; i < 5; i++) {
        peer.send(peer.ping("p"), peer.text("still here"))
        yield* TestClock.adjust("1 second")
      }
      assert.isFalse((yield* Fiber.join(closing)).wasClean)
    })
  )

  it.effect("a closeHandshakeTimeout of 0 is none: a peer may take its time to answer our Close", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role, { closeHandshakeTimeout: 0 })
      yield* Effect.forkChild(channel.close(1000))
      yield* peer.read
      yield* TestClock.adjust("1 day")
      assert.isFalse(yield* isOver(channel))
    })
  )

  const transportEnds: ReadonlyArray<readonly [limit: "5 seconds" | 0, after: number]> = [
    ["5 seconds", 5000],
    [0, 30_000]
  ]

  it.effect.each(transportEnds)(
    "with %s for its end, a transport that the peer does not end is dropped after %i ms, and the close stays clean",
    ([limit, after]) =>
      Effect.gen(function* () {
        const { channel, peer } = yield* open(role, transportEnd(role, limit))
        peer.send(peer.close(4000, "clean"))
        assert.strictEqual(yield* peer.read, "close 1000")
        yield* settle
        yield* TestClock.adjust(after - 1)
        assert.isFalse(yield* isOver(channel))
        yield* TestClock.adjust(1)
        assert.deepStrictEqual(yield* channel.closed, { wasClean: true, code: 4000, reason: "clean" })
      })
  )

  it.effect("time starts anew for the end of the transport when the peer has answered", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role, {
        closeHandshakeTimeout: "5 seconds",
        ...transportEnd(role, "5 seconds")
      })
      const closing = yield* Effect.forkChild(channel.close(1000))
      yield* peer.read
      yield* TestClock.adjust("4 seconds")
      peer.send(peer.close(1000))
      yield* settle
      yield* TestClock.adjust("4999 millis")
      yield* settle
      assert.isUndefined(closing.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* Fiber.join(closing), { wasClean: true, code: 1000, reason: "" })
    })
  )

  it.effect("the end of a transport is bounded after a failed connection", () =>
    Effect.gen(function* () {
      const options = { ...transportEnd(role, "5 seconds"), failByDrop: false }
      const { channel, peer } = yield* open(role, options)
      peer.send(peer.text(hex("ff")))
      yield* settle
      assert.isFalse(yield* isOver(channel))
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(yield* channel.closed, { wasClean: false, code: 1006, reason: "" })
    })
  )

  it.effect("none runs while the connection is open", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      yield* TestClock.adjust("1 day")
      peer.send(peer.text("still open"))
      assert.deepStrictEqual(yield* Stream.runCollect(Stream.take(channel.messages, 1)), ["still open"])
    })
  )
})

describe("the end of a denied connection", () => {
  it.effect("a client that does not end the transport is dropped after closeHandshakeTimeout", () =>
    Effect.gen(function* () {
      const { client, peer } = yield* serve({ closeHandshakeTimeout: "5 seconds" })
      peer.send("GET / HTTP/1.0\r\n\r\n")
      const { end, startLine } = yield* peer.readMessage
      assert.strictEqual(startLine, "HTTP/1.1 505 HTTP Version Not Supported")
      assert.strictEqual(end, "fin")
      const ending = yield* Effect.forkChild(endOf(client))
      yield* TestClock.adjust("4999 millis")
      yield* settle
      assert.isUndefined(ending.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(ending)
    })
  )
})
