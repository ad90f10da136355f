/**
 * Many who send on one channel at once, in every way there is, under back pressure, and are interrupted anywhere.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { PreparedMessage, type WebSocketChannel } from "effect-websocket"
import { open, roles, type Session, settle } from "../support/apiSession.ts"
import { int, oneOf, pick } from "../support/arbitraries.ts"
import { concat, type RawFrame, utf8 } from "../support/rawFrames.ts"
import { fewestOperations, inStepsOf, inTurns } from "../support/steps.ts"

type Step =
  | {
      readonly does: "send"
      readonly way: keyof typeof ways
      readonly length: number
      readonly steps: number
    }
  | { readonly does: "ping" | "peer pings" | "peer pauses" | "peer resumes" }
  | { readonly does: "interrupt"; readonly which: number }

const step = oneOf<Step>(
  Arbitrary.map(
    Arbitrary.all([
      pick("whole", "if there is room", "prepared", "in fragments", "in frames"),
      pick(0, 1, 10, 125, 700),
      int(fewestOperations, 12)
    ]),
    ([way, length, steps]): Step => ({ does: "send", way, length, steps })
  ),
  Arbitrary.map(pick("ping", "peer pings", "peer pauses", "peer resumes"), (does): Step => ({ does })),
  Arbitrary.map(int(0, 9), (which): Step => ({ does: "interrupt", which }))
)

const text = { isBinary: false }

const cutInFour = (bytes: Uint8Array): ReadonlyArray<Uint8Array> => {
  const size = Math.ceil(bytes.length / 4)
  return [0, 1, 2, 3].map((i) => bytes.subarray(i * size, (i + 1) * size))
}

const ways = {
  whole: (channel: WebSocketChannel.Channel, message: string) => channel.send(message),
  "if there is room": (channel: WebSocketChannel.Channel, message: string) => channel.trySend(message),
  prepared: (channel: WebSocketChannel.Channel, message: string) =>
    channel.send(PreparedMessage.make(message)),
  "in fragments": (channel: WebSocketChannel.Channel, message: string) =>
    channel.sendStream(Stream.fromIterable(cutInFour(utf8(message))), text),
  "in frames": (channel: WebSocketChannel.Channel, message: string) =>
    channel.sendFragmented(text, (writer) => {
      const payload = utf8(message)
      const parts = Stream.rechunk(Stream.fromIterable(cutInFour(payload)), 1)
      return Effect.andThen(writer.sendFrame(payload.length, parts), writer.send("."))
    })
}

/** Resumes the peer, and collects its frames until no more come. */
const framesOf = Effect.fnUntraced(function* ({ peer, peerEnd }: Session) {
  const frames: Array<RawFrame> = []
  yield* Effect.forkChild(Effect.forever(Effect.map(peer.readFrame, (frame) => void frames.push(frame))), {
    startImmediately: true
  })
  peerEnd.resume()
  for (let before = -1; before < peer.received + frames.length; yield* settle) {
    before = peer.received + frames.length
    // A fiber that yields at every few steps takes many turns for its next frame.
    for (let turn = 0; turn < 6; turn++) yield* settle
  }
  return frames
})

/** The messages that are complete. `RawPeer` has seen to the order of their frames. */
const messagesOf = (frames: ReadonlyArray<RawFrame>): ReadonlyArray<string> => {
  const messages: Array<string> = []
  let payload: Uint8Array = new Uint8Array()
  for (const frame of frames.filter(({ opcode }) => opcode < 8)) {
    payload = concat(payload, frame.payload)
    if (!frame.fin) continue
    messages.push(Buffer.from(payload).toString())
    payload = new Uint8Array()
  }
  return messages
}

describe.each(roles)("property: those who send on the channel of a %s", (role) => {
  it.effect.prop(
    "are never left waiting, and what they have sent comes whole and once",
    {
      steps: Arbitrary.array(step, { minLength: 1, maxLength: 25 }),
      turns: Arbitrary.array(int(0, 4), { minLength: 1, maxLength: 5 }),
      maxSendBufferSize: pick(1_000_000, 1, 50, 300),
      capacity: pick(10_000, 1, 100)
    },
    ({ capacity, maxSendBufferSize, steps, turns }) =>
      Effect.gen(function* () {
        const session = yield* open(role, { maxSendBufferSize }, { network: { capacity } })
        const { channel, peer, peerEnd } = session
        const sending: Array<{
          readonly message: string
          readonly fiber: Fiber.Fiber<Exit.Exit<void | boolean, unknown>>
        }> = []
        const fork = Effect.fnUntraced(function* (
          message: string,
          send: Effect.Effect<void | boolean, unknown>
        ) {
          sending.push({ message, fiber: yield* Effect.forkChild(Effect.exit(send)) })
        })
        for (const [i, step] of steps.entries()) {
          if (step.does === "send") {
            const message = `${i} ${"x".repeat(step.length)}`
            const sent = step.way === "in frames" ? `${message}.` : message
            yield* fork(sent, inStepsOf(step.steps)(ways[step.way](channel, message)))
          } else if (step.does === "ping") yield* fork("", channel.sendPing(utf8("p")))
          else if (step.does === "peer pings") peer.send(peer.ping("q"))
          else if (step.does === "peer pauses") peerEnd.pause()
          else if (step.does === "peer resumes") peerEnd.resume()
          else if (step.does === "interrupt" && sending.length > 0) {
            yield* Effect.forkChild(Fiber.interrupt(sending[step.which % sending.length]!.fiber))
          }
          yield* inTurns(turns[i % turns.length]!)
        }
        const messages = messagesOf(yield* framesOf(session))
        const { droppedByMe, localClose } = yield* channel.closeFacts
        const isOpen = localClose === undefined && !droppedByMe
        const expected = new Set<string>()
        for (const { fiber, message } of sending) {
          const exit = fiber.pollUnsafe()
          assert.isDefined(exit, `${message} waits for ever`)
          const hasSent = exit !== undefined && Exit.isSuccess(exit) && Exit.isSuccess(exit.value)
          if (hasSent && exit.value.value === false) assert.notInclude(messages, message)
          else if (isOpen && hasSent && message !== "") assert.include(messages, message)
          expected.add(message)
        }
        for (const message of messages) assert.isTrue(expected.delete(message), `${message} was not to come`)
        if (!isOpen) return
        const { sent } = yield* channel.statistics
        assert.strictEqual(sent.messages, messages.length)
        assert.strictEqual(yield* channel.bufferedAmount, 0)
      }).pipe(Effect.scoped),
    { arbitrary: { runs: 150, size: 40 }, timeout: 60_000 }
  )
})
