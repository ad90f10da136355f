/**
 * The options of a client: the default of each, what it does on the wire, and what it cannot be.
 */
import { Buffer } from "node:buffer"
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import { ClientOptions, Protocol, WebSocketClient, WebSocketCrypto } from "effect-websocket"
import { InMemoryTransport, WebSocketTest } from "effect-websocket/testing"
import { connecting, observed, open, settle } from "../support/apiSession.ts"
import { layer, rawServer } from "../support/bothEnds.ts"
import { heartbeats, pongs, texts } from "../support/heartbeat.ts"
import { flooded, grown } from "../support/limitProbes.ts"
import { record } from "../support/nodeRecorder.ts"
import { parseHead, RawPeer, responseHead } from "../support/RawPeer.ts"
import { hex } from "../support/rawFrames.ts"
import { offer, protocol } from "../support/xorExtension.ts"

type Input = ClientOptions.ClientOptionsInput

/** One option. */
interface Row {
  readonly default: unknown
  /** What is allowed, in the words of the error. */
  readonly allowed: string
  /** Does something to a client with these options, and says what is seen. */
  readonly observe: (options: Input) => Effect.Effect<unknown, unknown, Scope.Scope>
  /** What is seen, by what is given; `undefined`: without the option. */
  readonly seen: ReadonlyArray<readonly [given: unknown, seen: unknown]>
}

const flag = "true or false"
const size = "a whole number of bytes, 0 for no limit"
const limit = "a whole number, 0 for no limit"
const count = "a whole number from 1"
const duration = 'a finite duration such as "5 seconds" or Duration.seconds(5), or 0 for no limit'
const pingSize = "a whole number of bytes from 4 to 125"
const offers = "a list of offers such as new PerMessageDeflateOffer()"
const acceptor = "a function that takes a response and gives an accept or undefined"
const versions = "one of 10, 11, 12, 13, 14, 15, 16, 17, 18"

/** Values that an option cannot have, by what it wants. */
const wrong: Readonly<Record<string, ReadonlyArray<unknown>>> = {
  [flag]: [0, "true", null],
  [size]: [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, "1024", null],
  [limit]: [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, "1024", null],
  [count]: [0, -1, 1.5, "1", null],
  [duration]: [5, 1000, -1, "5", "soon", "-1 seconds", Duration.infinity, Duration.seconds(-1), null, true],
  [pingSize]: [0, 3, 126, 4.5, "4", null],
  [offers]: [true, "permessage-xor", ["permessage-xor"], [{}], null],
  [acceptor]: [true, "permessage-xor", {}, null],
  [versions]: [9, 19, 0, 8, 13.5, "13", null, [13]]
}

/** RFC 6455 section 5.7's masking key. */
const fixedKey = Layer.provide(
  Protocol.layerNoCrypto,
  Layer.succeed(WebSocketCrypto.WebSocketCrypto, {
    randomBytes: (size) => new Uint8Array(size),
    maskingKey: () => 0x37fa213d,
    sha1: () => new Uint8Array(20)
  })
)

// ---- what is seen -------------------------------------------------------------

/** The frames that answer the peer's bytes, and how the client ends. */
const answers = (options: Input, ...parts: ReadonlyArray<(peer: RawPeer) => Uint8Array>) =>
  Effect.gen(function* () {
    const { peer } = yield* open("client", options)
    peer.send(...parts.map((part) => part(peer)))
    yield* settle
    peer.finish()
    const { end, frames } = yield* peer.rest
    // Without the reasons of failed connections.
    return [...frames.map((frame) => frame.replace(/^(close 10[0-9]{2}) ".*"$/, "$1")), end]
  })

/** The bytes of a text message. */
const sent = (text: string) => (options: Input) =>
  Effect.gen(function* () {
    const { peer, transport, channel } = yield* openFixed(options)
    const recorder = record(transport)
    yield* channel.send(text)
    yield* settle
    peer.drop()
    return Buffer.concat(recorder.chunks).toString("hex")
  })

