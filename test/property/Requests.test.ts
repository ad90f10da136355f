import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { ConnectionRequest, fromHandshake } from "../../src/handshake/ConnectionRequest.ts"
import { parseRequest, parseRequestLine } from "../../src/handshake/Request.ts"
import { buildDenial } from "../../src/handshake/Response.ts"
import { int, oneOf, pick, text } from "../support/arbitraries.ts"
import { exampleKey } from "../support/RawPeer.ts"

const options = { arbitrary: { runs: 1000, size: 40 }, timeout: 60_000 }

const piecesOf = (...choices: ReadonlyArray<Arbitrary.Arbitrary<string>>): Arbitrary.Arbitrary<string> =>
  Arbitrary.map(Arbitrary.array(oneOf(...choices), { maxLength: 8 }), (pieces) => pieces.join(""))

const character = Arbitrary.map(int(0, 0xff), (code) => String.fromCharCode(code))

const host = piecesOf(
  pick("example.com", "a", "127.0.0.1", "[::1]", "", ""),
  pick("", "", ":", ":80", ":0", ":65536", "[", "]", "::", "@", "/", "%", "%41", "%zz", ",", "\\", "#", "?"),
  character
)

const origin = oneOf(
  piecesOf(pick("http://", "null", "://", "a", ":", "*", "http:", "//", "[", "file:"), host, character),
  text
)

const requestTarget = piecesOf(
  pick("/", "/chat", "?", "*", "http://", "ws://a", "WSS://[::1]:9000", "//", "..", "a:80"),
  pick("&", "=", "+", "%", "%2e", "%ff", "%00", "__proto__=1", "constructor=2", "[", "#", "@"),
  host,
  character
)

// RFC 3986 section 3.2, apart from user information and what only an IP parser knows.
const authority = /^(?:(?:[\w.~!$&'()*+,;=-]|%[0-9a-f]{2})+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?$/i

const json = Schema.toCodecJson(ConnectionRequest)

describe("property: malformed Host, Origin, request target", () => {
  it.prop(
    "never a defect: a 400, or a request that the grammar allows",
    {
      host: oneOf(pick("example.com"), host),
      origin: oneOf(pick("http://example.com"), origin),
      target: oneOf(
        Arbitrary.map(requestTarget, (rest) => `/${rest}`),
        requestTarget
      )
    },
    ({ host, origin, target }) => {
      const headers = [
        ["Host", host],
        ["Origin", origin],
        ["Upgrade", "websocket"],
        ["Connection", "Upgrade"],
        ["Sec-WebSocket-Key", exampleKey],
        ["Sec-WebSocket-Version", "13"]
      ] as const
      const parsed = parseRequest({ method: "GET", target, headers }, { versions: [13] })
      if (Result.isFailure(parsed)) {
        assert.strictEqual(parsed.failure.status, 400)
        assert.isTrue(Result.isSuccess(buildDenial({ ...parsed.failure, body: new Uint8Array() })))
        return
      }
      const request = fromHandshake(parsed.success, undefined)
      assert.strictEqual(request.host, host)
      assert.match(host, authority)
      assert.match(request.path, /^\/[!"$->@-~]*$/)
      assert.isTrue(target.includes(request.path) || request.path === "/")
      assert.isNull(Object.getPrototypeOf(request.params))
      assert.strictEqual(Object.keys(request.params).length > 0, /\?&*[^&]/.test(target))
      const encoded = Schema.encodeUnknownResult(json)(request)
      assert.deepStrictEqual(
        Result.flatMap(encoded, Schema.decodeUnknownResult(json)),
        Result.succeed(request)
      )
    },
    options
  )

  it.prop(
    "a request line is split in three, or answered",
    { target: requestTarget },
    ({ target }) => {
      const line = parseRequestLine(`GET ${target} HTTP/1.1`)
      if (Result.isSuccess(line)) assert.deepStrictEqual(line.success, { method: "GET", target })
      else assert.strictEqual(line.failure.status, 400)
    },
    options
  )
})
