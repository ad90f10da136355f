/**
 * What has broken other libraries on the wire, tried here. Each group is a class of bugs that was shipped.
 */
import { deflateRawSync } from "node:zlib"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { type Message, ServerOptions, type WebSocketChannel } from "effect-websocket"
import { NodeWebSocketServer } from "effect-websocket/node"
import { onTestFinished, vi } from "vitest"
import { settle } from "../support/apiSession.ts"
import type { Flooded, FloodName } from "../support/floods.ts"
import { bytesOf } from "../support/frames.ts"
import { assertFails, mebibyte, repeated, underAttack } from "../support/hazards.ts"
import { arrayBufferBytes } from "../support/memory.ts"
import * as Node from "../support/node.ts"
import { start } from "../support/processes.ts"
import { parseHead, type RawPeer, requestHead, responseHead } from "../support/RawPeer.ts"
import { closePayload, concat, encodeFrame, Opcode, toHex } from "../support/rawFrames.ts"
import { serveRaw } from "../support/rawHttp.ts"
import { itBothRoles, itFailsTheConnection } from "../support/rawRules.ts"
import { attempt, makeClient, type Role } from "../support/rawSession.ts"

/** 64 KiB that inflate to 64 MiB. */
const bomb = new Uint8Array(deflateRawSync(new Uint8Array(64 * mebibyte)))

/** A flood in a process of its own. */
const flood = Effect.fnUntraced(function* (name: FloodName, role: Role) {
  const program = yield* Effect.acquireRelease(
    Effect.sync(() =>
      start(process.execPath, ["--conditions=effect-websocket:source", "test/support/floods.ts", name, role])
    ),
    ({ signal }) => Effect.sync(() => signal("SIGKILL"))
  )
  const [line] = yield* Effect.promise(() => program.find(/^\{.*\}$/m))
  const flooded: Flooded = JSON.parse(line)
  return flooded
})

const compressions = [
  "permessage-deflate",
  "permessage-deflate; client_max_window_bits; server_no_context_takeover",
  "permessage-bzip2",
  "permessage-snappy",
  "permessage-brotli",
  "x-webkit-deflate-frame"
]

describe("decompression bomb: the limit was checked on the compressed size, or after inflating", () => {
  itBothRoles("a compressed message that nobody negotiated fails with 1002 and is not inflated", (role) =>
    Effect.gen(function* () {
      for (const opcode of [Opcode.text, Opcode.binary]) {
        const { goesOn, ...session } = yield* underAttack(role)
        const before = arrayBufferBytes()
        session.peer.send(session.peer.frame({ opcode, payload: bomb, rsv: 4 }))
        assert.deepStrictEqual(yield* assertFails(session, 1002), [])
        assert.isBelow(arrayBufferBytes() - before, mebibyte)
        yield* goesOn
      }
    })
  )

  it.effect.each(compressions)(
    "a server without compression does not accept %s, nor what it compresses",
    (offer) =>
      Effect.gen(function* () {
        const { acceptance, goesOn } = yield* serveRaw({ failByDrop: false })
        const session = yield* acceptance(requestHead({ "Sec-WebSocket-Extensions": offer }))
        assert.notProperty(session.headers, "sec-websocket-extensions")
        assert.deepStrictEqual(session.channel.extensions, [])
        session.peer.send(session.peer.binary(bomb, { rsv: 4 }))
        yield* assertFails(session, 1002)
        yield* goesOn
      })
  )

  it.effect.each(compressions)("a client that offered nothing fails at a server that chooses %s", (choice) =>
    Effect.gen(function* () {
      const { request, result } = yield* attempt((peer, key) =>
        peer.send(responseHead(key, { "Sec-WebSocket-Extensions": choice }), peer.binary(bomb, { rsv: 4 }))
      )
      assert.notInclude(request.toLowerCase(), "sec-websocket-extensions")
      const { reason } = yield* Effect.flip(Effect.fromResult(result))
      assert.strictEqual(reason._tag, "InvalidResponse")
    })
  )
})