/** A channel whose masking keys are fixed. The accept key of its handshake is that of an all-zero digest. */
const openFixed = Effect.fnUntraced(function* (options: Input) {
  const pair = yield* InMemoryTransport.makePair()
  const peer = new RawPeer(pair.server, "server")
  const fiber = yield* WebSocketClient.make(options).pipe(
    Effect.flatMap((client) => client.connect("ws://test/")),
    Effect.provide([fixedKey, connecting(pair.client)]),
    Effect.forkChild
  )
  yield* peer.readHead
  peer.send(responseHead("", { "Sec-WebSocket-Accept": Buffer.alloc(20).toString("base64") }))
  return { peer, transport: pair.server, channel: yield* Fiber.join(fiber) }
})

/** The client's request, before any response. */
const requested = Effect.fnUntraced(function* (options: Input, session?: WebSocketClient.SessionParameters) {
  const pair = yield* InMemoryTransport.makePair()
  const peer = new RawPeer(pair.server, "server")
  const noDelay: Array<boolean> = []
  const transport = {
    ...observed(pair.client, () => {}),
    setNoDelay: (enabled: boolean) => void noDelay.push(enabled)
  }
  const fiber = yield* WebSocketClient.make(options).pipe(
    Effect.flatMap((client) => client.connect("ws://test/", session)),
    Effect.provide([protocol(), connecting(transport)]),
    Effect.as("open"),
    Effect.catchTag("HandshakeError", ({ reason }) => Effect.succeed(reason._tag)),
    Effect.forkChild
  )
  yield* Effect.addFinalizer(() => pair.faults.reset)
  const request = parseHead(yield* peer.readHead)
  return { fiber, noDelay, peer, ...request }
})

/** What becomes of a response with these headers: "open", or the reason why not. */
const responded = (options: Input, headers: Record<string, string>) =>
  Effect.gen(function* () {
    const { fiber, headers: asked, peer } = yield* requested(options)
    peer.send(responseHead(asked["sec-websocket-key"] ?? "", headers))
    const outcome = yield* Fiber.join(fiber)
    peer.drop()
    return outcome
  })

/** After how many milliseconds a client has dropped the transport; `never`: not within a day. */
const droppedAfter = (peer: RawPeer) =>
  Effect.gen(function* () {
    yield* settle
    for (const milliseconds of [1000, 3000, 30_000]) {
      yield* TestClock.setTime(milliseconds - 1)
      yield* settle
      if (peer.end !== undefined) return `before ${milliseconds - 1}`
      yield* TestClock.setTime(milliseconds)
      yield* settle
      if (peer.end !== undefined) return milliseconds
    }
    yield* TestClock.adjust("1 day")
    yield* settle
    return peer.end ?? "never"
  })

const invalidText = (peer: RawPeer) => peer.text(hex("ff"))
const reservedBit = (peer: RawPeer) => peer.text("x", { rsv: 1 })
const fiveBytes = (peer: RawPeer) => peer.text("12345")
const twoAndThreeBytes = (peer: RawPeer) =>
  new Uint8Array([...peer.text("12", { fin: false }), ...peer.continuation("345")])
const masked = (peer: RawPeer) => peer.text("x", { masked: true })
const close = (peer: RawPeer) => peer.close(4000, "bye")

const byClose = { failByDrop: false } as const
const closed = ["close 1000", "fin"]

// ---- the table ----------------------------------------------------------------

