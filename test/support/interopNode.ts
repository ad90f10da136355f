/**
 * Node's built-in WebSocket as a peer: a client only, without pings and without
 * a view of the response.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { type ConnectCommand, digest, makePeer, Peer, type Tell, type Wire } from "./interop.ts"

const connect = (id: string, { headers, protocols, url }: ConnectCommand, { emit }: Wire): WebSocket => {
  // Headers are Node's addition to the browsers' constructor.
  const socket: WebSocket = Reflect.construct(WebSocket, [url, { protocols, headers }])
  let isOpen = false
  socket.binaryType = "arraybuffer"
  socket.addEventListener("open", () => {
    isOpen = true
    emit({ event: "open", id, subprotocol: socket.protocol || null })
  })
  socket.addEventListener("message", ({ data }: MessageEvent<string | ArrayBuffer>) => {
    const isBinary = typeof data !== "string"
    const bytes = typeof data === "string" ? Buffer.from(data) : Buffer.from(data)
    emit({ event: "message", id, isBinary, length: bytes.length, sha256: digest(bytes) })
    socket.send(data)
  })
  socket.addEventListener("close", ({ code, reason, wasClean }) => {
    if (isOpen) emit({ event: "closed", id, wasClean, code, reason })
    else emit({ event: "denied", id, message: reason })
  })
  return socket
}

const start = ({ emit, ...wire }: Wire) =>
  Effect.acquireRelease(
    Effect.sync(() => new Map<string, WebSocket>()),
    (sockets) =>
      Effect.sync(() => {
        for (const socket of sockets.values()) socket.close()
      })
  ).pipe(
    Effect.map((sockets): Tell => {
      emit({ event: "ready" })
      return (command) => {
        if (command.command === "connect") {
          sockets.set(command.id, connect(command.id, command, { emit, ...wire }))
          return
        }
        const socket = sockets.get(command.id)
        if (socket === undefined) throw new Error(`no connection ${command.id}`)
        if (command.command === "close") return socket.close(command.code, command.reason)
        if (command.command !== "send") throw new Error(`this peer knows no ${command.command}`)
        const bytes = Buffer.from(command.payload, "base64")
        socket.send(command.isBinary ? bytes : bytes.toString())
      }
    })
  )

export const layer: Layer.Layer<Peer> = Layer.effect(Peer, Effect.orDie(makePeer(start)))
