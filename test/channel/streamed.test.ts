/**
 * Messages that a channel's application reads as streams, before they are complete.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { WebSocketChannel, WebSocketError } from "effect-websocket"
import { open, roles, settle } from "../support/apiSession.ts"
import { concat, hex, toHex, utf8 } from "../support/rawFrames.ts"
import { fewestOperations, inStepsOf, interruptedAfter } from "../support/steps.ts"

/** What came of a message. */
interface Read {
  readonly isBinary: boolean
  readonly pieces: ReadonlyArray<string>
  readonly failure: WebSocketError.WebSocketErrorReason | undefined
}

/** Reads a message to its end, and tells each piece as it comes. */
const readMessage = Effect.fnUntraced(function* (
  { isBinary, payload }: WebSocketChannel.StreamedMessage,
  pieces: Array<string> = []
) {
  const failure = yield* payload.pipe(
    Stream.runForEach((piece) => Effect.sync(() => void pieces.push(toHex(piece)))),
    Effect.as(undefined),
    Effect.catch(({ reason }) => Effect.succeed(reason))
  )
  const read: Read = { isBinary, pieces, failure }
  return read
})

const readMessages = (channel: WebSocketChannel.Channel, count: number) =>
  channel.streamed.pipe(
    Stream.take(count),
    Stream.mapEffect((message) => readMessage(message)),
    Stream.runCollect
  )

/** The next message; what was left of the one before is skipped. */
const next = (channel: WebSocketChannel.Channel) =>
  Effect.map(Stream.runHead(channel.streamed), Option.getOrThrow)

const reasonOf = (effect: Effect.Effect<unknown, WebSocketError.WebSocketError>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason)

