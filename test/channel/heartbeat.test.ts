/**
 * Automatic pings of a channel (Autobahn's `autoPing` options).
 */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import type { WebSocketChannel } from "effect-websocket"
import { type CommonOptions, open, roles, type Session, settle } from "../support/apiSession.ts"
import { hex } from "../support/rawFrames.ts"

const seconds = (time: number) => Effect.andThen(TestClock.adjust(`${time} seconds`), settle)

/** A ping as the peer reads it, of the smallest size. */
const ping = (sequence: number): string => `ping ${sequence.toString(16).padStart(8, "0")}`

const pongTo = (sequence: number): Uint8Array => Uint8Array.of(0, 0, 0, sequence)

/** In milliseconds. */
const roundTrip = (channel: WebSocketChannel.Channel) =>
  Effect.map(channel.statistics, ({ roundTripTime }) => roundTripTime && Duration.toMillis(roundTripTime))

/** The peer is silent, and still connected, and has read nothing. */
const nothing = ({ peer }: Session, before: number) =>
  Effect.map(settle, () => {
    assert.isUndefined(peer.end)
    assert.strictEqual(peer.received, before)
  })

/** As time goes by, what comes in each second and nothing else. */
const expectAt = Effect.fnUntraced(function* (
  session: Session,
  times: Readonly<Record<number, string>>,
  end: number
) {
  for (let now = 1; now <= end; now++) {
    const before = session.peer.received
    yield* seconds(1)
    const expected = times[now]
    if (expected === undefined) yield* nothing(session, before)
    else assert.strictEqual(yield* session.peer.read, expected, `at ${now} seconds`)
  }
})

/** The connection was dropped for want of a pong, just now. */
const timedOut = Effect.fnUntraced(function* ({ channel, peer }: Session) {
  assert.isUndefined(peer.end)
  yield* seconds(1)
  assert.strictEqual(peer.end, "drop")
  assert.deepStrictEqual(yield* channel.closed, { wasClean: false, code: 1006, reason: "" })
  const { reason } = yield* Effect.flip(Stream.runDrain(channel.messages))
  assert.strictEqual(reason._tag, "PingTimeout")
  assert.deepStrictEqual(yield* channel.closeFacts, {
    wasClean: false,
    wasNotCleanReason: "the peer did not answer an automatic ping in time",
    localClose: undefined,
    remoteClose: undefined,
    closedByMe: false,
    violation: undefined,
    droppedByMe: true,
    timeout: "autoPing"
  })
})

const every10: CommonOptions = { autoPingInterval: "10 seconds" }
const strict: CommonOptions = { ...every10, autoPingTimeout: "3 seconds" }
const patient: CommonOptions = { ...every10, autoPingTimeout: "25 seconds" }

const payloads: ReadonlyArray<readonly [size: number, second: (sequence: string, time: string) => string]> = [
  [4, (sequence) => sequence],
  [11, (sequence) => `${sequence}${"00".repeat(7)}`],
  [12, (sequence, time) => `${time}${sequence}`],
  [125, (sequence, time) => `${time}${sequence}${"00".repeat(113)}`]
]

