import type { Server } from "node:net"

/** Ends this process when its parent closes stdin, or is gone. */
export const endWithStdin = (): void => {
  process.stdin.on("end", () => process.exit()).resume()
}

/** Answers each chunk on stdin with what memory is in use after a collection, if Node has --expose-gc. */
const reportMemory = (): void => {
  process.stdin.on("data", () => {
    globalThis.gc?.()
    console.log(JSON.stringify(process.memoryUsage()))
  })
}

/** This server is to speak permessage-deflate. */
export const deflates = process.argv.includes("--deflate")

/** Tells the parent where this server listens, as a line on stdout. */
export const announce = (port: number): void => {
  endWithStdin()
  reportMemory()
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
