import type { Server } from "node:net"

/** Ends this process when its parent closes stdin, or is gone. */
export const endWithStdin = (): void => {
  process.stdin.on("end", () => process.exit()).resume()
}

/** This server is to speak permessage-deflate. */
export const deflates = process.argv.includes("--deflate")

/** Tells the parent where this server listens, as a line on stdout. */
export const announce = (port: number): void => {
  endWithStdin()
  console.log(JSON.stringify({ port }))
}

/** Listens on a free loopback port and announces it. */
export const listen = (server: Server): void => {
  server.listen(0, "127.0.0.1", () => {
    const address = server.address()
    if (address === null || typeof address === "string") throw new Error("not a TCP server")
    announce(address.port)
  })
}
