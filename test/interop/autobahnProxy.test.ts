/**
 * Through an HTTP proxy to Autobahn, and from it.
 */
import { assert, describe, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { base64 } from "../support/interop.ts"
import { bytesOf, exchange, textOf } from "../support/interopCases.ts"
import { arePythonPeersThere, layer as peerLayer } from "../support/interopPython.ts"
import { type ClientSetup, ourClient, ourServer, type Side } from "../support/interopSides.ts"
import { hasOpenssl, makeCertificates } from "../support/nodeCertificates.ts"
import { makeProxy, type ProxyBehaviour } from "../support/proxy.ts"

const isPeerThere = arePythonPeersThere && hasOpenssl

const bye = { wasClean: true, code: 3000, reason: "bye" }

const refusals: ReadonlyArray<{
  readonly status: number
  readonly body: string
  readonly behaviour: ProxyBehaviour
}> = [
  { status: 407, body: "who?", behaviour: { credentials: "ann:secret" } },
  {
    status: 502,
    body: "no",
    behaviour: { answer: "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 2\r\n\r\nno" }
  }
]

/** A proxy, as a session names it, and the requests that it got. */
const startProxy = (behaviour?: ProxyBehaviour) =>
  Effect.map(makeProxy(behaviour), ({ host, port, requests }) => ({ proxy: { host, port }, requests }))

/** Messages of both kinds, big ones too, and a close from either side. */
const works = Effect.fnUntraced(function* (open: ReturnType<Side["open"]>) {
  const first = yield* open
  for (const message of ["Grüße", textOf(4_000_000), bytesOf(4_000_000)]) yield* exchange(first, message)
  assert.deepStrictEqual(yield* first.ours.close(3000, "bye"), bye)
  assert.deepStrictEqual(yield* first.peer.closed, bye)

  const second = yield* open
  second.peer.close(3000, "bye")
  assert.deepStrictEqual(yield* second.ours.closed, bye)
  assert.deepStrictEqual(yield* second.peer.closed, bye)
  return first.ours
})

describe.skipIf(!isPeerThere)("Autobahn", () => {
  const none = { key: "", cert: "" }
  const { ca, otherHost, valid } = isPeerThere ? makeCertificates() : { ca: "", otherHost: none, valid: none }

  /** The certificate's name, which no resolver knows: only the proxy finds it. */
  const name = "other.test"
  const ways: ReadonlyArray<{ readonly scheme: string; readonly setup: ClientSetup }> = [
    { scheme: "ws", setup: { name, peer: {} } },
    { scheme: "wss", setup: { name, tls: { ca }, peer: { tls: otherHost } } }
  ]

  layer(peerLayer("autobahn_peer.py"), { excludeTestServices: true })("through a proxy", (it) => {
    it.effect.each(ways)("our client speaks $scheme with Autobahn", ({ scheme, setup }) =>
      Effect.gen(function* () {
        const { proxy } = yield* startProxy()
        const client = yield* ourClient({}, setup)
        const { tls } = yield* works(client.open({ proxy }))
        assert.strictEqual(tls?.authorized, scheme === "wss" ? true : undefined)
      })
    )

    it.effect.each(ways)("$scheme: what is for the proxy and what is for Autobahn", ({ setup }) =>
      Effect.gen(function* () {
        const { proxy, requests } = yield* startProxy({ credentials: "ann:secret" })
        const { peer } = yield* (yield* ourClient({}, setup)).open({
          proxy: {
            ...proxy,
            credentials: { username: "ann", password: Redacted.make("secret") },
            headers: { "X-Via": "tests" }
          },
          headers: { Authorization: "Bearer of bad news" }
        })
        const { headers = {} } = peer.handshake
        const target = headers["host"]
        assert.isTrue(target?.startsWith(`${name}:`))
        assert.deepStrictEqual(requests, [
          [
            `CONNECT ${target} HTTP/1.1`,
            `Host: ${target}`,
            `Proxy-Authorization: Basic ${base64("ann:secret")}`,
            "X-Via: tests",
            "\r\n"
          ].join("\r\n")
        ])
        assert.strictEqual(headers["authorization"], "Bearer of bad news")
        assert.doesNotHaveAnyKeys(headers, ["proxy-authorization", "x-via"])
      })
    )

    it.effect.each(ways.flatMap((way) => refusals.map((refusal) => ({ ...way, ...refusal }))))(
      "$scheme: a proxy that answers $status lets nobody through",
      ({ behaviour, body, setup, status }) =>
        Effect.gen(function* () {
          const client = yield* ourClient({}, setup)
          const { proxy, requests } = yield* startProxy(behaviour)
          const { reason } = yield* Effect.flip(client.connect({ proxy }))
          assert.deepInclude(reason, { _tag: "ProxyRefused", status, body })
          assert.lengthOf(requests, 1)
          const next = yield* client.open({ proxy: (yield* startProxy()).proxy })
          assert.strictEqual(next.peer.handshake.request?.clients, 1)
        })
    )

    it.effect("Autobahn's certificate must be for its name: the proxy's will not do", () =>
      Effect.gen(function* () {
        const { proxy } = yield* startProxy()
        const client = yield* ourClient({}, { name, tls: { ca }, peer: { tls: valid } })
        const { reason } = yield* Effect.flip(client.connect({ proxy }))
        assert(reason._tag === "ConnectFailure")
        assert.propertyVal(reason.cause, "code", "ERR_TLS_CERT_ALTNAME_INVALID")
      })
    )

    // It cannot ask a proxy for TLS.
    it.effect("Autobahn's client speaks ws with our server", () =>
      Effect.gen(function* () {
        const { proxy, requests } = yield* startProxy()
        const server = yield* ourServer()
        const { request } = yield* works(server.open({ proxy }))
        const head = `CONNECT ${request?.host} HTTP/1.1\r\nHost: ${request?.host}\r\n\r\n`
        assert.deepStrictEqual(requests, [head, head])
      })
    )

    it.effect.each(refusals)("Autobahn's client gives up when the proxy answers $status", ({ behaviour }) =>
      Effect.gen(function* () {
        const { proxy } = yield* startProxy(behaviour)
        const { denial } = yield* (yield* ourServer()).connect({ proxy })
        assert.isDefined(denial)
        assert.isUndefined(denial?.status)
      })
    )
  })
})
