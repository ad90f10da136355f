/**
 * What both ends of a connection know of its transport.
 */
import { X509Certificate } from "node:crypto"
import * as Path from "node:path"
import * as Tls from "node:tls"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { Layer } from "effect/Layer"
import * as NetAddress from "effect/net/NetAddress"
import type { Transport, WebSocketServer } from "effect-websocket"
import { type NodeTransportClient, NodeWebSocketServer } from "effect-websocket/node"
import { anyPort, host, makeClient, portOf, rawSocket, serve, temporaryDirectory } from "../support/node.ts"
import { hasOpenssl, makeCertificates } from "../support/nodeCertificates.ts"
import { requestHead } from "../support/RawPeer.ts"

/** A server that tells what it knows of its first connection's transport, read at once. */
const telling = Effect.fnUntraced(function* <E>(layer: Layer<WebSocketServer.WebSocketServer, E>) {
  const told = yield* Deferred.make<Transport.TransportDetails>()
  const server = yield* serve(layer, {
    onOpen: (channel) =>
      Effect.andThen(
        Effect.sync(() => Deferred.doneUnsafe(told, Effect.succeed({ ...channel.details }))),
        channel.closed
      )
  })
  return { server, told: Deferred.await(told) }
})

/** A server that tells what it knows of its first connection's addresses, first asked after its end. */
const tellingAtEnd = Effect.fnUntraced(function* <E>(layer: Layer<WebSocketServer.WebSocketServer, E>) {
  const told = yield* Deferred.make<Pick<Transport.TransportDetails, "local" | "peer">>()
  const server = yield* serve(layer, {
    onOpen: (channel) =>
      Effect.andThen(
        channel.closed,
        Effect.sync(() => Deferred.doneUnsafe(told, Effect.succeed(channel.details)))
      )
  })
  return { server, told: Deferred.await(told) }
})

const plain = { secure: false, peerCertificate: undefined, channelId: undefined }

describe("without TLS", () => {
  it.effect("TCP has addresses", () =>
    Effect.gen(function* () {
      const { server, told } = yield* telling(NodeWebSocketServer.layer(anyPort))
      const port = portOf(server.address)
      const channel = yield* (yield* makeClient()).connect(`ws://${host}:${port}/`)
      const there = yield* told
      assert.deepStrictEqual(
        { ...channel.details },
        {
          ...plain,
          channelType: "tcp",
          local: there.peer,
          peer: there.local
        }
      )
      assert.deepInclude(there, { ...plain, channelType: "tcp" })
      assert.deepStrictEqual(
        channel.details.peer,
        NetAddress.inetAddressUnsafe(NetAddress.ipv4Loopback, port)
      )
    })
  )

  it.effect.each([
    { listens: "one address", listen: anyPort },
    { listens: "all addresses", listen: { ...anyPort, host: "0.0.0.0" } }
  ])(
    "TCP's addresses are known after the end, also when nobody asked before: a server of $listens",
    ({ listen }) =>
      Effect.gen(function* () {
        const { server, told } = yield* tellingAtEnd(NodeWebSocketServer.layer(listen))
        const port = portOf(server.address)
        const channel = yield* (yield* makeClient()).connect(`ws://${host}:${port}/`)
        yield* channel.close()
        const there = yield* told
        assert.deepStrictEqual(channel.peer, NetAddress.inetAddressUnsafe(NetAddress.ipv4Loopback, port))
        assert.deepStrictEqual(there.local, channel.peer)
        assert.deepStrictEqual(there.peer, channel.local)
      })
  )

  it.effect("a Unix-domain socket has none", () =>
    Effect.gen(function* () {
      const path = Path.join(yield* temporaryDirectory, "details.sock")
      const { told } = yield* telling(NodeWebSocketServer.layer({ path }))
      const channel = yield* (yield* makeClient()).connect(`ws://unix:${path}`)
      const expected = { ...plain, channelType: "unix" as const, local: undefined, peer: undefined }
      assert.deepStrictEqual({ ...channel.details }, expected)
      assert.deepStrictEqual(yield* told, expected)
    })
  )
})