describe("silent truncation of an over-long inflated message", () => {
  const limit = 1000
  const ways: ReadonlyArray<readonly [string, (peer: RawPeer, size: number) => ReadonlyArray<Uint8Array>]> = [
    ["binary in one frame", (peer, size) => [peer.binary(new Uint8Array(size))]],
    ["text in one frame", (peer, size) => [peer.text("x".repeat(size))]],
    [
      "text in fragments",
      (peer, size) => [
        peer.text("x".repeat(limit - 1), { fin: false }),
        peer.continuation("y".repeat(size - limit + 1), { fin: false }),
        peer.continuation("")
      ]
    ]
  ]

  for (const chunkSize of [Number.POSITIVE_INFINITY, 1, 333]) {
    describe(`in chunks of ${chunkSize} bytes`, () => {
      for (const [way, message] of ways) {
        itBothRoles(`${way}: all of it at the limit, 1009 and no prefix of it beyond`, (role) =>
          Effect.gen(function* () {
            const options = { maxMessagePayloadSize: limit }
            const { goesOn, ...session } = yield* underAttack(role, options, { network: { chunkSize } })
            const { channel, peer } = session
            peer.send(...message(peer, limit))
            assert.lengthOf(yield* channel.receive, limit)
            peer.send(peer.text("before"), ...message(peer, limit + 1), peer.text("after"))
            assert.deepStrictEqual<ReadonlyArray<Message>>(yield* assertFails(session, 1009), ["before"])
            yield* goesOn
          })
        )
      }
    })
  }
})

describe("tiny and empty fragments without end", () => {
  for (const count of [65_536, 1_048_576]) {
    const size = 4 * mebibyte
    itBothRoles(
      `a message of 4 MiB in ${count} fragments passes, and costs little more than its bytes`,
      (role) =>
        Effect.gen(function* () {
          const { channel, goesOn, peer } = yield* underAttack(role)
          const payload = bytesOf(size / count)
          const before = arrayBufferBytes()
          peer.send(peer.binary(payload, { fin: false }))
          const perChunk = 4096
          const chunk = repeated(peer.continuation(payload, { fin: false }), perChunk)
          for (let sent = 1; sent + perChunk < count; sent += perChunk) {
            peer.send(chunk)
            yield* settle
          }
          peer.send(chunk.subarray(0, (chunk.length / perChunk) * (perChunk - 2)))
          yield* settle
          assert.isBelow(arrayBufferBytes() - before, 2 * size)
          peer.send(peer.continuation(payload))
          const message = yield* channel.receive
          assert.isTrue(
            message instanceof Uint8Array && Buffer.compare(message, repeated(payload, count)) === 0
          )
          yield* goesOn
        })
    )
  }

  itBothRoles("ten million empty fragments change nothing", (role) =>
    Effect.gen(function* () {
      const { grown, last, received } = yield* flood("emptyFragments", role)
      assert.strictEqual(received, "data")
      assert.isBelow(grown, mebibyte)
      assert.deepStrictEqual(last, ["done"])
    })
  )
})

describe("unbounded message", () => {
  const { maxMessagePayloadSize } = ServerOptions.hardened
  const tooMuch = BigInt((maxMessagePayloadSize ?? 0) + 1)

  itBothRoles("beyond the hardened limit: 1009 at the frame's header, before its payload is there", (role) =>
    Effect.gen(function* () {
      const { goesOn, ...session } = yield* underAttack(role, { maxMessagePayloadSize })
      session.peer.send(session.peer.binary(new Uint8Array(0), { announcedLength: tooMuch }))
      yield* assertFails(session, 1009)
      yield* goesOn
    })
  )

  itBothRoles("in fragments: 1009 at the header that goes beyond the limit", (role) =>
    Effect.gen(function* () {
      const { goesOn, ...session } = yield* underAttack(role, { maxMessagePayloadSize: 1000 })
      const { peer } = session
      peer.send(peer.binary(new Uint8Array(999), { fin: false }))
      peer.send(peer.continuation(new Uint8Array(0), { fin: false, announcedLength: 2n }))
      yield* assertFails(session, 1009)
      yield* goesOn
    })
  )

  itBothRoles("without a limit nothing is allocated for what was announced and has not come", (role) =>
    Effect.gen(function* () {
      const { goesOn, peer } = yield* underAttack(role)
      const before = arrayBufferBytes()
      peer.send(peer.binary(new Uint8Array(1000), { announcedLength: 0x7fff_ffffn }))
      yield* settle
      assert.isBelow(arrayBufferBytes() - before, mebibyte)
      yield* goesOn
    })
  )
})