const table: Readonly<Record<keyof ClientOptions.ClientOptions, Row>> = {
  version: {
    default: 18,
    allowed: versions,
    observe: (options) =>
      Effect.map(requested(options, { origin: "http://a" }), ({ headers }) => [
        headers["sec-websocket-version"],
        headers["origin"],
        headers["sec-websocket-origin"]
      ]),
    seen: [
      [undefined, ["13", "http://a", undefined]],
      ...[13, 14, 15, 16, 17, 18].map((version) => [version, ["13", "http://a", undefined]] as const),
      ...[10, 11, 12].map((version) => [version, ["8", undefined, "http://a"]] as const)
    ]
  },
  utf8validateIncoming: {
    default: true,
    allowed: flag,
    observe: (options) => answers({ ...options, ...byClose }, invalidText, close),
    seen: [
      [undefined, ["close 1007", "fin"]],
      [false, closed]
    ]
  },
  acceptMaskedServerFrames: {
    default: false,
    allowed: flag,
    observe: (options) => answers({ ...options, ...byClose }, masked, close),
    seen: [
      [undefined, ["close 1002", "fin"]],
      [true, closed]
    ]
  },
  maskClientFrames: {
    default: true,
    allowed: flag,
    observe: sent("Hello"),
    seen: [
      [undefined, "818537fa213d7f9f4d5158"],
      [false, "810548656c6c6f"]
    ]
  },
  applyMask: {
    default: true,
    allowed: flag,
    observe: sent("Hello"),
    seen: [
      [undefined, "818537fa213d7f9f4d5158"],
      [false, "818537fa213d48656c6c6f"]
    ]
  },
  maxFramePayloadSize: {
    default: 0,
    allowed: size,
    observe: (options) => answers({ ...options, ...byClose }, fiveBytes, close),
    seen: [
      [undefined, closed],
      [5, closed],
      [4, ["close 1009", "fin"]]
    ]
  },
  maxMessagePayloadSize: {
    default: 0,
    allowed: size,
    observe: (options) => answers({ ...options, ...byClose }, twoAndThreeBytes, close),
    seen: [
      [undefined, closed],
      [5, closed],
      [4, ["close 1009", "fin"]]
    ]
  },
  maxDecompressionRatio: {
    default: 0,
    allowed: limit,
    observe: (options) => grown("client", options),
    seen: [
      [undefined, [1000, 1000]],
      [200, [1000, 1000]],
      [199, [1000, 1009]]
    ]
  },
  maxControlFramesPerSecond: {
    default: 0,
    allowed: limit,
    observe: (options) => flooded("client", options),
    seen: [
      [undefined, [1000, 1000]],
      [4, [1000, 1000]],
      [3, [1000, 1008]],
      [2, [1008, 1008]]
    ]
  },
  autoFragmentSize: {
    default: 0,
    allowed: size,
    observe: (options) => sent("Hello")({ ...options, maskClientFrames: false }),
    seen: [
      [undefined, "810548656c6c6f"],
      [5, "810548656c6c6f"],
      [2, "0102486500026c6c80016f"]
    ]
  },
  failByDrop: {
    default: true,
    allowed: flag,
    observe: (options) => answers(options, reservedBit),
    seen: [
      [undefined, ["drop"]],
      [false, ["close 1002", "fin"]]
    ]
  },
  echoCloseCodeReason: {
    default: false,
    allowed: flag,
    observe: (options) => answers(options, close),
    seen: [
      [undefined, closed],
      [true, ['close 4000 "bye"', "fin"]]
    ]
  },
  openHandshakeTimeout: {
    default: Duration.zero,
    allowed: duration,
    observe: (options) => Effect.flatMap(requested(options), ({ peer }) => droppedAfter(peer)),
    seen: [
      [undefined, "never"],
      ["3 seconds", 3000]
    ]
  },
  closeHandshakeTimeout: {
    default: Duration.seconds(1),
    allowed: duration,
    observe: (options) =>
      Effect.gen(function* () {
        const { channel, peer } = yield* open("client", options)
        yield* Effect.forkChild(channel.close(1000))
        return yield* droppedAfter(peer)
      }),
    seen: [
      [undefined, 1000],
      ["3 seconds", 3000],
      [0, "never"]
    ]
  },
  serverConnectionDropTimeout: {
    default: Duration.seconds(1),
    allowed: duration,
    observe: (options) =>
      Effect.gen(function* () {
        const { peer } = yield* open("client", options)
        peer.send(peer.close(1000))
        return yield* droppedAfter(peer)
      }),
    seen: [
      [undefined, 1000],
      ["3 seconds", 3000],
      [0, 30_000]
    ]
  },
  perMessageCompressionOffers: {
    default: [],
    allowed: offers,
    observe: (options) =>
      Effect.map(requested(options), ({ headers }) => headers["sec-websocket-extensions"]),
    seen: [
      [undefined, undefined],
      [[offer], "permessage-xor"],
      // What is not spoken here is not offered.
      [[{ extensionName: "x-other", extensionString: "x-other" }, offer], "permessage-xor"]
    ]
  },
  perMessageCompressionAccept: {
    default: undefined,
    allowed: acceptor,
    observe: (options) =>
      responded(
        { ...options, perMessageCompressionOffers: [offer] },
        { "Sec-WebSocket-Extensions": "permessage-xor" }
      ),
    seen: [
      [undefined, "open"],
      [() => undefined, "InvalidResponse"]
    ]
  },
  autoPingInterval: {
    default: Duration.zero,
    allowed: duration,
    observe: (options) => heartbeats("client", options, pongs),
    seen: [
      [undefined, []],
      ["4 seconds", ["4 00000001", "8 00000002"]],
      [Duration.seconds(6), ["6 00000001"]]
    ]
  },
  autoPingTimeout: {
    default: Duration.zero,
    allowed: duration,
    observe: (options) => heartbeats("client", { autoPingInterval: "4 seconds", ...options }),
    seen: [
      [undefined, ["4 00000001", "8 00000002"]],
      ["2 seconds", ["4 00000001", "6 drop"]],
      ["5 seconds", ["4 00000001", "9 drop"]]
    ]
  },
  autoPingSize: {
    default: 4,
    allowed: pingSize,
    observe: (options) => heartbeats("client", { autoPingInterval: "6 seconds", ...options }),
    seen: [
      [undefined, ["6 00000001"]],
      [11, [`6 00000001${"00".repeat(7)}`]],
      // From 12 on the send time stands first: 6 seconds after 1970 began.
      [12, ["6 0000000165a0bc0000000001"]],
      [125, [`6 0000000165a0bc0000000001${"00".repeat(113)}`]]
    ]
  },
  autoPingRestartOnAnyTraffic: {
    default: true,
    allowed: flag,
    observe: (options) =>
      heartbeats(
        "client",
        { autoPingInterval: "4 seconds", autoPingTimeout: "3 seconds", ...options },
        texts
      ),
    seen: [
      [undefined, ["4 00000001", "8 00000002"]],
      [false, ["4 00000001", "7 drop"]]
    ]
  },
  tcpNoDelay: {
    default: true,
    allowed: flag,
    observe: (options) => Effect.map(requested(options), ({ noDelay }) => noDelay),
    seen: [
      [undefined, [true]],
      [false, [false]]
    ]
  },
  maxSendBufferSize: {
    default: 1_048_576,
    allowed: count,
    // How many messages of 16 KiB, a frame's head each, go out while the server does not read.
    observe: (options) =>
      Effect.gen(function* () {
        const { channel, peerEnd } = yield* open("client", options, { network: { capacity: 0 } })
        peerEnd.pause()
        let accepted = 0
        const send = Effect.andThen(
          channel.send(new Uint8Array(16_384)),
          Effect.sync(() => accepted++)
        )
        yield* Effect.forkChild(Effect.forever(send, { disableYield: true }))
        yield* settle
        return accepted
      }),
    seen: [
      [undefined, 64],
      [1, 1],
      [32_768, 2]
    ]
  },
  maxReceiveBufferSize: {
    default: 1_048_576,
    allowed: count,
    // How many messages of 64 KiB the client reads that nobody pulls.
    observe: (options) =>
      Effect.gen(function* () {
        const { peer, peerEnd } = yield* open("client", options, { network: { capacity: 0 } })
        let read = 0
        while (read < 32) {
          peer.send(peer.binary(new Uint8Array(65_536)))
          yield* settle
          if (peerEnd.bufferedAmount > 0) return read
          read++
        }
        return read
      }),
    seen: [
      [undefined, 16],
      [1, 1],
      [131_072, 2]
    ]
  },
  maxHandshakeSize: {
    default: 16_384,
    allowed: count,
    observe: (options) =>
      Effect.all([1000, 16_000, 17_000].map((length) => responded(options, { "X-A": "a".repeat(length) }))),
    seen: [
      [undefined, ["open", "open", "InvalidResponse"]],
      [2000, ["open", "InvalidResponse", "InvalidResponse"]],
      [20_000, ["open", "open", "open"]]
    ]
  },
  maxHandshakeHeaders: {
    default: 100,
    allowed: count,
    // Beside the three of the handshake.
    observe: (options) =>
      Effect.all(
        [7, 8, 97, 98].map((length) =>
          responded(options, Object.fromEntries(Array.from({ length }, (_, i) => [`X-${i}`, "a"])))
        )
      ),
    seen: [
      [undefined, ["open", "open", "open", "InvalidResponse"]],
      [10, ["open", "InvalidResponse", "InvalidResponse", "InvalidResponse"]]
    ]
  }
}