describe.each(roles)("the automatic pings of a %s", (role) => {
  it.effect.each(payloads)(
    "of %i bytes carry a sequence number, and the time where it fits",
    ([autoPingSize, payload]) =>
      Effect.gen(function* () {
        const session = yield* open(role, { ...every10, autoPingSize })
        const time = (at: number): string =>
          BigInt(at * 1e9)
            .toString(16)
            .padStart(16, "0")
        for (const [sequence, at] of [
          ["00000001", 10],
          ["00000002", 20]
        ] as const) {
          yield* seconds(10)
          assert.strictEqual(yield* session.peer.read, `ping ${payload(sequence, time(at))}`)
        }
      })
  )

  it.effect(
    "come an interval after the opening, then an interval after the pong, and tell the round trip",
    () =>
      Effect.gen(function* () {
        const session = yield* open(role, patient)
        const { channel, peer } = session
        assert.isUndefined(yield* roundTrip(channel))
        yield* expectAt(session, { 10: ping(1) }, 10)
        yield* TestClock.adjust("1234 millis")
        peer.send(peer.pong(pongTo(1)))
        yield* settle
        assert.strictEqual(yield* roundTrip(channel), 1234)
        yield* expectAt(session, { 10: ping(2) }, 10)
        peer.send(peer.pong(pongTo(2)))
        yield* settle
        assert.strictEqual(yield* roundTrip(channel), 0)
      })
  )

  it.effect("are none with an interval of 0: nothing is sent, nobody is dropped", () =>
    Effect.gen(function* () {
      const session = yield* open(role, { autoPingTimeout: "1 second" })
      const before = session.peer.received
      yield* TestClock.adjust("1 day")
      yield* nothing(session, before)
      assert.isUndefined(yield* roundTrip(session.channel))
    })
  )

  it.effect("stop with the closing handshake", () =>
    Effect.gen(function* () {
      const session = yield* open(role, { ...strict, closeHandshakeTimeout: 0 })
      yield* Effect.forkChild(session.channel.close(1000))
      assert.strictEqual(yield* session.peer.read, "close 1000")
      const before = session.peer.received
      yield* seconds(100)
      yield* nothing(session, before)
      assert.isUndefined((yield* session.channel.closeFacts).timeout)
    })
  )

  it.effect("are sent one at a time: none while a pong is waited for", () =>
    Effect.gen(function* () {
      const session = yield* open(role, { ...patient, autoPingTimeout: "1 hour" })
      yield* expectAt(session, { 10: ping(1) }, 100)
      session.peer.send(session.peer.pong(pongTo(1)))
      yield* settle
      yield* expectAt(session, { 10: ping(2) }, 19)
    })
  )
})

describe.each(roles)("the autoPingTimeout of a %s", (role) => {
  it.effect.each([
    ["shorter than the interval", strict, 3],
    ["longer than the interval", patient, 25]
  ] as const)("%s, drops a peer that does not answer, and not before", ([, options, timeout]) =>
    Effect.gen(function* () {
      const session = yield* open(role, options)
      yield* expectAt(session, { 10: ping(1) }, 10 + timeout - 1)
      yield* timedOut(session)
    })
  )

  it.effect("fails who reads, sends and waits with PingTimeout", () =>
    Effect.gen(function* () {
      const session = yield* open(role, { ...strict, maxSendBufferSize: 10 }, { network: { capacity: 10 } })
      const { channel, peerEnd } = session
      peerEnd.pause()
      yield* channel.send("x".repeat(100))
      const calls = [channel.receive, channel.send("waiting"), channel.sendPing()]
      const waiting = yield* Effect.forkChild(
        Effect.all(calls.map(Effect.flip), { concurrency: "unbounded" })
      )
      yield* seconds(12)
      assert.isUndefined(waiting.pollUnsafe())
      yield* seconds(1)
      for (const { reason } of yield* Fiber.join(waiting)) assert.strictEqual(reason._tag, "PingTimeout")
      assert.strictEqual((yield* Effect.flip(channel.send("late"))).reason._tag, "PingTimeout")
    })
  )

  it.effect("of 0 is none: a pong that was lost does not stop the pings", () =>
    Effect.gen(function* () {
      const session = yield* open(role, every10)
      const { channel, peer } = session
      yield* expectAt(session, { 10: ping(1), 20: ping(2), 30: ping(3) }, 30)
      // Too late for the first: only the last is waited for.
      peer.send(peer.pong(pongTo(1)))
      yield* settle
      assert.isUndefined(yield* roundTrip(channel))
      peer.send(peer.pong(pongTo(3)))
      yield* settle
      assert.strictEqual(yield* roundTrip(channel), 0)
      yield* expectAt(session, { 10: ping(4) }, 10)
    })
  )
})

