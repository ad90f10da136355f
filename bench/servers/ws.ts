import { createServer } from "node:http"
import { WebSocketServer } from "ws"
import { deflates, listen } from "../announce.ts"

const server = createServer()
const sockets = new WebSocketServer({
  server,
  // Compressing small messages as well, as effect-websocket does.
  perMessageDeflate: deflates && { threshold: 0 },
  maxPayload: 16 * 1024 * 1024
})

sockets.on("connection", (socket) => {
  socket.on("error", console.error)
  socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }))
})

listen(server)
