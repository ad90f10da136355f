/**
 * Servers and clients on Node's sockets, and raw sockets as their peers.
 */
import { Buffer } from "node:buffer"
import * as Fs from "node:fs"
import type * as Http from "node:http"
import * as Net from "node:net"
import * as Os from "node:os"
import * as Path from "node:path"
import type { Duplex } from "node:stream"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as NetAddress from "effect/net/NetAddress"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Socket from "effect/socket/Socket"
import {
  type ClientOptions,
  type ConnectionDeny,
  type WebSocketChannel,
  WebSocketClient,
  WebSocketServer
} from "effect-websocket"
import { type NodeTransportClient, NodeWebSocketClient } from "effect-websocket/node"
import { latin1, Waiting } from "./nodeRecorder.ts"
import { requestHead } from "./RawPeer.ts"

export const host = "127.0.0.1"

/** Any free port. */
export const anyPort = { host, port: 0 }

/** Sends every message back. */
export const echo = (channel: WebSocketChannel.Channel) => Stream.runForEach(channel.messages, channel.send)

/** Denies every connection. */
export const denyWith = (deny: ConnectionDeny): WebSocketServer.Handlers => ({
  onConnect: () => Effect.fail(deny),
  onOpen: () => Effect.void
})

/** Serves with the server of a layer, until the scope closes. */
export const serve = Effect.fnUntraced(function* <EL, E = never, R = never, RC = never>(
  layer: Layer.Layer<WebSocketServer.WebSocketServer, EL>,
  handlers: WebSocketServer.Handlers<E, R, RC>
) {
  const server = Context.get(yield* Layer.build(layer), WebSocketServer.WebSocketServer)
  yield* server.serve(handlers)
  return server
})

/** A client on Node's sockets. */
export const makeClient = Effect.fnUntraced(function* (
  options?: ClientOptions.ClientOptionsInput,
  tls?: NodeTransportClient.TlsOptions
) {
  const layer = NodeWebSocketClient.layer(options, tls)
  return Context.get(yield* Layer.build(layer), WebSocketClient.WebSocketClient)
})

/** The port of a bound address. */
export const portOf = (address: NetAddress.SocketAddress): number => {
  if (NetAddress.isInetAddress(address)) return address.port
  throw new Error(`no port: ${String(address)}`)
}

export const urlOf = ({ address }: WebSocketServer.WebSocketServer["Service"], path = "/"): string =>
  `ws://${host}:${portOf(address)}${path}`

/** Sends a message and gets its echo. */
export const roundTrip = Effect.fnUntraced(function* (
  channel: WebSocketChannel.Channel,
  message: string | Uint8Array
) {
  yield* channel.send(message)
  const [answer] = yield* channel.messages.pipe(Stream.take(1), Stream.runCollect)
  return answer
})

// ---- raw sockets ------------------------------------------------------------

/** A socket of Node, and what came from it. */
export class RawSocket extends Waiting {
  readonly socket: Duplex
  #received: Array<Buffer> = []
  error: (Error & { readonly code?: string }) | undefined
  ended = false
  closed = false

  constructor(socket: Duplex) {
    super()
    this.socket = socket
    socket.on("data", (chunk: Buffer) => {
      this.#received.push(chunk)
      this.wake()
    })
    socket.on("end", () => {
      this.ended = true
      this.wake()
    })
    socket.on("error", (error) => {
      this.error = error
    })
    socket.on("close", () => {
      this.closed = true
      this.wake()
    })
  }

