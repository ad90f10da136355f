/**
 * A peer of another implementation, driven by commands and heard by events. A
 * peer echoes every message. As a server it denies the path `/deny` with 403,
 * knows the subprotocol `beta`, and sends the header `X-Interop-Server`.
 */
import { createHash } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { CloseEvent } from "effect-websocket"

/** The digest that peers report of a message: SHA-256 in hexadecimal. */
export const digest = (bytes: string | Uint8Array): string => createHash("sha256").update(bytes).digest("hex")

/** Bytes, or a text's UTF-8, in Base64. */
export const base64 = (bytes: string | Uint8Array): string => Buffer.from(bytes).toString("base64")

/** A path for a Unix-domain socket, in a folder of its own that goes with the scope. */
export const temporarySocketPath: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "interop-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
).pipe(Effect.map((folder) => join(folder, "the.sock")))

/** Every connection has an identifier, which the client sends in this header. */
export const idHeader = "x-interop-id"

const Headers = Schema.Record(Schema.String, Schema.String)

/** A message as the peer received it. */
const PeerMessage = Schema.Struct({
  isBinary: Schema.Boolean,
  length: Schema.Int,
  sha256: Schema.String,
  /** In how many frames it came, where the peer can tell. */
  frames: Schema.optionalKey(Schema.Int)
})
export type PeerMessage = typeof PeerMessage.Type

/** What Autobahn's server was asked for. */
const PeerRequest = Schema.Struct({
  path: Schema.String,
  params: Schema.Record(Schema.String, Schema.Array(Schema.String)),
  version: Schema.Int,
  /** Empty when there is none. */
  origin: Schema.String,
  /** How many clients had connected to that server by then, whatever became of them. */
  clients: Schema.Int
})

/** The opening handshake as the peer saw it. */
const PeerHandshake = Schema.Struct({
  subprotocol: Schema.NullOr(Schema.String),
  /** The other side's headers by lower-case name, where the peer can tell. */
  headers: Schema.optionalKey(Headers),
  request: Schema.optionalKey(PeerRequest)
})
export type PeerHandshake = typeof PeerHandshake.Type

/** What the peer saw instead of a connection, as far as it can tell. */
const Denial = Schema.Struct({
  status: Schema.optionalKey(Schema.Int),
  headers: Schema.optionalKey(Headers),
  body: Schema.optionalKey(Schema.String),
  message: Schema.String
})
export type Denial = typeof Denial.Type

const ofConnection = <const Name extends string>(event: Name) => ({
  event: Schema.Literal(event),
  id: Schema.String
})

/** What a peer tells. Payloads of control frames are in Base64. */
export const PeerEvent = Schema.Union([
  Schema.Struct({ event: Schema.Literal("ready"), port: Schema.optionalKey(Schema.Int) }),
  Schema.Struct({ ...ofConnection("listening"), port: Schema.Int }),
  Schema.Struct({ ...ofConnection("open"), ...PeerHandshake.fields }),
  Schema.Struct({ ...ofConnection("denied"), ...Denial.fields }),
  Schema.Struct({ ...ofConnection("message"), ...PeerMessage.fields }),
  Schema.Struct({ ...ofConnection("ping"), payload: Schema.String }),
  Schema.Struct({ ...ofConnection("pong"), payload: Schema.String }),
  Schema.Struct({ ...ofConnection("closed"), ...CloseEvent.CloseEvent.fields })
])
export type PeerEvent = typeof PeerEvent.Type

/** Headers that a peer sends. */
export type PeerHeaders = Readonly<Record<string, string | Array<string>>>

/**
 * What one end asks of the other's compression, in the words of offers and accepts. `requestMaxCompressLevel` is
 * permessage-bzip2's, the others are permessage-deflate's.
 */
export interface CompressionRequest {
  readonly requestNoContextTakeover?: boolean
  readonly requestMaxWindowBits?: number
  readonly requestMaxCompressLevel?: number
}

/** The one compression that a peer offers as a client or accepts as a server, and what it asks of us. */
export interface PeerCompression extends CompressionRequest {
  /** All but Autobahn know permessage-deflate alone. */
  readonly extension: "permessage-deflate" | "permessage-bzip2"
}