describe("length arithmetic", () => {
  const announced = [
    [2n ** 31n, "MessageTooBig", 1009],
    [2n ** 32n, "MessageTooBig", 1009],
    // Its lower half is a length that would be fine.
    [2n ** 32n + 5n, "MessageTooBig", 1009],
    [2n ** 53n - 1n, "MessageTooBig", 1009],
    [2n ** 53n, "FrameTooBig", 1009],
    [2n ** 63n - 1n, "FrameTooBig", 1009],
    [2n ** 63n, "LengthSignBit", 1002],
    [2n ** 63n + 5n, "LengthSignBit", 1002],
    [2n ** 64n - 1n, "LengthSignBit", 1002]
  ] as const
  itFailsTheConnection(
    announced.flatMap(([announcedLength, violation, code]) => [
      {
        rule: `a frame of ${announcedLength} bytes`,
        violation,
        code,
        bytes: (peer) => [peer.binary(new Uint8Array(5), { announcedLength })]
      },
      {
        rule: `a last fragment of ${announcedLength} bytes`,
        violation,
        code,
        bytes: (peer) => [
          peer.binary(new Uint8Array(5), { fin: false }),
          peer.continuation(new Uint8Array(5), { announcedLength })
        ]
      },
      {
        rule: `a ping of ${announcedLength} bytes`,
        violation: "ControlFrameTooLong",
        code: 1002,
        bytes: (peer) => [peer.frame({ opcode: Opcode.ping, payload: new Uint8Array(5), announcedLength })]
      }
    ])
  )

  itFailsTheConnection([
    {
      rule: "fragments whose sum is 2^31",
      violation: "MessageTooBig",
      code: 1009,
      bytes: (peer) => [
        peer.text("x".repeat(10), { fin: false }),
        peer.continuation("", { announcedLength: 2n ** 31n - 10n })
      ]
    },
    ...([16, 64] as const).flatMap((lengthForm) =>
      [0, 1, 125, ...(lengthForm === 64 ? [126, 65_535] : [])].map((length) => ({
        rule: `a length of ${length} written in ${lengthForm} bits`,
        violation: "LengthNotMinimal" as const,
        code: 1002 as const,
        bytes: (peer: RawPeer) => [peer.binary(new Uint8Array(length), { lengthForm })]
      }))
    )
  ])

  itBothRoles("none of it harms another connection", (role) =>
    Effect.gen(function* () {
      for (const [announcedLength, , code] of announced) {
        const { goesOn, ...session } = yield* underAttack(role)
        session.peer.send(session.peer.binary(new Uint8Array(5), { announcedLength }))
        yield* assertFails(session, code)
        yield* goesOn
      }
    })
  )
})

