/**
 * The closing handshake of a channel (RFC 6455 section 7).
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import type { Message } from "effect-websocket"
import { open, type Role, roles, type Session, settle } from "../support/apiSession.ts"
import { hex } from "../support/rawFrames.ts"

/** Plays the peer's part of the end of a transport: the server ends first. */
const endTransport = (role: Role, { peer }: Session) =>
  Effect.gen(function* () {
    if (role === "client") peer.finish()
    const { end, frames } = yield* peer.rest
    assert.strictEqual(end, "fin")
    assert.deepStrictEqual(frames, [])
    if (role === "server") peer.finish()
  })

const sendable = [
  1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999
]

const unsendable: ReadonlyArray<readonly [code: number, message: string]> = [
  [1004, "status code 1004 must not be sent: reserved"],
  [1005, "status code 1005 must not be sent: no status code was received"],
  [1006, "status code 1006 must not be sent: the connection was lost without a Close frame"],
  [1015, "status code 1015 must not be sent: the TLS handshake failed"],
  [1016, "status code 1016 must not be sent: reserved for the protocol"],
  [2999, "status code 2999 must not be sent: reserved for the protocol"],
  [0, "status code 0 must not be sent: not a status code"],
  [999, "status code 999 must not be sent: not a status code"],
  [5000, "status code 5000 must not be sent: not a status code"],
  [65_536, "status code 65536 must not be sent: not a status code"],
  [1000.5, "status code 1000.5 must not be sent: not a status code"],
  [Number.NaN, "status code NaN must not be sent: not a status code"],
  [-1000, "status code -1000 must not be sent: not a status code"]
]