/** Sent twice. */
const signs: ReadonlyArray<readonly [what: string, send: (session: Session, turn: 0 | 1) => void]> = [
  ["a message", ({ peer }) => peer.send(peer.text("hi"))],
  ["half a frame", ({ peer }, turn) => peer.send(halves(peer.text("h".repeat(100)))[turn])],
  ["a wrong pong", ({ peer }) => peer.send(peer.pong("wrong"))]
]

const halves = (bytes: Uint8Array) => [bytes.slice(0, 50), bytes.slice(50)] as const

const notAnswers: ReadonlyArray<readonly [what: string, payload: Uint8Array]> = [
  ["an old one", pongTo(1)],
  ["a wrong one", pongTo(3)],
  ["a shorter one", hex("000000")],
  ["a longer one", hex("0000000200")],
  ["an empty one", new Uint8Array()]
]

describe.each(roles)("signs of life to a %s", (role) => {
  it.effect.each(signs)("%s is one: the next ping is an interval away", ([, send]) =>
    Effect.gen(function* () {
      const session = yield* open(role, strict)
      yield* expectAt(session, {}, 6)
      send(session, 0)
      yield* settle
      yield* expectAt(session, { 10: ping(1) }, 12)
      send(session, 1)
      yield* settle
      // Instead of the pong, a second before it was too late.
      yield* expectAt(session, { 10: ping(2) }, 12)
      yield* timedOut(session)
    })
  )

  it.effect.each(signs)("%s is none with autoPingRestartOnAnyTraffic off", ([, send]) =>
    Effect.gen(function* () {
      const session = yield* open(role, { ...strict, autoPingRestartOnAnyTraffic: false })
      yield* expectAt(session, {}, 6)
      send(session, 0)
      yield* settle
      yield* expectAt(session, { 4: ping(1) }, 6)
      send(session, 1)
      yield* settle
      yield* timedOut(session)
    })
  )

  it.effect.each(notAnswers)("a pong that does not answer is none then: %s", ([, payload]) =>
    Effect.gen(function* () {
      const session = yield* open(role, { ...strict, autoPingRestartOnAnyTraffic: false })
      const { channel, peer } = session
      yield* expectAt(session, { 10: ping(1) }, 10)
      yield* TestClock.adjust("100 millis")
      peer.send(peer.pong(pongTo(1)))
      yield* settle
      yield* expectAt(session, { 10: ping(2) }, 12)
      peer.send(peer.pong(payload))
      yield* settle
      assert.strictEqual(yield* roundTrip(channel), 100)
      yield* timedOut(session)
    })
  )

  it.effect("a pong counts however late, as long as no other ping was sent", () =>
    Effect.gen(function* () {
      const session = yield* open(role, strict)
      const { channel, peer } = session
      yield* expectAt(session, { 10: ping(1) }, 12)
      peer.send(peer.text("alive"))
      yield* settle
      yield* expectAt(session, {}, 5)
      peer.send(peer.pong(pongTo(1)))
      yield* settle
      assert.strictEqual(yield* roundTrip(channel), 7000)
    })
  )
})

