/**
 * Connections that end within a frame.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { settle } from "../support/apiSession.ts"
import { harmsNobodyElse, reasonOf } from "../support/faults.ts"
import type { RawPeer } from "../support/RawPeer.ts"
import { concat } from "../support/rawFrames.ts"
import { roles } from "../support/rawSession.ts"

const ends = [
  ["resets", "TransportFailure", (peer: RawPeer) => peer.drop()],
  ["ends its side", "ConnectionClosed", (peer: RawPeer) => peer.finish()]
] as const

describe.each(roles)("the peer of a %s within a frame", (role) => {
  it.effect.each(ends)(
    "%s after any byte: what came before is delivered, no part of the rest",
    ([, reason, end]) =>
      Effect.gen(function* () {
        let size = Number.POSITIVE_INFINITY
        for (let bytes = 0; bytes < size; bytes++) {
          yield* harmsNobodyElse(role, {}, ({ channel, peer }) =>
            Effect.gen(function* () {
              const frame = peer.text("0123")
              size = frame.length
              peer.send(concat(peer.text("before"), frame.subarray(0, bytes)))
              yield* settle
              end(peer)
              assert.strictEqual(yield* channel.receive, "before")
              assert.strictEqual((yield* reasonOf(channel.receive))._tag, reason)
              assert.deepStrictEqual(yield* channel.closed, { wasClean: false, code: 1006, reason: "" })
              assert.strictEqual((yield* channel.statistics).received.messages, 1)
            })
          )
        }
      })
  )
})
