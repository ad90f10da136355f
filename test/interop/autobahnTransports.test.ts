/**
 * TLS, IPv6 and Unix-domain sockets with Autobahn at the other end.
 */
import { networkInterfaces } from "node:os"
import { assert, describe, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Peer } from "../support/interop.ts"
import { bytesOf, exchange } from "../support/interopCases.ts"
import { arePythonPeersThere, layer as peerLayer } from "../support/interopPython.ts"
import { ourClient, ourServer } from "../support/interopSides.ts"
import { hasOpenssl, makeCertificates } from "../support/nodeCertificates.ts"
import { isGiven } from "../support/requirement.ts"

const hasIpv6 = isGiven(
  "the IPv6 address ::1",
  Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === "::1")),
  "sysctl net.ipv6.conf.lo.disable_ipv6=0"
)

const isPeerThere = arePythonPeersThere && hasOpenssl

describe.skipIf(!isPeerThere)("Autobahn", () => {
  const none = { key: "", cert: "" }
  const { ca, otherHost, selfSigned, valid } = isPeerThere
    ? makeCertificates()
    : { ca: "", otherHost: none, selfSigned: none, valid: none }

  layer(peerLayer("autobahn_peer.py"), { excludeTestServices: true })("transports", (it) => {
    it.effect.each([
      { side: "our server", start: ourServer({}, { tls: valid, peer: { tls: { ca } } }), authorized: false },
      { side: "our client", start: ourClient({}, { tls: { ca }, peer: { tls: valid } }), authorized: true }
    ])("$side speaks over TLS, and the server is verified", ({ authorized, start }) =>
      Effect.gen(function* () {
        const pair = yield* (yield* start).open()
        assert.strictEqual(pair.ours.tls?.authorized, authorized)
        yield* exchange(pair, "Grüße")
        yield* exchange(pair, bytesOf(1_000_000))
        const closed = { wasClean: true, code: 3000, reason: "bye" }
        assert.deepStrictEqual(yield* pair.ours.close(3000, "bye"), closed)
        assert.deepStrictEqual(yield* pair.peer.closed, closed)
      })
    )

    const unverified = [
      {
        name: "a certificate for another host",
        certificate: otherHost,
        trusted: { ca },
        ours: "ERR_TLS_CERT_ALTNAME_INVALID",
        theirs: "IP address mismatch"
      },
      {
        name: "a self-signed certificate",
        certificate: selfSigned,
        trusted: { ca },
        ours: "DEPTH_ZERO_SELF_SIGNED_CERT",
        theirs: "self-signed certificate"
      },
      {
        name: "a certificate of an authority it does not know",
        certificate: valid,
        trusted: {},
        ours: "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
        theirs: "unable to get local issuer certificate"
      }
    ]
    it.effect.each(unverified)("our client refuses $name", ({ certificate, ours, trusted }) =>
      Effect.gen(function* () {
        const client = yield* ourClient({}, { tls: trusted, peer: { tls: certificate } })
        const { reason } = yield* Effect.flip(client.connect())
        assert.strictEqual(reason._tag, "ConnectFailure")
        if (reason._tag === "ConnectFailure") assert.propertyVal(reason.cause, "code", ours)
      })
    )

    it.effect.each(unverified)("Autobahn's client refuses $name", ({ certificate, theirs, trusted }) =>
      Effect.gen(function* () {
        const server = yield* ourServer({}, { tls: certificate, peer: { tls: trusted } })
        const { denial } = yield* server.connect()
        assert.include(denial?.message, theirs)
      })
    )

    it.effect("a client's certificate is verified by our server, and by Autobahn's", () =>
      Effect.gen(function* () {
        const server = yield* ourServer(
          {},
          {
            tls: { ...valid, ca, requestCert: true, rejectUnauthorized: true },
            peer: { tls: { ca, ...valid } }
          }
        )
        const atServer = yield* server.open()
        assert.isTrue(atServer.ours.tls?.authorized)
        yield* exchange(atServer, "hello")

        const client = yield* ourClient({}, { tls: { ca, ...valid }, peer: { tls: { ca, ...valid } } })
        yield* exchange(yield* client.open(), "hello")
      })
    )

    const strangers = [
      { name: "without a certificate", shown: {} },
      { name: "with a certificate that nobody trusts", shown: selfSigned }
    ]
    it.effect.each(strangers)("our server refuses an Autobahn $name", ({ shown }) =>
      Effect.gen(function* () {
        const server = yield* ourServer(
          {},
          {
            tls: { ...valid, ca, requestCert: true, rejectUnauthorized: true },
            peer: { tls: { ca, ...shown } }
          }
        )
        const { denial } = yield* server.connect()
        assert.isDefined(denial)
        assert.isUndefined(denial?.status)
      })
    )

    it.effect.each(strangers)("Autobahn's server refuses our client $name", ({ shown }) =>
      Effect.gen(function* () {
        const client = yield* ourClient({}, { tls: { ca, ...shown }, peer: { tls: { ca, ...valid } } })
        const { reason } = yield* Effect.flip(client.connect())
        assert.strictEqual(reason._tag, "ConnectFailure")
      })
    )

    describe("Unix-domain sockets", () => {
      const resource = "/an%20other/room?who=ann&who=b%26b&what"
      const params = { who: ["ann", "b&b"] }

      it.effect("our client's URL names Autobahn's socket, path and query", () =>
        Effect.gen(function* () {
          const pair = yield* (yield* ourClient()).open({ unix: true, resource })
          const { headers, request } = pair.peer.handshake
          assert.deepInclude(request, { path: "/an%20other/room", params })
          assert.strictEqual(headers?.["host"], "localhost")
          assert.strictEqual(pair.ours.details.channelType, "unix")
          yield* exchange(pair, bytesOf(70_000))
        })
      )

      it.effect("Autobahn's client asks our server on a socket for path and query", () =>
        Effect.gen(function* () {
          const pair = yield* (yield* ourServer()).open({ unix: true, resource })
          const { request } = pair.ours
          assert.strictEqual(request?.path, "/an%20other/room")
          assert.deepStrictEqual({ ...request?.params }, { ...params, what: [""] })
          assert.strictEqual(pair.ours.details.channelType, "unix")
          yield* exchange(pair, bytesOf(70_000))
        })
      )

      it.effect("Autobahn's client takes such a URL, but writes the socket into Host: denied with 400", () =>
        Effect.gen(function* () {
          const { socketPath } = yield* ourServer()
          const { denial } = yield* (yield* Peer).connect("by URL", {
            url: `ws://unix:${socketPath}:/room`,
            socketPath,
            protocols: [],
            headers: {}
          })
          assert.strictEqual(denial?.status, 400)
        })
      )
    })

    describe.skipIf(!hasIpv6)("IPv6", () => {
      const host = "::1"

      it.effect("our client reaches Autobahn", () =>
        Effect.gen(function* () {
          const pair = yield* (yield* ourClient({}, { host, peer: {} })).open()
          yield* exchange(pair, "hello")
        })
      )

      it.effect("Autobahn's client leaves the brackets out of Host, and is denied with 400", () =>
        Effect.gen(function* () {
          const server = yield* ourServer({}, { host })
          assert.strictEqual((yield* server.connect()).denial?.status, 400)
        })
      )
    })
  })
})
