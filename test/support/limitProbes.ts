/**
 * Ways to see what a limit of a channel in either role does.
 */
import * as Effect from "effect/Effect"
import { type CommonOptions, open, type Role } from "./apiSession.ts"
import type { RawPeer } from "./RawPeer.ts"
import { openXor } from "./xorExtension.ts"

/** A message of `permessage-xor` with so many bytes. */
export const compressedFrame = (peer: RawPeer, length: number): Uint8Array =>
  peer.binary(new Uint8Array(length).fill(1), { rsv: 4 })

/** The status code of the channel's Close frame, pongs before it left out. */
export const closeCode = (peer: RawPeer): Effect.Effect<number> =>
  Effect.flatMap(peer.read, (frame) =>
    frame.startsWith("close") ? Effect.succeed(Number(frame.split(" ")[1])) : closeCode(peer)
  )

/**
 * How connections end on which a message came that is decompressed to 200 times its bytes, and then a Close: one
 * to less than 64 KiB, and one to a little more.
 */
export const grown = (role: Role, options: CommonOptions) =>
  Effect.forEach([327, 328], (length) =>
    Effect.gen(function* () {
      const { peer } = yield* openXor(role, { failByDrop: false, ...options }, { growth: 200 })
      peer.send(compressedFrame(peer, length), peer.close(1000))
      return yield* closeCode(peer)
    })
  )

/** How connections end on which pings, or pongs to none, came at once, and then a Close: 3, and 4. */
export const flooded = (role: Role, options: CommonOptions) =>
  Effect.forEach([3, 4], (count) =>
    Effect.gen(function* () {
      const { peer } = yield* open(role, { failByDrop: false, ...options })
      for (let i = 0; i < count; i++) peer.send(i === 0 ? peer.pong() : peer.ping())
      peer.send(peer.close(1000))
      return yield* closeCode(peer)
    })
  )
