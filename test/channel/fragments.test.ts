/**
 * Messages that a channel sends in fragments and as streams (RFC 6455 section 5.4).
 */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import type { Payload, WebSocketChannel, WebSocketError } from "effect-websocket"
import { open, type Role, roles, type Session, settle } from "../support/apiSession.ts"
import { concat, hex, toHex, utf8 } from "../support/rawFrames.ts"
import { interruptedAfter } from "../support/steps.ts"

const text = { isBinary: false }
const binary = { isBinary: true }

const reasonOf = <E>(effect: Effect.Effect<unknown, E | WebSocketError.WebSocketError>) =>
  Effect.map(Effect.flip(effect), (error) =>
    typeof error === "object" && error !== null && "reason" in error ? error.reason : assert.fail(`${error}`)
  )

const frames = ({ peer }: Session, count: number) =>
  Effect.forEach(Array.from({ length: count }), () => peer.read)

const sendAll = (parts: ReadonlyArray<Payload>) => (writer: WebSocketChannel.MessageWriter) =>
  Effect.forEach(parts, writer.send, { discard: true })

/** A stream that comes to its second part when the gate opens. */
const gated = (first: Uint8Array, gate: Deferred.Deferred<void>, second: Uint8Array) =>
  Stream.concat(Stream.make(first), Stream.fromEffect(Effect.as(Deferred.await(gate), second)))

const headerSize = (role: Role): number => (role === "client" ? 6 : 2)

/** A session whose peer does not read, with more under way than may wait. */
const openHeld = Effect.fnUntraced(function* (role: Role) {
  const session = yield* open(role, { maxSendBufferSize: 50 }, { network: { capacity: 100 } })
  session.peerEnd.pause()
  yield* session.channel.send("x".repeat(200))
  yield* settle
  return session
})

const messages: ReadonlyArray<
  readonly [what: string, isBinary: boolean, parts: ReadonlyArray<Payload>, frames: ReadonlyArray<string>]
> = [
  [
    "fragments of bytes, in any view",
    true,
    [hex("0102"), new DataView(hex("03ff04").buffer, 1, 1), "é"],
    ["binary... 0102", "continuation... ff", "continuation... c3a9", "continuation"]
  ],
  ["fragments of text", false, ["a", "é"], ["text... 61", "continuation... c3a9", "continuation"]],
  [
    "text in bytes cut inside a code point",
    false,
    [hex("e2"), hex("82"), hex("ac62")],
    ["text... e2", "continuation... 82", "continuation... ac62", "continuation"]
  ],
  ["empty fragments", false, ["", ""], ["text...", "continuation...", "continuation"]],
  ["an empty binary message", true, [], ["binary"]],
  ["an empty text message", false, [], ["text"]],
  [
    "fragments longer than autoFragmentSize",
    true,
    [hex("0102030405")],
    ["binary... 0102030405", "continuation"]
  ]
]

const invalid: ReadonlyArray<
  readonly [what: string, parts: ReadonlyArray<Payload>, sent: ReadonlyArray<string>]
> = [
  ["a byte that no text has", ["a", hex("ff")], ["text... 61"]],
  ["a code point that does not go on", [hex("61e282"), "a"], ["text... 61e282"]],
  ["a code point that is not complete at the end", [hex("61e282")], ["text... 61e282"]]
]

