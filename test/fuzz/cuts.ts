/**
 * Ways to cut an input that depend on nothing but the input.
 */
import { randomFrom } from "../support/deflate.ts"
import { cutAt, piecesOf } from "../support/frames.ts"
import { hashOf, inputOfBytes } from "./Target.ts"

/** In one piece, byte by byte (or in a hundred pieces), and at some places; each piece in a buffer of its own. */
export const cutsOf = (bytes: Uint8Array): ReadonlyArray<ReadonlyArray<Uint8Array>> => {
  const random = randomFrom(hashOf(inputOfBytes(bytes)))
  const places = Array.from({ length: random(8) }, () => random(bytes.length + 1))
  return [[bytes.slice()], piecesOf(bytes, Math.max(1, Math.ceil(bytes.length / 100))), cutAt(bytes, places)]
}

/** Small ones, the more the longer the bytes are. */
export const smallPieces = (bytes: Uint8Array): ReadonlyArray<Uint8Array> => piecesOf(bytes, 16)
