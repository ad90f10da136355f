/**
 * The echo server and the room of Bun, which runs this file.
 */
import { announce, hasMode } from "../announce.ts"

interface Socket {
  readonly send: (message: string | Uint8Array, compress?: boolean) => number
  readonly subscribe: (topic: string) => void
}

/** As much of Bun's types as is used here. */
declare const Bun: {
  readonly serve: (options: {
    readonly port: number
    readonly hostname: string
    readonly fetch: (
      request: Request,
      server: { readonly upgrade: (request: Request) => boolean }
    ) => Response | undefined
    readonly websocket: {
      readonly perMessageDeflate: boolean
      readonly maxPayloadLength: number
      readonly open: (socket: Socket) => void
      readonly message: (socket: Socket, message: string | Uint8Array) => void
    }
  }) => {
    readonly port: number
    readonly publish: (topic: string, message: string | Uint8Array) => void
  }
}

const room = "room"

const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  fetch: (request, self) => (self.upgrade(request) ? undefined : new Response(null, { status: 426 })),
  websocket: {
    perMessageDeflate: hasMode("deflate"),
    maxPayloadLength: 16 * 1024 * 1024,
    open: (socket) => {
      if (hasMode("room")) socket.subscribe(room)
    },
    message: (socket, message) => {
      if (hasMode("room")) server.publish(room, message)
      else socket.send(message, hasMode("deflate"))
    }
  }
})

announce(server.port, ["deflate", "room"])
