import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import { type RawPeer, requestHead, responseHead } from "../support/RawPeer.ts"
import { hex, Opcode, toHex, utf8 } from "../support/rawFrames.ts"
import { itBothRoles, itFailsTheConnection } from "../support/rawRules.ts"
import { makeClient, makeServer, open, roles, take } from "../support/rawSession.ts"

/** Those that section 7.4.1 and the registry it set up define for Close frames, and the ends of 7.4.2's ranges. */
const allowed = [
  1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3500, 3999, 4000, 4999
]
const reserved = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999, 5000, 5001, 32_768, 65_535]

describe("RFC 6455 section 7.4: status codes that are received", () => {
  itFailsTheConnection(
    reserved.flatMap((code) => [
      {
        rule: `a Close with the code ${code}`,
        violation: "CloseCodeInvalid" as const,
        code: 1002 as const,
        bytes: (peer) => [peer.close(code)]
      },
      {
        rule: `a Close with the code ${code} and a reason`,
        violation: "CloseCodeInvalid" as const,
        code: 1002 as const,
        bytes: (peer) => [peer.close(code, "reason")]
      }
    ])
  )

  for (const code of allowed) {
    itBothRoles(`${code} closes the connection cleanly`, (role) =>
      Effect.gen(function* () {
        for (const reason of ["", "reason"]) {
          const { channel, peer } = yield* open(role)
          peer.send(peer.close(code, reason))
          peer.finish()
          assert.deepStrictEqual(yield* peer.rest, { frames: ["close 1000"], end: "fin" })
          assert.deepStrictEqual(yield* channel.closed, { wasClean: true, code, reason })
        }
      })
    )
  }
})

describe("RFC 6455 section 7.4: status codes that are sent", () => {
  for (const code of allowed) {
    itBothRoles(`${code} can be sent`, (role) =>
      Effect.gen(function* () {
        const { channel, peer } = yield* open(role)
        const closing = yield* Effect.forkChild(channel.close(code, "reason"))
        assert.strictEqual(yield* peer.read, `close ${code} "reason"`)
        peer.send(peer.close(code))
        peer.finish()
        assert.deepStrictEqual(yield* Fiber.join(closing), { wasClean: true, code, reason: "" })
      })
    )
  }

  for (const code of [...reserved, -1, 1000.5, 66_536, Number.NaN, Number.POSITIVE_INFINITY]) {
    itBothRoles(`${code} cannot be sent: a failure, and the connection goes on`, (role) =>
      Effect.gen(function* () {
        const { channel, peer } = yield* open(role)
        const { reason } = yield* Effect.flip(channel.close(code, "reason"))
        assert.strictEqual(reason._tag, "InvalidCall")
        yield* channel.send("open")
        assert.strictEqual(yield* peer.read, 'text "open"')
      })
    )
  }

  itBothRoles("a reason without a code cannot be sent", (role) =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      const { reason } = yield* Effect.flip(channel.close(undefined, "reason"))
      assert.strictEqual(reason._tag, "InvalidCall")
      yield* channel.send("open")
      assert.strictEqual(yield* peer.read, 'text "open"')
    })
  )

  // At most 123 bytes beside the code (section 5.5), and UTF-8 (section 5.5.1).
  const cut: ReadonlyArray<readonly [name: string, reason: string, sent: string]> = [
    ["123 bytes", "x".repeat(123), "x".repeat(123)],
    ["124 bytes", "x".repeat(124), "x".repeat(123)],
    ["two-byte characters", "\u00e4".repeat(100), "\u00e4".repeat(61)],
    ["three-byte characters", "\u20ac".repeat(100), "\u20ac".repeat(41)],
    ["four-byte characters", "\u{1f600}".repeat(100), "\u{1f600}".repeat(30)],
    ["a four-byte character at the limit", `${"x".repeat(120)}\u{1f600}`, "x".repeat(120)]
  ]
  for (const [name, reason, sent] of cut) {
    itBothRoles(`a reason is cut to 123 bytes at a code point: ${name}`, (role) =>
      Effect.gen(function* () {
        const { channel, peer } = yield* open(role)
        yield* Effect.forkChild(channel.close(1000, reason))
        assert.strictEqual(yield* peer.read, `close 1000 ${JSON.stringify(sent)}`)
      })
    )
  }
})

