/**
 * What the tests of hazards share: a connection to attack, and the proof that the others do not notice.
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { parseHead, requestHead, responseHead } from "./RawPeer.ts"
import { serveRaw } from "./rawHttp.ts"
import {
  type CommonOptions,
  failByClose,
  makeClient,
  type Role,
  received,
  type Session,
  type Surroundings
} from "./rawSession.ts"

const kibibyte = 1024
export const mebibyte = 1024 * kibibyte

/** `bytes`, `count` times. */
export const repeated = (bytes: Uint8Array, count: number): Uint8Array =>
  new Uint8Array(Buffer.alloc(bytes.length * count, bytes))

const serving = Effect.fnUntraced(function* (options: CommonOptions, surroundings: Surroundings) {
  const { acceptance, network } = yield* serveRaw(options, undefined, surroundings)
  const connect = Effect.map(acceptance(requestHead()), ({ channel, peer }): Session => ({ channel, peer }))
  return { connect, network }
})

const connecting = Effect.fnUntraced(function* (options: CommonOptions, surroundings: Surroundings) {
  const client = yield* makeClient(options, surroundings)
  const connect = Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(client.connect("ws://test/"))
    const peer = yield* client.accept
    const { headers } = parseHead(yield* peer.readHead)
    peer.send(responseHead(headers["sec-websocket-key"] ?? ""))
    const channel = yield* Effect.orDie(Fiber.join(fiber))
    // Runs before the channel's own end, which would wait for the peer's Close.
    yield* Effect.addFinalizer(() => Effect.sync(() => peer.drop()))
    const session: Session = { channel, peer }
    return session
  })
  return { connect, network: client.network }
})

/** The library in `role`, raw peers to connect it with, and the network between them. */
export const connections = (role: Role, options: CommonOptions = {}, surroundings: Surroundings = {}) =>
  role === "server" ? serving(options, surroundings) : connecting(options, surroundings)

/** A message each way. */
export const works = Effect.fnUntraced(function* ({ channel, peer }: Session) {
  peer.send(peer.text("still"))
  assert.strictEqual(yield* channel.receive, "still")
  yield* channel.send("here")
  assert.strictEqual(yield* peer.read, 'text "here"')
})

/** A connection with the library in `role`, to attack. Violations close with a Close frame. */
export const underAttack = Effect.fnUntraced(function* (
  role: Role,
  options: CommonOptions = {},
  surroundings: Surroundings = {}
) {
  const { connect } = yield* connections(role, { ...failByClose, ...options }, surroundings)
  const bystander = yield* connect
  const { channel, peer } = yield* connect
  /** A connection that was open before works, and so does a new one. */
  const goesOn = Effect.gen(function* () {
    yield* works(bystander)
    yield* works(yield* connect)
  })
  return { channel, peer, goesOn }
})

const tags = { 1002: "ProtocolViolation", 1007: "InvalidPayload", 1009: "MessageTooBig" } as const

/** The connection fails with a Close frame of this code, and the application with the typed error; gives its messages. */
export const assertFails = Effect.fnUntraced(function* ({ channel, peer }: Session, code: keyof typeof tags) {
  const { end, frames } = yield* peer.rest
  assert.match(frames.join(), new RegExp(`^close ${code} "[^"]+"$`))
  assert.strictEqual(end, "fin")
  peer.finish()
  const { failure, messages } = yield* received(channel)
  assert.strictEqual(failure?._tag, tags[code])
  return messages
})
