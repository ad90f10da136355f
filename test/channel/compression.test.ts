/**
 * Per-message compression in a channel, by an extension of the test's own.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { PreparedMessage } from "effect-websocket"
import { roles, type Session, settle } from "../support/apiSession.ts"
import { hex, toHex, utf8 } from "../support/rawFrames.ts"
import { openXor } from "../support/xorExtension.ts"

const rsv1 = 4

const flipped = (payload: string | Uint8Array): Uint8Array =>
  (typeof payload === "string" ? utf8(payload) : payload).map((byte) => byte ^ 0xff)

/** A frame that came: its first byte in two digits, and its payload. */
const readRaw = ({ peer }: Session) =>
  Effect.map(peer.readFrame, ({ fin, opcode, payload, rsv }) => {
    const first = (fin ? 0x80 : 0) | (rsv << 4) | opcode
    return `${first.toString(16).padStart(2, "0")} ${toHex(payload)}`
  })

const frame = (first: string, payload: string | Uint8Array): string => `${first} ${toHex(flipped(payload))}`

/** Codecs that are done when the test says so. */
const manual = () => {
  const waiting: Array<() => void> = []
  return {
    later: (done: () => void) => void waiting.push(done),
    /** Lets the first one be done. */
    next: Effect.suspend(() => {
      waiting.shift()?.()
      return settle
    }),
    get size() {
      return waiting.length
    }
  }
}