describe("RFC 6455 section 7.4.1: status codes that the library sends by itself", () => {
  const silent = Logger.layer([])
  const ends = [
    ["finished", Effect.void, "close 1000"],
    ["failed", Effect.fail("expected to fail"), "close 1011"],
    ["died", Effect.die(new Error("expected to die")), "close 1011"]
  ] as const
  for (const [name, onOpen, frame] of ends) {
    it.effect(`server: ${frame} when the handler has ${name}`, () =>
      Effect.gen(function* () {
        const server = yield* makeServer({ onOpen: () => onOpen })
        for (const again of ["first", "second"]) {
          const peer = yield* server.connect
          peer.send(requestHead())
          yield* peer.readHead
          assert.strictEqual(yield* peer.read, frame, again)
          peer.send(peer.close(1000))
          assert.deepStrictEqual(yield* peer.rest, { frames: [], end: "fin" })
          peer.finish()
        }
      }).pipe(Effect.provide(silent))
    )
  }

  it.effect("server: 1001 when it is drained", () =>
    Effect.gen(function* () {
      const server = yield* makeServer({ onOpen: (channel) => channel.closed })
      const peer = yield* server.connect
      peer.send(requestHead())
      yield* peer.readHead
      const draining = yield* Effect.forkChild(server.drain())
      assert.strictEqual(yield* peer.read, "close 1001")
      peer.send(peer.close(1001))
      peer.finish()
      assert.deepStrictEqual(yield* Fiber.join(draining), { finished: 1, dropped: 0 })
    })
  )

  const scopes = [
    ["closes", Effect.void, "close 1000"],
    ["fails", Effect.fail("expected to fail"), "close 1001"]
  ] as const
  for (const [name, body, frame] of scopes) {
    it.effect(`client: ${frame} when the connection's scope ${name}`, () =>
      Effect.gen(function* () {
        const client = yield* makeClient()
        const using = yield* client
          .connect("ws://test/")
          .pipe(Effect.andThen(body), Effect.scoped, Effect.exit, Effect.forkChild)
        const peer = yield* client.accept
        const key = /sec-websocket-key: (.*)\r/i.exec(yield* peer.readHead)?.[1] ?? ""
        peer.send(responseHead(key))
        assert.strictEqual(yield* peer.read, frame)
        peer.send(peer.close(1000))
        peer.finish()
        assert.strictEqual((yield* Fiber.join(using))._tag, name === "closes" ? "Success" : "Failure")
        assert.deepStrictEqual(yield* peer.rest, { frames: [], end: "fin" })
      })
    )
  }

  describe("1009: a message that is too big", () => {
    const x = (length: number) => "x".repeat(length)
    const frameLimit = { maxFramePayloadSize: 130 }
    const messageLimit = { maxMessagePayloadSize: 130 }
    itFailsTheConnection([
      {
        rule: "a frame over maxFramePayloadSize",
        violation: "FrameTooBig",
        code: 1009,
        options: frameLimit,
        bytes: (peer) => [peer.text(x(131))]
      },
      {
        rule: "a frame over maxFramePayloadSize, told by its header alone",
        violation: "FrameTooBig",
        code: 1009,
        options: frameLimit,
        bytes: (peer) => [peer.binary(hex(""), { announcedLength: 131n })]
      },
      {
        rule: "a continuation frame over maxFramePayloadSize",
        violation: "FrameTooBig",
        code: 1009,
        options: frameLimit,
        bytes: (peer) => [peer.text(x(130), { fin: false }), peer.continuation(x(131))]
      },
      {
        rule: "a message of one frame over maxMessagePayloadSize",
        violation: "MessageTooBig",
        code: 1009,
        options: messageLimit,
        bytes: (peer) => [peer.binary(utf8(x(131)))]
      },
      {
        rule: "a message of fragments over maxMessagePayloadSize",
        violation: "MessageTooBig",
        code: 1009,
        options: messageLimit,
        bytes: (peer) => [
          peer.text(x(100), { fin: false }),
          peer.continuation("", { fin: false }),
          peer.continuation(x(31), { fin: false })
        ]
      },
      {
        rule: "a fragment that would exceed maxMessagePayloadSize, told by its header alone",
        violation: "MessageTooBig",
        code: 1009,
        options: messageLimit,
        bytes: (peer) => [
          peer.text(x(130), { fin: false }),
          peer.frame({ opcode: Opcode.continuation, announcedLength: 1n })
        ]
      },
      ...[2n ** 31n, 2n ** 32n, 2n ** 53n - 1n].map((announcedLength) => ({
        rule: `a message of ${announcedLength} bytes, without any limit`,
        violation: "MessageTooBig" as const,
        code: 1009 as const,
        bytes: (peer: RawPeer) => [peer.binary(hex(""), { announcedLength })]
      })),
      ...[2n ** 53n, 2n ** 63n - 1n].map((announcedLength) => ({
        rule: `a frame of ${announcedLength} bytes, which is no exact number`,
        violation: "FrameTooBig" as const,
        code: 1009 as const,
        bytes: (peer: RawPeer) => [peer.binary(hex(""), { announcedLength })]
      }))
    ])

    for (const role of roles) {
      it.effect(`${role}: frames and messages of exactly the limit pass, each message anew`, () =>
        Effect.gen(function* () {
          const options = { maxFramePayloadSize: 130, maxMessagePayloadSize: 260 }
          const { channel, peer } = yield* open(role, options)
          peer.send(peer.text(x(130)), peer.text(x(130), { fin: false }), peer.ping(x(125)))
          peer.send(peer.continuation("", { fin: false }), peer.continuation(x(130)), peer.text(x(130)))
          assert.deepStrictEqual(yield* take(channel, 3), [x(130), x(260), x(130)])
          assert.strictEqual(yield* peer.read, `pong ${toHex(utf8(x(125)))}`)
        })
      )

      it.effect(`${role}: control frames do not count as data`, () =>
        Effect.gen(function* () {
          const { channel, peer } = yield* open(role, { maxFramePayloadSize: 1, maxMessagePayloadSize: 1 })
          peer.send(peer.ping("long"), peer.pong("long"), peer.text("a"), peer.close(1000, "long"))
          peer.finish()
          assert.deepStrictEqual(yield* take(channel, 1), ["a"])
          assert.deepStrictEqual((yield* peer.rest).frames, [`pong ${toHex(utf8("long"))}`, "close 1000"])
        })
      )
    }
  })
})
