import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import { parseUrl, type WebSocketUrl } from "../../src/handshake/WebSocketUrl.ts"

const parsed = (url: string): WebSocketUrl => {
  const result = parseUrl(url)
  if (Result.isFailure(result)) return assert.fail(`${url}: ${result.failure}`)
  return result.success
}

const failure = (url: string): string => {
  const result = parseUrl(url)
  if (Result.isSuccess(result)) return assert.fail(`${url}: ${JSON.stringify(result.success)}`)
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
  for (const [url, secure, host, port, resource, hostHeader] of valid) {
    it(`reads ${url}`, () => {
      assert.deepStrictEqual(parsed(url), { secure, host, port, resource, hostHeader, socketPath: undefined })
    })
  }

  const unix: ReadonlyArray<readonly [url: string, secure: boolean, socketPath: string]> = [
    ["ws://unix:/tmp/file.sock", false, "/tmp/file.sock"],
    ["wss://unix:/tmp/file.sock", true, "/tmp/file.sock"],
    ["ws://UNIX:/tmp/File.sock", false, "/tmp/File.sock"],
    ["ws://unix:/tmp/a%20b%3Fc%23.sock", false, "/tmp/a b?c#.sock"],
    ["ws://unix:/tmp/me@home:1.sock", false, "/tmp/me@home:1.sock"],
    ["ws://unix:/tmp/../x/%C3%A4", false, "/tmp/../x/ä"]
  ]
  for (const [url, secure, socketPath] of unix) {
    it(`reads ${url}`, () => {
      assert.deepStrictEqual(parsed(url), {
        secure,
        host: "localhost",
        port: secure ? 443 : 80,
        resource: "/",
        hostHeader: "localhost",
        socketPath
      })
    })
  }

  const invalid: ReadonlyArray<readonly [url: string, text: string]> = [
    ["", "ws://"],
    ["example.com", "ws://"],
    ["http://example.com/", "ws://"],
    ["https://example.com/", "ws://"],
    ["wsx://example.com/", "ws://"],
    ["ws:example.com", "ws://"],
    ["ws:/example.com", "ws://"],
    ["//example.com", "ws://"],
    ["://example.com", "ws://"],
    ["ws://", "host"],
    ["ws:///path", "host"],
    ["ws://?a=b", "host"],
    ["ws://:80/", "host"],
    ["ws://example.com/#", "fragment"],
    ["ws://example.com/#a", "fragment"],
    ["ws://unix:/tmp/a#b", "fragment"],
    ["ws://user@example.com/", "Authorization"],
    ["ws://user:secret@example.com/", "Authorization"],
    ["ws://@example.com/", "Authorization"],
    ["ws://example.com:0/", "port 0"],
    ["ws://example.com:65536/", "host or port"],
    ["ws://example.com:-1/", "host or port"],
    ["ws://example.com:8o/", "host or port"],
    ["ws://[::1/", "host or port"],
    ["ws://[::g]/", "host or port"],
    ["ws://a%00b/", "host or port"],
    ["ws://a|b/", "host or port"],
    [" ws://example.com/", "white space"],
    ["ws://example.com/ ", "white space"],
    ["ws://example.com/a b", "white space"],
    ["ws://exa\tmple.com/", "control"],
    ["ws://example.com/\r\nX-A: 1", "control"],
    ["ws://example.com/\0", "control"],
    ["ws://example.com/\x7f", "control"],
    ["ws://example.com/\x85", "control"],
    ["ws://example.com/\xa0", "white space"],
    ["ws://example.com/\u2028", "white space"],
    ["ws://example.com/\u3000", "white space"],
    ["ws://evil.example\\@example.com/", "backslash"],
    ["ws://unix:/", "Unix socket path"],
    ["ws://unix:/tmp/%00", "Unix socket path"],
    ["ws://unix:/tmp/%zz", "percent-encoding"],
    ["ws://unix:/tmp/%", "percent-encoding"],
    ["ws://unix:/tmp/%ff", "percent-encoding"],
    ["ws://unix:/tmp/a.sock?x=1", "query"]
  ]
  for (const [url, text] of invalid) {
    it(`refuses ${JSON.stringify(url)}`, () => {
      assert.include(failure(url), text)
    })
  }

  it("does not repeat credentials in its message", () => {
    assert.notInclude(failure("ws://user:secret@example.com/"), "secret")
  })

  it("never throws", () => {
    for (const text of [
      "\ud800",
      "ws://\ud800/",
      "ws://a/\ud800",
      "ws://unix:/\ud800",
      "ws://[",
      "ws://%",
      "ws://a:b:c"
    ]) {
      assert.isTrue(Result.isResult(parseUrl(text)))
    }
    assert.strictEqual(parsed(`ws://a/${"b".repeat(1 << 20)}`).resource.length, (1 << 20) + 1)
  })
})
