import { createServer } from "node:net"
import { listen } from "../announce.ts"

/** Bytes back as they came: what the runtime's sockets can do at most. */
listen(
  createServer({ noDelay: true }, (socket) => {
    socket.on("error", console.error)
    socket.on("data", (chunk) => socket.write(chunk))
  }),
  [],
  true
)