describe.each(roles)("the fragments that a %s sends", (role) => {
  it.effect.each(messages)("%s", ([, isBinary, parts, expected]) =>
    Effect.gen(function* () {
      const session = yield* open(role, { autoFragmentSize: 2 })
      const { channel } = session
      assert.strictEqual(
        yield* channel.sendFragmented({ isBinary }, (w) => Effect.as(sendAll(parts)(w), 7)),
        7
      )
      yield* channel.send("z")
      assert.deepStrictEqual(yield* frames(session, expected.length), expected)
      yield* channel.sendStream(Stream.fromIterable(parts), { isBinary })
      const after = yield* frames(session, expected.length + 1)
      assert.deepStrictEqual(after, ['text "z"', ...expected])
    })
  )

  it.effect.each(invalid)("text is refused, and the connection closed with 1011: %s", ([, parts, sent]) =>
    Effect.gen(function* () {
      const session = yield* open(role)
      const reason = yield* reasonOf(session.channel.sendFragmented(text, sendAll(parts)))
      assert.deepInclude(reason, {
        _tag: "InvalidCall",
        message: "a text message's payload is not valid UTF-8"
      })
      assert.deepStrictEqual(yield* frames(session, sent.length + 1), [...sent, "close 1011"])
    })
  )

  it.effect("a text that was refused in part cannot be completed", () =>
    Effect.gen(function* () {
      const session = yield* open(role)
      const reason = yield* reasonOf(
        session.channel.sendFragmented(text, (writer) =>
          Effect.gen(function* () {
            yield* writer.send(hex("c3"))
            // The first byte would complete the code point, but nothing of it is sent.
            yield* Effect.flip(writer.send(hex("a9ff")))
            yield* Effect.flip(writer.send("a"))
            yield* Effect.flip(writer.sendFrame(1, Stream.make(utf8("a"))))
          })
        )
      )
      assert.deepInclude(reason, { _tag: "InvalidCall" })
      assert.deepStrictEqual(yield* frames(session, 2), ["text... c3", "close 1011"])
    })
  )

  it.effect("other messages wait and come after, in order; control frames go between", () =>
    Effect.gen(function* () {
      const session = yield* open(role)
      const { channel, peer } = session
      const gate = yield* Deferred.make<void>()
      const sending = yield* Effect.forkChild(
        channel.sendStream(
          Stream.concat(Stream.make("a"), Stream.fromEffect(Effect.as(Deferred.await(gate), "b"))),
          text
        )
      )
      yield* settle
      const others = yield* Effect.forkChild(
        Effect.all([channel.send("1"), channel.sendStream(Stream.make("2"), text), channel.send("3")], {
          concurrency: "unbounded"
        })
      )
      yield* settle
      yield* channel.sendPing(utf8("p"))
      peer.send(peer.ping("q"))
      assert.deepStrictEqual(yield* frames(session, 3), ["text... 61", "ping 70", "pong 71"])
      yield* Deferred.succeed(gate, undefined)
      assert.deepStrictEqual(yield* frames(session, 6), [
        "continuation... 62",
        "continuation",
        'text "1"',
        "text... 32",
        "continuation",
        'text "3"'
      ])
      yield* Fiber.join(sending)
      yield* Fiber.join(others)
    })
  )

  it.effect("streams sent at the same time do not mix, under back pressure too", () =>
    Effect.gen(function* () {
      const options = { maxSendBufferSize: 10 }
      const session = yield* open(role, options, { network: { capacity: 20, chunkSize: 7 } })
      const letters = ["a", "b", "c"]
      const sending = yield* Effect.forkChild(
        Effect.forEach(
          letters,
          (letter) =>
            session.channel.sendStream(Stream.fromIterable(Array.from({ length: 50 }, () => letter)), text),
          { concurrency: "unbounded" }
        )
      )
      for (const letter of letters) {
        const code = toHex(utf8(letter))
        const fragments = Array.from(
          { length: 50 },
          (_, i) => `${i === 0 ? "text" : "continuation"}... ${code}`
        )
        assert.deepStrictEqual(yield* frames(session, 51), [...fragments, "continuation"])
      }
      yield* Fiber.join(sending)
    })
  )

  it.effect("a peer that does not read suspends the stream", () =>
    Effect.gen(function* () {
      const { channel, peer, peerEnd } = yield* openHeld(role)
      let taken = 0
      const source = Stream.fromIterable(Array.from({ length: 1000 }, () => new Uint8Array(20))).pipe(
        Stream.rechunk(1),
        Stream.tap(() => Effect.sync(() => void taken++))
      )
      const sending = yield* Effect.forkChild(channel.sendStream(source, binary))
      yield* settle
      assert.isAtMost(taken, 1)
      assert.isBelow(yield* channel.bufferedAmount, 300)
      peerEnd.resume()
      yield* Fiber.join(sending)
      yield* settle
      assert.isAbove(peer.received, 22_000)
    })
  )
})