describe("uninitialised memory sent", () => {
  const typedArrays = [
    Int8Array,
    Uint8Array,
    Uint8ClampedArray,
    Int16Array,
    Uint16Array,
    Int32Array,
    Uint32Array,
    Float32Array,
    Float64Array,
    BigInt64Array,
    BigUint64Array
  ]

  /** Views that show the middle of a longer buffer, and the bytes they show: ASCII, as what is around is not. */
  const views = (size: number) => {
    const expected = bytesOf(size).map((byte) => byte & 0x7f)
    const around = 16
    const fill = <B extends ArrayBufferLike>(buffer: B): B => {
      new Uint8Array(buffer).fill(0xee).set(expected, around)
      return buffer
    }
    const whole = () => fill(new ArrayBuffer(size + 2 * around))
    const shared = () => fill(new SharedArrayBuffer(size + 2 * around))
    const pooled = Buffer.from(expected)
    const all: ReadonlyArray<readonly [string, ArrayBufferView]> = [
      ...typedArrays.map(
        (View) => [View.name, new View(whole(), around, size / View.BYTES_PER_ELEMENT)] as const
      ),
      ["DataView", new DataView(whole(), around, size)],
      ["a Buffer of the pool", pooled],
      ["a Buffer on a part", Buffer.from(whole(), around, size)],
      ["Uint8Array, shared", new Uint8Array(shared(), around, size)],
      ["DataView, shared", new DataView(shared(), around, size)]
    ]
    return { all, expected }
  }

  const first = <A>(stream: Stream.Stream<A>) =>
    Effect.map(Stream.runCollect(Stream.take(stream, 1)), ([head]) => head)

  /** The channels of a connection over TCP, as who sends and who receives: the client first, then the server. */
  const overTcp = Effect.gen(function* () {
    const accepted = yield* Queue.unbounded<WebSocketChannel.Channel>()
    const server = yield* Node.serve(NodeWebSocketServer.layer(Node.anyPort), {
      onOpen: (channel) => Effect.andThen(Queue.offer(accepted, channel), channel.closed)
    })
    const client = yield* (yield* Node.makeClient()).connect(Node.urlOf(server))
    const other = yield* Queue.take(accepted)
    return [
      [client, other],
      [other, client]
    ] as const
  })

  it.effect.each([0, 8, 4096, 4104, 65_536, 131_080])(
    "every view of %i bytes arrives byte for byte, both ways",
    (size) =>
      Effect.gen(function* () {
        const ways = yield* overTcp
        const { all, expected } = views(size)
        for (const [from, to] of ways) {
          for (const [name, view] of all) {
            yield* from.send(view)
            assert.deepStrictEqual(yield* to.receive, expected, name)
            yield* from.send({ payload: view, isBinary: false })
            assert.strictEqual(yield* to.receive, Buffer.from(expected).toString("latin1"), name)
          }
        }
      })
  )

  it.effect.each([0, 8, 120])("so do pings and pongs of %i bytes", (size) =>
    Effect.gen(function* () {
      const ways = yield* overTcp
      const { all, expected } = views(size)
      for (const [from, to] of ways) {
        for (const [name, view] of all) {
          yield* from.sendPing(view)
          assert.deepStrictEqual(yield* first(to.pings), expected, name)
          assert.deepStrictEqual(yield* first(from.pongs), expected, name)
          yield* from.sendPong(view)
          assert.deepStrictEqual(yield* first(to.pongs), expected, name)
        }
      }
    })
  )

  itBothRoles("what is no payload is not taken for the size of one", (role) =>
    Effect.gen(function* () {
      const { channel, peer } = yield* underAttack(role)
      const number = JSON.parse("100") // as a program without types may pass it
      assert.isTrue(Exit.isFailure(yield* Effect.exit(channel.send(number))))
      yield* channel.sendPing(number)
      yield* channel.sendPong(number)
      yield* channel.send("next")
      assert.deepStrictEqual(
        [yield* peer.read, yield* peer.read, yield* peer.read],
        ["ping", "pong", 'text "next"']
      )
    })
  )

  it.effect(
    "messages of all sizes around those of the buffers keep their bytes when they leave together",
    () =>
      Effect.gen(function* () {
        const ways = yield* overTcp
        const edges = [0, 125, 126, 4096, 32_768, 65_522, 65_526, 65_536, 131_072]
        const sizes = edges.flatMap((edge) => [edge - 1, edge, edge + 1, 1000]).filter((size) => size >= 0)
        for (const [from, to] of ways) {
          yield* Effect.forkChild(
            Effect.forEach(sizes, (size) => from.send(bytesOf(size, size)), { discard: true })
          )
          for (const size of sizes) assert.deepStrictEqual(yield* to.receive, bytesOf(size, size))
        }
      })
  )

  const reasons = ["", "x", "é".repeat(61), "x".repeat(123), `${"x".repeat(122)}€`, "\ud800", "\0\x0b"]
  itBothRoles("a Close frame has its code, its reason, and nothing else", (role) =>
    Effect.gen(function* () {
      for (const reason of reasons) {
        const { channel, peer } = yield* underAttack(role)
        yield* Effect.forkChild(channel.close(3000, reason))
        const kept = reason.endsWith("€") ? reason.slice(0, -1) : reason
        const { payload } = yield* peer.readFrame
        assert.strictEqual(toHex(payload), toHex(closePayload(3000, kept)))
      }
    })
  )
})

