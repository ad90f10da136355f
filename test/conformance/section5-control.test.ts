import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import type { RawPeer } from "../support/RawPeer.ts"
import { hex, Opcode, toHex, utf8 } from "../support/rawFrames.ts"
import { type Case, itBothRoles, itFailsTheConnection } from "../support/rawRules.ts"
import { open, received, roles, take } from "../support/rawSession.ts"

describe("RFC 6455 section 5.5: control frames have a payload of 125 bytes or less", () => {
  const forms = [
    [126, 16],
    [200, 16],
    [65_535, 16],
    [65_536, 64],
    [125, 16],
    [0, 64]
  ] as const
  itFailsTheConnection(
    (["close", "ping", "pong"] as const).flatMap((name) =>
      forms.map(
        ([length, lengthForm]): Case => ({
          rule: `a ${name} of ${length} bytes, its length in ${lengthForm} bits`,
          violation: "ControlFrameTooLong",
          code: 1002,
          bytes: (peer) => [peer.frame({ opcode: Opcode[name], payload: new Uint8Array(length), lengthForm })]
        })
      )
    )
  )

  itFailsTheConnection([
    {
      rule: "a ping that is too long, told by its header alone",
      violation: "ControlFrameTooLong",
      code: 1002,
      bytes: (peer) => [peer.frame({ opcode: Opcode.ping, announcedLength: 126n }).subarray(0, 2)]
    }
  ])

  itBothRoles("control frames of 125 bytes are taken", (role) =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role, { echoCloseCodeReason: true })
      const full = "x".repeat(125)
      peer.send(peer.ping(full), peer.pong(full), peer.text("next"), peer.close(1000, full.slice(2)))
      assert.deepStrictEqual(yield* take(channel, 1), ["next"])
      assert.strictEqual(yield* peer.read, `pong ${toHex(utf8(full))}`)
      assert.strictEqual(yield* peer.read, `close 1000 "${full.slice(2)}"`)
      peer.finish()
      assert.deepStrictEqual(yield* channel.closed, { wasClean: true, code: 1000, reason: full.slice(2) })
    })
  )

  for (const role of roles) {
    for (const kind of ["sendPing", "sendPong"] as const) {
      it.effect(`${role}: ${kind} sends 125 bytes and refuses 126`, () =>
        Effect.gen(function* () {
          const { channel, peer } = yield* open(role)
          const error = yield* Effect.flip(channel[kind](new Uint8Array(126)))
          assert.strictEqual(error.reason._tag, "InvalidCall")
          yield* channel[kind](new Uint8Array(125))
          const { opcode, payload } = yield* peer.readFrame
          assert.deepStrictEqual([opcode, payload.length], [kind === "sendPing" ? 9 : 10, 125])
        })
      )
    }
  }
})

