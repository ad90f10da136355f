/**
 * Targets with faults for the fuzzer to find, each with the input that it must come down to.
 */
import * as Arbitrary from "effect/Arbitrary"
import type { Target } from "../fuzz/Target.ts"

const planted = (name: string, generated: string, parts: Partial<Target>): Target => ({
  name,
  isText: true,
  generated: Arbitrary.Constant(generated),
  dictionary: [],
  split: (input) => [input],
  check: () => {},
  work: () => {},
  ...parts
})

export const targets: ReadonlyArray<Target> = [
  planted("sound", "a", {}),
  planted("throws", "abc", {
    dictionary: ["!?"],
    check: (input) => {
      if (input.includes("!?")) throw new Error("it is in there")
    }
  }),
  planted("hangs", "?", {
    check: (input) => {
      while (input.includes("?")) input.trim()
    }
  }),
  planted("never calls back", "?", {
    check: (input) => (input.includes("?") ? new Promise(() => {}) : undefined)
  }),
  planted("throws later", "?", {
    check: (input) => {
      if (!input.includes("?")) return
      setImmediate(() => {
        throw new Error("nobody catches this")
      })
      return new Promise((resolve) => setTimeout(resolve, 1000))
    }
  }),
  planted("quadratic", "a", {
    work: (input) => {
      for (let i = 0; i < input.length; i += 8) input.lastIndexOf("z")
    }
  })
]
