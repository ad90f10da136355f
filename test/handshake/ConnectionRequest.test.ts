import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import * as Headers from "effect/http/Headers"
import * as NetAddress from "effect/net/NetAddress"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { ConnectionAccept, ConnectionRequest, ConnectionResponse } from "effect-websocket"
import { fromLines, type HeadersInput } from "../../src/handshake/ConnectionRequest.ts"
import { parseQuery } from "../../src/handshake/Query.ts"
import { refusedJson, throughJson } from "../support/json.ts"

const request: ConnectionRequest = {
  peer: NetAddress.inetAddressUnsafe(NetAddress.ipv4Loopback, 9000),
  headers: Headers.fromInput([
    ["host", "example.com"],
    ["cookie", 'a="b"'],
    ["__proto__", "1"]
  ]),
  host: "example.com",
  path: "/%C3%A4",
  params: parseQuery("room=1&room=%C3%A4&__proto__=2&constructor="),
  version: 13,
  origin: "https://example.com",
  protocols: ["chat", "superchat"],
  extensions: ["permessage-deflate; client_max_window_bits"]
}

const response: ConnectionResponse = {
  peer: undefined,
  headers: Headers.fromInput({ upgrade: "websocket" }),
  version: 8,
  protocol: undefined,
  extensions: []
}

it("header lines of one name are joined, cookies by semicolons", () => {
  const headers = fromLines([
    ["X-A", "1"],
    ["Cookie", "a=1"],
    ["x-a", "2"],
    ["cookie", "b=2"]
  ])
  assert.deepStrictEqual({ ...headers }, { "x-a": "1, 2", cookie: "a=1; b=2" })
})

describe("the Schemas of the opening handshake", () => {
  it("have the types beside them", () => {
    expectTypeOf<(typeof ConnectionRequest)["Type"]>().toEqualTypeOf<ConnectionRequest>()
    expectTypeOf<(typeof ConnectionResponse)["Type"]>().toEqualTypeOf<ConnectionResponse>()
    expectTypeOf<(typeof ConnectionAccept)["Type"]>().toEqualTypeOf<ConnectionAccept>()
    expectTypeOf<NonNullable<ConnectionAccept["headers"]>>().toEqualTypeOf<HeadersInput>()
  })

  it("a request is JSON, and comes back", () => {
    const { decoded, json } = throughJson(ConnectionRequest, request)
    assert.deepStrictEqual(decoded, request)
    assert.deepStrictEqual(json, {
      ...request,
      peer: "127.0.0.1:9000",
      headers: Object.fromEntries(Object.entries(request.headers)),
      params: Object.fromEntries(Object.entries(request.params))
    })
    assert.isTrue(Headers.isHeaders(decoded.headers))
    assert.isNull(Object.getPrototypeOf(decoded.params))
    const least = { ...request, peer: undefined, origin: undefined, params: parseQuery("") }
    assert.deepStrictEqual(throughJson(ConnectionRequest, least).decoded, least)
  })

  it("without a query has parameters that nobody can change, as all such requests share them", () => {
    const params = parseQuery("")
    assert.deepStrictEqual(Object.keys(params), [])
    assert.isNull(Object.getPrototypeOf(params))
    assert.isFalse(Reflect.set(params, "room", ["1"]))
    assert.isUndefined(parseQuery("").room)
  })

  it("a response is JSON, and comes back", () => {
    const { decoded, json } = throughJson(ConnectionResponse, response)
    assert.deepStrictEqual(decoded, response)
    assert.deepStrictEqual(json, {
      peer: null,
      headers: { upgrade: "websocket" },
      version: 8,
      protocol: null,
      extensions: []
    })
  })

  it.each([
    "127.0.0.1:0",
    "[::1]:65535",
    "[fe80::1%3]:9000",
    "unix:/tmp/a.sock",
    "unix:127.0.0.1:80",
    "unix:"
  ])("the peer %s is JSON, and comes back", (peer) => {
    const address = peer.startsWith("unix:")
      ? NetAddress.unixPathAddress(peer.slice(5))
      : NetAddress.inetAddressFromStringUnsafe(peer)
    const { decoded, json } = throughJson(ConnectionResponse, { ...response, peer: address })
    assert.deepStrictEqual(decoded.peer, address)
    assert.deepNestedInclude(json, { peer })
  })

  it.each<ConnectionAccept>([
    {},
    { subprotocol: "chat" },
    { subprotocol: undefined, headers: undefined },
    { subprotocol: "chat", headers: { "Set-Cookie": ["a=1", "b=2"], "X-A": "1" } }
  ])("the acceptance %j is JSON, and comes back", (accept) => {
    assert.deepStrictEqual(throughJson(ConnectionAccept, accept).decoded, accept)
  })

  const { json } = throughJson(ConnectionRequest, request)
  it.each<readonly [unknown, string]>([
    [null, "Expected object"],
    [[], "Expected object"],
    ["", "Expected object"],
    [{}, '"peer"'],
    ...[
      ["peer", "localhost:80"],
      ["peer", "127.0.0.1"],
      ["peer", "[::1]:65536"],
      ["peer", "/tmp/a.sock"],
      ["peer", { path: "/tmp/a.sock" }],
      ["headers", []],
      ["headers", { host: ["a"] }],
      ["params", null],
      ["params", [["a"]]],
      ["params", { a: "1" }],
      ["params", { a: [1] }],
      ["version", 13.5],
      ["version", "13"],
      ["origin", 1],
      ["protocols", "chat"],
      ["extensions", [null]]
    ].map(([name, value]) => [Object.assign({}, json, { [String(name)]: value }), `["${name}"`] as const)
  ])("the JSON %j is no request", (json, message) => {
    assert.include(refusedJson(ConnectionRequest, json), message)
  })

  it("a value of another type has no JSON", () => {
    const encode = Schema.encodeUnknownResult(Schema.toCodecJson(ConnectionRequest))
    for (const wrong of [{ params: { a: "1" } }, { peer: "127.0.0.1:80" }, { headers: {} }]) {
      assert.isTrue(Result.isFailure(encode({ ...request, ...wrong })))
    }
  })
})
