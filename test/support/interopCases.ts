/**
 * What every peer is tested with, in every role that it has.
 */
import { assert, describe, layer, type Vitest } from "@effect/vitest"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { base64, digest, type Peer, type PeerFailure } from "./interop.ts"
import { denial, ourClient, ourServer, type Pair, type StartSide } from "./interopSides.ts"

/** What a peer's interface lets a program do and see. */
export interface Peculiarities {
  readonly name: string
  readonly layer: Layer.Layer<Peer, PeerFailure>
  /** Sends pings, and tells of pings and pongs received. */
  readonly controlFrames: boolean
  /** Sends a message in fragments, with a ping in between. */
  readonly fragments: boolean
  /** Sends a Close without a status code. */
  readonly closesWithoutStatus: boolean
  /** Answers a Close with its reason, not with its code alone. */
  readonly echoesReason: boolean
  readonly unixSockets: boolean
  /** What its client tells of a denial. */
  readonly seesOfDenial: ReadonlyArray<"status" | "headers" | "body">
  /** Its client tells the response's headers. */
  readonly seesHeaders: boolean
  /** How its server denies; `undefined`: it has no server. */
  readonly denies:
    | { readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly body: string }
    | undefined
}

type Kind = "text" | "binary"
type It = Vitest.MethodsNonLive<Peer>

const mebibyte = 1024 * 1024
const sizes = [0, 1, 125, 126, 65_535, 65_536, mebibyte, 16 * mebibyte]
const encoder = new TextEncoder()

/** So many bytes of UTF-8, with sequences of one to four bytes in it. */
export const textOf = (size: number): string => {
  const pattern = "Grüße, 世界 😀! "
  const length = encoder.encode(pattern).length
  return pattern.repeat(size / length) + "x".repeat(size % length)
}

/** So many bytes, of every value. */
export const bytesOf = (size: number): Uint8Array => {
  const bytes = new Uint8Array(size)
  for (let i = 0; i < size; i++) bytes[i] = i * 7 + (i >> 8)
  return bytes
}

const messageOf = (kind: Kind, size: number) => (kind === "text" ? textOf(size) : bytesOf(size))

/** Not by deep equality, which would print or compare megabytes one by one. */
const assertSame = (actual: string | Uint8Array | undefined, expected: string | Uint8Array): void => {
  const isSame =
    typeof actual === "object" && typeof expected === "object"
      ? Buffer.compare(actual, expected) === 0
      : actual === expected
  assert.isTrue(
    isSame,
    `${typeof actual} of ${actual?.length} instead of ${typeof expected} of ${expected.length}`
  )
}

const nextMessage = ({ ours }: Pair) =>
  Effect.map(Stream.runCollect(Stream.take(ours.messages, 1)), ([message]) => message)

/** Sends a message, which the peer reports and echoes. */
export const exchange = Effect.fnUntraced(function* (pair: Pair, message: string | Uint8Array) {
  const { ours, peer } = pair
  const [, echo] = yield* Effect.all([ours.send(message), nextMessage(pair)], { concurrency: "unbounded" })
  assertSame(echo, message)
  const seen = yield* peer.nextMessage
  assert.strictEqual(seen.isBinary, typeof message !== "string")
  assert.strictEqual(seen.sha256, digest(message))
  return seen
})

const messages = (it: It, start: StartSide): void => {
  const cases = sizes.flatMap((size) => [{ kind: "text", size } as const, { kind: "binary", size } as const])
  it.effect.each(cases)("echoes a $kind message of $size bytes byte for byte", ({ kind, size }) =>
    Effect.gen(function* () {
      const pair = yield* (yield* start()).open()
      yield* exchange(pair, messageOf(kind, size))
    })
  )

  it.effect("keeps the order of messages sent at once", () =>
    Effect.gen(function* () {
      const { ours } = yield* (yield* start()).open()
      const sent = Arr.makeBy(200, (i) => (i % 2 === 0 ? `message ${i}` : encoder.encode(`message ${i}`)))
      yield* Effect.forEach(sent, ours.send, { discard: true })
      assert.deepStrictEqual(yield* Stream.runCollect(Stream.take(ours.messages, sent.length)), sent)
    })
  )

  it.effect("serves several connections at once", () =>
    Effect.gen(function* () {
      const side = yield* start()
      const pairs = yield* Effect.forEach(Arr.range(1, 20), () => side.open(), { concurrency: "unbounded" })
      yield* Effect.forEach(
        pairs,
        (pair, i) =>
          Effect.andThen(
            exchange(pair, `connection ${i}, ${textOf(i * 1000)}`),
            exchange(pair, bytesOf(i * 1000 + 1))
          ),
        { concurrency: "unbounded", discard: true }
      )
    })
  )
}