const failing: ReadonlyArray<readonly [what: string, failure: Effect.Effect<never, string>]> = [
  ["fails", Effect.fail("no more")],
  ["dies", Effect.die("a defect")],
  ["is interrupted", Effect.interrupt]
]

/** The reasons of a failure, without who interrupted. */
const why = (exit: Exit.Exit<unknown, unknown>) =>
  Exit.isFailure(exit)
    ? exit.cause.reasons.map((reason) =>
        reason._tag === "Fail" ? reason.error : reason._tag === "Die" ? reason.defect : reason._tag
      )
    : assert.fail("it succeeded")

describe.each(roles)("a message of a %s that is not completed", (role) => {
  it.effect.each(failing)("nothing was sent before its sender %s: the channel goes on", ([, failure]) =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      const exit = yield* Effect.exit(channel.sendFragmented(text, () => failure))
      assert.deepStrictEqual(why(exit), why(yield* Effect.exit(failure)))
      yield* channel.send("next")
      assert.strictEqual(yield* peer.read, 'text "next"')
    })
  )

  it.effect.each(failing)(
    "a fragment was sent before its sender %s: 1011, and who waits is told",
    ([, failure]) =>
      Effect.gen(function* () {
        const session = yield* open(role)
        const { channel } = session
        const gate = yield* Deferred.make<void>()
        const sending = yield* channel
          .sendFragmented(text, (writer) =>
            writer.send("a").pipe(Effect.andThen(Deferred.await(gate)), Effect.andThen(failure))
          )
          .pipe(Effect.exit, Effect.forkChild)
        yield* settle
        const waiting = yield* Effect.forkChild(reasonOf(channel.send("waiting")))
        yield* settle
        yield* Deferred.succeed(gate, undefined)
        assert.deepStrictEqual(why(yield* Fiber.join(sending)), why(yield* Effect.exit(failure)))
        assert.deepInclude(yield* Fiber.join(waiting), { _tag: "ConnectionClosed", code: 1011 })
        assert.deepStrictEqual(yield* frames(session, 2), ["text... 61", "close 1011"])
      })
  )

  it.effect("interrupted while it waits for its turn, it leaves no trace", () =>
    Effect.gen(function* () {
      const session = yield* open(role)
      const { channel } = session
      const gate = yield* Deferred.make<void>()
      const first = yield* Effect.forkChild(
        channel.sendFragmented(text, (writer) => Effect.andThen(Deferred.await(gate), writer.send("1")))
      )
      yield* settle
      const second = yield* Effect.forkChild(channel.sendStream(Stream.make("2"), text))
      const third = yield* Effect.forkChild(channel.sendStream(Stream.make("3"), text))
      yield* settle
      yield* Fiber.interrupt(second)
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(first)
      yield* Fiber.join(third)
      assert.deepStrictEqual(yield* frames(session, 4), [
        "text... 31",
        "continuation",
        "text... 33",
        "continuation"
      ])
    })
  )

  it.effect("interrupted while a slow peer holds its fragments back, it closes with 1011", () =>
    Effect.gen(function* () {
      const session = yield* open(role, { maxSendBufferSize: 50 }, { network: { capacity: 100 } })
      const { channel, peerEnd } = session
      peerEnd.pause()
      const parts = ["x".repeat(200), "y"]
      const sending = yield* Effect.forkChild(channel.sendFragmented(text, sendAll(parts)))
      yield* settle
      yield* Fiber.interrupt(sending)
      peerEnd.resume()
      assert.deepStrictEqual(yield* frames(session, 2), [`text... ${"78".repeat(200)}`, "close 1011"])
    })
  )

  it.effect(
    "interrupted at whatever step, it leaves nothing open: messages go on, or the channel closes",
    () =>
      Effect.gen(function* () {
        const outcomes = new Set<string>()
        for (let turns = 0, hasEnded = false; !hasEnded; turns++) {
          const { channel, peer } = yield* open(role)
          const seen: Array<string> = []
          yield* Effect.forkChild(Effect.forever(Effect.map(peer.read, (frame) => void seen.push(frame))))
          hasEnded = yield* interruptedAfter(turns, channel.sendFragmented(text, sendAll(["a"])))
          const next = yield* Effect.forkChild(Effect.exit(channel.send("next")))
          yield* settle
          assert.isDefined(next.pollUnsafe(), `after ${turns} turns messages wait for ever`)
          outcomes.add(seen.join(", "))
        }
        assert.deepStrictEqual([...outcomes].sort(), [
          'text "next"',
          "text... 61, close 1011",
          'text... 61, continuation, text "next"'
        ])
      })
  )

  it.effect("interrupted in one fragment that waits, it goes on without it", () =>
    Effect.gen(function* () {
      const session = yield* open(role, { maxSendBufferSize: 50 }, { network: { capacity: 100 } })
      const { channel, peerEnd } = session
      peerEnd.pause()
      const sending = yield* Effect.forkChild(
        channel.sendFragmented(text, (writer) =>
          Effect.gen(function* () {
            yield* writer.send("x".repeat(200))
            // It would complete this code point: what is not sent does not count.
            const waiting = yield* Effect.forkChild(writer.send(hex("c3")))
            yield* settle
            yield* Fiber.interrupt(waiting)
            peerEnd.resume()
            return yield* reasonOf(writer.send(hex("a9")))
          })
        )
      )
      yield* settle
      assert.strictEqual((yield* reasonOf(Fiber.join(sending)))._tag, "InvalidCall")
      assert.deepStrictEqual(yield* frames(session, 2), [`text... ${"78".repeat(200)}`, "close 1011"])
    })
  )

  it.effect("the peer's Close ends it: its sender fails with the peer's code", () =>
    Effect.gen(function* () {
      const session = yield* open(role)
      const { channel, peer } = session
      const gate = yield* Deferred.make<void>()
      const sending = yield* channel
        .sendFragmented(text, (writer) =>
          writer.send("a").pipe(Effect.andThen(Deferred.await(gate)), Effect.andThen(writer.send("b")))
        )
        .pipe(reasonOf, Effect.forkChild)
      const quiet = yield* channel.sendFragmented(text, () => Effect.void).pipe(reasonOf, Effect.forkChild)
      yield* settle
      peer.send(peer.close(4000, "enough"))
      const closed = { _tag: "ConnectionClosed" as const, code: 4000, closeReason: "enough", wasClean: true }
      assert.deepInclude(yield* Fiber.join(quiet), closed, "its turn never came")
      assert.deepStrictEqual(yield* frames(session, 2), ["text... 61", "close 1000"])
      yield* Deferred.succeed(gate, undefined)
      assert.deepInclude(yield* Fiber.join(sending), closed)
    })
  )

  it.effect("a Close of our own goes between its fragments, and it fails", () =>
    Effect.gen(function* () {
      const session = yield* open(role)
      const { channel } = session
      const reason = yield* reasonOf(
        channel.sendFragmented(text, (writer) =>
          writer.send("a").pipe(Effect.andThen(Effect.forkChild(channel.close(1001))), Effect.andThen(settle))
        )
      )
      assert.deepInclude(reason, { _tag: "ConnectionClosed", code: 1001 })
      assert.deepStrictEqual(yield* frames(session, 2), ["text... 61", "close 1001"])
    })
  )
})