const rows = Object.entries(table)
const defaults = Object.fromEntries(rows.map(([option, row]) => [option, row.default]))

const decode = (input: object): Result.Result<object, unknown> => ClientOptions.decode(input)
const decoded = (input: object) => Result.getOrThrow(decode(input))

describe("ClientOptions", () => {
  it("are those of the table, with its defaults", () => {
    assert.deepStrictEqual(decoded({}), defaults)
    assert.sameMembers(Object.keys(ClientOptions.ClientOptions.fields), Object.keys(table))
  })

  it("refuse an option of another name", () => {
    const { allowed, option, value } = Result.getOrThrow(
      Result.flip(ClientOptions.decode(Object({ maxPayload: 5 })))
    )
    assert.deepStrictEqual([option, value, allowed], ["maxPayload", 5, "no option of this name"])
  })

  it("have a preset for the public internet", () => {
    assert.deepStrictEqual(decoded(ClientOptions.hardened), {
      ...defaults,
      failByDrop: false,
      maxFramePayloadSize: 16 * 1_048_576,
      maxMessagePayloadSize: 16 * 1_048_576,
      maxDecompressionRatio: 500,
      maxControlFramesPerSecond: 100,
      openHandshakeTimeout: Duration.seconds(10),
      closeHandshakeTimeout: Duration.seconds(5),
      serverConnectionDropTimeout: Duration.seconds(5),
      echoCloseCodeReason: true,
      autoPingInterval: Duration.seconds(30),
      autoPingTimeout: Duration.seconds(30)
    })
  })

  it.effect("that are wrong fail the layer", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        Layer.build(WebSocketTest.layer({ client: { maxFramePayloadSize: -1 } }))
      )
      assert.strictEqual(
        error.message,
        "invalid option maxFramePayloadSize: expected a whole number of bytes, 0 for no limit, got -1"
      )
    })
  )

  it.effect("may change while the client runs, for its next connections", () =>
    Effect.gen(function* () {
      const { connect, options } = yield* WebSocketClient.WebSocketClient
      const peers = yield* rawServer
      const versionAsked = Effect.gen(function* () {
        yield* Effect.forkChild(connect("ws://test/"))
        const peer = yield* Queue.take(peers)
        const { headers } = parseHead(yield* peer.readHead)
        peer.drop()
        return headers["sec-websocket-version"]
      })
      assert.strictEqual(yield* versionAsked, "13")
      yield* options.set({ version: 10 })
      assert.strictEqual(yield* versionAsked, "8")
      yield* options.reset
      assert.strictEqual(yield* versionAsked, "13")
    }).pipe(Effect.provide(layer()))
  )
})

for (const [option, { allowed, observe, seen }] of rows) {
  describe(option, () => {
    for (const [given, expected] of seen) {
      const options = given === undefined ? {} : { [option]: given }
      it.effect(given === undefined ? "by default" : `as ${String(given)}`, () =>
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* observe(options), expected)
        })
      )

      it(`changes no other option (${String(given)})`, () => {
        assert.deepStrictEqual(
          { ...decoded(options), [option]: "this one" },
          { ...defaults, [option]: "this one" }
        )
      })
    }

    it("refuses what it cannot be, by name", () => {
      for (const value of wrong[allowed] ?? assert.fail("nothing is wrong")) {
        const failure = Result.getOrThrow(Result.flip(decode({ [option]: value })))
        assert.deepInclude(failure, { _tag: "InvalidOptions", option, value, allowed })
      }
    })
  })
}