/** What Autobahn alone can be told but for `compression`, of a connection or of all connections of a server. */
export interface PeerSetup {
  /** Default: what the peer does by itself. */
  readonly compression?: PeerCompression
  /** Its protocol options; times are in seconds. It echoes the code and reason of a Close unless told otherwise. */
  readonly options?: Readonly<Record<string, boolean | number | ReadonlyArray<number>>>
  /** It answers neither pings nor Close frames. */
  readonly isSilent?: boolean
  /**
   * TLS, in PEM: the authority that it trusts, and the certificate that it shows. A
   * server that trusts an authority asks every client for a certificate.
   */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string }
}

/** How a peer connects to our server. */
export interface ConnectCommand extends PeerSetup {
  readonly url: string
  /** Connect to this Unix-domain socket instead of the URL's host and port. */
  readonly socketPath?: string
  readonly protocols: ReadonlyArray<string>
  readonly headers: PeerHeaders
  readonly origin?: string
  /** The HTTP proxy to connect through. */
  readonly proxy?: { readonly host: string; readonly port: number }
}

/** A further server of the peer's, on a port of its own. But for `compression`, only of Autobahn. */
export interface ListenCommand extends PeerSetup {
  readonly host: string
  /** The subprotocols that it knows: it takes the first of the client's that is one. Default: `beta`. */
  readonly protocols?: ReadonlyArray<string>
  /** Further headers of its response. */
  readonly headers?: PeerHeaders
  /** It denies every connection: what its `ConnectionDeny` says. */
  readonly denial?: { readonly code: number; readonly reason: string }
  /** Its `onConnect` raises another exception. */
  readonly exception?: string
}

/** A message that a peer is to send: its bytes in Base64. */
export interface SendCommand {
  readonly payload: string
  readonly isBinary: boolean
  /** Send it in fragments of this size, with the ping `between` after the first one. */
  readonly fragmentSize?: number
}

/** What a peer is told to do. */
export type PeerCommand = { readonly id: string } & (
  | ({ readonly command: "connect" } & ConnectCommand)
  | ({ readonly command: "listen" } & ListenCommand)
  | ({ readonly command: "send" } & SendCommand)
  | { readonly command: "beginMessage"; readonly isBinary: boolean }
  | { readonly command: "beginFrame"; readonly length: number }
  | { readonly command: "frameData"; readonly payload: string }
  | { readonly command: "endMessage" }
  | { readonly command: "ping"; readonly payload: string }
  | { readonly command: "close"; readonly code?: number; readonly reason?: string }
)

/** The peer itself went wrong: its process ended, for example. */
export class PeerFailure extends Schema.TaggedError<PeerFailure>()("PeerFailure", {
  message: Schema.String
}) {}

/** A connection as seen and driven from the peer's side. */
export interface PeerConnection {
  readonly handshake: PeerHandshake
  readonly nextMessage: Effect.Effect<PeerMessage, PeerFailure>
  readonly nextPing: Effect.Effect<string, PeerFailure>
  readonly nextPong: Effect.Effect<string, PeerFailure>
  /** How it ended for the peer. */
  readonly closed: Effect.Effect<CloseEvent.CloseEvent, PeerFailure>
  readonly send: (message: string | Uint8Array, fragmentSize?: number) => void
  /** Begins a message that Autobahn sends as it is told, frame by frame and each in parts. */
  readonly beginMessage: (isBinary: boolean) => void
  readonly beginFrame: (length: number) => void
  readonly frameData: (payload: string) => void
  readonly endMessage: () => void
  readonly ping: (payload: Uint8Array) => void
  readonly close: (code?: number, reason?: string) => void
}

/** What became of an opening handshake. */
export type Outcome =
  | { readonly denial: Denial; readonly connection?: never }
  | { readonly connection: PeerConnection; readonly denial?: never }

export class Peer extends Context.Service<
  Peer,
  {
    /** Where its server listens, if it has one. */
    readonly port: number | undefined
    readonly socketPath: string
    /** Has its client connect. */
    readonly connect: (id: string, to: ConnectCommand) => Effect.Effect<Outcome, PeerFailure>
    /** The connection that its server accepts with this identifier. */
    readonly accepted: (id: string) => Effect.Effect<Outcome, PeerFailure>
    /** Has another server listen, under an identifier of its own, and gives its port. */
    readonly listen: (id: string, to: ListenCommand) => Effect.Effect<number, PeerFailure>
  }
>()("effect-websocket/test/interop/Peer") {}

/** How a peer speaks: what it is given to tell events, and what it gives to be told commands. */
export interface Wire {
  readonly socketPath: string
  readonly emit: (event: PeerEvent) => void
  readonly fail: (failure: PeerFailure) => void
}
export type Tell = (command: PeerCommand) => void