describe("control-frame floods", () => {
  const million = 1_000_000
  const perChunk = 10_000

  itBothRoles("a million pings: all are answered or the later ones, memory is flat, data flows", (role) =>
    Effect.gen(function* () {
      const { answers, grown, last, received } = yield* flood("pings", role)
      assert.strictEqual(received, "data")
      assert.isBelow(grown, mebibyte)
      assert.isAtMost(answers, million + 2)
      assert.deepStrictEqual(last, ["last", "done"])
    })
  )

  itBothRoles("a million pongs: memory is flat, data flows", (role) =>
    Effect.gen(function* () {
      const { grown, last, received } = yield* flood("pongs", role)
      assert.strictEqual(received, "data")
      assert.isBelow(grown, mebibyte)
      assert.deepStrictEqual(last, ["done"])
    })
  )

  itBothRoles("a million pings of a peer that does not read: the last is answered, once it reads", (role) =>
    Effect.gen(function* () {
      const { answers, buffered, grown, last, received } = yield* flood("unreadPings", role)
      assert.strictEqual(received, "data")
      assert.isBelow(grown, mebibyte)
      assert.isTrue(buffered >= 65_536 && buffered < 65_536 + 256, `${buffered} bytes wait`)
      assert.isBelow(answers, million / 10)
      assert.deepStrictEqual(last, ["last", "done"])
    })
  )

  it.effect("over TCP, from a peer that does not read: memory is flat, and others are served meanwhile", () =>
    Effect.gen(function* () {
      const maxSendBufferSize = 65_536
      const channels = yield* Queue.unbounded<WebSocketChannel.Channel>()
      const server = yield* Node.serve(NodeWebSocketServer.layer(Node.anyPort, { maxSendBufferSize }), {
        onOpen: (channel) => Effect.andThen(Queue.offer(channels, channel), channel.closed)
      })
      const port = Node.portOf(server.address)
      const attacker = yield* Node.rawTcp(port)
      attacker.socket.pause()
      attacker.send(requestHead())
      const channel = yield* Queue.take(channels)
      const bystander = yield* (yield* Node.makeClient()).connect(Node.urlOf(server))
      const served = yield* Queue.take(channels)
      const ping = (payload: string) => encodeFrame({ opcode: Opcode.ping, payload, masked: true })
      const pings = repeated(ping("p".repeat(125)), perChunk)
      const data = encodeFrame({ opcode: Opcode.text, payload: "data", masked: true })
      const before = arrayBufferBytes()
      // More than the kernel's buffers take, by far.
      for (let sent = 0; sent < million / 5; sent += perChunk) {
        attacker.send(pings, data)
        assert.strictEqual(yield* channel.receive, "data")
        yield* bystander.send("hello")
        assert.strictEqual(yield* served.receive, "hello")
      }
      const held = yield* channel.bufferedAmount
      assert.isTrue(held >= maxSendBufferSize && held < maxSendBufferSize + 256, `${held} bytes wait`)
      assert.isBelow(arrayBufferBytes() - before, 4 * mebibyte)
      let tail = ""
      attacker.socket.prependListener("data", (chunk: Buffer) => {
        tail = chunk.subarray(-4).toString("latin1")
      })
      attacker.send(ping("last"))
      attacker.socket.resume()
      yield* attacker.until(() => tail === "last")
    })
  )
})

describe("masks from a weak random source", () => {
  it.effect("keys are the bytes of Web Crypto's generator, each used once, over connections and blocks", () =>
    Effect.gen(function* () {
      const draws: Array<Uint8Array> = []
      const { crypto } = globalThis
      const draw = crypto.getRandomValues.bind(crypto)
      const spy = vi.spyOn(crypto, "getRandomValues").mockImplementation((array) => {
        const drawn = draw(array)
        if (ArrayBuffer.isView(drawn)) {
          draws.push(new Uint8Array(drawn.buffer, drawn.byteOffset, drawn.byteLength).slice())
        }
        return drawn
      })
      onTestFinished(() => spy.mockRestore())
      const connections = 2
      const client = yield* makeClient()
      const sessions = yield* Effect.forEach(Array.from({ length: connections }), () =>
        Effect.gen(function* () {
          const [channel, peer] = yield* Effect.all(
            [
              client.connect("ws://test/"),
              Effect.gen(function* () {
                const peer = yield* client.accept
                const { headers } = parseHead(yield* peer.readHead)
                const key = headers["sec-websocket-key"] ?? ""
                assert.deepStrictEqual(Buffer.from(key, "base64"), Buffer.from(draws.at(-1)!))
                peer.send(responseHead(key))
                return peer
              })
            ],
            { concurrency: "unbounded" }
          )
          yield* Effect.addFinalizer(() => Effect.sync(() => peer.drop()))
          return { channel, peer }
        })
      )
      draws.length = 0
      const keys: Array<Uint8Array> = []
      for (let turn = 0; turn < 2500; turn++) {
        for (const { channel, peer } of sessions) {
          yield* channel.send("x")
          keys.push((yield* peer.readFrame).maskingKey ?? new Uint8Array())
        }
      }
      assert.isAbove(draws.length, 1)
      const used = concat(...keys)
      assert.strictEqual(used.length, 4 * 2500 * connections)
      assert.strictEqual(toHex(used), toHex(concat(...draws).subarray(0, used.length)))
    })
  )
})