  get text(): string {
    return Buffer.concat(this.#received).toString("latin1")
  }

  /** Sends the parts in one packet. */
  send(...parts: ReadonlyArray<string | Uint8Array>): void {
    const bytes = parts.map((part) => (typeof part === "string" ? latin1(part) : part))
    this.socket.write(Buffer.concat(bytes))
  }

  /** Waits until this has come, or the socket is gone, and gives what came. */
  reads(text: string): Effect.Effect<string> {
    return Effect.map(
      this.until(() => this.closed || this.text.includes(text)),
      () => this.text
    )
  }

  /** Waits for the peer's end, and gives all that came. */
  readonly readAll: Effect.Effect<string> = Effect.suspend(() =>
    Effect.map(
      this.until(() => this.ended || this.closed),
      () => this.text
    )
  )

  /** Waits until the socket is gone, both ways. */
  readonly gone: Effect.Effect<void> = Effect.suspend(() => this.until(() => this.closed))
}

/** A connected socket that is destroyed when the scope closes. */
export const rawSocket = Effect.fnUntraced(function* <S extends Duplex>(
  connect: () => S,
  event: "connect" | "secureConnect" = "connect"
) {
  const socket = yield* Effect.acquireRelease(Effect.sync(connect), (socket) =>
    Effect.sync(() => void socket.destroy())
  )
  const raw = new RawSocket(socket)
  yield* Effect.callback<void>((resume) => {
    socket.once(event, () => resume(Effect.void))
    socket.once("error", (error) => resume(Effect.die(error)))
  })
  return raw
})

export const rawTcp = (port: number, options: { readonly allowHalfOpen?: boolean } = {}) =>
  rawSocket(() => Net.connect({ ...options, host, port }))

/** Sends a request in one packet, and reads the response to the end. */
export const responseTo = Effect.fnUntraced(function* (
  port: number,
  ...request: ReadonlyArray<string | Uint8Array>
) {
  const raw = yield* rawTcp(port)
  raw.send(...request)
  return yield* raw.readAll
}, Effect.scoped)

/** A client that resets its connection (TCP RST). */
export const resetTcp = Effect.fnUntraced(function* (
  port: number,
  ...parts: ReadonlyArray<string | Uint8Array>
) {
  const socket = Net.connect({ host, port })
  const raw = yield* rawSocket(() => socket)
  if (parts.length > 0) raw.send(...parts)
  return {
    raw,
    reset: Effect.andThen(
      Effect.sync(() => void socket.resetAndDestroy()),
      raw.gone
    )
  }
})

/** A TCP server whose connections are destroyed with the scope. */
export const rawServer = Effect.fnUntraced(function* (onConnection: (socket: Net.Socket) => void) {
  const sockets = new Set<Net.Socket>()
  const server = Net.createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    onConnection(socket)
  })
  const port = yield* listening(server)
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      for (const socket of sockets) socket.destroy()
    })
  )
  return port
})

/** Listens on any free port until the scope closes; waits for all connections then. */
export const listening = (server: Net.Server) =>
  Effect.acquireRelease(
    Effect.callback<number>((resume) => {
      server.listen(0, host, () => {
        const address = server.address()
        resume(
          typeof address === "object" && address !== null
            ? Effect.succeed(address.port)
            : Effect.die(new Error("not listening"))
        )
      })
    }),
    () => Effect.callback<void>((resume) => void server.close(() => resume(Effect.void)))
  )

/** An HTTP server that answers every request with its URL. */
export const withPages = <S extends Http.Server>(server: S): S => {
  server.on("request", (request: Http.IncomingMessage, response: Http.ServerResponse) => {
    response.end(`page ${request.url}`)
  })
  return server
}

/** An opening request for a path. */
export const upgradeTo = (path: string): string => requestHead({}, `GET ${path} HTTP/1.1`)

/** The handler of a route that upgrades with Effect's own means: sends a message and closes. */
export const effectUpgrade = Effect.gen(function* () {
  const socket = yield* Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => request.upgrade)
  yield* Socket.readerBytes(socket)
  const writer = yield* socket.writer
  yield* writer.write("from Effect's own")
  yield* writer.write(new Socket.CloseEvent(1000))
  return HttpServerResponse.empty()
}).pipe(Effect.scoped, Effect.orDie)

/** A request for a page. */
export const pageRequest = (path = "/"): string =>
  `GET ${path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n`

/** A new directory, removed with the scope. */
export const temporaryDirectory: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => Fs.mkdtempSync(Path.join(Os.tmpdir(), "effect-websocket-"))),
  (path) => Effect.sync(() => Fs.rmSync(path, { recursive: true }))
)
