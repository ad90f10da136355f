/**
 * What the peer of a channel sees of its automatic pings, second by second.
 */
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import { type CommonOptions, open, type Role, settle } from "./apiSession.ts"
import type { RawPeer } from "./RawPeer.ts"

/** Sends what it gets in answer to pings, or nothing at all. */
type Answer = (peer: RawPeer, ping: Uint8Array) => Uint8Array | undefined

export const silent: Answer = () => undefined
export const pongs: Answer = (peer, ping) => peer.pong(ping)
/** Traffic, but no pong. */
export const texts: Answer = (peer) => peer.text("x")

/** The payloads of the pings in ten seconds, and the end of the connection, each after its second. */
export const heartbeats = Effect.fnUntraced(function* (
  role: Role,
  options: CommonOptions,
  answer: Answer = silent
) {
  const { peer } = yield* open(role, options)
  const seen: Array<string> = []
  let second = 0
  yield* Effect.forkChild(
    Effect.forever(
      Effect.map(peer.readFrame, ({ payload }) => {
        seen.push(`${second} ${Buffer.from(payload).toString("hex")}`)
        const bytes = answer(peer, payload)
        if (bytes !== undefined) peer.send(bytes)
      })
    )
  )
  while (second < 10 && peer.end === undefined) {
    second++
    yield* TestClock.adjust("1 second")
    yield* settle
  }
  return peer.end === undefined ? seen : [...seen, `${second} ${peer.end}`]
})