/** What is known of one connection, or of one server. */
const makeRecord = () => ({
  listening: Deferred.makeUnsafe<number>(),
  outcome: Deferred.makeUnsafe<Outcome>(),
  closed: Deferred.makeUnsafe<CloseEvent.CloseEvent>(),
  messages: Effect.runSync(Queue.unbounded<PeerMessage>()),
  pings: Effect.runSync(Queue.unbounded<string>()),
  pongs: Effect.runSync(Queue.unbounded<string>())
})

/** A peer on its wire: events go to the connection that they are about. */
export const makePeer = Effect.fnUntraced(function* <E, R>(
  start: (wire: Wire) => Effect.Effect<Tell, E, R>
): Effect.fn.Return<Peer["Service"], E | PeerFailure, R | Scope.Scope> {
  const socketPath = yield* temporarySocketPath
  const ready = Deferred.makeUnsafe<number | undefined>()
  const broken = Deferred.makeUnsafe<never, PeerFailure>()
  const records = new Map<string, ReturnType<typeof makeRecord>>()
  const unlessBroken = <A>(effect: Effect.Effect<A>) => Effect.raceFirst(effect, Deferred.await(broken))

  const recordOf = (id: string) => {
    const record = records.get(id) ?? makeRecord()
    records.set(id, record)
    return record
  }

  const connectionOf = (id: string, handshake: PeerHandshake): PeerConnection => {
    const { closed, messages, pings, pongs } = recordOf(id)
    return {
      handshake,
      nextMessage: unlessBroken(Queue.take(messages)),
      nextPing: unlessBroken(Queue.take(pings)),
      nextPong: unlessBroken(Queue.take(pongs)),
      closed: unlessBroken(Deferred.await(closed)),
      send: (message, fragmentSize) =>
        tell({
          command: "send",
          id,
          payload: base64(message),
          isBinary: typeof message !== "string",
          ...(fragmentSize === undefined ? {} : { fragmentSize })
        }),
      beginMessage: (isBinary) => tell({ command: "beginMessage", id, isBinary }),
      beginFrame: (length) => tell({ command: "beginFrame", id, length }),
      frameData: (payload) => tell({ command: "frameData", id, payload: base64(payload) }),
      endMessage: () => tell({ command: "endMessage", id }),
      ping: (payload) => tell({ command: "ping", id, payload: base64(payload) }),
      close: (code, reason) =>
        tell({
          command: "close",
          id,
          ...(code === undefined ? {} : { code }),
          ...(reason === undefined ? {} : { reason })
        })
    }
  }

  const emit = (event: PeerEvent): void => {
    if (event.event === "ready") return void Deferred.doneUnsafe(ready, Effect.succeed(event.port))
    const { closed, listening, messages, outcome, pings, pongs } = recordOf(event.id)
    switch (event.event) {
      case "listening":
        return void Deferred.doneUnsafe(listening, Effect.succeed(event.port))
      case "open":
        return void Deferred.doneUnsafe(
          outcome,
          Effect.succeed({ connection: connectionOf(event.id, event) })
        )
      case "denied":
        return void Deferred.doneUnsafe(outcome, Effect.succeed({ denial: event }))
      case "message":
        return void Queue.offerUnsafe(messages, event)
      case "ping":
        return void Queue.offerUnsafe(pings, event.payload)
      case "pong":
        return void Queue.offerUnsafe(pongs, event.payload)
      case "closed": {
        const { code, reason, wasClean } = event
        return void Deferred.doneUnsafe(closed, Effect.succeed({ wasClean, code, reason }))
      }
    }
  }

  const tell = yield* start({
    socketPath,
    emit,
    fail: (failure) => void Deferred.doneUnsafe(broken, Effect.fail(failure))
  })
  const accepted = (id: string) => Effect.suspend(() => unlessBroken(Deferred.await(recordOf(id).outcome)))
  return Peer.of({
    port: yield* unlessBroken(Deferred.await(ready)),
    socketPath,
    accepted,
    connect: (id, to) =>
      Effect.suspend(() => {
        tell({ command: "connect", id, ...to })
        return accepted(id)
      }),
    listen: (id, to) =>
      Effect.suspend(() => {
        tell({ command: "listen", id, ...to })
        return unlessBroken(Deferred.await(recordOf(id).listening))
      })
  })
})