describe.each(roles)("a message that a %s reads as a stream", (role) => {
  it.effect("is there with its first bytes, and goes on with each chunk and fragment", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      const pieces: Array<string> = []
      const reading = yield* Effect.forkChild(
        Effect.flatMap(next(channel), (message) => readMessage(message, pieces))
      )
      const first = peer.binary(hex("010203"), { fin: false })
      peer.send(first.subarray(0, -2))
      yield* settle
      assert.deepStrictEqual(pieces, ["01"])
      peer.send(first.subarray(-2), peer.ping("between"))
      yield* settle
      assert.deepStrictEqual(pieces, ["01", "0203"])
      assert.strictEqual(yield* peer.read, `pong ${toHex(utf8("between"))}`)
      peer.send(peer.continuation("", { fin: false }))
      peer.send(peer.continuation(hex("04"), { fin: false }), peer.continuation(hex("05"), { fin: false }))
      yield* settle
      assert.deepStrictEqual(pieces, ["01", "0203", "04", "05"])
      assert.isUndefined(reading.pollUnsafe())
      peer.send(peer.continuation(""))
      assert.deepStrictEqual(yield* Fiber.join(reading), { isBinary: true, pieces, failure: undefined })
    })
  )

  it.effect("tells text from binary, and cuts text anywhere; a message may be empty", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      const reading = yield* Effect.forkChild(readMessages(channel, 5))
      yield* settle
      peer.send(peer.text("é"), peer.binary(hex("ff")), peer.text(""), peer.binary(new Uint8Array()))
      peer.send(peer.text(hex("e2"), { fin: false }), peer.continuation(hex("82ac")))
      const whole = { failure: undefined }
      assert.deepStrictEqual(yield* Fiber.join(reading), [
        { isBinary: false, pieces: ["c3a9"], ...whole },
        { isBinary: true, pieces: ["ff"], ...whole },
        { isBinary: false, pieces: [], ...whole },
        { isBinary: true, pieces: [], ...whole },
        { isBinary: false, pieces: ["e2", "82ac"], ...whole }
      ])
    })
  )

  it.effect("messages that had waited whole come first, in one piece each", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      peer.send(peer.text("é"), peer.binary(hex("01"), { fin: false }), peer.continuation(hex("02")))
      yield* settle
      const read = yield* readMessages(channel, 2)
      assert.deepStrictEqual(
        read.map(({ pieces }) => pieces),
        [["c3a9"], ["0102"]]
      )
    })
  )

  it.effect("what had been collected of a message comes with its next piece", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      peer.send(peer.text("a", { fin: false }), peer.continuation(hex("c3"), { fin: false }))
      yield* settle
      const reading = yield* Effect.forkChild(readMessages(channel, 2))
      yield* settle
      peer.send(peer.continuation(hex("a9"), { fin: false }))
      peer.send(peer.continuation(hex("62")), peer.text("next"))
      assert.deepStrictEqual(
        (yield* Fiber.join(reading)).map(({ pieces }) => pieces),
        [["61c3a9", "62"], [toHex(utf8("next"))]]
      )
    })
  )

  it.effect("what is left of it is skipped with the next message, and cannot be read any more", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      const first = yield* Effect.forkChild(next(channel))
      peer.send(peer.binary(hex("01"), { fin: false }))
      const { payload } = yield* Fiber.join(first)
      assert.deepStrictEqual(yield* Stream.runHead(payload), Option.some(hex("01")))
      const second = yield* Effect.forkChild(next(channel))
      peer.send(peer.continuation(hex("02"), { fin: false }))
      yield* settle
      const skipped = yield* reasonOf(Stream.runDrain(payload))
      assert.deepInclude(skipped, { _tag: "InvalidCall", message: "the message was skipped" })
      peer.send(peer.continuation(hex("03")), peer.text("second"), peer.text("third"))
      assert.deepStrictEqual((yield* readMessage(yield* Fiber.join(second))).pieces, [toHex(utf8("second"))])
      // The rest of the chunk waits for whoever reads next.
      assert.deepStrictEqual((yield* readMessage(yield* next(channel))).pieces, [toHex(utf8("third"))])
      assert.strictEqual((yield* reasonOf(Stream.runDrain(payload)))._tag, "InvalidCall")
    })
  )

  it.effect("who waits for the rest of a message that others skip is told; nothing is lost or mixed", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      const first = yield* Effect.forkChild(next(channel))
      peer.send(peer.binary(hex("01"), { fin: false }))
      const { payload } = yield* Fiber.join(first)
      yield* Stream.runHead(payload)
      const waiting = yield* Effect.forkChild(reasonOf(Stream.runDrain(payload)))
      yield* settle
      const second = yield* Effect.forkChild(next(channel))
      yield* settle
      peer.send(peer.continuation(hex("02")), peer.binary(hex("03"), { fin: false }))
      assert.deepInclude(yield* Fiber.join(waiting), {
        _tag: "InvalidCall",
        message: "the message was skipped"
      })
      const reading = yield* Effect.forkChild(
        Effect.flatMap(Fiber.join(second), (message) => readMessage(message))
      )
      yield* settle
      peer.send(peer.continuation(hex("04")))
      assert.deepStrictEqual((yield* Fiber.join(reading)).pieces, ["03", "04"])
    })
  )

  it.effect("of two who ask for the next one at once, none gets a part for the whole", () =>
    Effect.gen(function* () {
      const whole = ["61", "03"]
      for (let steps = fewestOperations; steps < 10; steps++) {
        const { channel, peer } = yield* open(role)
        const first = yield* Effect.forkChild(next(channel))
        peer.send(peer.binary(hex("01"), { fin: false }))
        yield* Fiber.join(first)
        const reading = yield* Effect.forkChild(
          Effect.all(
            [steps, steps + 1].map((steps) => inStepsOf(steps)(readMessages(channel, 1))),
            { concurrency: "unbounded" }
          )
        )
        yield* settle
        peer.send(peer.continuation(hex("02")), peer.text("a"), peer.binary(hex("03")))
        for (const { failure, pieces } of (yield* Fiber.join(reading)).flat()) {
          if (failure === undefined) assert.include(whole, pieces.join(""), `in steps of ${steps}`)
          else assert.deepInclude(failure, { _tag: "InvalidCall", message: "the message was skipped" })
        }
      }
    })
  )

  it.effect("a reader interrupted at whatever step takes at most the message it was given", () =>
    Effect.gen(function* () {
      const messages = ["01", "0203", "0405", "06"]
      for (let turns = 0, hasEnded = false; !hasEnded; turns++) {
        const { channel, peer } = yield* open(role)
        peer.send(peer.text("before"))
        yield* next(channel)
        for (const message of messages) {
          peer.send(peer.binary(hex(message.slice(0, 2)), { fin: false }))
          peer.send(peer.continuation(hex(message.slice(2))))
        }
        yield* settle
        let given = 0
        hasEnded = yield* interruptedAfter(
          turns,
          channel.streamed.pipe(
            Stream.take(2),
            Stream.runForEach(({ payload }) => {
              given++
              return Stream.runDrain(payload)
            })
          )
        )
        peer.send(peer.close())
        const rest = yield* channel.streamed.pipe(
          Stream.mapEffect((message) => readMessage(message)),
          Stream.map(({ pieces }) => pieces.join("")),
          Stream.runCollect
        )
        const taken = messages.length - rest.length
        assert.deepStrictEqual(rest, messages.slice(taken), `after ${turns} turns`)
        assert.oneOf(taken - given, [0, 1], `after ${turns} turns`)
      }
    })
  )

  it.effect("is there once: read again it is empty", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      peer.send(peer.text("once"), peer.text(""))
      for (const length of [1, 0]) {
        const { payload } = yield* next(channel)
        assert.lengthOf(yield* Stream.runCollect(payload), length)
        assert.lengthOf(yield* Stream.runCollect(payload), 0)
      }
    })
  )

  it.effect("a wait that is interrupted takes nothing with it", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      const waiting = yield* Effect.forkChild(next(channel))
      yield* settle
      yield* Fiber.interrupt(waiting)
      peer.send(peer.text("1"))
      assert.deepStrictEqual((yield* readMessage(yield* next(channel))).pieces, ["31"])
    })
  )

  it.effect("who waits for a whole message may read it as a stream instead", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      const next = Stream.runHead(channel.streamed)
      const changing = yield* Effect.forkChild(
        Effect.catch(Effect.asVoid(channel.receive), () => next),
        { startImmediately: true }
      )
      const reading = yield* Effect.forkChild(next)
      yield* settle
      peer.send(peer.text("1"), peer.text("2"))
      for (const fiber of [changing, reading]) assert.include(yield* Fiber.join(fiber), { _tag: "Some" })
    })
  )

  it.effect("whole messages cannot be read any more: who asks and who waits is told, and takes nothing", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      const readers = [channel.receive, Stream.runDrain(channel.messages), Stream.runDrain(channel.incoming)]
      const waiting = yield* Effect.forkChild(Effect.all(readers.map(reasonOf), { concurrency: "unbounded" }))
      yield* settle
      const reading = yield* Effect.forkChild(readMessages(channel, 2))
      const refused = {
        _tag: "InvalidCall" as const,
        message: "the messages of this channel are read as streams"
      }
      for (const reason of yield* Fiber.join(waiting)) assert.deepInclude(reason, refused)
      peer.send(peer.text("1"))
      yield* settle
      for (const reader of readers) assert.deepInclude(yield* reasonOf(reader), refused)
      peer.send(peer.text("2"))
      assert.deepStrictEqual(
        (yield* Fiber.join(reading)).map(({ pieces }) => pieces),
        [["31"], ["32"]]
      )
    })
  )
})