describe("RFC 6455 section 5.5.1: Close", () => {
  itFailsTheConnection([
    {
      rule: "a Close with a payload of one byte",
      violation: "ClosePayloadTooShort",
      code: 1002,
      bytes: (peer) => [peer.frame({ opcode: Opcode.close, payload: hex("03") })]
    }
  ])

  // A continuation byte, overlong forms, a surrogate, beyond U+10FFFF, a code point cut short.
  const notUtf8 = ["80", "61 ff", "c0 80", "e0 80 80", "ed a0 80", "f4 90 80 80", "61 c3", "f0 9f 98"]
  itFailsTheConnection(
    notUtf8.map((bytes) => ({
      rule: `a Close whose reason is not UTF-8 (${bytes})`,
      violation: "CloseReasonNotUtf8",
      code: 1007,
      bytes: (peer) => [peer.close(1000, hex(bytes))]
    }))
  )

  const reasons = ["bye", "\u00e4\u20ac\u{1f600}", "\ufeffmark", "\u0000", "\u{10ffff}"]
  for (const reason of reasons) {
    itBothRoles(`a reason is UTF-8: ${JSON.stringify(reason)}`, (role) =>
      Effect.gen(function* () {
        const { channel, peer } = yield* open(role, { echoCloseCodeReason: true })
        peer.send(peer.close(3000, reason))
        peer.finish()
        assert.deepStrictEqual(yield* channel.closed, { wasClean: true, code: 3000, reason })
        assert.deepStrictEqual((yield* peer.rest).frames, [`close 3000 ${JSON.stringify(reason)}`])
      })
    )
  }

  describe("a Close is answered with a Close", () => {
    const answers = [
      { came: "close 1001 with a reason", code: 1001, reason: "moving", plain: "close 1000", echo: true },
      { came: "close 4999 without a reason", code: 4999, reason: "", plain: "close 1000", echo: true },
      { came: "close without a code", code: undefined, reason: "", plain: "close 1000", echo: true }
    ]
    for (const { came, code, plain, reason } of answers) {
      const echoed = code === undefined ? "close" : `close ${code}${reason && ` ${JSON.stringify(reason)}`}`
      for (const [echoCloseCodeReason, expected] of [[false, plain] as const, [true, echoed] as const]) {
        itBothRoles(`${came}, echoCloseCodeReason ${echoCloseCodeReason} -> ${expected}`, (role) =>
          Effect.gen(function* () {
            const { channel, peer } = yield* open(role, { echoCloseCodeReason })
            peer.send(peer.close(code, reason))
            assert.strictEqual(yield* peer.read, expected)
            peer.finish()
            assert.deepStrictEqual(yield* peer.rest, { frames: [], end: "fin" })
            assert.deepStrictEqual(yield* channel.closed, { wasClean: true, code: code ?? 1005, reason })
          })
        )
      }
    }
  })

  itBothRoles("what was received before the Close is delivered, what comes after it is not", (role) =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      peer.send(
        peer.text("before"),
        peer.close(1000),
        peer.text("after"),
        peer.ping("after"),
        peer.close(1001)
      )
      peer.send(peer.text("later"), hex("ffffff"))
      peer.finish()
      assert.deepStrictEqual(yield* received(channel), {
        messages: ["before"],
        failure: undefined,
        closed: { wasClean: true, code: 1000, reason: "" }
      })
      assert.deepStrictEqual(yield* peer.rest, { frames: ["close 1000"], end: "fin" })
    })
  )

  itBothRoles("after the peer's Close no data frame is sent", (role) =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      peer.send(peer.close(1000))
      assert.strictEqual(yield* peer.read, "close 1000")
      for (const send of [
        channel.send("x"),
        channel.send(hex("00")),
        channel.sendPing(),
        channel.sendPong()
      ]) {
        const { reason } = yield* Effect.flip(send)
        assert.strictEqual(reason._tag, "ConnectionClosed")
      }
      peer.finish()
      assert.deepStrictEqual(yield* peer.rest, { frames: [], end: "fin" })
    })
  )

  itBothRoles("after our own Close no data frame and no second Close is sent", (role) =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      yield* channel.send("before")
      const closing = yield* Effect.forkChild(channel.close(1000, "done"))
      assert.strictEqual(yield* peer.read, 'text "before"')
      assert.strictEqual(yield* peer.read, 'close 1000 "done"')
      for (const send of [
        channel.send("x"),
        channel.send(hex("00")),
        channel.sendPing(),
        channel.sendPong()
      ]) {
        const { reason } = yield* Effect.flip(send)
        assert.strictEqual(reason._tag, "ConnectionClosed")
      }
      const again = yield* Effect.forkChild(channel.close(1001))
      peer.send(peer.close(1000, "done"))
      peer.finish()
      assert.deepStrictEqual(yield* peer.rest, { frames: [], end: "fin" })
      const closed = { wasClean: true, code: 1000, reason: "done" }
      assert.deepStrictEqual(yield* Fiber.join(closing), closed)
      assert.deepStrictEqual(yield* Fiber.join(again), closed)
    })
  )

  itBothRoles("Close frames that cross are a closing handshake", (role) =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      const closing = yield* Effect.forkChild(channel.close(1000, "ours"), { startImmediately: true })
      peer.send(peer.close(1001, "theirs"))
      peer.finish()
      assert.deepStrictEqual(yield* peer.rest, { frames: ['close 1000 "ours"'], end: "fin" })
      assert.deepStrictEqual(yield* Fiber.join(closing), { wasClean: true, code: 1001, reason: "theirs" })
    })
  )
})