describe.each(roles)("a %s that sends compressed messages", (role) => {
  it.effect(
    "trySend waits for the codec, and for the one before, but not for a peer that does not read",
    () =>
      Effect.gen(function* () {
        const codec = manual()
        const session = yield* openXor(role, { maxSendBufferSize: 10 }, { later: codec.later })
        const { channel, peerEnd } = session
        const tryAll = (...messages: ReadonlyArray<string | Uint8Array | PreparedMessage.PreparedMessage>) =>
          Effect.forkChild(Effect.forEach(messages, channel.trySend, { concurrency: "unbounded" }))
        const one = yield* tryAll("one")
        yield* settle
        assert.isUndefined(one.pollUnsafe())
        yield* codec.next
        assert.deepStrictEqual(yield* Fiber.join(one), [true])
        assert.strictEqual(yield* readRaw(session), frame("c1", "one"))
        peerEnd.pause()
        const others = yield* tryAll(utf8("x".repeat(70_000)), "no", utf8("no"), PreparedMessage.make("no"))
        yield* settle
        assert.strictEqual(codec.size, 1)
        yield* codec.next
        assert.deepStrictEqual(yield* Fiber.join(others), [true, false, false, false])
        const late = yield* tryAll("no", utf8("no"), PreparedMessage.make("no"))
        assert.deepStrictEqual(yield* Fiber.join(late), [false, false, false])
        assert.strictEqual(codec.size, 0)
        assert.strictEqual((yield* channel.statistics).sent.messages, 2)
      })
  )

  it.effect("marks the first frame, and compresses text, bytes and what says nothing of it", () =>
    Effect.gen(function* () {
      const session = yield* openXor(role)
      const { channel } = session
      assert.deepStrictEqual(channel.extensions, ["permessage-xor"])
      yield* channel.send("hello")
      assert.strictEqual(yield* readRaw(session), frame("c1", "hello"))
      yield* channel.send(hex("0102"))
      assert.strictEqual(yield* readRaw(session), frame("c2", hex("0102")))
      yield* channel.send({ payload: utf8("é"), isBinary: false })
      assert.strictEqual(yield* readRaw(session), frame("c1", "é"))
      yield* channel.send("")
      assert.strictEqual(yield* readRaw(session), frame("c1", ""))
    })
  )

  it.effect("leaves alone what says so, what is short, and control frames", () =>
    Effect.gen(function* () {
      const session = yield* openXor(role, {}, { threshold: 3 })
      const { channel } = session
      yield* channel.send({ payload: "hello", skipCompress: true })
      assert.strictEqual(yield* session.peer.read, 'text "hello"')
      yield* channel.send({ payload: hex("01020304"), skipCompress: true })
      assert.strictEqual(yield* session.peer.read, "binary 01020304")
      yield* channel.send("é")
      assert.strictEqual(yield* session.peer.read, 'text "é"')
      yield* channel.send(PreparedMessage.make("no"))
      assert.strictEqual(yield* session.peer.read, 'text "no"')
      yield* channel.sendPing(utf8("ping"))
      assert.strictEqual(yield* session.peer.read, "ping 70696e67")
      yield* channel.send("yes")
      assert.strictEqual(yield* readRaw(session), frame("c1", "yes"))
    })
  )

  it.effect("cuts the compressed payload into frames, and marks the first alone", () =>
    Effect.gen(function* () {
      const session = yield* openXor(role, { autoFragmentSize: 2 })
      yield* session.channel.send("abcd")
      assert.strictEqual(yield* readRaw(session), frame("41", "ab"))
      assert.strictEqual(yield* readRaw(session), frame("80", "cd"))
    })
  )

  it.effect("compresses fragments, and those of a frame with a length one by one", () =>
    Effect.gen(function* () {
      const session = yield* openXor(role)
      const { channel } = session
      yield* channel.sendFragmented({ isBinary: false }, (writer) =>
        Effect.andThen(writer.send("ab"), writer.sendFrame(3, Stream.make(utf8("c"), utf8("de"))))
      )
      for (const expected of [frame("41", "ab"), frame("00", "c"), frame("00", "de"), frame("80", "")]) {
        assert.strictEqual(yield* readRaw(session), expected)
      }
      yield* channel.sendStream(Stream.make("x"), { isBinary: true, skipCompress: true })
      assert.strictEqual(yield* session.peer.read, "binary... 78")
      assert.strictEqual(yield* session.peer.read, "continuation")
      yield* channel.send("after")
      assert.strictEqual(yield* readRaw(session), frame("c1", "after"))
    })
  )

  it.effect("keeps the order of messages that take their time; pings do not wait for them", () =>
    Effect.gen(function* () {
      const codec = manual()
      const session = yield* openXor(role, {}, { later: codec.later, threshold: 3 })
      const { channel } = session
      const sends = yield* Effect.forkChild(
        Effect.all(
          [
            channel.send("first"),
            channel.send("2"),
            channel.sendStream(Stream.make("third"), { isBinary: false })
          ],
          {
            concurrency: "unbounded"
          }
        )
      )
      yield* settle
      assert.strictEqual(codec.size, 1, "one message at a time")
      yield* channel.sendPing(utf8("p"))
      assert.strictEqual(yield* session.peer.read, "ping 70")
      yield* codec.next
      assert.strictEqual(yield* readRaw(session), frame("c1", "first"))
      assert.strictEqual(yield* session.peer.read, 'text "2"')
      yield* codec.next
      assert.strictEqual(yield* readRaw(session), frame("41", "third"))
      assert.isUndefined(sends.pollUnsafe(), "the end of the message is still compressed")
      yield* codec.next
      assert.strictEqual(yield* readRaw(session), frame("80", ""))
      yield* Fiber.join(sends)
    })
  )

  it.effect(
    "sends a message that was begun although its sender was interrupted, and what comes after it",
    () =>
      Effect.gen(function* () {
        const codec = manual()
        const session = yield* openXor(role, {}, { later: codec.later, threshold: 3 })
        const { channel } = session
        const sending = yield* Effect.forkChild(channel.send("first"))
        yield* settle
        yield* Fiber.interrupt(sending)
        const next = yield* Effect.forkChild(channel.send("2"))
        yield* settle
        yield* codec.next
        assert.strictEqual(yield* readRaw(session), frame("c1", "first"))
        assert.strictEqual(yield* session.peer.read, 'text "2"')
        yield* Fiber.join(next)
      })
  )

  it.effect("fails the send of a message that is compressed when the connection ends", () =>
    Effect.gen(function* () {
      const codec = manual()
      const session = yield* openXor(role, {}, { later: codec.later })
      const sending = yield* Effect.forkChild(Effect.flip(session.channel.send("first")))
      yield* settle
      session.peer.send(session.peer.close(1000))
      yield* settle
      yield* codec.next
      assert.strictEqual((yield* Fiber.join(sending)).reason._tag, "ConnectionClosed")
      assert.strictEqual(yield* session.peer.read, "close 1000")
    })
  )

  it.effect("fails all sends when the transport is lost while one is compressed", () =>
    Effect.gen(function* () {
      const codec = manual()
      const { channel, peer } = yield* openXor(role, {}, { later: codec.later, threshold: 3 })
      const sends = yield* Effect.forkChild(
        Effect.all(
          ["first", "2", "third"].map((message) => Effect.flip(channel.send(message))),
          { concurrency: "unbounded" }
        )
      )
      yield* settle
      peer.drop()
      // The codec is never done.
      for (const { reason } of yield* Fiber.join(sends)) assert.notStrictEqual(reason._tag, "InvalidCall")
    })
  )

  it.effect("compresses a prepared message once for all", () =>
    Effect.gen(function* () {
      const sessions = [yield* openXor(role), yield* openXor(role)]
      const prepared = PreparedMessage.make("hello")
      for (const session of sessions) {
        yield* session.channel.send(prepared)
        assert.strictEqual(yield* readRaw(session), frame("c1", "hello"))
      }
    })
  )

  it.effect("lets all wait for a prepared message that takes its time, also when the first has gone", () =>
    Effect.gen(function* () {
      const codec = manual()
      const first = yield* openXor(role, {}, { later: codec.later, threshold: 3 })
      const second = yield* openXor(role, {}, { later: codec.later, threshold: 3 })
      const prepared = PreparedMessage.make("hello")
      const failing = yield* Effect.forkChild(Effect.flip(first.channel.send(prepared)))
      const sending = yield* Effect.forkChild(
        Effect.all([second.channel.send(prepared), second.channel.send("2"), second.channel.send("third")], {
          concurrency: "unbounded"
        })
      )
      yield* settle
      first.peer.drop()
      yield* Fiber.join(failing)
      assert.strictEqual(codec.size, 1, "it is compressed once")
      yield* codec.next
      assert.strictEqual(yield* readRaw(second), frame("c1", "hello"))
      assert.strictEqual(yield* second.peer.read, 'text "2"')
      yield* codec.next
      assert.strictEqual(yield* readRaw(second), frame("c1", "third"))
      yield* Fiber.join(sending)
      // It is there now.
      yield* second.channel.send(prepared)
      assert.strictEqual(yield* readRaw(second), frame("c1", "hello"))
      assert.strictEqual(codec.size, 0)
    })
  )

  it.effect("counts octets before and after", () =>
    Effect.gen(function* () {
      const session = yield* openXor(role)
      yield* session.channel.send("hello")
      yield* session.channel.sendStream(Stream.make("ab"), { isBinary: true })
      const { sent } = yield* session.channel.statistics
      assert.deepInclude(sent, { payloadOctets: 7, messageOctets: 7, frames: 3, messages: 2 })
    })
  )
})