describe.each(roles)("the writer of a %s", (role) => {
  it.effect("sends nothing after the message's end, also what had to wait for room", () =>
    Effect.gen(function* () {
      const session = yield* openHeld(role)
      const { channel, peerEnd } = session
      const sending = yield* Effect.forkChild(
        channel.sendFragmented(text, (writer) =>
          Effect.gen(function* () {
            yield* writer.send("a".repeat(200))
            const late = yield* Effect.forkDetach(reasonOf(writer.send("late")), { startImmediately: true })
            return { late, writer }
          })
        ),
        { startImmediately: true }
      )
      peerEnd.resume()
      const { late, writer } = yield* Fiber.join(sending)
      const ended = { _tag: "InvalidCall" as const, message: "the message has ended" }
      assert.deepInclude(yield* Fiber.join(late), ended)
      assert.deepInclude(yield* reasonOf(writer.send("x")), ended)
      assert.deepInclude(yield* reasonOf(writer.sendFrame(1, Stream.make(utf8("x")))), ended)
      yield* channel.send("next")
      assert.deepStrictEqual(yield* frames(session, 4), [
        `text "${"x".repeat(200)}"`,
        `text... ${"61".repeat(200)}`,
        "continuation",
        'text "next"'
      ])
    })
  )

  const wrongLengths = [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]

  it.effect.each(wrongLengths)("refuses a frame of %d bytes, and the message goes on", (length) =>
    Effect.gen(function* () {
      const session = yield* open(role)
      const message = yield* session.channel.sendFragmented(binary, (writer) =>
        Effect.map(Effect.flip(writer.sendFrame(length, Stream.empty)), ({ message }) => message)
      )
      assert.strictEqual(message, `a frame's length is a whole number from 0, got ${length}`)
      assert.deepStrictEqual(yield* frames(session, 1), ["binary"])
    })
  )

  it.effect("sends a frame's payload piece by piece, masked right across them", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      const sizes = [1, 0, 2, 3, 5, 4097, 70_001, 1]
      const pieces = sizes.map((length, n) => Uint8Array.from({ length }, (_, i) => i * 31 + n))
      const all = concat(...pieces)
      const before = toHex(all)
      yield* channel.sendFragmented(binary, (writer) =>
        Effect.gen(function* () {
          yield* writer.sendFrame(all.length, Stream.fromIterable(pieces))
          yield* writer.sendFrame(0, Stream.empty)
          yield* writer.sendFrame(0, Stream.make(new Uint8Array()))
          yield* writer.send("end")
        })
      )
      const frame = yield* peer.readFrame
      assert.deepInclude(frame, { opcode: 2, fin: false })
      assert.strictEqual(toHex(frame.payload), before)
      assert.strictEqual(toHex(concat(...pieces)), before, "the sender's bytes are as they were")
      const rest = [yield* peer.read, yield* peer.read, yield* peer.read, yield* peer.read]
      assert.deepStrictEqual(rest, [
        "continuation...",
        "continuation...",
        "continuation... 656e64",
        "continuation"
      ])
    })
  )

  it.effect("text in a frame may be cut anywhere, and must be valid", () =>
    Effect.gen(function* () {
      const session = yield* open(role)
      const { channel } = session
      yield* channel.sendFragmented(text, (writer) =>
        writer.sendFrame(3, Stream.make(hex("e2"), hex("82ac")))
      )
      assert.deepStrictEqual(yield* frames(session, 2), ["text... e282ac", "continuation"])
      const reason = yield* reasonOf(
        channel.sendFragmented(text, (writer) => writer.sendFrame(2, Stream.make(hex("c3"), hex("28"))))
      )
      assert.strictEqual(reason._tag, "InvalidCall")
      assert.isFalse((yield* channel.closed).wasClean)
    })
  )

  it.effect(
    "lets nothing into a frame: the latest pong comes right after it, then pings, then messages",
    () =>
      Effect.gen(function* () {
        const session = yield* open(role)
        const { channel, peer } = session
        const gate = yield* Deferred.make<void>()
        const sending = yield* Effect.forkChild(
          channel.sendFragmented(binary, (writer) =>
            writer.sendFrame(4, gated(hex("0102"), gate, hex("0304")))
          )
        )
        yield* settle
        peer.send(peer.ping("q"))
        peer.send(peer.ping("r"))
        const others = yield* Effect.forkChild(
          Effect.all([channel.send("after"), channel.sendPing(utf8("p")), channel.sendPong(utf8("o"))], {
            concurrency: "unbounded"
          })
        )
        const before = peer.received
        yield* settle
        assert.strictEqual(peer.received, before)
        assert.isUndefined(others.pollUnsafe())
        yield* Deferred.succeed(gate, undefined)
        assert.deepStrictEqual(yield* frames(session, 6), [
          "binary... 01020304",
          "pong 72",
          "ping 70",
          "pong 6f",
          "continuation",
          'text "after"'
        ])
        yield* Fiber.join(sending)
        yield* Fiber.join(others)
      })
  )

  it.effect("refuses a second frame while one is being sent, and completes that", () =>
    Effect.gen(function* () {
      const session = yield* open(role)
      const gate = yield* Deferred.make<void>()
      yield* session.channel.sendFragmented(binary, (writer) =>
        Effect.gen(function* () {
          const frame = gated(hex("01"), gate, hex("02"))
          const first = yield* Effect.forkChild(writer.sendFrame(2, frame), { startImmediately: true })
          yield* settle
          for (const second of [writer.send("x"), writer.sendFrame(2, Stream.make(hex("0304")))]) {
            const { message } = yield* Effect.flip(second)
            assert.strictEqual(message, "another frame is being sent")
          }
          yield* Deferred.succeed(gate, undefined)
          yield* Fiber.join(first)
        })
      )
      assert.deepStrictEqual(yield* frames(session, 2), ["binary... 0102", "continuation"])
    })
  )

  it.effect("refuses it too when both had to wait for room", () =>
    Effect.gen(function* () {
      const session = yield* open(role, { maxSendBufferSize: 50 }, { network: { capacity: 100 } })
      const { channel, peerEnd } = session
      const gate = yield* Deferred.make<void>()
      peerEnd.pause()
      const sending = yield* Effect.forkChild(
        channel.sendFragmented(binary, (writer) =>
          Effect.gen(function* () {
            yield* writer.send(new Uint8Array(200))
            const calls = [
              writer.sendFrame(2, gated(hex("01"), gate, hex("02"))),
              writer.sendFrame(2, Stream.make(hex("0304"))),
              writer.send(hex("05"))
            ]
            return yield* Effect.all(calls.map(Effect.result), { concurrency: "unbounded" })
          })
        )
      )
      yield* settle
      peerEnd.resume()
      yield* settle
      yield* Deferred.succeed(gate, undefined)
      const results = (yield* Fiber.join(sending)).map((result) =>
        result._tag === "Success" ? "sent" : result.failure.message
      )
      assert.deepStrictEqual(results, ["sent", "another frame is being sent", "another frame is being sent"])
      assert.deepStrictEqual(yield* frames(session, 3), [
        `binary... ${"00".repeat(200)}`,
        "continuation... 0102",
        "continuation"
      ])
    })
  )
})

