import { Buffer } from "node:buffer"
import { assert, describe, it } from "@effect/vitest"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { buildConnect, opensTunnel, type Proxy } from "../../src/handshake/ProxyConnect.ts"
import { parseUrl } from "../../src/handshake/WebSocketUrl.ts"

const proxy = { host: "proxy.test", port: 3128 }

const build = (rest: Partial<Proxy> = {}, url = "ws://example.com/chat?room=1") =>
  Result.map(buildConnect({ ...proxy, ...rest }, Result.getOrThrow(parseUrl(url))), (bytes) =>
    Buffer.from(bytes).toString("latin1")
  )

describe("buildConnect", () => {
  const authorities: ReadonlyArray<readonly [url: string, target: string]> = [
    ["ws://example.com/chat", "example.com:80"],
    ["wss://example.com/", "example.com:443"],
    ["ws://127.0.0.1:9000/", "127.0.0.1:9000"],
    ["wss://[2001:db8::1]/", "[2001:db8::1]:443"]
  ]
  it.each(authorities)("names the target of %s, always with its port", (url, target) => {
    assert.strictEqual(
      Result.getOrThrow(build({}, url)),
      `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`
    )
  })

  it.each(["sesam öffne dich", Redacted.make("sesam öffne dich")])(
    "sends credentials as Basic, and further headers",
    (password) => {
      const credentials = { username: "Aladdin", password }
      const text = Result.getOrThrow(build({ credentials, headers: { "X-Via": ["a", "b"] } }))
      const basic = Buffer.from("Aladdin:sesam öffne dich").toString("base64")
      assert.strictEqual(
        text,
        `CONNECT example.com:80 HTTP/1.1\r\nHost: example.com:80\r\nProxy-Authorization: Basic ${basic}\r\nX-Via: a\r\nX-Via: b\r\n\r\n`
      )
    }
  )

  const proxies = [{ host: "::1" }, { host: "10.0.0.1" }, { port: 65_535 }, { port: 1 }]
  it.each(proxies)("takes the proxy %j", (rest) => {
    assert.isTrue(Result.isSuccess(build(rest)))
  })

  const wrong: ReadonlyArray<readonly [what: string, rest: Partial<Proxy>, message: string]> = [
    ["no host", { host: "" }, "invalid host or port of the proxy"],
    ["CRLF in the host", { host: "a\r\nX: b" }, "invalid host or port of the proxy"],
    ["a host with a port", { host: "a:80" }, "invalid host or port of the proxy"],
    ["a host that is a URL", { host: "http://a" }, "invalid host or port of the proxy"],
    ["port 0", { port: 0 }, "invalid host or port of the proxy"],
    ["port 65536", { port: 65_536 }, "invalid host or port of the proxy"],
    ["a port that is no whole number", { port: 80.5 }, "invalid host or port of the proxy"],
    [
      "a colon in the user name",
      { credentials: { username: "a:b", password: "c" } },
      "the proxy's user name contains a colon"
    ],
    [
      "CRLF in the password",
      { credentials: { username: "a", password: Redacted.make("b\r\nX: c") } },
      "the proxy's credentials contain a control character"
    ],
    [
      "NUL in the user name",
      { credentials: { username: "a\0", password: "" } },
      "the proxy's credentials contain a control character"
    ],
    ["CRLF in a header", { headers: { "X-A": "b\r\nX-C: d" } }, "invalid value of header X-A (of the proxy)"],
    ["a name that is no token", { headers: { "X A": "b" } }, 'invalid header name "X A" (of the proxy)'],
    [
      "a second Host",
      { headers: { host: "b" } },
      "header host is set by the opening handshake (of the proxy)"
    ],
    [
      "credentials twice",
      { credentials: { username: "a", password: "b" }, headers: { "Proxy-Authorization": "Basic x" } },
      "header Proxy-Authorization is set by the opening handshake (of the proxy)"
    ]
  ]
  it.each(wrong)("refuses %s", (_, rest, message) => {
    assert.deepStrictEqual(build(rest), Result.fail(message))
  })

  it("refuses a Unix-domain socket", () => {
    assert.deepStrictEqual(build({}, "ws://unix:/tmp/a"), Result.fail("a Unix-domain socket has no proxy"))
  })
})

describe("opensTunnel", () => {
  it.each([
    [101, false],
    [199, false],
    [200, true],
    [299, true],
    [300, false],
    [407, false]
  ])("%i: %s", (status, expected) => assert.strictEqual(opensTunnel(status), expected))
})
