/**
 * Texts that may be URLs, and what must hold for each of them.
 */
import { assert } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Result from "effect/Result"
import { createUrl, parseUrl } from "../../src/handshake/WebSocketUrl.ts"
import { oneOf, pick, text } from "./arbitraries.ts"

export const isDot = (segment: string): boolean => segment === "." || segment === ".."

/** Made of pieces that mean something in a URL, and of texts. */
export const hostileText = Arbitrary.map(
  Arbitrary.array(
    oneOf(
      // biome-ignore format: a table
      pick("/", ":", "?", "#", "@", "%", "&", "=", "+", "//", "unix:", "unix:/", "ws://", "a", "80", "0", "65536", ".",
        "..", "%2e", "%2F", "%3A", "%00", "%ff", "%C3%A4", "ä", "[", "]", "[::1]", "::", "\\", " ", "\0", "\r\n", "\ud800", "\udc00"),
      text
    ),
    { maxLength: 8 }
  ),
  (pieces) => pieces.join("")
)

export const anyUrl = Arbitrary.map(
  Arbitrary.all([
    pick("ws://a/", "wss://[::1]:9000", "WS://b", "ws://unix:/", "ws://unix:/a:/", "ws://", ""),
    Arbitrary.array(hostileText, { maxLength: 3 })
  ]),
  ([start, rest]) => start + rest.join("")
)

/** Throws unless the text is a URL whose parts make one that says the same, or an error. */
export const checkUrl = (text: string): void => {
  const parsed = parseUrl(text)
  if (Result.isFailure(parsed)) {
    // Where there may be user information, it is left out.
    return assert.isTrue(parsed.failure.url === text || /\/\/[^/]*@/.test(text))
  }
  assert.match(parsed.success.resource, /^\/[!"$-~]*$/)
  const created = createUrl(parsed.success)
  // An encoded slash can make a segment that no URL keeps.
  if (parsed.success.path.split("/").some(isDot)) {
    return assert.strictEqual(Result.isFailure(created) && created.failure.kind, "Path")
  }
  const { resource: _, ...same } = parsed.success
  const url = Result.getOrThrow(created)
  assert.deepInclude(Result.getOrThrow(parseUrl(url)), same)
  assert.deepEqual(Result.flatMap(parseUrl(url), createUrl), created)
}
