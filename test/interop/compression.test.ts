/**
 * Per-message compression with other implementations, in both roles.
 */
import { assert, describe, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { PerMessageBzip2, PerMessageDeflate } from "effect-websocket"
import type { CompressionRequest, Peer, PeerFailure } from "../support/interop.ts"
import { bytesOf, exchange, textOf } from "../support/interopCases.ts"
import { arePythonPeersThere, layer as pythonLayer } from "../support/interopPython.ts"
import { type CommonOptions, ourClient, ourServer, type Pair } from "../support/interopSides.ts"
import { layer as wsLayer } from "../support/interopWs.ts"

/** What our end asks of the peer, and the peer of our end. */
interface Requests {
  readonly ours: CompressionRequest
  readonly peers: CompressionRequest
}

/** The parameters that answer what is asked of a role. */
const parametersOf = (role: "server" | "client", asked: CompressionRequest): ReadonlyArray<string> => [
  ...(asked.requestNoContextTakeover === true ? [`${role}_no_context_takeover`] : []),
  ...(asked.requestMaxWindowBits === undefined
    ? []
    : [`${role}_max_window_bits=${asked.requestMaxWindowBits}`]),
  ...(asked.requestMaxCompressLevel === undefined
    ? []
    : [`${role}_max_compress_level=${asked.requestMaxCompressLevel}`])
]

/** How our end offers and accepts with its requests. */
const ourEnd = {
  "permessage-deflate": {
    accept: ({ ours }: Requests) => PerMessageDeflate.acceptOffer(ours),
    offer: ({ ours, peers }: Requests) =>
      new PerMessageDeflate.PerMessageDeflateOffer({
        ...ours,
        // To some servers it is as good as a request.
        acceptNoContextTakeover: peers.requestNoContextTakeover === true
      })
  },
  "permessage-bzip2": {
    accept: ({ ours }: Requests) => PerMessageBzip2.acceptOffer(ours),
    offer: ({ ours }: Requests) => new PerMessageBzip2.PerMessageBzip2Offer(ours)
  }
}

type Extension = keyof typeof ourEnd

/** A response in an order of its own: implementations have their parameters in different ones. */
const response = (extension: Extension, fromServer: CompressionRequest, fromClient: CompressionRequest) => [
  extension,
  ...[...parametersOf("client", fromServer), ...parametersOf("server", fromClient)].sort()
]

const negotiated = ({ ours }: Pair): ReadonlyArray<string> => {
  assert.lengthOf(ours.extensions, 1)
  const [name = "", ...parameters] = (ours.extensions[0] ?? "").split(/ *; */)
  return [name, ...parameters.sort()]
}

// A megabyte of the same few bytes is compressed to less than a 200th.
const anyRatio: CommonOptions = { maxDecompressionRatio: 0 }

/** Opens a connection on which both ends have what they ask for. */
const roles = [
  {
    role: "our server",
    open: Effect.fnUntraced(function* (extension: Extension, requests: Requests, options?: CommonOptions) {
      const { ours, peers } = requests
      const server = yield* ourServer(
        { ...anyRatio, ...options, perMessageCompressionAccept: ourEnd[extension].accept(requests) },
        { peer: { compression: { extension, ...peers } } }
      )
      const pair = yield* server.open()
      assert.deepStrictEqual(negotiated(pair), response(extension, ours, peers))
      return pair
    })
  },
  {
    role: "our client",
    open: Effect.fnUntraced(function* (extension: Extension, requests: Requests, options?: CommonOptions) {
      const { ours, peers } = requests
      const client = yield* ourClient(
        { ...anyRatio, ...options, perMessageCompressionOffers: [ourEnd[extension].offer(requests)] },
        { peer: { compression: { extension, ...peers } } }
      )
      const pair = yield* client.open()
      assert.deepStrictEqual(negotiated(pair), response(extension, peers, ours))
      return pair
    })
  }
] as const

/** So many bytes that nothing can be made of, always the same. */
const noise = (length: number): Uint8Array => {
  let state = 1
  return new Uint8Array(length).map(() => {
    state = Math.imul(state, 1_664_525) + 1_013_904_223
    return state >>> 24
  })
}

const messages: ReadonlyArray<string | Uint8Array> = [
  "",
  new Uint8Array(0),
  "a",
  Uint8Array.of(0),
  ...Array.from({ length: 10 }, (_, i) => `{"kind":"position","x":${i * 17},"y":${i * 31},"name":"Grüße"}`),
  textOf(100),
  noise(100),
  textOf(70_000),
  noise(70_000),
  textOf(1_000_000),
  bytesOf(300_000),
  noise(300_000),
  textOf(100)
]

/** All of the messages, there and back again, and fewer octets pass. */
const exchangeAll = Effect.fnUntraced(function* (pair: Pair) {
  for (const message of messages) yield* exchange(pair, message)
  const { received, sent } = yield* pair.ours.statistics
  for (const { messageOctets, messages: count, payloadOctets } of [received, sent]) {
    assert.strictEqual(count, messages.length)
    assert.isBelow(payloadOctets, messageOctets / 2)
  }
})

/** How many octets pass, each way, for what has just been sent once. */
const octetsOfRepetition = Effect.fnUntraced(function* (pair: Pair, message: Uint8Array) {
  yield* exchange(pair, message)
  const before = yield* pair.ours.statistics
  yield* exchange(pair, message)
  const after = yield* pair.ours.statistics
  return {
    sent: after.sent.payloadOctets - before.sent.payloadOctets,
    received: after.received.payloadOctets - before.received.payloadOctets
  }
})

const none: CompressionRequest = {}
const noTakeover: CompressionRequest = { requestNoContextTakeover: true }
const bits = (requestMaxWindowBits: number): CompressionRequest => ({ requestMaxWindowBits })

interface Row extends Requests {
  readonly name: string
  /** Each end refers to what it has sent before, farther back than 1000 bytes. */
  readonly sendsRemembered: boolean
  readonly receivesRemembered: boolean
}

const row = (
  name: string,
  ours: CompressionRequest,
  peers: CompressionRequest,
  sendsRemembered: boolean,
  receivesRemembered: boolean
): Row => ({ name, ours, peers, sendsRemembered, receivesRemembered })

const rows: ReadonlyArray<Row> = [
  row("context takeover", none, none, true, true),
  row("no context takeover", noTakeover, noTakeover, false, false),
  row("no context takeover of the peer", noTakeover, none, true, false),
  row("no context takeover of ours", none, noTakeover, false, true),
  row("windows of 15 bits", bits(15), bits(15), true, true),
  row("windows of 9 bits", bits(9), bits(9), false, false),
  row(
    "windows of 9 bits without context takeover",
    { ...bits(9), ...noTakeover },
    { ...bits(9), ...noTakeover },
    false,
    false
  )
]

/** zlib does not deflate with a window of 8 bits. Node takes one of 9 bits, of which zlib uses 250 bytes. */
const smallest = row("windows of 8 bits", bits(8), bits(8), false, false)
/** Python passes zlib's refusal on, so that only we can be asked. */
const ourSmallest = row("a window of 8 bits of ours", none, bits(8), false, true)

const interoperates = (name: string, peer: Layer.Layer<Peer, PeerFailure>, rows: ReadonlyArray<Row>): void =>
  layer(peer, { excludeTestServices: true })(`permessage-deflate with ${name}`, (it) => {
    it.effect.each(roles.flatMap((role) => rows.map((row) => ({ ...role, ...row }))))(
      "$role: $name",
      ({ open, receivesRemembered, sendsRemembered, ...requests }) =>
        Effect.gen(function* () {
          const pair = yield* open("permessage-deflate", requests)
          yield* exchangeAll(pair)
          const message = noise(1000)
          const { received, sent } = yield* octetsOfRepetition(pair, message)
          assert.strictEqual(sent < 100, sendsRemembered, `${sent} sent`)
          assert.strictEqual(received < 100, receivesRemembered, `${received} received`)
          const closed = { wasClean: true, code: 1000, reason: "" }
          assert.deepStrictEqual(yield* pair.ours.close(1000), closed)
        })
    )

    it.effect.each(roles)("$role: messages in fragments", ({ open }) =>
      Effect.gen(function* () {
        const pair = yield* open(
          "permessage-deflate",
          { ours: none, peers: none },
          { autoFragmentSize: 1000 }
        )
        yield* exchangeAll(pair)
        pair.peer.send(textOf(5000), 1000)
        assert.strictEqual(yield* pair.ours.receive, textOf(5000))
      })
    )
  })

interoperates("ws", wsLayer, [...rows, smallest])

describe.skipIf(!arePythonPeersThere)("a Python peer", () => {
  interoperates("websockets", pythonLayer("websockets_peer.py"), [...rows, ourSmallest])
  // Its windows have 9 bits at least.
  interoperates("Autobahn", pythonLayer("autobahn_peer.py"), rows)

  layer(pythonLayer("autobahn_peer.py"), { excludeTestServices: true })(
    "permessage-bzip2 with Autobahn",
    (it) => {
      const levels = [{ level: undefined }, { level: 1 }, { level: 9 }]
      it.effect.each(roles.flatMap((role) => levels.map((level) => ({ ...role, ...level }))))(
        "$role: level $level",
        ({ level, open }) =>
          Effect.gen(function* () {
            const request = level === undefined ? none : { requestMaxCompressLevel: level }
            yield* exchangeAll(yield* open("permessage-bzip2", { ours: request, peers: request }))
          })
      )
    }
  )
})