describe.each(roles)("the end of a connection whose messages a %s reads as streams", (role) => {
  it.effect("UTF-8 that goes wrong ends the message after the pieces before it: 1007", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role, { failByDrop: false })
      const reading = yield* Effect.forkChild(readMessages(channel, 1))
      yield* settle
      peer.send(peer.text(hex("61e2"), { fin: false }), peer.continuation(hex("82"), { fin: false }))
      peer.send(peer.continuation(hex("ff"), { fin: false }))
      const [read] = yield* Fiber.join(reading)
      assert.deepInclude(read, { isBinary: false, pieces: ["61e2", "82"] })
      assert.deepInclude(read?.failure, { _tag: "InvalidPayload", violation: "TextNotUtf8" })
      assert.match(yield* peer.read, /^close 1007/)
      assert.strictEqual((yield* reasonOf(next(channel)))._tag, "InvalidPayload")
    })
  )

  const limits = [
    ["maxMessagePayloadSize", { maxMessagePayloadSize: 1000 }],
    ["maxFramePayloadSize", { maxFramePayloadSize: 999 }]
  ] as const

  it.effect.each(limits)("%s is checked with the header, before payload comes: 1009", ([, limit]) =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role, { failByDrop: false, ...limit })
      const reading = yield* Effect.forkChild(readMessages(channel, 1))
      yield* settle
      peer.send(peer.binary(hex("01"), { fin: false }))
      peer.send(peer.frame({ opcode: 0, announcedLength: 1000n }))
      const [read] = yield* Fiber.join(reading)
      assert.deepStrictEqual(read?.pieces, ["01"])
      assert.strictEqual(read?.failure?._tag, "MessageTooBig")
      assert.match(yield* peer.read, /^close 1009/)
    })
  )

  it.effect("a message of just maxMessagePayloadSize passes, however it is cut", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role, { maxMessagePayloadSize: 3 })
      const reading = yield* Effect.forkChild(readMessages(channel, 2))
      peer.send(peer.text("a", { fin: false }), peer.continuation("bc"), peer.text("abc"))
      assert.deepStrictEqual(
        (yield* Fiber.join(reading)).map(({ failure, pieces }) => [pieces.join(""), failure]),
        [
          ["616263", undefined],
          ["616263", undefined]
        ]
      )
    })
  )

  it.effect("a connection lost within a message fails its payload, and the messages", () =>
    Effect.gen(function* () {
      const { channel, faults, peer } = yield* open(role)
      const reading = yield* channel.streamed.pipe(
        Stream.mapEffect((message) => readMessage(message)),
        Stream.runForEach((read) => Effect.sync(() => assert.deepStrictEqual(read.pieces, ["01"]))),
        reasonOf,
        Effect.forkChild
      )
      peer.send(peer.binary(hex("01"), { fin: false }))
      yield* settle
      yield* faults.reset
      assert.strictEqual((yield* Fiber.join(reading))._tag, "TransportFailure")
    })
  )

  it.effect("a Close within a message fails its payload, though it is clean", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      const reading = yield* Effect.forkChild(readMessages(channel, 1))
      peer.send(peer.binary(hex("01"), { fin: false }))
      yield* settle
      peer.send(peer.close(4000, "enough"))
      const [read] = yield* Fiber.join(reading)
      assert.deepStrictEqual(read?.pieces, ["01"])
      assert.deepInclude(read?.failure, { _tag: "ConnectionClosed", code: 4000, wasClean: true })
    })
  )

  it.effect("a clean Close between messages ends the messages", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      const reading = yield* channel.streamed.pipe(
        Stream.mapEffect((message) => readMessage(message)),
        Stream.runCollect,
        Effect.forkChild
      )
      peer.send(peer.text("a", { fin: false }), peer.continuation("b"), peer.close(1000))
      assert.deepStrictEqual(
        (yield* Fiber.join(reading)).map(({ pieces }) => pieces.join("")),
        ["6162"]
      )
    })
  )
})

