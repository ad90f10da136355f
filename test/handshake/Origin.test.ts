import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import { isAllowed, type Origin, parse } from "../../src/handshake/Origin.ts"

const rules = (allowedOrigins: ReadonlyArray<string>, allowNullOrigin = false) => ({
  allowedOrigins,
  allowNullOrigin
})

/** Which of the origins may connect. */
const allowed = (pattern: string, origins: ReadonlyArray<string>) =>
  origins.filter((origin) => isAllowed(Result.getOrThrow(parse(origin)), rules([pattern])))

describe("parse", () => {
  it.each([
    ["http://example.com", { scheme: "http", host: "example.com", port: 80 }],
    ["https://example.com", { scheme: "https", host: "example.com", port: 443 }],
    ["HTTPS://Example.COM:8443", { scheme: "https", host: "example.com", port: 8443 }],
    ["http://[::1]:8080", { scheme: "http", host: "[::1]", port: 8080 }],
    ["https://[2001:DB8::1]", { scheme: "https", host: "[2001:db8::1]", port: 443 }],
    ["chrome-extension://abcdef", { scheme: "chrome-extension", host: "abcdef", port: undefined }],
    ["app://local:1", { scheme: "app", host: "local", port: 1 }],
    ["null", "null"],
    ["NULL", "null"],
    ["file://", "null"],
    ["file:///home/x.html", "null"]
  ] satisfies ReadonlyArray<readonly [string, Origin]>)("%s", (text, origin: Origin) => {
    assert.deepStrictEqual(parse(text), Result.succeed(origin))
  })

  it.each([
    "",
    "example.com",
    "://example.com",
    "http:",
    "http://",
    "http:example.com",
    "http://example.com/",
    "http://example.com/path",
    "http://user@example.com",
    "http://example.com:",
    "http://example.com:0",
    "http://example.com:65536",
    "http://example.com:8o",
    "http://a b",
    "http://a, http://b",
    "http://a http://b",
    "http://[::1",
    "http://[::1]x",
    "http://[zz]",
    "1http://a",
    "ht_tp://a",
    "nullx",
    "http://caf\xe9"
  ])("%j is none", (text) => {
    assert.deepStrictEqual(parse(text), Result.fail("invalid Origin header"))
  })
})

describe("isAllowed", () => {
  const sites = [
    "http://example.com",
    "https://example.com",
    "https://example.com:8443",
    "https://www.example.com",
    "https://example.com.evil.org",
    "https://evilexample.com",
    "http://[::1]",
    "app://example.com"
  ]
  it.each([
    ["*", sites],
    ["", []],
    ["example.com", []],
    ["https://example.com", ["https://example.com"]],
    ["https://example.com:443", ["https://example.com"]],
    ["HTTPS://EXAMPLE.com", ["https://example.com"]],
    ["http://example.com", ["http://example.com"]],
    ["https://example.com:8443", ["https://example.com:8443"]],
    ["https://example.com:*", ["https://example.com", "https://example.com:8443"]],
    ["https://*.example.com", ["https://www.example.com"]],
    ["https://*example.com", ["https://example.com", "https://www.example.com", "https://evilexample.com"]],
    ["https://*", sites.filter((site) => site.startsWith("https") && !site.endsWith("8443"))],
    ["*://example.com:*", ["http://example.com", "https://example.com", "https://example.com:8443"]],
    ["*://example.com", ["app://example.com"]],
    ["http*://example.com:*3", ["https://example.com", "https://example.com:8443"]],
    ["*example.com*", sites.filter((site) => site.includes("example.com"))],
    ["**", sites],
    ["http://[::1]", ["http://[::1]"]],
    ["http://[::1]:80", ["http://[::1]"]],
    ["http://[*", ["http://[::1]"]],
    // Characters that mean something in a regular expression mean themselves.
    ["https://www.exampleXcom", []],
    ["https://(www|).example.com", []],
    ["https://[a-z]*.example.com", []],
    ["https://.*", []],
    ["https://example.com$", []]
  ])("%s", (pattern, origins) => {
    assert.deepStrictEqual(allowed(pattern, sites), origins)
  })

  it("of several patterns one must match; none lets no origin in", () => {
    const origin = Result.getOrThrow(parse("https://b.example"))
    assert.isTrue(isAllowed(origin, rules(["https://a.example", "https://b.example"])))
    assert.isFalse(isAllowed(origin, rules(["https://a.example", "https://c.example"])))
    assert.isFalse(isAllowed(origin, rules([])))
  })

  it("the pieces around a star do not overlap", () => {
    assert.deepStrictEqual(allowed("app://ab*ba", ["app://aba", "app://abba", "app://abxba"]), [
      "app://abba",
      "app://abxba"
    ])
    assert.deepStrictEqual(allowed("app://a*a*a", ["app://aa", "app://aaa"]), ["app://aaa"])
  })

  it("the null origin is let in by its own option only", () => {
    for (const origin of ["null", "file:///x"]) {
      const parsed = Result.getOrThrow(parse(origin))
      assert.isFalse(isAllowed(parsed, rules(["*", "null", "file:*"])))
      assert.isTrue(isAllowed(parsed, rules([], true)))
    }
    assert.isFalse(isAllowed(Result.getOrThrow(parse("http://a")), rules([], true)))
  })

  // Backtracking would try more than 10^60 ways.
  it("many stars and a long origin that nearly matches are no work", () => {
    const origin = Result.getOrThrow(parse(`http://${"a".repeat(100_000)}`))
    assert.isFalse(isAllowed(origin, rules([`http://${"*a".repeat(15)}*b:80`])))
    assert.isFalse(isAllowed(origin, rules([`http://${"*a".repeat(100_000)}*b*:80`])))
    assert.isTrue(isAllowed(origin, rules([`http://${"*a".repeat(100_000)}*:80`])))
  })
})
