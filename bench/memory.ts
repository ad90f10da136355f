import { parseArgs } from "node:util"
import { Connection } from "./load/connection.ts"
import { countdown } from "./load/countdown.ts"
import { makeDeflateExchange } from "./load/deflate.ts"
import { failOnStall } from "./load/measure.ts"
import { type Server, startServer } from "./processes.ts"

// What a connection with permessage-deflate and context takeover costs a server. Options:
//   --peers ws          servers to compare
//   --short             few connections, to see that everything works
const { values: options } = parseArgs({
  options: {
    peers: { type: "string", default: "effect-websocket,ws" },
    short: { type: "boolean", default: false }
  }
})

const KiB = 1024
const exchange = makeDeflateExchange(KiB)
const connectionCount = options.short ? 50 : 500
/** Messages of 1 KiB each way, in all, at the moments when memory is measured. */
const moments = [1, 64]
/** The server's code is loaded, compiled and run before the first measurement. */
const warmUp = { connections: 10, messages: 200 }

let echoes = 0
failOnStall(() => echoes)

/** Connections that send one message at a time. */
class Crowd {
  #goal = 0
  #done = countdown(0)
  readonly #received = new Map<Connection, number>()
  readonly #connections: ReadonlyArray<Connection>
  readonly #opening: ReturnType<typeof countdown>
  readonly #closing: ReturnType<typeof countdown>

  constructor(port: number, size: number) {
    this.#opening = countdown(size)
    this.#closing = countdown(size)
    const events = {
      opened: this.#opening.tick,
      echoed: (connection: Connection) => this.#goOn(connection),
      closed: this.#closing.tick
    }
    this.#connections = Array.from({ length: size }, () => new Connection(port, exchange, events))
  }

  /** Until each connection has had so many messages back. */
  async reach(goal: number): Promise<void> {
    await this.#opening.done
    this.#goal = goal
    this.#done = countdown(this.#connections.length)
    for (const connection of this.#connections) connection.send(1)
    await this.#done.done
  }

  async close(): Promise<void> {
    for (const connection of this.#connections) connection.close()
    await this.#closing.done
  }

  #goOn(connection: Connection): void {
    echoes++
    const received = (this.#received.get(connection) ?? 0) + 1
    this.#received.set(connection, received)
    if (received < this.#goal) connection.send(1)
    else this.#done.tick()
  }
}

interface Usage {
  /** Resident set: also what was freed, and the allocator has not given back. */
  readonly rss: number
  /** What V8 knows of: its heap, buffers, and zlib's state. */
  readonly known: number
}

const usageOf = async (server: Server): Promise<Usage> => {
  // The first collection frees what the second can give back.
  await server.memory()
  const { external, heapUsed, rss } = await server.memory()
  return { rss, known: heapUsed + external }
}

const measurePeer = async (peer: string): Promise<void> => {
  const server = await startServer(peer, true)
  const warming = new Crowd(server.port, warmUp.connections)
  await warming.reach(warmUp.messages)
  await warming.close()
  const idle = await usageOf(server)
  const crowd = new Crowd(server.port, connectionCount)
  for (const moment of moments) {
    await crowd.reach(moment)
    const usage = await usageOf(server)
    const perConnection = (name: keyof Usage) =>
      ((usage[name] - idle[name]) / connectionCount / KiB).toFixed(1)
    console.log(`| ${moment} KiB | ${peer} | ${perConnection("rss")} | ${perConnection("known")} |`)
  }
  await crowd.close()
  await server.end()
}

console.log(`KiB for each of ${connectionCount} connections with permessage-deflate, garbage collected\n`)
console.log("| sent each way | peer | RSS | heap + external |")
console.log("| --- | --- | ---: | ---: |")
for (const peer of options.peers.split(",")) await measurePeer(peer)
process.exit()
