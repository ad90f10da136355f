import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import {
  createUrl,
  InvalidUrl,
  parseUrl,
  type UrlParts,
  type WebSocketUrl
} from "../../src/handshake/WebSocketUrl.ts"

const parsed = (url: string): WebSocketUrl => {
  const result = parseUrl(url)
  if (Result.isFailure(result)) return assert.fail(`${url}: ${result.failure.message}`)
  return result.success
}

const failure = <A>(result: Result.Result<A, InvalidUrl>): InvalidUrl => {
  if (Result.isSuccess(result)) return assert.fail(JSON.stringify(result.success))
  assert.instanceOf(result.failure, InvalidUrl)
  return result.failure
}

describe("parseUrl", () => {
  const valid: ReadonlyArray<
    readonly [url: string, secure: boolean, host: string, port: number, resource: string, hostHeader: string]
  > = [
    ["ws://example.com", false, "example.com", 80, "/", "example.com"],
    ["wss://example.com", true, "example.com", 443, "/", "example.com"],
    ["ws://example.com/", false, "example.com", 80, "/", "example.com"],
    ["WSS://Example.COM/Chat", true, "example.com", 443, "/Chat", "example.com"],
    ["ws://example.com/chat?room=1&x=%20", false, "example.com", 80, "/chat?room=1&x=%20", "example.com"],
    ["ws://example.com?room=1", false, "example.com", 80, "/?room=1", "example.com"],
    ["ws://example.com?a@b/c", false, "example.com", 80, "/?a@b/c", "example.com"],
    ["ws://example.com/a@b", false, "example.com", 80, "/a@b", "example.com"],
    ["ws://example.com/ä?ö", false, "example.com", 80, "/%C3%A4?%C3%B6", "example.com"],
    ["ws://bücher.example/", false, "xn--bcher-kva.example", 80, "/", "xn--bcher-kva.example"],
    ["ws://example.com:80/", false, "example.com", 80, "/", "example.com"],
    ["ws://example.com:443/", false, "example.com", 443, "/", "example.com:443"],
    ["wss://example.com:443/", true, "example.com", 443, "/", "example.com"],
    ["wss://example.com:80/", true, "example.com", 80, "/", "example.com:80"],
    ["ws://localhost:9000", false, "localhost", 9000, "/", "localhost:9000"],
    ["ws://example.com:65535/", false, "example.com", 65535, "/", "example.com:65535"],
    ["ws://example.com:/", false, "example.com", 80, "/", "example.com"],
    ["ws://127.0.0.1:1/", false, "127.0.0.1", 1, "/", "127.0.0.1:1"],
    ["ws://[::1]/", false, "::1", 80, "/", "[::1]"],
    ["wss://[2001:DB8::1]:8443/x", true, "2001:db8::1", 8443, "/x", "[2001:db8::1]:8443"],
    ["ws://unix/", false, "unix", 80, "/", "unix"],
    ["ws://unix:8080/", false, "unix", 8080, "/", "unix:8080"]
  ]
  it.each(valid)("reads %s", (url, secure, host, port, resource, hostHeader) => {
    assert.deepInclude(parsed(url), { secure, host, port, resource, hostHeader, socketPath: undefined })
  })

  const targets: ReadonlyArray<
    readonly [target: string, resource: string, path: string, params: Record<string, ReadonlyArray<string>>]
  > = [
    ["", "/", "/", {}],
    ["/", "/", "/", {}],
    ["/?", "/", "/", {}],
    ["?x=1", "/?x=1", "/", { x: ["1"] }],
    ["/chat?room=1&room=2&x", "/chat?room=1&room=2&x", "/chat", { room: ["1", "2"], x: [""] }],
    ["/a%20b/%C3%A4%25?%C3%A4=%26+1%2B", "/a%20b/%C3%A4%25?%C3%A4=%26+1%2B", "/a b/ä%", { ä: ["& 1+"] }],
    ["/ä/\u{1f600}?ö=ü", "/%C3%A4/%F0%9F%98%80?%C3%B6=%C3%BC", "/ä/\u{1f600}", { ö: ["ü"] }],
    [
      "/%ef%bb%bf%ff%C3/%zz%2?x=%ff%",
      "/%ef%bb%bf%ff%C3/%zz%2?x=%ff%",
      "/\ufeff\ufffd\ufffd/%zz%2",
      { x: ["\ufffd%"] }
    ],
    ["/a/%2e%2E/b%2F..%2Fc", "/b%2F..%2Fc", "/b/../c", {}],
    ["/a:b@c//?d:e/f?g", "/a:b@c//?d:e/f?g", "/a:b@c//", { "d:e/f?g": [""] }],
    [
      "/?__proto__=1&constructor=2",
      "/?__proto__=1&constructor=2",
      "/",
      Object.fromEntries([
        ["__proto__", ["1"]],
        ["constructor", ["2"]]
      ])
    ]
  ]
  it.each(targets)("reads the target %s", (target, resource, path, params) => {
    for (const before of ["ws://example.com", `ws://unix:/tmp/a.sock${target.startsWith("/") ? ":" : ""}`]) {
      const url = parsed(`${before}${target}`)
      assert.deepEqual([url.resource, url.path], [resource, path])
      assert.isNull(Object.getPrototypeOf(url.params))
      assert.deepEqual(Object.entries(url.params), Object.entries(params))
    }
  })

  const unix: ReadonlyArray<readonly [url: string, secure: boolean, socketPath: string, resource: string]> = [
    ["ws://unix:/tmp/file.sock", false, "/tmp/file.sock", "/"],
    ["wss://unix:/tmp/file.sock", true, "/tmp/file.sock", "/"],
    ["WS://UNIX:/tmp/File.sock", false, "/tmp/File.sock", "/"],
    ["ws://unix:/tmp/a%20b%3Fc%23%3A.sock", false, "/tmp/a b?c#:.sock", "/"],
    ["ws://unix:/tmp/me@home.sock", false, "/tmp/me@home.sock", "/"],
    ["ws://unix:/tmp/../x/%C3%A4ö", false, "/tmp/../x/äö", "/"],
    ["ws://unix:/tmp/a.sock:/", false, "/tmp/a.sock", "/"],
    ["wss://unix:/tmp/a.sock:/chat?room=1", true, "/tmp/a.sock", "/chat?room=1"],
    ["ws://unix:/tmp/a.sock:/a:/b", false, "/tmp/a.sock", "/a:/b"],
    ["ws://unix:/tmp/a.sock?x=:/y", false, "/tmp/a.sock", "/?x=:/y"]
  ]
  it.each(unix)("reads %s", (url, secure, socketPath, resource) => {
    assert.deepInclude(parsed(url), {
      secure,
      host: "localhost",
      port: secure ? 443 : 80,
      resource,
      hostHeader: "localhost",
      socketPath
    })
  })

  const invalid: ReadonlyArray<readonly [url: string, kind: InvalidUrl["kind"]]> = [
    ["", "Scheme"],
    ["example.com", "Scheme"],
    ["http://example.com/", "Scheme"],
    ["https://example.com/", "Scheme"],
    ["wsx://example.com/", "Scheme"],
    ["ws:example.com", "Scheme"],
    ["ws:/example.com", "Scheme"],
    ["//example.com", "Scheme"],
    ["://example.com", "Scheme"],
    ["ws://", "Host"],
    ["ws:///path", "Host"],
    ["ws://?a=b", "Host"],
    ["ws://:80/", "Host"],
    ["ws://example.com/#", "Fragment"],
    ["ws://example.com/#a", "Fragment"],
    ["ws://unix:/tmp/a#b", "Fragment"],
    ["ws://user@example.com/", "UserInformation"],
    ["ws://user:secret@example.com/", "UserInformation"],
    ["ws://@example.com/", "UserInformation"],
    ["ws://example.com:0/", "Port"],
    ["ws://example.com:65536/", "Port"],
    ["ws://example.com:-1/", "Port"],
    ["ws://example.com:8o/", "Port"],
    ["ws://[::1/", "Host"],
    ["ws://[::g]/", "Host"],
    ["ws://a%00b/", "Host"],
    ["ws://a|b/", "Host"],
    [" ws://example.com/", "Character"],
    ["ws://example.com/ ", "Character"],
    ["ws://example.com/a b", "Character"],
    ["ws://exa\tmple.com/", "Character"],
    ["ws://example.com/\r\nX-A: 1", "Character"],
    ["ws://example.com/\0", "Character"],
    ["ws://example.com/\x7f", "Character"],
    ["ws://example.com/\x85", "Character"],
    ["ws://example.com/\xa0", "Character"],
    ["ws://example.com/\u2028", "Character"],
    ["ws://example.com/\u3000", "Character"],
    ["ws://evil.example\\@example.com/", "Character"],
    ["ws://unix:/", "SocketPath"],
    ["ws://unix:/tmp/%00", "SocketPath"],
    ["ws://unix:/tmp/%zz", "Encoding"],
    ["ws://unix:/tmp/%", "Encoding"],
    ["ws://unix:/tmp/%ff", "Encoding"],
    ["ws://unix:/tmp/me@home:1.sock", "SocketPath"],
    ["ws://unix:/tmp/a.sock:", "SocketPath"],
    ["ws://unix:/tmp/a.sock:?x=1", "SocketPath"],
    ["ws://unix:/:/chat", "SocketPath"],
    ["ws://unix:tmp/a.sock", "Port"],
    ["ws://a:b:c/", "Port"],
    ["ws://[::1]:x/", "Port"],
    ["ws://a/\ud800", "Encoding"],
    ["ws://unix:/\udc00", "Encoding"],
    ["ws://unix:/a:/?\ud800", "Encoding"]
  ]
  it.each(invalid)("refuses %j", (url, kind) => {
    const error = failure(parseUrl(url))
    assert.deepEqual([error._tag, error.kind], ["InvalidUrl", kind])
    assert.strictEqual(error.url, url.replace(/\/\/.*@example/, "//example"))
  })

  it("says what to write instead, and repeats no credentials", () => {
    const messages = invalid.map(([url]) => failure(parseUrl(url)).message)
    const kinds = new Set(invalid.map(([, kind]) => kind))
    assert.strictEqual(new Set(messages).size, kinds.size)
    assert.include(failure(parseUrl("ws://user:secret@example.com/")).message, "Authorization")
    for (const url of [
      "ws://user:secret@example.com/",
      "http://user:s@secret@a/@b",
      "//:secret@a?@b",
      "ws://secret@"
    ]) {
      const error = failure(parseUrl(url))
      assert.notInclude(`${error.message} ${JSON.stringify(error)}`, "secret")
      assert.strictEqual(error.url, url.replace(/\/\/.*secret@/, "//"))
    }
  })

  it("reads a megabyte", () => {
    for (const part of ["b", "%41", "/..", "%"]) {
      const long = part.repeat(1 << 20)
      assert.isTrue(Result.isSuccess(parseUrl(`ws://a/${long}?${long}`)), part)
    }
  })
})