describe.each(roles)("a %s that receives compressed messages", (role) => {
  const compressed = ({ peer }: Session, payload: string | Uint8Array) =>
    peer.frame({ opcode: 1, payload: flipped(payload), rsv: rsv1 })

  it.effect("delivers them, whole or in fragments, beside others", () =>
    Effect.gen(function* () {
      const session = yield* openXor(role)
      const { channel, peer } = session
      peer.send(compressed(session, "één"), peer.text("plain"))
      peer.send(peer.frame({ opcode: 2, payload: flipped("a"), rsv: rsv1, fin: false }))
      peer.send(peer.ping("p"), peer.continuation(flipped("b")))
      assert.strictEqual(yield* channel.receive, "één")
      assert.strictEqual(yield* channel.receive, "plain")
      assert.deepStrictEqual(yield* channel.receive, utf8("ab"))
      peer.send(peer.frame({ opcode: 1, payload: flipped(hex("c3")), rsv: rsv1, fin: false }))
      peer.send(peer.continuation(flipped(hex("a9"))))
      assert.strictEqual(yield* channel.receive, "é")
      assert.strictEqual(yield* peer.read, "pong 70")
    })
  )

  it.effect("as streams too, with UTF-8 that is checked across pieces", () =>
    Effect.gen(function* () {
      const session = yield* openXor(role, { failByDrop: false })
      const { channel, peer } = session
      const [first] = yield* Effect.all(
        [
          channel.streamed.pipe(
            Stream.mapEffect(({ payload }) => Stream.mkUint8Array(payload)),
            Stream.take(1),
            Stream.runCollect
          ),
          Effect.andThen(
            settle,
            Effect.sync(() =>
              peer.send(
                peer.frame({ opcode: 1, payload: flipped(hex("c3")), rsv: rsv1, fin: false }),
                peer.continuation(flipped(hex("a9")))
              )
            )
          )
        ],
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(first, [utf8("é")])
      peer.send(peer.frame({ opcode: 1, payload: flipped(hex("61ff")), rsv: rsv1, fin: false }))
      assert.match(yield* peer.read, /^close 1007 /)
    })
  )

  it.effect("holds back what follows while one takes its time, and reading with it", () =>
    Effect.gen(function* () {
      const codec = manual()
      const session = yield* openXor(role, {}, { later: codec.later })
      const { channel, peer } = session
      peer.send(
        compressed(session, "first"),
        peer.text("second"),
        compressed(session, "third"),
        peer.ping("p")
      )
      yield* settle
      peer.send(peer.text("fourth"))
      yield* settle
      assert.strictEqual(codec.size, 1)
      assert.strictEqual((yield* channel.statistics).received.messages, 0)
      yield* codec.next
      assert.strictEqual(yield* channel.receive, "first")
      assert.strictEqual(yield* channel.receive, "second")
      assert.strictEqual(codec.size, 1)
      yield* codec.next
      assert.strictEqual(yield* channel.receive, "third")
      assert.strictEqual(yield* channel.receive, "fourth")
      assert.strictEqual(yield* peer.read, "pong 70")
    })
  )

  it.effect("goes on to the peer's Close when it closes meanwhile", () =>
    Effect.gen(function* () {
      const codec = manual()
      const session = yield* openXor(role, {}, { later: codec.later })
      const { channel, peer } = session
      peer.send(compressed(session, "first"))
      yield* settle
      const closing = yield* Effect.forkChild(channel.close(4000))
      assert.strictEqual(yield* peer.read, "close 4000")
      peer.send(peer.close(4000))
      yield* settle
      yield* codec.next
      peer.finish()
      assert.deepStrictEqual(yield* Fiber.join(closing), { wasClean: true, code: 4000, reason: "" })
    })
  )

  it.effect("reads no further when it closes in the turn in which one begins to take its time", () =>
    Effect.gen(function* () {
      const codec = manual()
      const session = yield* openXor(role, {}, { later: codec.later })
      const { channel, peer, peerEnd } = session
      const closing = yield* Effect.forkChild(Effect.andThen(channel.receive, channel.close(4000)))
      yield* settle
      peer.send(new Uint8Array([...peer.text("plain"), ...compressed(session, "first")]))
      assert.strictEqual(yield* peer.read, "close 4000")
      for (let i = 0; i < 10; i++) peer.send(peer.text("x".repeat(10_000)))
      yield* settle
      // More than 64 KiB, which are under way.
      assert.isAbove(peerEnd.bufferedAmount, 0)
      peer.send(peer.close(4000))
      yield* codec.next
      assert.strictEqual(peerEnd.bufferedAmount, 0)
      peer.finish()
      assert.deepStrictEqual(yield* Fiber.join(closing), { wasClean: true, code: 4000, reason: "" })
    })
  )

  const failures: ReadonlyArray<
    readonly [what: string, code: number, bytes: (session: Session) => Uint8Array]
  > = [
    [
      "data that cannot be decompressed",
      1007,
      ({ peer }) => peer.frame({ opcode: 2, payload: hex("00"), rsv: rsv1 })
    ],
    ["text that is not UTF-8 once it is decompressed", 1007, (session) => compressed(session, hex("ff"))],
    [
      "a message that is too long once it is decompressed",
      1009,
      (session) => compressed(session, "x".repeat(11))
    ],
    [
      "far too much that is compressed",
      1009,
      ({ peer }) => peer.frame({ opcode: 2, payload: new Uint8Array(1045), rsv: rsv1, fin: false })
    ],
    [
      "the mark on a continuation",
      1002,
      ({ peer }) =>
        new Uint8Array([
          ...peer.text("a", { fin: false }),
          ...peer.frame({ opcode: 0, payload: "b", rsv: rsv1 })
        ])
    ],
    ["the mark on a ping", 1002, ({ peer }) => peer.frame({ opcode: 9, payload: "", rsv: rsv1 })],
    ["another reserved bit", 1002, ({ peer }) => peer.frame({ opcode: 1, payload: "", rsv: 2 })]
  ]

  it.effect.each(failures)("%s fails with %i", ([, code, bytes]) =>
    Effect.gen(function* () {
      const session = yield* openXor(role, { failByDrop: false, maxMessagePayloadSize: 10 })
      session.peer.send(bytes(session))
      assert.match(yield* session.peer.read, new RegExp(`^close ${code} `))
    })
  )

  it.effect("closes its codec once, with the transport", () =>
    Effect.gen(function* () {
      let closed = 0
      const session = yield* openXor(role, {}, { onClose: () => void closed++ })
      yield* settle
      assert.strictEqual(closed, 0)
      session.peer.drop()
      yield* session.channel.closed
      assert.strictEqual(closed, 2, "compressor and decompressor")
    })
  )
})