describe.each(roles)("back pressure on messages that a %s reads as streams", (role) => {
  const size = 64 * 1024

  it.effect("what waits of an unread message is bounded by maxReceiveBufferSize; nothing is lost", () =>
    Effect.gen(function* () {
      const limit = 4 * size
      const { channel, peer, peerEnd } = yield* open(
        role,
        { maxReceiveBufferSize: limit },
        { network: { capacity: 1 } }
      )
      const gate = yield* Deferred.make<void>()
      let read = 0
      const reading = yield* channel.streamed.pipe(
        Stream.take(1),
        Stream.flatMap(({ payload }) => payload),
        Stream.runForEach((piece) =>
          Effect.andThen(
            Deferred.await(gate),
            Effect.sync(() => {
              for (const byte of piece) if (byte !== read++ % 251) assert.fail(`byte ${read - 1}`)
            })
          )
        ),
        Effect.forkChild
      )
      const pieces = 32
      for (let i = 0; i < pieces; i++) {
        const payload = Uint8Array.from({ length: size }, (_, k) => (i * size + k) % 251)
        const fin = i === pieces - 1
        peer.send(i === 0 ? peer.binary(payload, { fin }) : peer.continuation(payload, { fin }))
      }
      yield* settle
      // Beside what may wait, one batch is with the reader and one chunk may be too much.
      assert.isAbove(peerEnd.bufferedAmount, (pieces - 2) * size - 2 * limit)
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(reading)
      assert.strictEqual(read, pieces * size)
      assert.strictEqual(peerEnd.bufferedAmount, 0)
    })
  )

  it.effect("tiny and empty fragments count too", () =>
    Effect.gen(function* () {
      const { channel, peer, peerEnd } = yield* open(
        role,
        { maxReceiveBufferSize: 1000 },
        { network: { capacity: 1 } }
      )
      const reading = yield* Effect.forkChild(Stream.runHead(channel.streamed))
      peer.send(peer.binary(hex("00"), { fin: false }))
      yield* Fiber.join(reading)
      for (let i = 0; i < 1000; i++) peer.send(peer.continuation(hex("00"), { fin: false }))
      yield* settle
      assert.isAbove(peerEnd.bufferedAmount, 0)
    })
  )

  it.effect("a message that is skipped is read on, however long", () =>
    Effect.gen(function* () {
      const { channel, peer, peerEnd } = yield* open(
        role,
        { maxReceiveBufferSize: 1000 },
        { network: { capacity: 1 } }
      )
      const reading = yield* Effect.forkChild(next(channel))
      for (let i = 0; i < 100; i++)
        peer.send(
          i === 0
            ? peer.binary(new Uint8Array(1000), { fin: false })
            : peer.continuation(new Uint8Array(1000), { fin: false })
        )
      peer.send(peer.continuation(""), peer.text("next"))
      yield* Fiber.join(reading)
      yield* settle
      assert.isAbove(peerEnd.bufferedAmount, 90_000)
      assert.deepStrictEqual((yield* readMessage(yield* next(channel))).pieces, [toHex(utf8("next"))])
    })
  )

  it.effect("a piece is a view of what was read, or of what was collected", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      const reading = yield* Effect.forkChild(next(channel))
      const payload = Uint8Array.from({ length: 1000 }, (_, i) => i)
      peer.send(
        peer.binary(payload.subarray(0, 500), { fin: false }),
        peer.continuation(payload.subarray(500))
      )
      const pieces = yield* Stream.runCollect((yield* Fiber.join(reading)).payload)
      assert.deepStrictEqual(concat(...pieces), payload)
      assert.strictEqual(new Set(pieces.map(({ buffer }) => buffer)).size, 1)
    })
  )
})
