/**
 * Negotiations of per-message compression as the header has them.
 */
import { assert } from "@effect/vitest"
import * as Result from "effect/Result"
import * as ExtensionHeader from "../../src/extension/ExtensionHeader.ts"

/** The parameters of the header's only extension. */
export const parametersOf = (header: string): ReadonlyArray<ExtensionHeader.ExtensionParameter> => {
  const extensions = Result.getOrThrow(ExtensionHeader.parse([header]))
  assert.lengthOf(extensions, 1)
  return extensions[0]?.parameters ?? []
}

/** All combinations of one value for each name. */
export const combinations = <A extends object>(
  values: {
    readonly [K in keyof A]: ReadonlyArray<A[K]>
  }
): ReadonlyArray<A> => {
  let all: ReadonlyArray<object> = [{}]
  for (const [name, some] of Object.entries<ReadonlyArray<unknown>>(values)) {
    all = all.flatMap((before) => some.map((value) => ({ ...before, [name]: value })))
  }
  // Each has a value for each name now.
  return all as ReadonlyArray<A>
}

/** The header's element of the parts that are there: `a; b=1; c`. */
export const element = (...parts: ReadonlyArray<string | false>): string =>
  parts.filter((part) => part !== false).join("; ")

/** What a failure says. */
export const failureOf = <E>(result: Result.Result<unknown, E>): E => {
  if (Result.isSuccess(result)) return assert.fail("it succeeds")
  return result.failure
}