const broken: ReadonlyArray<
  readonly [what: string, stream: Stream.Stream<Uint8Array, string>, failure: string]
> = [
  ["too short", Stream.make(hex("01")), "the frame's payload ended before its length"],
  ["too long", Stream.make(hex("01"), hex("020304")), "the frame's payload is longer than its length"],
  ["failing", Stream.concat(Stream.make(hex("01")), Stream.fail("no more")), "no more"]
]

describe.each(roles)("half a frame of a %s", (role) => {
  it.effect.each(broken)("whose payload is %s drops the transport, without a Close", ([, stream, failure]) =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      const before = peer.received
      const waiting = yield* Effect.forkChild(Effect.andThen(settle, reasonOf(channel.send("waiting"))), {
        startImmediately: true
      })
      const error = yield* channel
        .sendFragmented(binary, (writer) => Effect.andThen(settle, writer.sendFrame(3, stream)))
        .pipe(Effect.flip)
      assert.strictEqual(typeof error === "string" ? error : error.message, failure)
      const closed = { wasClean: false, code: 1006, reason: "" }
      assert.deepStrictEqual(yield* channel.closed, closed)
      yield* settle
      assert.strictEqual(peer.end, "drop")
      assert.isAtMost(peer.received - before, headerSize(role) + 1)
      assert.deepInclude(yield* Fiber.join(waiting), { _tag: "ConnectionClosed", code: 1006 })
      assert.deepInclude(yield* channel.closeFacts, {
        localClose: undefined,
        droppedByMe: true,
        wasNotCleanReason: "this end ended the transport without a closing handshake"
      })
    })
  )

  it.effect("that is left behind drops the transport at the message's end", () =>
    Effect.gen(function* () {
      const { channel } = yield* open(role)
      const reason = yield* reasonOf(
        channel.sendFragmented(binary, (writer) =>
          Effect.andThen(
            Effect.forkChild(writer.sendFrame(2, Stream.concat(Stream.make(hex("01")), Stream.never))),
            settle
          )
        )
      )
      assert.deepInclude(reason, {
        _tag: "InvalidCall",
        message: "the frame's payload ended before its length"
      })
      assert.strictEqual((yield* channel.closed).code, 1006)
    })
  )

  it.effect("close() waits for the end of the frame", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      const gate = yield* Deferred.make<void>()
      const sending = yield* channel
        .sendFragmented(binary, (writer) => writer.sendFrame(3, gated(hex("01"), gate, hex("0203"))))
        .pipe(Effect.flip, Effect.forkChild)
      yield* settle
      const waiting = yield* Effect.forkChild(Effect.flip(channel.send("waiting")))
      const closing = yield* Effect.forkChild(channel.close(4000, "enough"))
      yield* Effect.forkChild(channel.close(1000, "twice"))
      yield* settle
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(yield* peer.read, "binary... 010203")
      assert.strictEqual(yield* peer.read, 'close 4000 "enough"')
      const { reason } = yield* Fiber.join(waiting)
      assert.deepInclude(reason, { _tag: "ConnectionClosed", code: 4000 })
      assert.deepInclude((yield* Fiber.join(sending)).reason, { _tag: "ConnectionClosed", code: 4000 })
      peer.send(peer.close(4000))
      yield* settle
      peer.finish()
      assert.deepStrictEqual(yield* Fiber.join(closing), { wasClean: true, code: 4000, reason: "" })
      assert.isTrue((yield* channel.closeFacts).closedByMe)
    })
  )

  it.effect("close() waits no longer than closeHandshakeTimeout: then it drops the transport", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role, { closeHandshakeTimeout: "3 seconds" })
      const sending = yield* channel
        .sendFragmented(binary, (writer) =>
          writer.sendFrame(3, Stream.concat(Stream.make(hex("01")), Stream.never))
        )
        .pipe(Effect.forkChild)
      yield* settle
      const closing = yield* Effect.forkChild(channel.close(1000))
      yield* TestClock.adjust("2999 millis")
      assert.isUndefined(peer.end)
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* Fiber.join(closing), { wasClean: false, code: 1006, reason: "" })
      assert.deepInclude(yield* channel.closeFacts, {
        localClose: undefined,
        droppedByMe: true,
        timeout: "closeHandshake",
        wasNotCleanReason: "a frame was not complete in time for the Close frame"
      })
      yield* Fiber.interrupt(sending)
    })
  )

  const closings: ReadonlyArray<
    readonly [what: string, close: (session: Session) => Effect.Effect<unknown>, code: number]
  > = [
    ["the peer's Close", ({ peer }) => Effect.sync(() => peer.send(peer.close(4000))), 4000],
    ["a violation", ({ peer }) => Effect.sync(() => peer.send(peer.text(hex("ff")))), 1006]
  ]

  it.effect.each(closings)("%s drops the transport: a Close would be taken for payload", ([, close, code]) =>
    Effect.gen(function* () {
      const session = yield* open(role, { failByDrop: false })
      const { channel, peer } = session
      const before = peer.received
      const sending = yield* channel
        .sendFragmented(binary, (writer) =>
          writer.sendFrame(3, Stream.concat(Stream.make(hex("01")), Stream.never))
        )
        .pipe(Effect.exit, Effect.forkChild)
      yield* settle
      yield* close(session)
      assert.deepStrictEqual(yield* channel.closed, { wasClean: false, code, reason: "" })
      yield* settle
      assert.strictEqual(peer.end, "drop")
      assert.strictEqual(peer.received - before, headerSize(role) + 1)
      yield* Fiber.interrupt(sending)
      assert.isTrue(Exit.isFailure(yield* Fiber.await(sending)))
    })
  )

  it.effect("payload beyond a frame that is complete is refused: 1011", () =>
    Effect.gen(function* () {
      const session = yield* open(role)
      const { message } = yield* Effect.flip(
        session.channel.sendFragmented(binary, (writer) =>
          writer.sendFrame(1, Stream.make(hex("01"), hex("02")))
        )
      )
      assert.strictEqual(message, "the frame's payload is longer than its length")
      assert.deepStrictEqual(yield* frames(session, 2), ["binary... 01", "close 1011"])
    })
  )
})
