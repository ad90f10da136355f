import type { Server } from "node:net"

/** What a server is told with an argument to do: `--deflate` (permessage-deflate), `--room` (everything to everyone). */
export type Mode = "deflate" | "room"

/** What a server tells the bench in its first line on stdout, as JSON. */
export interface Announcement {
  readonly port: number
  /** Bytes come back as they were sent, without WebSocket. */
  readonly raw?: boolean
  /** The modes it has. */
  readonly modes?: ReadonlyArray<Mode>
  /** It answers each line on stdin with its `process.memoryUsage()` after a collection, as JSON. */
  readonly memory?: boolean
}

/** Whether this process is to run in that mode. */
export const hasMode = (mode: Mode): boolean => process.argv.includes(`--${mode}`)

/** Ends this process when its parent closes stdin, or is gone. */
export const endWithStdin = (): void => {
  process.stdin.on("end", () => process.exit()).resume()
}

const reportMemory = (): void => {
  process.stdin.on("data", () => {
    globalThis.gc?.()
    console.log(JSON.stringify(process.memoryUsage()))
  })
}

/** Tells the parent where this server listens and what it can. */
export const announce = (port: number, modes: ReadonlyArray<Mode>, raw = false): void => {
  endWithStdin()
  reportMemory()
  const announcement: Announcement = { port, raw, modes, memory: true }
  console.log(JSON.stringify(announcement))
}

/** Listens on a free loopback port and announces it. */
export const listen = (server: Server, modes: ReadonlyArray<Mode>, raw = false): void => {
  server.listen(0, "127.0.0.1", () => {
    const address = server.address()
    if (address === null || typeof address === "string") throw new Error("not a TCP server")
    announce(address.port, modes, raw)
  })
}