const fragments = (it: It, start: StartSide, { fragments }: Peculiarities): void => {
  const kinds = [{ kind: "text" }, { kind: "binary" }] as const

  it.effect.each(kinds)("a $kind message cut by autoFragmentSize arrives whole", ({ kind }) =>
    Effect.gen(function* () {
      const pair = yield* (yield* start({ autoFragmentSize: 1000 })).open()
      const { frames } = yield* exchange(pair, messageOf(kind, 70_001))
      if (frames !== undefined) assert.strictEqual(frames, 71)
    })
  )

  if (!fragments) return
  it.effect.each(kinds)("a $kind message that the peer cuts arrives whole, and the ping in it", ({ kind }) =>
    Effect.gen(function* () {
      const pair = yield* (yield* start()).open()
      const message = messageOf(kind, 70_001)
      pair.peer.send(message, 1000)
      assertSame(yield* nextMessage(pair), message)
      const [ping] = yield* Stream.runCollect(Stream.take(pair.ours.pings, 1))
      assertSame(ping, encoder.encode("between"))
      assertSame(encoder.encode("between"), Buffer.from(yield* pair.peer.nextPong, "base64"))
    })
  )
}

const pings = (it: It, start: StartSide, { controlFrames }: Peculiarities): void => {
  const payloads = [
    { bytes: 0, payload: new Uint8Array() },
    { bytes: 5, payload: new Uint8Array([0, 255, 128, 10, 13]) },
    { bytes: 125, payload: bytesOf(125) }
  ]

  it.effect.each(payloads)("our ping of $bytes bytes is answered with its payload", ({ payload }) =>
    Effect.gen(function* () {
      const { ours, peer } = yield* (yield* start()).open()
      yield* ours.sendPing(payload)
      const [pong] = yield* Stream.runCollect(Stream.take(ours.pongs, 1))
      assertSame(pong, payload)
      if (controlFrames) assert.strictEqual(yield* peer.nextPing, base64(payload))
    })
  )

  if (!controlFrames) return
  it.effect.each(payloads)("the peer's ping of $bytes bytes is answered with its payload", ({ payload }) =>
    Effect.gen(function* () {
      const { ours, peer } = yield* (yield* start()).open()
      peer.ping(payload)
      assert.strictEqual(yield* peer.nextPong, base64(payload))
      const [ping] = yield* Stream.runCollect(Stream.take(ours.pings, 1))
      assertSame(ping, payload)
    })
  )
}

const closes = (it: It, start: StartSide, { closesWithoutStatus, echoesReason }: Peculiarities): void => {
  const longest = `${"é".repeat(61)}!`
  const byUs = [
    { code: 1000, reason: "done" },
    { code: 1001, reason: "going away" },
    { code: 1011, reason: "" },
    { code: 3000, reason: "tschüß 😀" },
    { code: 4999, reason: longest }
  ]
  it.effect.each(byUs)("our close with $code '$reason' is clean for both", ({ code, reason }) =>
    Effect.gen(function* () {
      const { ours, peer } = yield* (yield* start()).open()
      const event = yield* ours.close(code, reason)
      assert.deepStrictEqual(event, { wasClean: true, code, reason: echoesReason ? reason : "" })
      assert.deepStrictEqual(yield* peer.closed, { wasClean: true, code, reason })
      assert.deepStrictEqual(yield* Stream.runCollect(ours.messages), [])
    })
  )

  it.effect("our close without a status code is 1005 for both", () =>
    Effect.gen(function* () {
      const { ours, peer } = yield* (yield* start()).open()
      assert.deepStrictEqual(yield* ours.close(), { wasClean: true, code: 1005, reason: "" })
      assert.deepStrictEqual(yield* peer.closed, { wasClean: true, code: 1005, reason: "" })
    })
  )

  // The codes that a browser's WebSocket may send.
  const byPeer = byUs.filter(({ code }) => code === 1000 || code >= 3000)
  it.effect.each(byPeer)("the peer's close with $code '$reason' is clean for both", ({ code, reason }) =>
    Effect.gen(function* () {
      const { ours, peer } = yield* (yield* start()).open()
      peer.close(code, reason)
      assert.deepStrictEqual(yield* Stream.runCollect(ours.messages), [])
      assert.deepStrictEqual(yield* ours.closed, { wasClean: true, code, reason })
      assert.deepStrictEqual(yield* peer.closed, { wasClean: true, code, reason })
    })
  )

  if (closesWithoutStatus) {
    it.effect("the peer's close without a status code is 1005 for both", () =>
      Effect.gen(function* () {
        const { ours, peer } = yield* (yield* start()).open()
        peer.close()
        assert.deepStrictEqual(yield* ours.closed, { wasClean: true, code: 1005, reason: "" })
        assert.deepStrictEqual(yield* peer.closed, { wasClean: true, code: 1005, reason: "" })
      })
    )
  }

  it.effect("what we sent before our close arrives, and what still comes after it is discarded", () =>
    Effect.gen(function* () {
      const { ours, peer } = yield* (yield* start()).open()
      yield* ours.send("one")
      yield* ours.send("two")
      const event = yield* ours.close(1000, "done")
      assert.isTrue(event.wasClean)
      assert.deepStrictEqual(yield* Stream.runCollect(ours.messages), [])
      assert.strictEqual((yield* peer.nextMessage).sha256, digest("one"))
      assert.strictEqual((yield* peer.nextMessage).sha256, digest("two"))
    })
  )

  it.effect("a message over our limit closes with 1009 for the peer", () =>
    Effect.gen(function* () {
      const { ours, peer } = yield* (yield* start({ maxMessagePayloadSize: 1000 })).open()
      peer.send(bytesOf(1001))
      const error = yield* Effect.flip(Stream.runCollect(ours.messages))
      assert.strictEqual(error.reason._tag, "MessageTooBig")
      assert.strictEqual((yield* peer.closed).code, 1009)
    })
  )
}

