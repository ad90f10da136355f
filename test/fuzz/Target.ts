/**
 * What is fuzzed. An input is a string: a text, or bytes with one code unit each.
 */
import type * as Arbitrary from "effect/Arbitrary"

export interface Target {
  readonly name: string
  /** Whether an input is text; if not, each of its code units is a byte. */
  readonly isText: boolean
  /** Inputs that are right, or nearly. */
  readonly generated: Arbitrary.Arbitrary<string>
  /** Pieces that mean something in an input. */
  readonly dictionary: ReadonlyArray<string>
  /** The parts of any input, in order: lines, frames, messages. Joined they are the input. */
  readonly split: (input: string) => ReadonlyArray<string>
  /** Throws where the code under test does not keep what it promises for any input. */
  readonly check: (input: string) => void | Promise<void>
  /** The code under test alone, without limits: its time is linear in the input. */
  readonly work: (input: string) => void | Promise<void>
}

/** A buffer of its own. */
export const bytesOfInput = (input: string): Uint8Array => new Uint8Array(Buffer.from(input, "latin1"))

export const inputOfBytes = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1")

/** A number that depends on the input alone: what a check chooses by it, it chooses again. */
export const hashOf = (input: string): number => {
  let hash = 0x811c9dc5
  for (let i = 0; i < input.length; i++) hash = Math.imul(hash ^ input.charCodeAt(i), 0x01000193)
  return (hash ^ (hash >>> 15)) >>> 0
}

/** Parts that end after one of the separators. */
export const splitAfter =
  (separators: RegExp) =>
  (input: string): ReadonlyArray<string> =>
    input.split(new RegExp(`(?<=${separators.source})`, "s"))

export const targetNamed = (targets: ReadonlyArray<Target>, name: string): Target => {
  const target = targets.find((one) => one.name === name)
  if (target === undefined) throw new Error(`no target ${name}: there are ${targets.map((one) => one.name)}`)
  return target
}
