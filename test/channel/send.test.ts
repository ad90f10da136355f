/**
 * What a channel's application sends.
 */
import { Buffer } from "node:buffer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Fiber from "effect/Fiber"
import * as HashSet from "effect/HashSet"
import { PreparedMessage, type WebSocketChannel, type WebSocketError } from "effect-websocket"
import { open, roles, type Session, settle } from "../support/apiSession.ts"
import { hex, type RawFrame, toHex, utf8 } from "../support/rawFrames.ts"

type Sent = Parameters<WebSocketChannel.Channel["send"]>[0]

const memory = Uint8Array.from({ length: 64 }, (_, i) => i)

/** Everything that can be sent, and the frame that carries it. */
const sendable: ReadonlyArray<readonly [what: string, message: Sent, frame: string]> = [
  ["a string", "één", 'text "één"'],
  ["an empty string", "", "text"],
  ["a lone surrogate, as U+FFFD", "a\ud800b", 'text "a\ufffdb"'],
  ["bytes", hex("00ff10"), "binary 00ff10"],
  ["no bytes", new Uint8Array(), "binary"],
  ["a part of other bytes", memory.subarray(3, 6), "binary 030405"],
  ["a Buffer from the pool", Buffer.from("hi"), "binary 6869"],
  ["a part of a Buffer", Buffer.from("hello").subarray(1, 3), "binary 656c"],
  ["a DataView with an offset", new DataView(memory.buffer, 5, 2), "binary 0506"],
  ["a Float64Array with an offset", new Float64Array(memory.buffer, 8, 1), "binary 08090a0b0c0d0e0f"],
  ["an Int16Array", new Int16Array(memory.buffer, 2, 2), "binary 02030405"],
  ["a BigUint64Array", new BigUint64Array(memory.buffer, 16, 1), "binary 1011121314151617"],
  ["an OutgoingMessage of text", { payload: "hi" }, 'text "hi"'],
  ["an OutgoingMessage of bytes", { payload: hex("6869") }, "binary 6869"],
  ["text as UTF-8", { payload: hex("c3a9"), isBinary: false }, 'text "é"'],
  ["text as a view of UTF-8", { payload: new DataView(hex("c3a9").buffer), isBinary: false }, 'text "é"'],
  ["a string as binary", { payload: "é", isBinary: true }, "binary c3a9"],
  ["a string as text, said so", { payload: "é", isBinary: false }, 'text "é"'],
  ["bytes as binary, said so", { payload: hex("ff"), isBinary: true }, "binary ff"],
  ["a message that is never compressed", { payload: "hi", skipCompress: true }, 'text "hi"'],
  ["a prepared text", PreparedMessage.make("é"), 'text "é"'],
  ["a prepared message of bytes", PreparedMessage.make(new DataView(memory.buffer, 5, 2)), "binary 0506"]
]

const failures: ReadonlyArray<readonly [what: string, bytes: string]> = [
  ["a byte that no text has", "ff"],
  ["a text cut inside a code point", "61e282"],
  ["a surrogate", "eda080"],
  ["an overlong form", "c080"]
]

const reasonOf = (effect: Effect.Effect<unknown, WebSocketError.WebSocketError>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason)

