/**
 * Ways to see what an option of a server does, on the wire or at the transport.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import {
  ConnectionDeny,
  Protocol,
  type ServerOptions,
  WebSocketCrypto,
  WebSocketServer
} from "effect-websocket"
import { InMemoryTransport } from "effect-websocket/testing"
import { accepting, observed, open, type Session, settle } from "./apiSession.ts"
import { record } from "./nodeRecorder.ts"
import { type RawPeer, requestHead } from "./RawPeer.ts"
import { toHex } from "./rawFrames.ts"
import { serveRaw } from "./rawHttp.ts"
import { protocol } from "./xorExtension.ts"

/** What is seen of a server with these options. */
export type Probe = (
  options: ServerOptions.ServerOptionsInput
) => Effect.Effect<unknown, unknown, Scope.Scope>

/** The masking key of RFC 6455's examples, always. */
const fixedKey = Layer.provide(
  Protocol.layerNoCrypto,
  Layer.effect(
    WebSocketCrypto.WebSocketCrypto,
    Effect.map(WebSocketCrypto.WebSocketCrypto, (crypto) => ({ ...crypto, maskingKey: () => 0x37fa213d }))
  ).pipe(Layer.provide(WebSocketCrypto.layer))
)

/**
 * Acts on an open connection, and then sees what was sent, as hexadecimal digits, and how the server ended its
 * side, if it has: "end", or "failure" when it has dropped the transport.
 */
export const bytesAfter =
  (act: (session: Session) => Effect.Effect<unknown, unknown, Scope.Scope>): Probe =>
  (options) =>
    Effect.gen(function* () {
      const session = yield* open("server", options, { protocol: fixedKey })
      const recorder = record(session.peerEnd)
      yield* act(session)
      yield* settle
      return [toHex(Buffer.concat(recorder.chunks)), ...recorder.told]
    })

/** What is sent in answer to these bytes, which come in one packet. */
export const answerTo = (...parts: ReadonlyArray<(peer: RawPeer) => Uint8Array>): Probe =>
  bytesAfter(({ peer }) => Effect.sync(() => peer.send(...parts.map((part) => part(peer)))))

/** The seconds until the server has ended or dropped a transport on which its peer is silent; none in 20: `undefined`. */
export const secondsToEnd =
  (
    begin: (options: ServerOptions.ServerOptionsInput) => Effect.Effect<RawPeer, unknown, Scope.Scope>
  ): Probe =>
  (options) =>
    Effect.gen(function* () {
      const peer = yield* begin(options)
      for (let seconds = 0; seconds <= 20; seconds++) {
        yield* settle
        if (peer.end !== undefined) return seconds
        yield* TestClock.adjust("1 second")
      }
      return undefined
    })

/** The extensions that are spoken with a client that offers `permessage-xor` and another one. */
export const extensions: Probe = (options) =>
  Effect.map(
    open("server", options, { protocol: protocol(), extensions: "x-other, permessage-xor" }),
    ({ channel }) => channel.extensions
  )

/** What the server sets TCP_NODELAY to. */
export const noDelay: Probe = (options) =>
  Effect.gen(function* () {
    const { client, server } = yield* InMemoryTransport.makePair()
    const set: Array<boolean> = []
    const own = Object.assign(
      observed(server, () => {}),
      { setNoDelay: (enabled: boolean) => void set.push(enabled) }
    )
    yield* WebSocketServer.serve({ onOpen: () => Effect.void }).pipe(
      Layer.provide(WebSocketServer.layer(options)),
      Layer.provide([Protocol.layer, accepting(own)]),
      Layer.build
    )
    client.abort()
    return set
  })

/** What is read in answer to requests, each on a connection of its own. */
const answered =
  (requests: ReadonlyArray<string>, read: (peer: RawPeer) => Effect.Effect<string>): Probe =>
  (options) =>
    Effect.gen(function* () {
      const server = yield* serveRaw(options)
      return yield* Effect.forEach(requests, (request) =>
        Effect.gen(function* () {
          const peer = yield* server.connect
          peer.send(request)
          const answer = yield* read(peer)
          peer.finish()
          return answer
        })
      )
    })

/** The statuses that requests get, with the body of those that are refused. */
export const answersTo = (...requests: ReadonlyArray<string>): Probe =>
  answered(requests, (peer) =>
    Effect.gen(function* () {
      const status = (yield* peer.readHead).slice(9, 12)
      return status === "101" ? status : `${status} ${yield* peer.readBody}`.trim()
    })
  )

/** The heads of the responses to requests. */
export const headsOf = (...requests: ReadonlyArray<string>): Probe =>
  answered(requests, (peer) => peer.readHead)

/**
 * The statuses of one that is denied, of others that come one after the other and stay, and of one more when
 * all of them have gone. `clients`: their X-Forwarded-For.
 */
export const crowd =
  (...clients: ReadonlyArray<string | undefined>): Probe =>
  (options) =>
    Effect.gen(function* () {
      const server = yield* serveRaw(options, ({ path }) =>
        path === "/denied" ? Effect.fail(ConnectionDeny.notFound()) : Effect.void
      )
      const peers: Array<RawPeer> = []
      const connect = Effect.fnUntraced(function* (client: string | undefined, path = "/") {
        const peer = yield* server.connect
        peers.push(peer)
        peer.send(requestHead({ "X-Forwarded-For": client }, `GET ${path} HTTP/1.1`))
        return (yield* peer.readHead).slice(9, 12)
      })
      const statuses = [yield* connect(clients[0], "/denied")]
      for (const client of clients) statuses.push(yield* connect(client))
      for (const peer of peers) peer.drop()
      yield* settle
      statuses.push(yield* connect(clients[0]))
      return statuses.join(" ")
    })