describe("RFC 6455 sections 5.5.2 and 5.5.3: ping and pong", () => {
  const payloads: ReadonlyArray<readonly [name: string, payload: Uint8Array]> = [
    ["no payload", hex("")],
    ["text", utf8("Hello")],
    ["bytes that are no UTF-8", hex("00 ff fe 80 c0")],
    ["125 bytes", Uint8Array.from({ length: 125 }, (_, index) => index * 2)]
  ]
  for (const [name, payload] of payloads) {
    for (const chunkSize of [undefined, 1]) {
      itBothRoles(
        `a ping with ${name} gets a pong with the same, cut to ${chunkSize ?? "any"} bytes`,
        (role) =>
          Effect.gen(function* () {
            const network = chunkSize === undefined ? undefined : { chunkSize }
            const { peer } = yield* open(role, {}, { network })
            peer.send(peer.ping(payload))
            const pong = yield* peer.readFrame
            assert.strictEqual(pong.opcode, Opcode.pong)
            assert.deepStrictEqual(pong.payload, payload)
          })
      )
    }
  }

  itBothRoles("pings are answered in order, between the messages of one chunk", (role) =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      const pings = Array.from({ length: 30 }, (_, index) => index)
      peer.send(...pings.flatMap((index) => [peer.ping(Uint8Array.of(index)), peer.text(`${index}`)]))
      assert.deepStrictEqual(yield* take(channel, 30), pings.map(String))
      const answers = yield* Effect.forEach(pings, () => peer.readFrame)
      assert.deepStrictEqual(
        answers.map(({ opcode, payload }) => [opcode, ...payload]),
        pings.map((index) => [Opcode.pong, index])
      )
    })
  )

  itBothRoles("pings are answered while nobody reads the messages", (role) =>
    Effect.gen(function* () {
      const { peer } = yield* open(role)
      peer.send(peer.text("unread"), peer.ping("a"))
      assert.strictEqual(yield* peer.read, "pong 61")
    })
  )

  itBothRoles("a pong that nobody asked for is not answered", (role) =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      const pong = yield* Effect.forkChild(Stream.runHead(channel.pongs))
      peer.send(peer.pong("unsolicited"), peer.pong(), peer.ping("next"))
      assert.strictEqual(yield* peer.read, `pong ${toHex(utf8("next"))}`)
      const seen = yield* Fiber.join(pong)
      assert.deepStrictEqual(seen._tag === "Some" && seen.value, utf8("unsolicited"))
    })
  )

  itBothRoles("a ping between our Close and the peer's is answered", (role) =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      const closing = yield* Effect.forkChild(channel.close(1000))
      assert.strictEqual(yield* peer.read, "close 1000")
      peer.send(peer.text("late"), peer.ping("still there?"))
      assert.strictEqual(yield* peer.read, `pong ${toHex(utf8("still there?"))}`)
      peer.send(peer.close(1000))
      peer.finish()
      assert.strictEqual((yield* Fiber.join(closing)).wasClean, true)
    })
  )

  itBothRoles("a ping after the peer's Close is not answered", (role) =>
    Effect.gen(function* () {
      const { peer } = yield* open(role)
      peer.send(peer.close(1000), peer.ping("late"))
      peer.send(peer.ping("later"))
      peer.finish()
      assert.deepStrictEqual(yield* peer.rest, { frames: ["close 1000"], end: "fin" })
    })
  )

  const order = (peer: RawPeer) => Effect.all([peer.read, peer.read, peer.read])
  itBothRoles("pings and pongs of the application are sent in its order", (role) =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      yield* channel.sendPing(utf8("a"))
      yield* channel.send("b")
      yield* channel.sendPong(utf8("c"))
      assert.deepStrictEqual(yield* order(peer), ["ping 61", 'text "b"', "pong 63"])
    })
  )
})