describe.each(roles)("what a %s sends", (role) => {
  it.effect.each(sendable)("%s", ([, message, frame]) =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      yield* channel.send(message)
      assert.strictEqual(yield* peer.read, frame)
    })
  )

  it.effect.each([125, 126, 4096, 4097, 65_535, 65_536, 300_000])("%i bytes, byte for byte", (length) =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      const bytes = Uint8Array.from({ length }, (_, i) => i * 31 + (i >> 8))
      const before = toHex(bytes)
      yield* channel.send(bytes)
      assert.strictEqual(toHex((yield* peer.readFrame).payload), before)
      assert.strictEqual(toHex(bytes), before, "the sender's bytes are as they were")
    })
  )

  it.effect.each([4096, 4097, 50_000])("a text of %i characters of two bytes", (length) =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      yield* channel.send("é".repeat(length))
      const { opcode, payload } = yield* peer.readFrame
      assert.strictEqual(opcode, 1)
      assert.deepStrictEqual(payload, utf8("é".repeat(length)))
    })
  )

  it.effect.each(failures)("text given as bytes that are not UTF-8 is refused: %s", ([, bytes]) =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      const reason = yield* reasonOf(channel.send({ payload: hex(bytes), isBinary: false }))
      assert.strictEqual(reason._tag, "InvalidCall")
      assert.strictEqual(reason.message, "a text message's payload is not valid UTF-8")
      yield* channel.send("next")
      assert.strictEqual(yield* peer.read, 'text "next"', "nothing of it was sent")
    })
  )
})

it.effect("each send is one of its own: in a set, none stands for another", () =>
  Effect.gen(function* () {
    const one = yield* open("server")
    const other = yield* open("client")
    const sends = [one.channel.send("a"), one.channel.send("a"), other.channel.send("a")] as const
    assert.isTrue(Equal.equals(sends[0], sends[0]))
    assert.strictEqual(HashSet.size(HashSet.fromIterable(sends)), 3)
    yield* Effect.all(HashSet.fromIterable(sends), { discard: true })
    for (const peer of [one.peer, one.peer, other.peer]) assert.strictEqual(yield* peer.read, 'text "a"')
  })
)

describe.each(roles)("the writes of a %s", (role) => {
  it.effect("what is sent in one turn leaves in one write, at the turn's end", () =>
    Effect.gen(function* () {
      const { channel, peer, writes } = yield* open(role)
      yield* channel.send("one")
      yield* channel.send(hex("02"))
      yield* channel.sendPing()
      assert.deepStrictEqual(writes, [])
      for (const frame of ['text "one"', "binary 02", "ping"]) assert.strictEqual(yield* peer.read, frame)
      assert.lengthOf(writes, 1)
    })
  )

  it.effect("what is sent in answer to a chunk leaves in one write", () =>
    Effect.gen(function* () {
      const { channel, peer, writes } = yield* open(role)
      const echo = yield* Effect.forkChild(
        Effect.flatMap(channel.pull, (batch) => Effect.forEach(batch, channel.send, { discard: true }))
      )
      yield* settle
      peer.send(peer.text("1"), peer.ping("p"), peer.text("2"))
      yield* Fiber.join(echo)
      const frames = [yield* peer.read, yield* peer.read, yield* peer.read]
      assert.sameMembers(frames, ['text "1"', "pong 70", 'text "2"'])
      assert.lengthOf(writes, 1)
    })
  )

  it.effect("64 KiB are written at once, before the turn's end", () =>
    Effect.gen(function* () {
      const { channel, writes } = yield* open(role)
      for (let i = 0; i < 15; i++) yield* channel.send(new Uint8Array(4096))
      assert.deepStrictEqual(writes, [])
      yield* channel.send(new Uint8Array(4096))
      assert.lengthOf(writes, 1)
      assert.isAbove(writes[0] ?? 0, 65_536)
    })
  )
})

/** A message's fragments as one: what they must be, side by side. */
const joinFragments = (frames: ReadonlyArray<RawFrame>): ReadonlyArray<string> => {
  const messages: Array<string> = []
  let open = ""
  for (const { fin, payload } of frames) {
    open += Buffer.from(payload).toString("latin1")
    if (!fin) continue
    messages.push(open)
    open = ""
  }
  return messages
}

const readFrames = (session: Session, count: number) =>
  Effect.forEach(Array.from({ length: count }), () => session.peer.readFrame)