const handshakes = (it: It, start: StartSide, { unixSockets }: Peculiarities): void => {
  it.effect("the server chooses the subprotocol that it knows", () =>
    Effect.gen(function* () {
      const { ours, peer } = yield* (yield* start()).open({ protocols: ["alpha", "beta"] })
      assert.strictEqual(ours.subprotocol, "beta")
      assert.strictEqual(peer.handshake.subprotocol, "beta")
    })
  )

  it.effect("without an offer there is no subprotocol and no extension", () =>
    Effect.gen(function* () {
      const { ours, peer } = yield* (yield* start()).open()
      assert.strictEqual(ours.subprotocol, undefined)
      assert.strictEqual(peer.handshake.subprotocol, null)
      assert.deepStrictEqual(ours.extensions, [])
    })
  )

  if (!unixSockets) return
  it.effect("speaks over a Unix-domain socket", () =>
    Effect.gen(function* () {
      const pair = yield* (yield* start()).open({ unix: true })
      yield* exchange(pair, textOf(70_000))
      yield* exchange(pair, bytesOf(70_000))
    })
  )
}

const question = { "x-interop-question": "how many? ~42%" }

const ourServerOnly = (it: It, { seesHeaders, seesOfDenial }: Peculiarities): void => {
  it.effect("our server sees the request's headers, the peer the response's", () =>
    Effect.gen(function* () {
      const { ours, peer } = yield* (yield* ourServer()).open({ headers: question })
      assert.strictEqual(ours.request?.headers["x-interop-question"], question["x-interop-question"])
      if (seesHeaders) assert.strictEqual(peer.handshake.headers?.["x-interop-server"], "effect-websocket")
      else assert.strictEqual(peer.handshake.headers, undefined)
    })
  )

  it.effect("draining our server is a clean close with 1001 for the peer", () =>
    Effect.gen(function* () {
      const side = yield* ourServer()
      const { ours, peer } = yield* side.open()
      assert.deepStrictEqual(yield* side.drain, { finished: 1, dropped: 0 })
      assert.isTrue((yield* ours.closed).wasClean)
      assert.deepStrictEqual(yield* peer.closed, { wasClean: true, code: 1001, reason: "" })
    })
  )

  it.effect("our denial is seen by the peer", () =>
    Effect.gen(function* () {
      const seen = (yield* (yield* ourServer()).openDenied).denial
      assert.isDefined(seen)
      if (seesOfDenial.includes("status")) assert.strictEqual(seen?.status, denial.status)
      if (seesOfDenial.includes("headers"))
        assert.strictEqual(seen?.headers?.["x-denied-by"], "effect-websocket")
      if (seesOfDenial.includes("body")) assert.strictEqual(seen?.body, denial.body)
    })
  )
}

const ourClientOnly = (it: It, { denies, name }: Peculiarities): void => {
  it.effect("the peer sees the request's headers, our client the response's", () =>
    Effect.gen(function* () {
      const { ours, peer } = yield* (yield* ourClient()).open({ headers: question })
      assert.strictEqual(peer.handshake.headers?.["x-interop-question"], question["x-interop-question"])
      assert.strictEqual(ours.response?.headers["x-interop-server"], name)
    })
  )

  it.effect("the peer's denial is seen by our client", () =>
    Effect.gen(function* () {
      const { reason } = yield* Effect.flip((yield* ourClient()).openDenied)
      assert.strictEqual(reason._tag, "Rejected")
      if (reason._tag !== "Rejected") return
      assert.strictEqual(reason.status, denies?.status)
      assert.strictEqual(reason.body, denies?.body)
      assert.containsSubset(reason.headers, denies?.headers)
    })
  )
}

/** The whole table for one peer. */
export const interoperates = (peer: Peculiarities): void =>
  layer(peer.layer, { excludeTestServices: true })(`interop with ${peer.name}`, (it) => {
    const shared = (start: StartSide): void => {
      messages(it, start)
      fragments(it, start, peer)
      pings(it, start, peer)
      closes(it, start, peer)
      handshakes(it, start, peer)
    }
    describe(`our server, ${peer.name} as client`, () => {
      shared(ourServer)
      ourServerOnly(it, peer)
    })
    if (peer.denies === undefined) return
    describe(`our client, ${peer.name} as server`, () => {
      shared(ourClient)
      ourClientOnly(it, peer)
    })
  })
