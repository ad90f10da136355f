import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import type { RawPeer } from "../support/RawPeer.ts"
import { concat, hex, toHex, utf8 } from "../support/rawFrames.ts"
import { itBothRoles, itFailsTheConnection } from "../support/rawRules.ts"
import { open, received, roles, take } from "../support/rawSession.ts"

/** Where no byte that follows can help: the last byte here is the first wrong one (RFC 3629). */
const wrong: ReadonlyArray<readonly [name: string, bytes: string]> = [
  ["a continuation byte that continues nothing", "80"],
  ["the last continuation byte", "bf"],
  ["an overlong form of two bytes", "c0"],
  ["an overlong form of two bytes, its end", "c1"],
  ["an overlong form of three bytes", "e0 80"],
  ["an overlong form of three bytes, its end", "e0 9f"],
  ["an overlong form of four bytes", "f0 80"],
  ["an overlong form of four bytes, its end", "f0 8f"],
  ["the first surrogate", "ed a0"],
  ["the last surrogate", "ed bf"],
  ["the first code point beyond U+10FFFF", "f4 90"],
  ["a lead byte beyond U+10FFFF", "f5"],
  ["a lead byte of five", "f8"],
  ["a lead byte of six", "fc"],
  ["a byte that UTF-8 does not have, FE", "fe"],
  ["a byte that UTF-8 does not have, FF", "ff"],
  ["a lead byte of two and no continuation", "c3 28"],
  ["a lead byte of three and no continuation", "e2 28"],
  ["a lead byte of three and one continuation", "e2 82 28"],
  ["a lead byte of four and no continuation", "f0 28"],
  ["a lead byte of four and two continuations", "f0 9f 98 28"],
  ["a lead byte after a lead byte", "c3 c3"]
]

/** Fine so far, but a message must not end here. */
const unfinished = ["c2", "df", "e0", "e0 a0", "ed 9f", "ef bf", "f0", "f0 90", "f0 90 80", "f4 8f bf"]

/** Texts at the borders of what UTF-8 has. */
const texts = [
  "\u0000",
  "\u007f",
  "\u0080",
  "\u07ff",
  "\u0800",
  "\ud7ff",
  "\ue000",
  "\ufffd",
  "\ufffe",
  "\uffff",
  "\ufdd0",
  "\u{10000}",
  "\u{1fffe}",
  "\u{10ffff}",
  "\u03ba\u1f79\u03c3\u03bc\u03b5",
  "Hello-\u00b5@\u00df\u00f6\u00e4\u00fc\u00e0\u00e1-UTF-8!!",
  "\u{1f469}\u200d\u{1f680}"
]

