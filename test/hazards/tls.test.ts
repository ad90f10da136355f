/**
 * The hazards of TLS, which only real sockets show.
 */
import { spawn } from "node:child_process"
import * as Https from "node:https"
import * as Tls from "node:tls"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { WebSocketServer } from "effect-websocket"
import { type NodeTransportClient, NodeWebSocketServer } from "effect-websocket/node"
import {
  anyPort,
  echo,
  host,
  listening,
  makeClient,
  portOf,
  rawSocket,
  roundTrip,
  serve,
  upgradeTo
} from "../support/node.ts"
import { hasOpenssl, makeCertificates } from "../support/nodeCertificates.ts"

const nothing = { key: "", cert: "" }
const { ca, expired, otherHost, selfSigned, valid } = hasOpenssl
  ? makeCertificates()
  : { ca: "", valid: nothing, otherHost: nothing, selfSigned: nothing, expired: nothing }

const versions = ["TLSv1.2", "TLSv1.3"] as const

const urlOf = (port: number) => `wss://${host}:${port}/`

const echoing = (tls: Tls.TlsOptions) => serve(NodeWebSocketServer.layerTls(anyPort, tls), { onOpen: echo })

/** A client that trusts the test's authority gets through. */
const goesOn = Effect.fnUntraced(function* ({ address }: WebSocketServer.WebSocketServer["Service"]) {
  const channel = yield* (yield* makeClient({}, { ca })).connect(urlOf(portOf(address)))
  assert.strictEqual(yield* roundTrip(channel, "still here"), "still here")
}, Effect.scoped)

interface Unverified {
  readonly what: string
  readonly server: Tls.TlsOptions
  /** Default: trusts the test's authority. */
  readonly client?: NodeTransportClient.TlsOptions
  readonly code: string
  readonly why: RegExp
}

const unverified: ReadonlyArray<Unverified> = [
  {
    what: "a certificate for another host",
    server: otherHost,
    code: "ERR_TLS_CERT_ALTNAME_INVALID",
    why: /does not match certificate's altnames.*127\.0\.0\.1/
  },
  {
    what: "a certificate for this host, where another name is asked for",
    server: valid,
    client: { ca, servername: "other.test" },
    code: "ERR_TLS_CERT_ALTNAME_INVALID",
    why: /does not match certificate's altnames.*other\.test/
  },
  {
    what: "an expired certificate",
    server: expired,
    code: "CERT_HAS_EXPIRED",
    why: /certificate has expired/
  },
  {
    what: "a self-signed certificate",
    server: selfSigned,
    code: "DEPTH_ZERO_SELF_SIGNED_CERT",
    why: /self-signed certificate/
  },
  {
    what: "an authority nobody knows",
    server: valid,
    client: {},
    code: "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    why: /unable to verify the first certificate/
  }
]

describe.skipIf(!hasOpenssl)("TLS not verified by the client, or verified for the wrong name", () => {
  const cases = unverified.flatMap((one) => versions.map((maxVersion) => ({ ...one, maxVersion })))

  it.effect.each(cases)("$what is refused, also the second time ($maxVersion)", (one) =>
    Effect.gen(function* () {
      let opened = 0
      const server = yield* serve(
        NodeWebSocketServer.layerTls(anyPort, { ...one.server, maxVersion: one.maxVersion }),
        { onOpen: () => Effect.sync(() => void opened++) }
      )
      const url = urlOf(portOf(server.address))
      const client = yield* makeClient({}, one.client ?? { ca })
      // Nothing of the first attempt is resumed.
      for (let attempt = 0; attempt < 2; attempt++) {
        const error = yield* Effect.flip(client.connect(url))
        assert.deepStrictEqual([error._tag, error.url], ["HandshakeError", url])
        const { reason } = error
        if (reason._tag !== "ConnectFailure") return assert.fail(reason._tag)
        assert.propertyVal(reason.cause, "code", one.code)
        assert.match(error.message, one.why)
      }
      assert.strictEqual(opened, 0)
    })
  )

  it.effect("who trusts anybody says so", () =>
    Effect.gen(function* () {
      const server = yield* echoing(selfSigned)
      const client = yield* makeClient({}, { rejectUnauthorized: false })
      const channel = yield* client.connect(urlOf(portOf(server.address)))
      assert.isFalse(channel.tls?.authorized)
      assert.strictEqual(yield* roundTrip(channel, "x"), "x")
    })
  )
})

/** What `openssl s_client` says up to the end of its connection, which it tries to renegotiate. */
const renegotiating = (port: number) =>
  Effect.callback<string>((resume) => {
    const client = spawn("openssl", ["s_client", "-connect", `${host}:${port}`, "-tls1_2"])
    const said: Array<Buffer> = []
    for (const output of [client.stdout, client.stderr]) output.on("data", (chunk) => said.push(chunk))
    client.on("close", () => resume(Effect.succeed(Buffer.concat(said).toString())))
    // Its command for that; it reads commands once it is connected.
    client.stdin.write("R\n")
    return Effect.sync(() => client.kill())
  })

describe.skipIf(!hasOpenssl)("TLS renegotiated by the client", () => {
  it.effect("ends the connection, and the server goes on", () =>
    Effect.gen(function* () {
      const server = yield* echoing(valid)
      const said = yield* renegotiating(portOf(server.address))
      assert.match(said, /RENEGOTIATING.*:no renegotiation:/s)
      yield* goesOn(server)
    })
  )
})

describe.skipIf(!hasOpenssl)("a TLS session", () => {
  it.effect.each(versions)("is resumed by a server (%s)", (version) =>
    Effect.gen(function* () {
      const server = yield* echoing(valid)
      const port = portOf(server.address)
      const connect = Effect.fnUntraced(function* (resumed: { readonly session?: Buffer }) {
        let session: Buffer | undefined
        const socket = Tls.connect({ ...resumed, host, port, ca, maxVersion: version })
        socket.on("session", (latest) => {
          session = latest
        })
        const raw = yield* rawSocket(() => socket, "secureConnect")
        raw.send(upgradeTo("/"))
        // What a session needs comes before the response.
        yield* raw.reads("\r\n\r\n")
        return { isReused: socket.isSessionReused(), session }
      }, Effect.scoped)
      const { isReused, session } = yield* connect({})
      assert.isFalse(isReused)
      assert.isTrue((yield* connect({ session: session ?? assert.fail("no session") })).isReused)
    })
  )

  it.effect.each(versions)(
    "is resumed by a client with the server that it was made with (%s)",
    (maxVersion) =>
      Effect.gen(function* () {
        const reused: Array<boolean> = []
        const listen = Effect.fnUntraced(function* () {
          const http = Https.createServer({ ...valid, maxVersion })
          http.on("secureConnection", (socket) => reused.push(socket.isSessionReused()))
          const port = yield* listening(http)
          yield* serve(NodeWebSocketServer.layerUpgrade(http), { onOpen: echo })
          return port
        })
        const first = yield* listen()
        const second = yield* listen()
        const client = yield* makeClient({}, { ca })
        for (const port of [first, first, second, first]) {
          const channel = yield* client.connect(urlOf(port))
          assert.isTrue(channel.tls?.authorized)
          assert.strictEqual(yield* roundTrip(channel, "x"), "x")
        }
        assert.deepStrictEqual(reused, [false, true, false, true])
        // It is only for those who were verified the same way.
        yield* (yield* makeClient({}, { ca })).connect(urlOf(first))
        assert.isFalse(reused.at(-1))
      })
  )
})
