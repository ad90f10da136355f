import { createServer } from "node:http"
import { WebSocketServer } from "ws"
import { hasMode, listen } from "../announce.ts"

const server = createServer()
const sockets = new WebSocketServer({
  server,
  // Compressing small messages as well, as effect-websocket does.
  perMessageDeflate: hasMode("deflate") && { threshold: 0 },
  maxPayload: 16 * 1024 * 1024
})

sockets.on("connection", (socket) => {
  socket.on("error", console.error)
  socket.on("message", (data, isBinary) => {
    if (hasMode("room")) for (const member of sockets.clients) member.send(data, { binary: isBinary })
    else socket.send(data, { binary: isBinary })
  })
})

listen(server, ["deflate", "room"])