describe.each(roles)("close() of a %s", (role) => {
  it.effect.each(sendable)("sends the status code %i and the reason", (code) =>
    Effect.gen(function* () {
      const session = yield* open(role)
      const { channel, peer } = session
      const closing = yield* Effect.forkChild(channel.close(code, "why"))
      assert.strictEqual(yield* peer.read, `close ${code} "why"`)
      peer.send(peer.close(code, "because"))
      yield* endTransport(role, session)
      assert.deepStrictEqual(yield* Fiber.join(closing), { wasClean: true, code, reason: "because" })
    })
  )

  it.effect.each(unsendable)("refuses the status code %s, and the connection goes on", ([code, message]) =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      const { reason } = yield* Effect.flip(channel.close(code, "why"))
      assert.strictEqual(reason._tag, "InvalidCall")
      assert.strictEqual(reason.message, message)
      yield* channel.send("next")
      assert.strictEqual(yield* peer.read, 'text "next"')
    })
  )

  it.effect("refuses a reason without a status code, and the connection goes on", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      const { reason } = yield* Effect.flip(channel.close(undefined, "why"))
      assert.strictEqual(reason._tag, "InvalidCall")
      assert.strictEqual(reason.message, "a close reason needs a status code")
      yield* channel.send("next")
      assert.strictEqual(yield* peer.read, 'text "next"')
    })
  )

  it.effect("without a status code sends none, and 1005 stands for none received", () =>
    Effect.gen(function* () {
      const session = yield* open(role)
      const { channel, peer } = session
      const closing = yield* Effect.forkChild(channel.close())
      assert.strictEqual(yield* peer.read, "close")
      peer.send(peer.close())
      yield* endTransport(role, session)
      assert.deepStrictEqual(yield* Fiber.join(closing), { wasClean: true, code: 1005, reason: "" })
    })
  )

  it.effect("cuts the reason to 123 bytes, at a code point", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      yield* Effect.forkChild(channel.close(1000, "é".repeat(100)))
      assert.strictEqual(yield* peer.read, `close 1000 "${"é".repeat(61)}"`)
    })
  )

  it.effect("sends what was sent before, in the same write", () =>
    Effect.gen(function* () {
      const { channel, peer, writes } = yield* open(role)
      yield* channel.send("last")
      yield* Effect.forkChild(channel.close(1000), { startImmediately: true })
      assert.strictEqual(yield* peer.read, 'text "last"')
      assert.strictEqual(yield* peer.read, "close 1000")
      assert.lengthOf(writes, 1)
    })
  )

  it.effect("called several times sends one Close, and all calls get the same result", () =>
    Effect.gen(function* () {
      const session = yield* open(role)
      const { channel, peer } = session
      const first = yield* Effect.forkChild(channel.close(4000, "first"))
      const second = yield* Effect.forkChild(channel.close(4001, "second"))
      assert.strictEqual(yield* peer.read, 'close 4000 "first"')
      const third = yield* Effect.forkChild(channel.close())
      peer.send(peer.close(4002))
      yield* endTransport(role, session)
      const expected = { wasClean: true, code: 4002, reason: "" }
      for (const call of [first, second, third]) assert.deepStrictEqual(yield* Fiber.join(call), expected)
      assert.deepStrictEqual(yield* channel.close(1000), expected, "also when it is over")
      assert.deepStrictEqual(yield* channel.closed, expected)
    })
  )

  it.effect("that is interrupted has started the closing handshake all the same", () =>
    Effect.gen(function* () {
      const session = yield* open(role)
      const { channel, peer } = session
      const closing = yield* Effect.forkChild(channel.close(4000))
      assert.strictEqual(yield* peer.read, "close 4000")
      yield* Fiber.interrupt(closing)
      peer.send(peer.close(4000))
      yield* endTransport(role, session)
      assert.isTrue((yield* channel.closed).wasClean)
    })
  )

  it.effect("succeeds when the transport is closed, not before", () =>
    Effect.gen(function* () {
      const session = yield* open(role)
      const { channel, peer } = session
      const closing = yield* Effect.forkChild(channel.close(1000))
      yield* peer.read
      peer.send(peer.close(1000))
      yield* settle
      assert.isUndefined(closing.pollUnsafe())
      yield* endTransport(role, session)
      assert.deepStrictEqual(yield* Fiber.join(closing), { wasClean: true, code: 1000, reason: "" })
    })
  )

  it.effect("while reading is paused reads on, so that the peer's Close is seen", () =>
    Effect.gen(function* () {
      const options = { maxReceiveBufferSize: 500 }
      const session = yield* open(role, options, { network: { capacity: 100 } })
      const { channel, peer, peerEnd } = session
      for (let i = 0; i < 20; i++) peer.send(peer.binary(new Uint8Array(200).fill(i)))
      yield* settle
      assert.isAbove(peerEnd.bufferedAmount, 0, "the channel has paused")
      const closing = yield* Effect.forkChild(channel.close(1000))
      assert.strictEqual(yield* peer.read, "close 1000")
      peer.send(peer.close(4000, "seen"))
      yield* endTransport(role, session)
      assert.deepStrictEqual(yield* Fiber.join(closing), { wasClean: true, code: 4000, reason: "seen" })
    })
  )

  it.effect("discards the messages that still come, and keeps those that came before", () =>
    Effect.gen(function* () {
      const session = yield* open(role)
      const { channel, peer } = session
      peer.send(peer.text("before"))
      yield* settle
      const closing = yield* Effect.forkChild(channel.close(1000))
      yield* peer.read
      peer.send(peer.text("too late"), peer.close(1000))
      yield* endTransport(role, session)
      yield* Fiber.join(closing)
      assert.deepStrictEqual(yield* Stream.runCollect(channel.messages), ["before"])
    })
  )

  it.effect("is unclean with 1006 when the connection is lost before the peer's Close", () =>
    Effect.gen(function* () {
      const { channel, faults, peer } = yield* open(role)
      const closing = yield* Effect.forkChild(channel.close(1000))
      yield* peer.read
      yield* faults.reset
      assert.deepStrictEqual(yield* Fiber.join(closing), { wasClean: false, code: 1006, reason: "" })
    })
  )

  it.effect("is unclean with 1006 when the peer ends its side without a Close", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      const closing = yield* Effect.forkChild(channel.close(1000))
      yield* peer.read
      peer.finish()
      assert.deepStrictEqual(yield* Fiber.join(closing), { wasClean: false, code: 1006, reason: "" })
      const { reason } = yield* Effect.flip(Stream.runDrain(channel.messages))
      assert.deepInclude(reason, { _tag: "ConnectionClosed", code: 1006, wasClean: false })
    })
  )

  it.effect("joins the closing handshake that the peer has started", () =>
    Effect.gen(function* () {
      const session = yield* open(role)
      const { channel, peer } = session
      peer.send(peer.close(4000, "peer"))
      assert.strictEqual(yield* peer.read, "close 1000")
      const closing = yield* Effect.forkChild(channel.close(4001, "too late"))
      yield* endTransport(role, session)
      assert.deepStrictEqual(yield* Fiber.join(closing), { wasClean: true, code: 4000, reason: "peer" })
    })
  )

  it.effect("meets the peer's own: both Close frames are the handshake", () =>
    Effect.gen(function* () {
      const session = yield* open(role)
      const { channel, peer } = session
      peer.send(peer.close(4000))
      const closing = yield* Effect.forkChild(channel.close(4001), { startImmediately: true })
      assert.strictEqual(yield* peer.read, "close 4001")
      yield* endTransport(role, session)
      assert.deepStrictEqual(yield* Fiber.join(closing), { wasClean: true, code: 4000, reason: "" })
    })
  )
})