describe.each(roles)("fragments and fibers of a %s", (role) => {
  it.effect("autoFragmentSize cuts a message into frames of at most that payload", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role, { autoFragmentSize: 2 })
      yield* channel.send("abcde")
      yield* channel.send(hex("01020304"))
      yield* channel.send("éé")
      yield* channel.send(new Uint8Array())
      yield* channel.send(PreparedMessage.make("abc"))
      const frames: Array<string> = []
      for (let i = 0; i < 10; i++) frames.push(yield* peer.read)
      assert.deepStrictEqual(frames, [
        "text... 6162",
        "continuation... 6364",
        "continuation 65",
        "binary... 0102",
        "continuation 0304",
        "text... c3a9",
        "continuation c3a9",
        "binary",
        "text... 6162",
        "continuation 63"
      ])
    })
  )

  it.effect("frames of messages from several fibers never mix", () =>
    Effect.gen(function* () {
      const session = yield* open(role, { autoFragmentSize: 3 })
      const texts = Array.from({ length: 50 }, (_, i) => String.fromCharCode(65 + (i % 26)).repeat(30))
      yield* Effect.forEach(texts, (text) => session.channel.send(text), { concurrency: "unbounded" })
      assert.deepStrictEqual(joinFragments(yield* readFrames(session, 500)), texts)
    })
  )

  it.effect("nor do they under back pressure, with pings between the messages", () =>
    Effect.gen(function* () {
      const options = { autoFragmentSize: 3, maxSendBufferSize: 40 }
      const session = yield* open(role, options, { network: { capacity: 10, chunkSize: 7 } })
      const { channel, peer, peerEnd } = session
      peerEnd.pause()
      const texts = Array.from({ length: 50 }, (_, i) => String.fromCharCode(65 + (i % 26)).repeat(9))
      const sending = yield* Effect.forkChild(
        Effect.forEach(texts, (text) => Effect.andThen(channel.send(text), channel.sendPing(utf8(text))), {
          concurrency: "unbounded",
          discard: true
        })
      )
      yield* settle
      assert.isUndefined(sending.pollUnsafe())
      peerEnd.resume()
      const data: Array<RawFrame> = []
      let pings = 0
      while (data.length < 150) {
        const frame = yield* peer.readFrame
        if (frame.opcode === 9) pings++
        else data.push(frame)
      }
      assert.deepStrictEqual(joinFragments(data), texts)
      while (pings < 50) if ((yield* peer.readFrame).opcode === 9) pings++
      yield* Fiber.join(sending)
    })
  )
})