describe("createUrl", () => {
  const created: ReadonlyArray<readonly [parts: UrlParts, url: string]> = [
    [{ host: "example.com" }, "ws://example.com/"],
    [{ host: "example.com", secure: true }, "wss://example.com/"],
    [{ host: "example.com", port: 80 }, "ws://example.com/"],
    [{ host: "example.com", port: 443 }, "ws://example.com:443/"],
    [{ host: "example.com", port: 443, secure: true }, "wss://example.com/"],
    [{ host: "example.com", port: undefined, path: undefined, params: undefined }, "ws://example.com/"],
    [{ host: "Bücher.Example", port: 9000 }, "ws://xn--bcher-kva.example:9000/"],
    [{ host: "127.0.0.1", port: 65_535 }, "ws://127.0.0.1:65535/"],
    [{ host: "::1" }, "ws://[::1]/"],
    [{ host: "2001:DB8:0::1", port: 8443, secure: true }, "wss://[2001:db8::1]:8443/"],
    [{ host: "unix", path: "/tmp/a.sock" }, "ws://unix/tmp/a.sock"],
    [{ host: "a", path: "" }, "ws://a/"],
    [{ host: "a", path: "chat" }, "ws://a/chat"],
    [{ host: "a", path: "//b//" }, "ws://a//b//"],
    [{ host: "a", path: "/.b/c../..." }, "ws://a/.b/c../..."],
    [{ host: "a", path: "/ä b/100%/%41?x#y\\\0" }, "ws://a/%C3%A4%20b/100%25/%2541%3Fx%23y%5C%00"],
    [{ host: "a", params: { x: "1" } }, "ws://a/?x=1"],
    [{ host: "a", path: "/b", params: { x: ["1", "2"], y: [], "": "" } }, "ws://a/b?x=1&x=2&="],
    [{ host: "a", params: { "ä&=": "/? #+%'" } }, "ws://a/?%C3%A4%26%3D=/%3F%20%23%2B%25%27"],
    [{ socketPath: "/tmp/a.sock" }, "ws://unix:/tmp/a.sock"],
    [{ socketPath: "/tmp/a.sock", secure: true, path: "/" }, "wss://unix:/tmp/a.sock"],
    [{ socketPath: "/tmp/../ä b:c?d#@.sock" }, "ws://unix:/tmp/../%C3%A4%20b%3Ac%3Fd%23%40.sock"],
    [
      { socketPath: "/tmp/a.sock", path: "/chat:1", params: { room: "1" } },
      "ws://unix:/tmp/a.sock:/chat%3A1?room=1"
    ],
    [
      { socketPath: "/tmp/a.sock", host: "example.com", port: 0, params: { x: "" } },
      "ws://unix:/tmp/a.sock:/?x="
    ]
  ]
  it.each(created)("makes %j %s", (parts, url) => {
    assert.deepEqual(createUrl(parts), Result.succeed(url))
  })

  const invalid: ReadonlyArray<readonly [parts: UrlParts, kind: InvalidUrl["kind"]]> = [
    [{ host: "" }, "Host"],
    [{ host: "", port: 80 }, "Host"],
    [{ host: "a/b" }, "Host"],
    [{ host: "a?b" }, "Host"],
    [{ host: "a:80" }, "Host"],
    [{ host: "[::1]" }, "Host"],
    [{ host: "::g", port: 80 }, "Host"],
    [{ host: "unix:" }, "Host"],
    [{ host: "unix:/tmp/a.sock" }, "Host"],
    [{ host: "a%2Fb" }, "Host"],
    [{ host: "a#b" }, "Fragment"],
    [{ host: "user@example.com" }, "UserInformation"],
    [{ host: "user:secret@example.com" }, "UserInformation"],
    [{ host: "a b" }, "Character"],
    [{ host: "a\r\nX-A: 1" }, "Character"],
    [{ host: "a\\b" }, "Character"],
    [{ host: "\ud800" }, "Encoding"],
    ...[0, -1, 1.5, 65_536, Number.NaN, Number.POSITIVE_INFINITY, 1e21].map(
      (port) => [{ host: "a", port }, "Port"] as const
    ),
    ...["..", ".", "/..", "/a/../b", "/a/.", "./a"].map((path) => [{ host: "a", path }, "Path"] as const),
    [{ socketPath: "/a", path: "/.." }, "Path"],
    [{ host: "a", path: "/\ud800" }, "Encoding"],
    [{ host: "a", params: { x: ["1", "\udc00"] } }, "Encoding"],
    [{ host: "a", params: { "\ud800": "1" } }, "Encoding"],
    [{ socketPath: "" }, "SocketPath"],
    [{ socketPath: "/" }, "SocketPath"],
    [{ socketPath: "tmp/a.sock" }, "SocketPath"],
    [{ socketPath: "/a\0b" }, "SocketPath"],
    [{ socketPath: "/\ud800" }, "Encoding"]
  ]
  it.each(invalid)("refuses %j: %s", (parts, kind) => {
    const error = failure(createUrl(parts))
    assert.strictEqual(error.kind, kind)
    assert.match(error.url, /^ws:\/\//)
  })
})