describe.skipIf(!hasOpenssl)("with TLS", () => {
  const { ca, valid } = hasOpenssl ? makeCertificates() : { ca: "", valid: { cert: "", key: "" } }

  const connected = Effect.fnUntraced(function* (
    serverTls: Tls.TlsOptions,
    clientTls: NodeTransportClient.TlsOptions
  ) {
    const { server, told } = yield* telling(NodeWebSocketServer.layerTls(anyPort, { ...valid, ...serverTls }))
    const client = yield* makeClient({}, { ca, ...clientTls })
    const channel = yield* client.connect(`wss://${host}:${portOf(server.address)}/`)
    return { channel, there: yield* told }
  })

  const der = () => new Uint8Array(new X509Certificate(valid.cert).raw)

  it.effect("addresses are known after the end, also when nobody asked before", () =>
    Effect.gen(function* () {
      // Whom the client is said to be makes its address one that the handshake does not ask for.
      const options = { trustXForwardedFor: 1 }
      const { server, told } = yield* tellingAtEnd(NodeWebSocketServer.layerTls(anyPort, valid, options))
      const client = yield* makeClient({}, { ca })
      const session = { headers: { "X-Forwarded-For": "192.0.2.1" } }
      const channel = yield* client.connect(`wss://${host}:${portOf(server.address)}/`, session)
      yield* channel.close()
      const there = yield* told
      assert.isDefined(there.peer)
      assert.deepStrictEqual(there.peer, channel.local)
      assert.deepStrictEqual(there.local, channel.peer)
    })
  )

  it.effect("both ends know the other's certificate, if it has sent one", () =>
    Effect.gen(function* () {
      const anonymous = yield* connected({}, {})
      assert.deepInclude(anonymous.there, { channelType: "tls", secure: true, peerCertificate: undefined })
      const mutual = yield* connected({ ca, requestCert: true }, valid)
      assert.deepStrictEqual(mutual.there.peerCertificate, der())
      for (const { details } of [anonymous.channel, mutual.channel]) {
        assert.deepInclude(details, { channelType: "tls", secure: true, peerCertificate: der() })
      }
    })
  )

  it.effect("TLS 1.3: both ends have the same exported channel id, another for each connection", () =>
    Effect.gen(function* () {
      const ids: Array<string> = []
      for (let i = 0; i < 2; i++) {
        const { channel, there } = yield* connected({}, {})
        const id = channel.details.channelId ?? assert.fail("no channel id")
        assert.deepStrictEqual(there.channelId, id)
        assert.strictEqual(id.type, "EXPORTER-Channel-Binding")
        assert.lengthOf(id.bytes, 32)
        ids.push(id.bytes.join())
      }
      assert.strictEqual(new Set(ids).size, 2)
    })
  )

  // Of all servers here, so that one resumes the sessions of another.
  const ticketKeys = Buffer.alloc(48, 7)

  /** A TLS 1.2 client of Node's own: what the RFC calls the first Finished, by what it knows itself. */
  const rawClient = Effect.fnUntraced(function* (port: number, session?: Buffer) {
    const tls = { host, port, ca, maxVersion: "TLSv1.2", ...(session && { session }) } as const
    const socket = Tls.connect(tls)
    const raw = yield* rawSocket(() => socket, "secureConnect")
    raw.send(requestHead())
    yield* raw.reads("\r\n\r\n")
    return socket
  })

  it.effect("TLS 1.2: it is the client's Finished, but the server's when a session is resumed", () =>
    Effect.gen(function* () {
      const first = yield* telling(NodeWebSocketServer.layerTls(anyPort, { ...valid, ticketKeys }))
      const full = yield* rawClient(portOf(first.server.address))
      assert.isFalse(full.isSessionReused())
      const unique = (bytes: Uint8Array | undefined) => ({
        type: "tls-unique" as const,
        bytes: new Uint8Array(bytes ?? [])
      })
      assert.deepStrictEqual((yield* first.told).channelId, unique(full.getFinished()))

      const session = full.getSession()
      const second = yield* telling(NodeWebSocketServer.layerTls(anyPort, { ...valid, ticketKeys }))
      const resumed = yield* rawClient(portOf(second.server.address), session)
      assert.isTrue(resumed.isSessionReused())
      assert.deepStrictEqual((yield* second.told).channelId, unique(resumed.getPeerFinished()))

      // The same of our own client, full and resumed.
      for (const resuming of [{}, session && { session }]) {
        const { channel, there } = yield* connected({ ticketKeys }, { maxVersion: "TLSv1.2", ...resuming })
        assert.strictEqual(channel.details.channelId?.type, "tls-unique")
        assert.deepStrictEqual(channel.details.channelId, there.channelId)
      }
    })
  )

  it.effect("after the end of the transport there is only what was read before", () =>
    Effect.gen(function* () {
      for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
        const { channel: read } = yield* connected({}, { maxVersion })
        const { channel: unread } = yield* connected({}, { maxVersion })
        const { channelId } = read.details
        yield* read.close(1000)
        yield* unread.close(1000)
        assert.isDefined(channelId)
        assert.strictEqual(read.details.channelId, channelId)
        assert.isUndefined(read.details.peerCertificate)
        assert.isUndefined(unread.details.channelId)
        assert.isUndefined(unread.details.peerCertificate)
      }
    })
  )
})