describe.each(roles)("back pressure on what a %s sends", (role) => {
  const network = { capacity: 100 }

  it.effect("send suspends while the peer does not read, and goes on when it does", () =>
    Effect.gen(function* () {
      const { channel, peer, peerEnd } = yield* open(role, { maxSendBufferSize: 1000 }, { network })
      peerEnd.pause()
      let sent = 0
      const sending = yield* Effect.forkChild(
        Effect.forEach(
          Array.from({ length: 50 }, (_, i) => i),
          (i) => Effect.map(channel.send(new Uint8Array(200).fill(i)), () => void sent++),
          { discard: true }
        )
      )
      yield* settle
      assert.isUndefined(sending.pollUnsafe())
      // The network takes 100 bytes, the buffer 1000 and what goes beyond with one message.
      assert.isAtLeast(sent, 5)
      assert.isAtMost(sent, 7)
      assert.isAtMost(yield* channel.bufferedAmount, 1000 + 214)
      peerEnd.resume()
      for (let i = 0; i < 50; i++) assert.strictEqual((yield* peer.readFrame).payload[0], i)
      yield* Fiber.join(sending)
    })
  )

  it.effect("suspended sends go on in the order of their calls", () =>
    Effect.gen(function* () {
      const { channel, peer, peerEnd } = yield* open(role, { maxSendBufferSize: 50 }, { network })
      peerEnd.pause()
      yield* channel.send("x".repeat(200))
      yield* settle
      const done: Array<number> = []
      const sending = yield* Effect.forkChild(
        Effect.forEach(
          Array.from({ length: 20 }, (_, i) => i),
          (i) => Effect.map(channel.send(`${i}`), () => done.push(i)),
          { concurrency: "unbounded", discard: true }
        )
      )
      yield* settle
      assert.deepStrictEqual(done, [])
      peerEnd.resume()
      assert.strictEqual(yield* peer.read, `text "${"x".repeat(200)}"`)
      for (let i = 0; i < 20; i++) assert.strictEqual(yield* peer.read, `text "${i}"`)
      yield* Fiber.join(sending)
      assert.deepStrictEqual(
        done,
        Array.from({ length: 20 }, (_, i) => i)
      )
    })
  )

  it.effect("a sender that goes on does not overtake those that wait", () =>
    Effect.gen(function* () {
      const { channel, peer, peerEnd } = yield* open(role, { maxSendBufferSize: 50 }, { network })
      peerEnd.pause()
      yield* channel.send("x".repeat(200))
      yield* settle
      yield* Effect.forkChild(Effect.andThen(channel.send("a1"), channel.send("a2")))
      yield* Effect.forkChild(channel.send("b1"))
      yield* settle
      peerEnd.resume()
      yield* peer.readFrame
      const texts = [yield* peer.read, yield* peer.read, yield* peer.read]
      assert.deepStrictEqual(texts, ['text "a1"', 'text "b1"', 'text "a2"'])
    })
  )

  it.effect("a suspended send that is interrupted has sent nothing, and the stream stays whole", () =>
    Effect.gen(function* () {
      const options = { maxSendBufferSize: 50, autoFragmentSize: 2 }
      const { channel, peer, peerEnd } = yield* open(role, options, { network })
      peerEnd.pause()
      yield* channel.send(new Uint8Array(200))
      yield* settle
      const first = yield* Effect.forkChild(channel.send("first"))
      const second = yield* Effect.forkChild(channel.send("second"))
      const third = yield* Effect.forkChild(channel.send("third"))
      yield* settle
      yield* Fiber.interrupt(second)
      peerEnd.resume()
      yield* Fiber.join(first)
      yield* Fiber.join(third)
      const texts: Array<RawFrame> = []
      while (joinFragments(texts).length < 2) {
        const frame = yield* peer.readFrame
        if (frame.opcode === 1 || texts.length > 0) texts.push(frame)
      }
      assert.deepStrictEqual(joinFragments(texts), ["first", "third"])
    })
  )

  it.effect("thousands of suspended sends all go on, however little the buffer holds", () =>
    Effect.gen(function* () {
      const { channel, writes } = yield* open(role, { maxSendBufferSize: 1 })
      const count = 5000
      yield* Effect.forEach(Array.from({ length: count }), () => channel.send(""), {
        concurrency: "unbounded",
        discard: true
      })
      yield* settle
      const size = role === "client" ? 6 : 2
      assert.strictEqual(
        writes.reduce((sum, bytes) => sum + bytes, 0),
        count * size
      )
    })
  )

  it.effect("sends that wait when the closing handshake starts fail with ConnectionClosed, unsent", () =>
    Effect.gen(function* () {
      const { channel, peer, peerEnd } = yield* open(role, { maxSendBufferSize: 50 }, { network })
      peerEnd.pause()
      yield* channel.send(new Uint8Array(200))
      yield* settle
      const waiting = yield* Effect.forkChild(reasonOf(channel.send("waiting")))
      yield* settle
      yield* Effect.forkChild(channel.close(4000, "enough"))
      const reason = yield* Fiber.join(waiting)
      assert.deepInclude(reason, {
        _tag: "ConnectionClosed",
        code: 4000,
        closeReason: "enough",
        wasClean: false
      })
      peerEnd.resume()
      yield* peer.readFrame
      assert.strictEqual(yield* peer.read, 'close 4000 "enough"')
    })
  )

  it.effect("sends that wait when the peer closes fail with the peer's code", () =>
    Effect.gen(function* () {
      const { channel, peer, peerEnd } = yield* open(role, { maxSendBufferSize: 50 }, { network })
      peerEnd.pause()
      yield* channel.send(new Uint8Array(200))
      yield* settle
      const waiting = yield* Effect.forkChild(reasonOf(channel.send("waiting")))
      yield* settle
      peer.send(peer.close(4001, "bye"))
      assert.deepInclude(yield* Fiber.join(waiting), {
        _tag: "ConnectionClosed",
        code: 4001,
        closeReason: "bye",
        wasClean: true
      })
    })
  )

  it.effect("sends that wait when the connection is lost fail with the cause", () =>
    Effect.gen(function* () {
      const { channel, faults, peerEnd } = yield* open(role, { maxSendBufferSize: 50 }, { network })
      peerEnd.pause()
      yield* channel.send(new Uint8Array(200))
      yield* settle
      const waiting = yield* Effect.forkChild(reasonOf(channel.send("waiting")))
      yield* settle
      yield* faults.reset
      assert.strictEqual((yield* Fiber.join(waiting))._tag, "TransportFailure")
    })
  )

  it.effect("bufferedAmount is what the network has not taken", () =>
    Effect.gen(function* () {
      const { channel, peerEnd } = yield* open(role, {}, { network })
      assert.strictEqual(yield* channel.bufferedAmount, 0)
      const header = role === "client" ? 8 : 4
      peerEnd.pause()
      yield* channel.send(new Uint8Array(500))
      assert.strictEqual(yield* channel.bufferedAmount, 500 + header, "in this turn, all of it")
      yield* settle
      assert.strictEqual(yield* channel.bufferedAmount, 400 + header, "100 are under way")
      peerEnd.resume()
      yield* settle
      assert.strictEqual(yield* channel.bufferedAmount, 0)
    })
  )
})

