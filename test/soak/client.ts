/**
 * Clients of the soak: those that talk, and check every echo, and those that do wrong. The argument is the
 * server's port.
 */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import { PerMessageDeflate, type WebSocketChannel, WebSocketClient } from "effect-websocket"
import { NodeWebSocketClient } from "effect-websocket/node"
import { attacks, perform } from "./attacks.ts"
import { held, onOrder, tell } from "./report.ts"

const port = Number(process.argv[2])
const talkers = 24
const attackers = 6

const counts = { connections: 0, attacks: 0, messages: 0, megabytes: 0, errors: 0 }

const fail = (what: string): void => {
  counts.errors++
  console.error("client:", what)
}

const pick = <A>(all: ReadonlyArray<A>): Effect.Effect<A> =>
  Effect.map(Random.nextIntBetween(0, all.length - 1), (index) => all[index]!)

const lines = Array.from({ length: 8_000 }, (_, index) => `grüße, 世界 😀 for the ${index}th time. `)
const bytes = new TextEncoder().encode(lines.join(""))

const decoder = new TextDecoder()

const anyPayload = Effect.gen(function* () {
  const length = yield* pick([0, 1, 20, 125, 126, 1000, 5000, 65_535, 65_536, 200_000])
  const start = yield* Random.nextIntBetween(0, 1000)
  const payload = bytes.slice(start, start + length)
  // A character that was cut in two becomes another one.
  return (yield* Random.nextBoolean) ? decoder.decode(payload) : payload
})

const isSame = (sent: string | Uint8Array, received: string | Uint8Array): boolean =>
  typeof sent === "string" || typeof received === "string"
    ? sent === received
    : Buffer.compare(sent, received) === 0

/** Gets the echo, and checks it. */
const check = Effect.fnUntraced(function* (channel: WebSocketChannel.Channel, sent: string | Uint8Array) {
  const received = yield* channel.receive
  counts.messages++
  counts.megabytes += sent.length / 1e6
  if (!isSame(sent, received)) fail(`another echo than was sent, of ${sent.length}: ${received.length}`)
})

const sendWhole = (channel: WebSocketChannel.Channel, payload: string | Uint8Array) => channel.send(payload)

const sendPieces = (channel: WebSocketChannel.Channel, payload: string | Uint8Array) => {
  const whole = typeof payload === "string" ? new TextEncoder().encode(payload) : payload
  const size = Math.ceil(whole.length / 5) || 1
  const pieces = Array.from({ length: 5 }, (_, index) => whole.subarray(index * size, (index + 1) * size))
  return channel.sendStream(Stream.fromIterable(pieces), { isBinary: typeof payload !== "string" })
}

/** A few messages at once, whole and in pieces, with a ping between; then their echoes. */
const exchange = Effect.fnUntraced(function* (channel: WebSocketChannel.Channel) {
  const payloads = yield* Effect.replicateEffect(anyPayload, yield* Random.nextIntBetween(1, 5))
  for (const payload of payloads) yield* (yield* pick([sendWhole, sendPieces]))(channel, payload)
  yield* channel.sendPing(new Uint8Array(4))
  for (const payload of payloads) yield* check(channel, payload)
})

/** One connection from its opening to one of its ends. */
const talk = Effect.gen(function* () {
  const path = yield* pick(["echo", "pieces"])
  const channel = yield* WebSocketClient.connect(`ws://127.0.0.1:${port}/${path}`)
  counts.connections++
  const rounds = yield* pick([0, 1, 5, 50])
  for (let round = 0; round < rounds; round++) {
    yield* exchange(channel)
    yield* Effect.sleep(yield* pick(["1 millis", "20 millis", "200 millis"] as const))
  }
  // Otherwise the end of the scope closes it.
  if (!(yield* Random.nextBoolean)) return
  const { code, wasClean } = yield* channel.close(4000, "enough")
  if (!wasClean || (code !== 4000 && code !== 1001))
    fail(`closed with ${code}, ${wasClean ? "" : "un"}cleanly`)
}).pipe(
  Effect.scoped,
  // A drain: the next one connects again.
  Effect.catchReason("WebSocketError", "ConnectionClosed", ({ code }) =>
    code === 1001 ? Effect.void : Effect.sync(() => fail(`closed with ${code}`))
  ),
  Effect.catchReason("HandshakeError", "ConnectFailure", () => Effect.sleep("50 millis")),
  Effect.catchReason("HandshakeError", "Rejected", ({ status }) =>
    status === 503 ? Effect.sleep("50 millis") : Effect.sync(() => fail(`rejected with ${status}`))
  ),
  Effect.catchCause((cause) => Effect.sync(() => fail(String(cause))))
)

const attack = Effect.gen(function* () {
  const wrong = yield* perform(port, yield* pick(attacks))
  counts.attacks++
  if (wrong !== undefined) fail(wrong)
  yield* Effect.sleep("20 millis")
})

onOrder(() => tell({ ...held(), ...counts }))

Effect.all(
  [
    ...Array.from({ length: talkers }, () => Effect.forever(talk)),
    ...Array.from({ length: attackers }, () => Effect.forever(attack))
  ],
  { concurrency: "unbounded", discard: true }
).pipe(
  Effect.provide(
    NodeWebSocketClient.layer({
      perMessageCompressionOffers: [new PerMessageDeflate.PerMessageDeflateOffer()],
      autoPingInterval: "1 second",
      autoPingTimeout: "20 seconds",
      closeHandshakeTimeout: "20 seconds"
    })
  ),
  Effect.runFork
)
