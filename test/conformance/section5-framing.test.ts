import { createHash } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { WebSocketCrypto } from "effect-websocket"
import type { RawPeer } from "../support/RawPeer.ts"
import { concat, hex, Opcode, toHex, utf8 } from "../support/rawFrames.ts"
import { type Case, itBothRoles, itFailsTheConnection } from "../support/rawRules.ts"
import { open, take } from "../support/rawSession.ts"

/** One byte more each time, so that a misplaced or wrongly masked one shows. */
const counting = (length: number): Uint8Array => Uint8Array.from({ length }, (_, index) => index % 251)

/** Every length at which the form changes. */
const lengths = [0, 1, 2, 124, 125, 126, 127, 128, 65_534, 65_535, 65_536, 65_537, 200_000]

describe("RFC 6455 section 5.1: masking follows from the role", () => {
  const kinds = (peer: RawPeer, masked: boolean): Readonly<Record<string, Uint8Array>> => ({
    text: peer.text("x", { masked }),
    "an empty text": peer.text("", { masked }),
    binary: peer.binary(hex("00"), { masked }),
    "a large frame": peer.binary(counting(70_000), { masked }).slice(0, 500),
    "a ping": peer.frame({ opcode: Opcode.ping, masked }),
    "a pong": peer.frame({ opcode: Opcode.pong, masked }),
    "a Close": peer.frame({ opcode: Opcode.close, payload: hex("03e8"), masked })
  })
  const names = ["text", "an empty text", "binary", "a large frame", "a ping", "a pong", "a Close"]

  itFailsTheConnection(
    names.flatMap(
      (name): ReadonlyArray<Case> => [
        {
          rule: `${name} of a client must be masked`,
          violation: "MaskMissing",
          code: 1002,
          roles: ["server"],
          bytes: (peer) => [kinds(peer, false)[name] ?? assert.fail(name)]
        },
        {
          rule: `${name} of a server must not be masked`,
          violation: "MaskForbidden",
          code: 1002,
          roles: ["client"],
          bytes: (peer) => [kinds(peer, true)[name] ?? assert.fail(name)]
        }
      ]
    )
  )

  itFailsTheConnection([
    {
      rule: "a client's fragment must be masked, also when the first one was",
      violation: "MaskMissing",
      code: 1002,
      roles: ["server"],
      bytes: (peer) => [peer.text("a", { fin: false }), peer.continuation("b", { masked: false })]
    }
  ])

  itBothRoles("all kinds of frames sent are masked by a client and not by a server", (role) =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role, { autoFragmentSize: 3 })
      yield* channel.send("text")
      yield* channel.send(hex("0102"))
      yield* channel.sendPing()
      yield* channel.sendPong(hex("0304"))
      peer.send(peer.ping("p"), peer.close(1000))
      const { frames } = yield* Effect.all([
        peer.readFrame,
        peer.readFrame,
        peer.readFrame,
        peer.readFrame,
        peer.readFrame,
        peer.readFrame,
        peer.readFrame
      ]).pipe(Effect.map((all) => ({ frames: all })))
      assert.deepStrictEqual(
        frames.map(({ maskingKey }) => maskingKey !== undefined),
        frames.map(() => role === "client")
      )
      assert.deepStrictEqual(
        frames.map(({ opcode }) => opcode),
        [1, 0, 2, 9, 10, 10, 8]
      )
    })
  )
})