describe.each(roles)("sending on a closed connection, as a %s", (role) => {
  const calls: ReadonlyArray<
    readonly [
      string,
      (channel: WebSocketChannel.Channel) => Effect.Effect<void, WebSocketError.WebSocketError>
    ]
  > = [
    ["send", (channel) => channel.send("late")],
    ["send of bytes", (channel) => channel.send({ payload: hex("6869"), isBinary: false })],
    ["sendPing", (channel) => channel.sendPing()],
    ["sendPong", (channel) => channel.sendPong()]
  ]

  it.effect.each(calls)("%s fails with ConnectionClosed and the peer's code after its Close", ([, call]) =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      peer.send(peer.close(4002, "over"))
      yield* settle
      assert.deepInclude(yield* reasonOf(call(channel)), {
        _tag: "ConnectionClosed",
        code: 4002,
        closeReason: "over",
        wasClean: true
      })
    })
  )

  it.effect.each(calls)("%s fails with ConnectionClosed while we wait for the peer's Close", ([, call]) =>
    Effect.gen(function* () {
      const { channel } = yield* open(role)
      yield* Effect.forkChild(channel.close(1000, "done"))
      yield* settle
      assert.deepInclude(yield* reasonOf(call(channel)), {
        _tag: "ConnectionClosed",
        code: 1000,
        closeReason: "done",
        wasClean: false
      })
    })
  )

  it.effect("send fails with 1005 after a close() without a status code", () =>
    Effect.gen(function* () {
      const { channel } = yield* open(role)
      yield* Effect.forkChild(channel.close())
      yield* settle
      assert.deepInclude(yield* reasonOf(channel.send("late")), { _tag: "ConnectionClosed", code: 1005 })
    })
  )

  it.effect.each(calls)("%s fails with the violation after one", ([, call]) =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      peer.send(peer.text(hex("ff")))
      yield* settle
      assert.strictEqual((yield* reasonOf(call(channel)))._tag, "InvalidPayload")
    })
  )
})
