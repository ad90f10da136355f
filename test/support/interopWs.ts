/**
 * The npm package `ws` as a peer, server and client.
 */
import { createServer, type IncomingMessage, type Server } from "node:http"
import type { ListenOptions } from "node:net"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { type PerMessageDeflateOptions, WebSocket, WebSocketServer } from "ws"
import {
  type ConnectCommand,
  digest,
  idHeader,
  makePeer,
  Peer,
  type PeerCompression,
  PeerFailure,
  type SendCommand,
  type Tell,
  type Wire
} from "./interop.ts"

/** A connection, whichever side opened it: echoes, and tells what comes. */
const watch = (id: string, socket: WebSocket, { emit }: Wire): void => {
  socket.on("message", (data: Buffer, isBinary) => {
    emit({ event: "message", id, isBinary, length: data.length, sha256: digest(data) })
    socket.send(data, { binary: isBinary })
  })
  socket.on("ping", (data) => emit({ event: "ping", id, payload: data.toString("base64") }))
  socket.on("pong", (data) => emit({ event: "pong", id, payload: data.toString("base64") }))
  socket.addEventListener("close", ({ code, reason, wasClean }) =>
    emit({ event: "closed", id, wasClean, code, reason })
  )
}

const headersOf = ({ headers }: IncomingMessage): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]))

/** Asks what it is told to of the `other` role. Every message is compressed. */
const deflateOptions = (
  other: "server" | "client",
  { requestMaxWindowBits, requestNoContextTakeover }: PeerCompression
): PerMessageDeflateOptions => ({
  threshold: 0,
  [`${other}NoContextTakeover`]: requestNoContextTakeover,
  [`${other}MaxWindowBits`]: requestMaxWindowBits
})

const serve = (
  server: Server,
  onConnection: (socket: WebSocket, request: IncomingMessage) => void,
  compression?: PeerCompression
): void => {
  new WebSocketServer({
    server,
    perMessageDeflate: compression !== undefined && deflateOptions("client", compression),
    verifyClient: ({ req }, answer) => {
      if (req.url === "/deny") answer(false, 403, "Not for you\n", { "X-Denied-By": "ws" })
      else answer(true)
    },
    handleProtocols: (protocols) => protocols.has("beta") && "beta"
  })
    .on("headers", (headers) => headers.push("X-Interop-Server: ws"))
    .on("connection", onConnection)
}

const tellDenial = (id: string, response: IncomingMessage, { emit }: Wire): void => {
  let body = ""
  response.setEncoding("utf8")
  response.on("data", (text: string) => {
    body += text
  })
  response.on("end", () => {
    const { statusCode = 0, statusMessage = "" } = response
    emit({
      event: "denied",
      id,
      status: statusCode,
      headers: headersOf(response),
      body,
      message: statusMessage
    })
  })
}

const connect = (
  id: string,
  { compression, headers, protocols, socketPath, url }: ConnectCommand,
  wire: Wire,
  onConnection: (socket: WebSocket) => void
): void => {
  const address = socketPath === undefined ? url : `ws+unix:${socketPath}:/`
  const socket = new WebSocket(address, [...protocols], {
    headers,
    perMessageDeflate: compression === undefined || deflateOptions("server", compression)
  })
  let responseHeaders: Record<string, string> = {}
  socket.on("error", ({ message }) => wire.fail(new PeerFailure({ message })))
  socket.on("upgrade", (response) => {
    responseHeaders = headersOf(response)
  })
  socket.on("open", () => {
    onConnection(socket)
    watch(id, socket, wire)
    wire.emit({ event: "open", id, subprotocol: socket.protocol || null, headers: responseHeaders })
  })
  socket.on("unexpected-response", (_request, response) => tellDenial(id, response, wire))
}

const send = (socket: WebSocket, { fragmentSize, isBinary, payload }: SendCommand): void => {
  const bytes = Buffer.from(payload, "base64")
  if (fragmentSize === undefined) return socket.send(bytes, { binary: isBinary })
  for (let start = 0; start < bytes.length; start += fragmentSize) {
    const end = start + fragmentSize
    socket.send(bytes.subarray(start, end), { binary: isBinary, fin: end >= bytes.length })
    if (start === 0) socket.ping("between")
  }
}

const listening = (options: ListenOptions) =>
  Effect.acquireRelease(
    Effect.callback<Server>((resume) => {
      const server = createServer()
      server.listen(options, () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.callback<void>((resume) => void server.close(() => resume(Effect.void)))
  )

const portOf = (server: Server): number => {
  const address = server.address()
  return address === null || typeof address === "string" ? 0 : address.port
}

const start = Effect.fnUntraced(function* (wire: Wire) {
  const scope = yield* Effect.scope
  const sockets = new Map<string, WebSocket>()
  const onConnection = (socket: WebSocket, request: IncomingMessage): void => {
    const headers = headersOf(request)
    const id = headers[idHeader] ?? ""
    sockets.set(id, socket)
    watch(id, socket, wire)
    wire.emit({ event: "open", id, subprotocol: socket.protocol || null, headers })
  }
  const onPort = yield* listening({ port: 0, host: "127.0.0.1" })
  const onPath = yield* listening({ path: wire.socketPath })
  serve(onPort, onConnection)
  serve(onPath, onConnection)
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      for (const socket of sockets.values()) socket.terminate()
    })
  )
  wire.emit({ event: "ready", port: portOf(onPort) })

  const tell: Tell = (command) => {
    if (command.command === "connect") {
      const { id } = command
      return connect(id, command, wire, (socket) => sockets.set(id, socket))
    }
    if (command.command === "listen") {
      const { compression, host, id } = command
      return void Effect.runFork(
        listening({ port: 0, host }).pipe(
          Effect.tap((server) => {
            serve(server, onConnection, compression)
            wire.emit({ event: "listening", id, port: portOf(server) })
            return Effect.void
          }),
          Scope.provide(scope)
        )
      )
    }
    const socket = sockets.get(command.id)
    if (socket === undefined) throw new Error(`no connection ${command.id}`)
    if (command.command === "send") send(socket, command)
    else if (command.command === "ping") socket.ping(Buffer.from(command.payload, "base64"))
    else if (command.command === "close") socket.close(command.code, command.reason)
    else throw new Error(`this peer knows no ${command.command}`)
  }
  return tell
})

export const layer: Layer.Layer<Peer> = Layer.effect(Peer, Effect.orDie(makePeer(start)))