describe("RFC 6455 section 5.2: base framing protocol", () => {
  describe("reserved bits must be 0 unless an extension has defined them", () => {
    const bits = ["RSV3", "RSV2", "RSV2 and RSV3", "RSV1", "RSV1 and RSV3", "RSV1 and RSV2", "all three"]
    itFailsTheConnection(
      bits.map((name, index) => ({
        rule: `${name} set in a text frame`,
        violation: "ReservedBits",
        code: 1002,
        bytes: (peer) => [peer.text("x", { rsv: index + 1 })]
      }))
    )
    itFailsTheConnection(
      ["binary", "close", "ping", "pong"].flatMap((name) =>
        [4, 2, 1].map(
          (rsv): Case => ({
            rule: `RSV${rsv === 4 ? 1 : rsv === 2 ? 2 : 3} set in a ${name} frame`,
            violation: "ReservedBits",
            code: 1002,
            bytes: (peer) => [
              peer.frame({
                opcode: { binary: 2, close: 8, ping: 9, pong: 10 }[name] ?? assert.fail(name),
                rsv
              })
            ]
          })
        )
      )
    )
    itFailsTheConnection([
      {
        rule: "a reserved bit set in a continuation frame",
        violation: "ReservedBits",
        code: 1002,
        bytes: (peer) => [peer.text("a", { fin: false }), peer.continuation("b", { rsv: 4 })]
      }
    ])
  })

  describe("an unknown opcode fails the connection", () => {
    const reserved = [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]
    itFailsTheConnection(
      reserved.flatMap(
        (opcode): ReadonlyArray<Case> => [
          {
            rule: `opcode ${opcode}`,
            violation: "ReservedOpcode",
            code: 1002,
            bytes: (peer) => [peer.frame({ opcode, payload: "x" })]
          },
          {
            rule: `opcode ${opcode}, empty and not final`,
            violation: "ReservedOpcode",
            code: 1002,
            bytes: (peer) => [peer.frame({ opcode, fin: false })]
          }
        ]
      )
    )
    itFailsTheConnection(
      [3, 11].map((opcode) => ({
        rule: `opcode ${opcode} within a fragmented message`,
        violation: "ReservedOpcode",
        code: 1002,
        bytes: (peer) => [peer.text("a", { fin: false }), peer.frame({ opcode })]
      }))
    )
  })

  describe("the length uses the minimal number of bytes", () => {
    const wrong = [
      [0, 16],
      [1, 16],
      [125, 16],
      [0, 64],
      [125, 64],
      [126, 64],
      [65_535, 64]
    ] as const
    itFailsTheConnection(
      wrong.flatMap(([length, lengthForm]) =>
        [Opcode.text, Opcode.binary].map(
          (opcode): Case => ({
            rule: `length ${length} of a frame with opcode ${opcode} in ${lengthForm} bits`,
            violation: "LengthNotMinimal",
            code: 1002,
            bytes: (peer) => [peer.frame({ opcode, payload: counting(length), lengthForm })]
          })
        )
      )
    )

    for (const length of lengths) {
      itBothRoles(`reads a frame of ${length} bytes, in one piece and cut`, (role) =>
        Effect.gen(function* () {
          for (const chunkSize of length > 1000 ? [undefined, 4093] : [undefined, 1, 2, 3]) {
            const network = chunkSize === undefined ? undefined : { chunkSize }
            const { channel, peer } = yield* open(role, {}, { network })
            const payload = counting(length)
            peer.send(peer.binary(payload), peer.text("next"))
            assert.deepStrictEqual(yield* take(channel, 2), [payload, "next"])
          }
        })
      )

      itBothRoles(`writes a frame of ${length} bytes in the minimal form`, (role) =>
        Effect.gen(function* () {
          const { channel, peer } = yield* open(role)
          const payload = counting(length)
          yield* channel.send(payload)
          yield* channel.send("a".repeat(length))
          const binary = yield* peer.readFrame
          const text = yield* peer.readFrame
          assert.isTrue(binary.isMinimal && binary.fin && text.isMinimal && text.fin)
          assert.deepStrictEqual([binary.opcode, text.opcode], [2, 1])
          assert.deepStrictEqual(binary.payload, payload)
          assert.deepStrictEqual(text.payload, utf8("a".repeat(length)))
        })
      )
    }
  })

  describe("the most significant bit of a 64-bit length must be 0", () => {
    itFailsTheConnection(
      [2n ** 63n, 2n ** 64n - 1n, 2n ** 63n + 126n].map((announcedLength) => ({
        rule: `length ${announcedLength}`,
        violation: "LengthSignBit",
        code: 1002,
        bytes: (peer) => [peer.binary(hex(""), { announcedLength })]
      }))
    )
  })

  describe("section 5.3: client-to-server masking", () => {
    const keys = ["00000000", "ffffffff", "000000ff", "80000000", "deadbeef"]
    for (const key of keys) {
      it.effect(`server: unmasks with the key ${key}, wherever the payload starts and is cut`, () =>
        Effect.gen(function* () {
          for (const chunkSize of [1, 3, 5, 64, 100_000]) {
            const { channel, peer } = yield* open("server", {}, { network: { chunkSize } })
            const payloads = [0, 1, 2, 3, 4, 5, 7, 8, 9, 31, 125, 126, 300].map(counting)
            peer.send(...payloads.map((payload) => peer.binary(payload, { maskingKey: hex(key) })))
            assert.deepStrictEqual(yield* take(channel, payloads.length), payloads)
          }
        })
      )
    }

    it.effect("client: every frame takes a fresh masking key from the source of randomness", () =>
      Effect.gen(function* () {
        let last = 0xfffffffd
        const crypto = Layer.succeed(WebSocketCrypto.WebSocketCrypto, {
          randomBytes: (size) => new Uint8Array(size),
          maskingKey: () => last++ >>> 0,
          sha1: (bytes) => new Uint8Array(createHash("sha1").update(bytes).digest())
        })
        const { channel, peer } = yield* open("client", { autoFragmentSize: 2 }, { crypto })
        yield* channel.send("abc")
        yield* channel.sendPing(hex("01"))
        yield* channel.send(counting(2))
        const frames = yield* Effect.all([peer.readFrame, peer.readFrame, peer.readFrame, peer.readFrame])
        assert.deepStrictEqual(
          frames.map(({ maskingKey }) => maskingKey && toHex(maskingKey)),
          ["fffffffd", "fffffffe", "ffffffff", "00000000"]
        )
        assert.deepStrictEqual(concat(...frames.map(({ payload }) => payload)), hex("616263 01 0001"))
      })
    )

    it.effect("client: masks neither the application's bytes in place nor what they are a view of", () =>
      Effect.gen(function* () {
        const { channel, peer } = yield* open("client")
        for (const length of [5, 5000, 70_000]) {
          const memory = counting(length + 10)
          yield* channel.send(memory.subarray(3, 3 + length))
          const { payload } = yield* peer.readFrame
          assert.deepStrictEqual(payload, counting(length + 10).subarray(3, 3 + length))
          assert.deepStrictEqual(memory, counting(length + 10))
        }
      })
    )
  })
})
