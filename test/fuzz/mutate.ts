/**
 * Inputs from others: parts dropped, doubled, moved, or taken from another input, and characters changed.
 */
import type { Target } from "./Target.ts"

/** A whole number below the bound. */
export type Random = (bound: number) => number

/** No mutation makes an input longer than this. */
export const longestInput = 8192

const pick = <A>(random: Random, values: ReadonlyArray<A>): A | undefined => values[random(values.length)]

// The borders of signed and unsigned numbers, and of lengths.
const tellingBytes = [0, 1, 0x7d, 0x7e, 0x7f, 0x80, 0x81, 0xc0, 0xfe, 0xff]

const anyCharacter = (random: Random, { isText }: Target): string => {
  if (random(2) === 0) return String.fromCharCode(pick(random, tellingBytes)!)
  return String.fromCharCode(random(isText && random(8) === 0 ? 0x1_0000 : isText ? 0x80 : 0x100))
}

const spliced = (input: string, at: number, removed: number, added: string): string =>
  input.slice(0, at) + added + input.slice(at + removed)

const mutateParts = (input: string, other: string, target: Target, random: Random): string => {
  const parts = [...target.split(input)]
  const at = random(parts.length + 1)
  switch (random(5)) {
    case 0:
      parts.splice(at, 1 + random(2))
      break
    case 1:
      parts.splice(at, 0, ...parts.slice(at, at + 1 + random(3)))
      break
    case 2:
      parts.splice(random(parts.length), 0, ...parts.splice(at, 1))
      break
    case 3:
      parts.splice(at, random(2), pick(random, target.split(other)) ?? "")
      break
    default: {
      const part = pick(random, parts) ?? ""
      parts.splice(at, 0, ...Array.from({ length: 1 << random(7) }, () => part))
    }
  }
  return parts.join("")
}

const mutateCharacters = (input: string, target: Target, random: Random): string => {
  const at = random(input.length + 1)
  switch (random(6)) {
    case 0:
      return spliced(
        input,
        at,
        1,
        String.fromCharCode((input.charCodeAt(at) || 0) ^ (1 << random(target.isText ? 7 : 8)))
      )
    case 1:
      return spliced(input, at, 1, anyCharacter(random, target))
    case 2:
      return spliced(input, at, 0, anyCharacter(random, target))
    case 3:
      return spliced(input, at, 1 + random(random(4) === 0 ? input.length + 1 : 4), "")
    case 4:
      return spliced(input, at, random(2) * random(8), pick(random, target.dictionary) ?? "")
    default:
      return spliced(input, random(input.length + 1), 0, input.slice(at, at + 1 + random(32)))
  }
}

/** `input` after one to eight mutations; `other` lends its parts. */
export const mutate = (input: string, other: string, target: Target, random: Random): string => {
  let mutated = input
  for (let count = 1 + random(1 << random(4)); count > 0; count--) {
    mutated =
      random(3) === 0
        ? mutateParts(mutated, other, target, random)
        : mutateCharacters(mutated, target, random)
  }
  return mutated.slice(0, longestInput)
}

/** An input that still fails, and from which nothing can be taken away; within so many tries. */
export const minimise = async (
  input: string,
  fails: (input: string) => Promise<boolean>,
  tries: number
): Promise<string> => {
  let best = input
  for (let size = Math.ceil(best.length / 2), left = tries; size >= 1; size >>= 1) {
    for (let at = 0; at < best.length && left > 0; left--) {
      const shorter = spliced(best, at, size, "")
      if (await fails(shorter)) best = shorter
      else at += size
    }
  }
  return best
}