describe.each(roles)("what holds up the pings and pongs of a %s", (role) => {
  it.effect("an application that does not read: no timeout before it does", () =>
    Effect.gen(function* () {
      const session = yield* open(role, { ...strict, maxReceiveBufferSize: 10 })
      const { channel, peer } = session
      peer.send(peer.text("unread"))
      yield* settle
      yield* expectAt(session, { 10: ping(1) }, 10)
      // Its pong cannot be seen: reading is paused.
      peer.send(peer.pong(pongTo(1)))
      yield* expectAt(session, {}, 20)
      assert.strictEqual(yield* channel.receive, "unread")
      yield* settle
      assert.strictEqual(yield* roundTrip(channel), 20_000)
      peer.send(peer.text("unread too"))
      yield* settle
      yield* expectAt(session, { 10: ping(2) }, 30)
      assert.strictEqual(yield* channel.receive, "unread too")
      // Now it could be seen, and does not come.
      yield* expectAt(session, {}, 2)
      yield* timedOut(session)
    })
  )

  it.effect("a peer that reads slowly stays, as long as it reads", () =>
    Effect.gen(function* () {
      const options = {
        autoPingInterval: "10 seconds",
        autoPingTimeout: "5 seconds",
        maxSendBufferSize: 1000
      }
      const { channel, peerEnd } = yield* open(role, options, { network: { capacity: 100, chunkSize: 100 } })
      peerEnd.pause()
      // One chunk at a time.
      const nothing = () => {}
      const onData = () => {
        peerEnd.pause()
        return true
      }
      peerEnd.listen({ onData, onEnd: nothing, onDrain: nothing, onClose: nothing })
      yield* Effect.forkChild(
        Effect.forEach(Array.from({ length: 100 }), () => channel.send(new Uint8Array(100)))
      )
      const ended = yield* Effect.forkChild(channel.closed)
      for (let second = 0; second < 60; second++) {
        peerEnd.resume()
        yield* settle
        yield* TestClock.adjust("1 second")
      }
      assert.isAbove(yield* channel.bufferedAmount, 0)
      assert.isUndefined(ended.pollUnsafe())
      yield* TestClock.adjust("20 seconds")
      yield* settle
      assert.strictEqual((yield* channel.closeFacts).timeout, "autoPing")
    })
  )

  it.effect("a peer that does not read is dropped, though the ping cannot even be sent", () =>
    Effect.gen(function* () {
      const session = yield* open(role, { ...strict, maxSendBufferSize: 10 }, { network: { capacity: 10 } })
      session.peerEnd.pause()
      yield* session.channel.send("x".repeat(100))
      yield* seconds(12)
      yield* timedOut(session)
    })
  )

  it.effect("a peer that sends but does not read is dropped: the application cannot read on", () =>
    Effect.gen(function* () {
      const options = { ...strict, maxSendBufferSize: 10, maxReceiveBufferSize: 10 }
      const session = yield* open(role, options, { network: { capacity: 10 } })
      const { channel, peer, peerEnd } = session
      peerEnd.pause()
      yield* Effect.forkChild(Stream.runForEach(channel.messages, channel.send))
      for (let i = 0; i < 10; i++) {
        peer.send(peer.text("x".repeat(100)))
        yield* settle
      }
      assert.isAbove(peerEnd.bufferedAmount, 0, "reading is paused")
      yield* seconds(12)
      yield* timedOut(session)
    })
  )

  it.effect("a peer that reads slowly gets its ping when there is room, and its time from then on", () =>
    Effect.gen(function* () {
      const session = yield* open(role, { ...strict, maxSendBufferSize: 10 }, { network: { capacity: 10 } })
      const { channel, peer, peerEnd } = session
      peerEnd.pause()
      yield* channel.send("x".repeat(100))
      yield* seconds(12)
      peerEnd.resume()
      yield* settle
      assert.strictEqual(yield* peer.read, `text "${"x".repeat(100)}"`)
      assert.strictEqual(yield* peer.read, ping(1))
      yield* seconds(2)
      peer.send(peer.pong(pongTo(1)))
      yield* settle
      assert.strictEqual(yield* roundTrip(channel), 2000)
      yield* expectAt(session, { 10: ping(2) }, 12)
      yield* timedOut(session)
    })
  )

  it.effect("an open frame: the latest ping comes right after it, and no timeout runs before", () =>
    Effect.gen(function* () {
      const session = yield* open(role, strict)
      const { channel, peer } = session
      const gate = yield* Deferred.make<void>()
      const rest = Stream.fromEffect(Effect.as(Deferred.await(gate), hex("02")))
      const sending = yield* Effect.forkChild(
        channel.sendFragmented({ isBinary: true }, (writer) =>
          writer.sendFrame(2, Stream.concat(Stream.make(hex("01")), rest))
        )
      )
      yield* settle
      yield* expectAt(session, {}, 55)
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(sending)
      const frames = [yield* peer.read, yield* peer.read, yield* peer.read]
      assert.deepStrictEqual(frames, ["binary... 0102", ping(1), "continuation"])
      yield* expectAt(session, {}, 2)
      yield* timedOut(session)
    })
  )
})