describe("RFC 6455 section 8.1: text that is not UTF-8 fails the connection with 1007", () => {
  describe("in a message of one frame", () => {
    itFailsTheConnection(
      [...wrong, ...unfinished.map((bytes) => [`a message that ends in ${bytes}`, bytes] as const)].map(
        ([name, bytes]) => ({
          rule: name,
          violation: "TextNotUtf8",
          code: 1007,
          bytes: (peer) => [peer.text(concat(utf8("a\u20ac"), hex(bytes)))]
        })
      )
    )
  })

  describe("in a fragment that is not the last", () => {
    itFailsTheConnection(
      wrong.map(([name, bytes]) => ({
        rule: name,
        violation: "TextNotUtf8",
        code: 1007,
        bytes: (peer) => [peer.text("a\u20ac", { fin: false }), peer.continuation(hex(bytes), { fin: false })]
      }))
    )
  })

  describe("across the border of fragments", () => {
    itFailsTheConnection(
      wrong
        .map(([name, bytes]) => [name, hex(bytes)] as const)
        .filter(([, bytes]) => bytes.length > 1)
        .map(([name, bytes]) => ({
          rule: name,
          violation: "TextNotUtf8",
          code: 1007,
          bytes: (peer) => [
            peer.text(bytes.subarray(0, -1), { fin: false }),
            peer.continuation("", { fin: false }),
            peer.continuation(bytes.subarray(-1), { fin: false })
          ]
        }))
    )
    itFailsTheConnection(
      unfinished.map((bytes) => ({
        rule: `the last fragment ends in ${bytes}`,
        violation: "TextNotUtf8",
        code: 1007,
        bytes: (peer) => [peer.text(hex(bytes), { fin: false }), peer.continuation("")]
      }))
    )
  })

  describe("at the first wrong byte, before the frame is complete", () => {
    const starts: ReadonlyArray<
      readonly [where: string, start: (peer: RawPeer, bytes: Uint8Array) => Uint8Array]
    > = [
      ["a frame", (peer, bytes) => peer.text(concat(utf8("a\u20ac"), bytes, utf8("x".repeat(200))))],
      [
        "a fragment",
        (peer, bytes) =>
          concat(
            peer.text("a\u20ac", { fin: false }),
            peer.continuation(concat(bytes, utf8("x".repeat(200))), { fin: false })
          )
      ]
    ]
    for (const role of roles) {
      for (const [where, start] of starts) {
        for (const [name, bytes] of wrong) {
          it.effect(`${role}: ${where} with ${name}`, () =>
            Effect.gen(function* () {
              for (const network of [undefined, { chunkSize: 1 }]) {
                const { channel, peer } = yield* open(role, { failByDrop: false }, { network })
                const reading = yield* Effect.forkChild(received(channel))
                peer.send(start(peer, hex(bytes)).subarray(0, -200))
                const { end, frames } = yield* peer.rest
                assert.match(frames.join(), /^close 1007 "[^"]+"$/)
                assert.strictEqual(end, "fin")
                peer.finish()
                assert.strictEqual((yield* Fiber.join(reading)).failure?._tag, "InvalidPayload")
              }
            })
          )
        }
      }
    }

    for (const [name, bytes] of wrong.filter(([, wrongBytes]) => wrongBytes.length > 2)) {
      itBothRoles(`and not before it: ${name}`, (role) =>
        Effect.gen(function* () {
          const { channel, peer } = yield* open(role, { failByDrop: false })
          const reading = yield* Effect.forkChild(received(channel))
          const [head, tail] = [hex(bytes).subarray(0, -1), hex(bytes).subarray(-1)]
          peer.send(peer.text(head, { fin: false }), peer.ping("fine so far"))
          assert.strictEqual(yield* peer.read, `pong ${toHex(utf8("fine so far"))}`)
          peer.send(peer.continuation(tail, { fin: false }))
          assert.match((yield* peer.rest).frames.join(), /^close 1007/)
          peer.finish()
          assert.deepStrictEqual((yield* Fiber.join(reading)).messages, [])
        })
      )
    }
  })

  itBothRoles("also for an application that reads texts as bytes", (role) =>
    Effect.gen(function* () {
      const ways: ReadonlyArray<(peer: RawPeer) => ReadonlyArray<Uint8Array>> = [
        (peer) => [peer.text(hex("80"))],
        (peer) => [peer.text(hex("e2 82"))],
        (peer) => [peer.text(hex("80"), { fin: false })],
        (peer) => [peer.text(hex("e2 82"), { fin: false }), peer.continuation("")]
      ]
      for (const bytes of ways) {
        const { channel, peer } = yield* open(role, { failByDrop: false })
        const reading = yield* Effect.forkChild(Effect.flip(Stream.runDrain(channel.incoming)), {
          startImmediately: true
        })
        peer.send(...bytes(peer))
        assert.match((yield* peer.rest).frames.join(), /^close 1007/)
        peer.finish()
        assert.strictEqual((yield* Fiber.join(reading)).reason._tag, "InvalidPayload")
      }
    })
  )

  itBothRoles("binary messages are not validated", (role) =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      const bytes = [...wrong.map(([, wrongBytes]) => wrongBytes), ...unfinished].map(hex)
      peer.send(...bytes.map((payload) => peer.binary(payload)))
      peer.send(...bytes.flatMap((payload) => [peer.binary(payload, { fin: false }), peer.continuation("")]))
      assert.deepStrictEqual(yield* take(channel, 2 * bytes.length), [...bytes, ...bytes])
    })
  )
})

describe("RFC 6455 section 8.1: valid UTF-8 is taken as it is", () => {
  for (const text of texts) {
    itBothRoles(`${JSON.stringify(text)} (${toHex(utf8(text))}), whole and cut at every byte`, (role) =>
      Effect.gen(function* () {
        const bytes = utf8(text)
        for (const network of [undefined, { chunkSize: 1 }]) {
          const { channel, peer } = yield* open(role, {}, { network })
          peer.send(peer.text(bytes))
          assert.deepStrictEqual(yield* take(channel, 1), [text])
          for (let cut = 0; cut <= bytes.length; cut++) {
            peer.send(
              peer.text(bytes.subarray(0, cut), { fin: false }),
              peer.ping(),
              peer.continuation(bytes.subarray(cut))
            )
            assert.deepStrictEqual(yield* take(channel, 1), [text])
          }
        }
      })
    )
  }

  itBothRoles("a code point split across more than two fragments", (role) =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      const [a = hex(""), b = hex(""), c = hex(""), d = hex("")] = ["f0", "9f", "98", "80"].map(hex)
      peer.send(
        peer.text(a, { fin: false }),
        peer.continuation(b, { fin: false }),
        peer.continuation("", { fin: false }),
        peer.continuation(c, { fin: false }),
        peer.continuation(d)
      )
      assert.deepStrictEqual(yield* take(channel, 1), ["\u{1f600}"])
    })
  )

  itBothRoles("a byte order mark is payload and stays, also alone and twice", (role) =>
    Effect.gen(function* () {
      const marked = ["\ufeff", "\ufeff\ufeff", "\ufefftext", "te\ufeffxt"]
      const { channel, peer } = yield* open(role)
      peer.send(...marked.map((text) => peer.text(text)))
      peer.send(...marked.flatMap((text) => [peer.text(text, { fin: false }), peer.continuation("")]))
      assert.deepStrictEqual(yield* take(channel, 8), [...marked, ...marked])
    })
  )

  itBothRoles("a message's validation starts anew after another message", (role) =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      peer.send(
        peer.text(hex("e2 82"), { fin: false }),
        peer.ping(),
        peer.continuation(hex("ac")),
        peer.binary(hex("e2"), { fin: false }),
        peer.continuation(hex("82")),
        peer.text("a", { fin: false }),
        peer.continuation("b")
      )
      assert.deepStrictEqual(yield* take(channel, 3), ["\u20ac", hex("e2 82"), "ab"])
    })
  )
})
