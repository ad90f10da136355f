/**
 * The opening handshake with Autobahn: denial, headers, subprotocols, versions, hooks.
 */
import { assert, describe, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Stream from "effect/Stream"
import { ConnectionDeny } from "effect-websocket"
import { digest, idHeader, Peer } from "../support/interop.ts"
import { bytesOf, exchange } from "../support/interopCases.ts"
import { arePythonPeersThere, layer as peerLayer } from "../support/interopPython.ts"
import { connectionIn, ourClient, ourServer } from "../support/interopSides.ts"

const denials = [
  { code: 400, phrase: "Bad Request", deny: ConnectionDeny.badRequest },
  { code: 401, phrase: "Unauthorized", deny: ConnectionDeny.unauthorized },
  { code: 403, phrase: "Forbidden", deny: ConnectionDeny.forbidden },
  { code: 404, phrase: "Not Found", deny: ConnectionDeny.notFound },
  { code: 406, phrase: "Not Acceptable", deny: ConnectionDeny.notAcceptable },
  { code: 408, phrase: "Request Timeout", deny: ConnectionDeny.requestTimeout },
  { code: 429, phrase: "Too Many Requests", deny: ConnectionDeny.tooManyRequests },
  { code: 500, phrase: "Internal Server Error", deny: ConnectionDeny.internalServerError },
  { code: 501, phrase: "Not Implemented", deny: ConnectionDeny.notImplemented },
  { code: 503, phrase: "Service Unavailable", deny: ConnectionDeny.serviceUnavailable }
]

const choices = [
  {
    name: "the client's first that the server knows",
    offered: ["a", "b", "c"],
    known: ["c", "b"],
    chosen: "b"
  },
  { name: "none when they have none in common", offered: ["a", "b"], known: ["c"], chosen: undefined },
  { name: "none when none is offered", offered: [], known: ["c"], chosen: undefined }
]

const origin = "https://example.com"

const silent = Effect.provide(Logger.layer([]))

/** What our client fails with. */
const rejection = (client: Effect.Success<ReturnType<typeof ourClient>>) =>
  Effect.flip(client.connect()).pipe(
    Effect.map(({ reason }) => (reason._tag === "Rejected" ? reason : assert.fail(reason.message)))
  )

describe.skipIf(!arePythonPeersThere)("Autobahn", () => {
  layer(peerLayer("autobahn_peer.py"), { excludeTestServices: true })("the opening handshake", (it) => {
    describe("denial", () => {
      it.effect.each(denials)("our $code '$phrase' is seen by Autobahn, and a reason of our own", (row) =>
        Effect.gen(function* () {
          const server = yield* ourServer(
            {},
            {
              onConnect: ({ headers: { reason } }) =>
                Effect.fail(row.deny(reason === undefined ? {} : { reason }))
            }
          )
          for (const [phrase, headers] of [
            [row.phrase, {}],
            ["closed on Sundays", { reason: "closed on Sundays" }]
          ] as const) {
            const { denial } = yield* server.connect({ headers })
            assert.strictEqual(denial?.status, row.code)
            assert.strictEqual(
              denial?.message,
              `WebSocket connection upgrade failed [${row.code}]: ${phrase}`
            )
          }
        })
      )

      it.effect.each(denials)("Autobahn's $code is seen by our client, with its reason", ({ code, phrase }) =>
        Effect.gen(function* () {
          const reason = `${phrase}, on Sundays`
          const seen = yield* rejection(yield* ourClient({}, { peer: { denial: { code, reason } } }))
          assert.strictEqual(seen.status, code)
          assert.strictEqual(seen.statusText, reason)
          assert.deepStrictEqual({ ...seen.headers }, {})
          assert.strictEqual(seen.body, "")
        })
      )

      it.effect("an onConnect that goes wrong is a 500, on either side", () =>
        Effect.gen(function* () {
          const seen = yield* rejection(yield* ourClient({}, { peer: { exception: "no database" } }))
          assert.strictEqual(seen.status, 500)
          assert.strictEqual(seen.statusText, "Internal server error: no database")

          const server = yield* ourServer({}, { onConnect: () => Effect.die(new Error("no database")) })
          const { denial } = yield* server.connect()
          assert.strictEqual(
            denial?.message,
            "WebSocket connection upgrade failed [500]: Internal Server Error"
          )
        }).pipe(silent)
      )
    })

    describe("headers of several values", () => {
      const many = { "X-Many": ["one", "two"], "X-Single": "three" }

      it.effect("ours are one line each, and Autobahn joins them", () =>
        Effect.gen(function* () {
          const server = yield* ourServer({}, { onConnect: () => Effect.succeed({ headers: many }) })
          const toClient = (yield* server.open()).peer.handshake.headers
          assert.containsSubset(toClient, { "x-many": "one, two", "x-single": "three" })

          const client = yield* ourClient()
          const toServer = (yield* client.open({ headers: many })).peer.handshake.headers
          assert.containsSubset(toServer, { "x-many": "one, two", "x-single": "three" })
        })
      )

      it.effect("those of Autobahn's server come joined; its client writes a list as Python does", () =>
        Effect.gen(function* () {
          const client = yield* ourClient({}, { peer: { headers: many } })
          const fromServer = (yield* client.open()).ours.response?.headers
          assert.containsSubset(fromServer, { "x-many": "one, two", "x-single": "three" })

          const server = yield* ourServer()
          const fromClient = (yield* server.open({ headers: many })).ours.request?.headers
          assert.containsSubset(fromClient, { "x-many": "['one', 'two']", "x-single": "three" })
        })
      )
    })

    describe("subprotocols", () => {
      it.effect.each(choices)("our server chooses $name", ({ chosen, known, offered }) =>
        Effect.gen(function* () {
          const server = yield* ourServer(
            {},
            {
              onConnect: ({ protocols }) =>
                Effect.sync(() => {
                  assert.deepStrictEqual(protocols, offered)
                  return protocols.find((protocol) => known.includes(protocol))
                })
            }
          )
          const { ours, peer } = yield* server.open({ protocols: offered })
          assert.strictEqual(ours.subprotocol, chosen)
          assert.strictEqual(peer.handshake.subprotocol, chosen ?? null)
        })
      )

      it.effect.each(choices)("Autobahn's server chooses $name", ({ chosen, known, offered }) =>
        Effect.gen(function* () {
          const client = yield* ourClient({}, { peer: { protocols: known } })
          const { ours, peer } = yield* client.open({ protocols: offered })
          assert.strictEqual(ours.subprotocol, chosen)
          assert.strictEqual(ours.response?.protocol, chosen)
          assert.strictEqual(peer.handshake.subprotocol, chosen ?? null)
        })
      )

      it.effect("one that was not announced is a 500 of our server, and refused by our client", () =>
        Effect.gen(function* () {
          const server = yield* ourServer({}, { onConnect: () => Effect.succeed("gamma") })
          assert.strictEqual((yield* server.connect({ protocols: ["alpha"] })).denial?.status, 500)

          const headers = { "Sec-WebSocket-Protocol": "gamma" }
          const client = yield* ourClient({}, { peer: { headers } })
          const { reason } = yield* Effect.flip(client.connect({ protocols: ["alpha"] }))
          assert.strictEqual(reason._tag, "InvalidResponse")
        }).pipe(silent)
      )

      it.effect("one that is announced twice is a 400 of our server", () =>
        Effect.gen(function* () {
          const server = yield* ourServer()
          assert.strictEqual((yield* server.connect({ protocols: ["a", "b", "a"] })).denial?.status, 400)
        })
      )
    })

    describe("versions", () => {
      // Its draft 10 has Sec-WebSocket-Origin; from draft 11 on it sends Origin.
      it.effect.each([
        { draft: 10, version: 8 },
        { draft: 11, version: 8 },
        { draft: 12, version: 8 },
        { draft: 13, version: 13 },
        { draft: 18, version: 13 }
      ])("Autobahn's client speaks draft $draft as version $version", ({ draft, version }) =>
        Effect.gen(function* () {
          const server = yield* ourServer({}, { peer: { options: { version: draft } } })
          const pair = yield* server.open({ origin, protocols: ["beta"] })
          const { request } = pair.ours
          assert.strictEqual(request?.version, version)
          assert.strictEqual(request?.origin, origin)
          assert.strictEqual(request?.headers[draft === 10 ? "sec-websocket-origin" : "origin"], origin)
          assert.strictEqual(pair.peer.handshake.subprotocol, "beta")
          yield* exchange(pair, "Grüße")
          yield* exchange(pair, new Uint8Array(70_000))
          pair.peer.close(3000, "bye")
          assert.deepStrictEqual(yield* pair.ours.closed, { wasClean: true, code: 3000, reason: "bye" })
          assert.deepStrictEqual(yield* pair.peer.closed, { wasClean: true, code: 3000, reason: "bye" })
        })
      )

      it.effect.each([
        { specification: 10, version: 8, header: "sec-websocket-origin" },
        { specification: 12, version: 8, header: "sec-websocket-origin" },
        { specification: 13, version: 13, header: "origin" }
      ] as const)(
        "our client speaks draft $specification as version $version",
        ({ header, specification, version }) =>
          Effect.gen(function* () {
            const client = yield* ourClient({ version: specification }, { peer: {} })
            const pair = yield* client.open({ origin, protocols: ["alpha", "beta"] })
            const { ours, peer } = pair
            assert.strictEqual(ours.response?.version, version)
            assert.containsSubset(peer.handshake, { subprotocol: "beta", request: { version, origin } })
            const { headers = {} } = peer.handshake
            const sent = ["sec-websocket-origin", "origin"].filter((name) => name in headers)
            assert.deepStrictEqual(sent, [header])

            yield* exchange(pair, "Grüße")
            yield* exchange(pair, new Uint8Array(70_000))
            yield* ours.sendStream(Stream.make("Grü", "ße"), { isBinary: false })
            assert.containsSubset(yield* peer.nextMessage, { frames: 3, sha256: digest("Grüße") })
            assert.strictEqual(yield* ours.receive, "Grüße")
            const message = bytesOf(3000)
            peer.send(message, 1000)
            assert.deepStrictEqual(yield* ours.receive, message)
            assert.strictEqual((yield* ours.statistics).received.frames, 3 + 3 + 1)

            const closed = { wasClean: true, code: 3000, reason: "bye" }
            assert.deepStrictEqual(yield* ours.close(3000, "bye"), closed)
            assert.deepStrictEqual(yield* peer.closed, closed)
          })
      )

      it.effect("one that the server does not speak is a 400 with those that it does", () =>
        Effect.gen(function* () {
          const server = yield* ourServer({ versions: [13] }, { peer: { options: { version: 10 } } })
          const { denial } = yield* server.connect()
          assert.strictEqual(denial?.status, 400)
          assert.strictEqual(denial?.headers?.["sec-websocket-version"], "13")

          const seen = yield* rejection(yield* ourClient({}, { peer: { options: { versions: [8] } } }))
          assert.strictEqual(seen.status, 400)
          assert.strictEqual(seen.headers["sec-websocket-version"], "8")
        })
      )
    })

    describe("the hooks of our client", () => {
      it.effect("what onConnecting asks for instead is what Autobahn sees", () =>
        Effect.gen(function* () {
          const client = yield* ourClient({}, { peer: { protocols: ["b"] } })
          const pair = yield* client.open({
            id: "another",
            resource: "/first?a=1",
            headers: { "X-First": "1" },
            origin: "https://first.test",
            protocols: ["a"],
            onConnecting: () =>
              Effect.succeed({
                host: "another.test",
                resource: "/an%20other?room=1&room=2",
                headers: { [idHeader]: "another", "X-Another": ["1", "2"] },
                userAgent: "another",
                origin,
                protocols: ["c", "b"]
              })
          })
          const { headers = {}, request, subprotocol } = pair.peer.handshake
          assert.deepInclude(request, { path: "/an%20other", params: { room: ["1", "2"] }, origin })
          assert.containsSubset(headers, { "x-another": "1, 2", "user-agent": "another" })
          assert.match(headers["host"] ?? "", /^another\.test:[0-9]+$/)
          assert.notProperty(headers, "x-first")
          assert.strictEqual(subprotocol, "b")
          assert.strictEqual(pair.ours.subprotocol, "b")
          yield* exchange(pair, "hello")
        })
      )

      it.effect("onConnect sees Autobahn's response; when it fails, Autobahn sees a close with 1000", () =>
        Effect.gen(function* () {
          const client = yield* ourClient({}, { peer: { headers: { "X-Room": "full" } } })
          const failure = yield* Effect.flip(
            client.connect({
              id: "unwelcome",
              onConnect: ({ headers }) => Effect.fail(`the room is ${headers["x-room"]}`)
            })
          )
          assert.strictEqual(failure, "the room is full")
          const peer = yield* Effect.flatMap((yield* Peer).accepted("unwelcome"), connectionIn)
          assert.deepStrictEqual(yield* peer.closed, { wasClean: true, code: 1000, reason: "" })
        })
      )
    })
  })
})
