import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Result from "effect/Result"
import { createUrl, parseUrl, type UrlParts } from "../../src/handshake/WebSocketUrl.ts"
import { boolean, int, oneOf, pick, text } from "../support/arbitraries.ts"
import { anyUrl, checkUrl, hostileText as hostile, isDot } from "../support/urls.ts"

const options = { arbitrary: { runs: 500, size: 40 }, timeout: 60_000 }

const path = Arbitrary.map(
  Arbitrary.array(oneOf(text, pick("", "a", "...", "%2e%2e", "%", "a:b", "?", "#")), { maxLength: 4 }),
  // A text may have slashes of its own.
  (segments) =>
    `/${segments
      .join("/")
      .split("/")
      .filter((segment) => !isDot(segment))
      .join("/")}`
)

const params = Arbitrary.map(
  Arbitrary.array(
    Arbitrary.all([
      oneOf(text, pick("", "room", "__proto__", "constructor", "a[]", "0")),
      Arbitrary.array(oneOf(text, pick("", "+", "&x=1", "%20")), { minLength: 1, maxLength: 3 })
    ]),
    { maxLength: 4 }
  ),
  (entries): Record<string, ReadonlyArray<string>> => Object.fromEntries(entries)
)

const target = { secure: boolean, path, params }

describe("property: URLs", () => {
  it.prop(
    "parseUrl gives back what createUrl was given, for TCP",
    {
      ...target,
      host: pick("example.com", "unix", "127.0.0.1", "::1", "2001:db8::1", "xn--bcher-kva.example"),
      port: oneOf<number | undefined>(pick(undefined, 80, 443), int(1, 65_535))
    },
    (parts) => {
      const url = Result.getOrThrow(Result.flatMap(createUrl(parts), parseUrl))
      const { host, params, path, port = parts.secure ? 443 : 80, secure } = parts
      assert.deepInclude(url, { secure, host, port, path, socketPath: undefined })
      assert.deepEqual(Object.entries(url.params), Object.entries(params))
    },
    options
  )

  it.prop(
    "parseUrl gives back what createUrl was given, for Unix-domain sockets",
    { ...target, socketPath: Arbitrary.map(text, (text) => `/a${text.replaceAll("\0", "")}`) },
    (parts) => {
      const url = Result.getOrThrow(Result.flatMap(createUrl(parts), parseUrl))
      const { params, path, secure, socketPath } = parts
      assert.deepInclude(url, { secure, path, socketPath })
      assert.deepEqual(Object.entries(url.params), Object.entries(params))
    },
    options
  )

  it.prop(
    "any text is a URL whose parts make one that says the same, or an error",
    { text: anyUrl },
    ({ text }) => checkUrl(text),
    options
  )

  it.prop(
    "no part of a URL becomes another one",
    { isUnix: boolean, host: oneOf(hostile, pick("a", "::1")), path: hostile, name: hostile, value: hostile },
    ({ host, isUnix, name, path, value }) => {
      const parts: UrlParts = {
        path,
        params: Object.fromEntries([[name, value]]),
        ...(isUnix ? { socketPath: `/${host}` } : { host })
      }
      const created = createUrl(parts)
      if (Result.isFailure(created)) return
      const url = Result.getOrThrow(parseUrl(created.success))
      assert.strictEqual(url.path, path.startsWith("/") ? path : `/${path}`)
      assert.deepEqual(Object.entries(url.params), [[name, [value]]])
      assert.strictEqual(url.socketPath, parts.socketPath)
      if (!isUnix) assert.strictEqual(url.port, 80)
    },
    options
  )
})