describe.each(roles)("the peer closes a %s's connection", (role) => {
  it.effect("a clean close ends messages, after those that came before", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      peer.send(peer.text("1"), peer.text("2"), peer.close(1000), peer.text("3"))
      yield* settle
      assert.deepStrictEqual<ReadonlyArray<Message>>(yield* channel.pull, ["1", "2"])
      assert.deepStrictEqual(yield* Stream.runCollect(channel.messages), [])
    })
  )

  it.effect("a clean close ends a pull that waits, and every later one", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      const waiting = yield* Effect.forkChild(Stream.runCollect(channel.messages))
      const alsoWaiting = yield* Effect.forkChild(Stream.runCollect(channel.incoming))
      yield* settle
      peer.send(peer.close(1000))
      assert.deepStrictEqual(yield* Fiber.join(waiting), [])
      assert.deepStrictEqual(yield* Fiber.join(alsoWaiting), [])
      assert.deepStrictEqual(yield* Stream.runCollect(channel.messages), [])
    })
  )

  it.effect("every status code that may be received is a clean end", () =>
    Effect.gen(function* () {
      for (const code of sendable) {
        const session = yield* open(role)
        session.peer.send(session.peer.close(code, "why"))
        yield* session.peer.readFrame
        yield* endTransport(role, session)
        assert.deepStrictEqual(yield* session.channel.closed, { wasClean: true, code, reason: "why" })
      }
    })
  )

  it.effect("the answer is 1000; with echoCloseCodeReason the peer's code and reason", () =>
    Effect.gen(function* () {
      const answers: Array<string> = []
      const closes: ReadonlyArray<readonly [code?: number, reason?: string]> = [[4000, "why"], [1001], []]
      for (const echoCloseCodeReason of [false, true]) {
        for (const close of closes) {
          const { peer } = yield* open(role, { echoCloseCodeReason })
          peer.send(peer.close(...close))
          answers.push(yield* peer.read)
        }
      }
      assert.deepStrictEqual(answers, [
        "close 1000",
        "close 1000",
        "close 1000",
        'close 4000 "why"',
        "close 1001",
        "close"
      ])
    })
  )

  it.effect("what is sent in answer to the last message goes out before the Close", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      yield* Effect.forkChild(Stream.runForEach(channel.messages, channel.send))
      yield* settle
      peer.send(peer.text("last"), peer.close(1000))
      assert.strictEqual(yield* peer.read, 'text "last"')
      assert.strictEqual(yield* peer.read, "close 1000")
    })
  )

  it.effect("with failByDrop a violation drops the transport; without, its Close goes first", () =>
    Effect.gen(function* () {
      const dropped = yield* open(role)
      dropped.peer.send(dropped.peer.text(hex("ff")))
      assert.deepStrictEqual(yield* dropped.peer.rest, { frames: [], end: "drop" })
      assert.deepStrictEqual(yield* dropped.channel.closed, { wasClean: false, code: 1006, reason: "" })

      const told = yield* open(role, { failByDrop: false })
      told.peer.send(told.peer.text(hex("ff")))
      const { end, frames } = yield* told.peer.rest
      assert.match(frames.join(), /^close 1007 "[^"]+"$/)
      assert.strictEqual(end, "fin")
      told.peer.finish()
      assert.deepStrictEqual(yield* told.channel.closed, { wasClean: false, code: 1006, reason: "" })
    })
  )
})

describe("who ends the transport first (RFC 6455 section 7.1.1)", () => {
  it.effect("a server does, once both Close frames have passed", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open("server")
      peer.send(peer.close(1000))
      assert.deepStrictEqual(yield* peer.rest, { frames: ["close 1000"], end: "fin" })
      peer.send(peer.text("discarded"))
      peer.finish()
      assert.isTrue((yield* channel.closed).wasClean)
    })
  )

  it.effect("a client waits for the server", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open("client")
      peer.send(peer.close(1000))
      assert.strictEqual(yield* peer.read, "close 1000")
      yield* settle
      assert.isUndefined(peer.end)
      peer.finish()
      assert.strictEqual((yield* peer.rest).end, "fin")
      assert.isTrue((yield* channel.closed).wasClean)
    })
  )
})
