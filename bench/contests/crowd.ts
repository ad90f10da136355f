import { Connection } from "../load/connection.ts"
import type { Exchange } from "../load/exchange.ts"
import { fail } from "../load/fail.ts"

/** Connections or messages under way at a time, so that a server is never flooded. */
const PARALLEL = 100
const PATIENCE_MS = 10_000
/** Each address has about 28,000 ports on Linux; a few of them may be in use. */
const PER_ADDRESS = 10_000

/** Connections that one by one get what they are asked for. */
export class Crowd {
  readonly #port: number
  readonly #exchange: Exchange
  readonly #connections: Array<Connection> = []
  /** Something that was started is done. */
  #next: () => void = () => {}

  constructor(port: number, exchange: Exchange) {
    this.#port = port
    this.#exchange = exchange
  }

  /** Opens so many connections, which stay open. */
  async open(size: number): Promise<void> {
    const events = {
      opened: () => this.#next(),
      echoed: () => this.#next(),
      closed: () => this.#next()
    }
    await this.#each(size, (index) => {
      // Node names no address of its own accord, and 127.0.0.1 is the only one that every system has.
      const address = index < PER_ADDRESS ? undefined : `127.0.0.${1 + Math.floor(index / PER_ADDRESS)}`
      this.#connections.push(new Connection(this.#port, this.#exchange, events, address))
    })
  }

  /** Has one message echoed on each connection. */
  echo(): Promise<void> {
    return this.#each(this.#connections.length, (index) => this.#connections[index]!.send(1))
  }

  close(): Promise<void> {
    return this.#each(this.#connections.length, (index) => this.#connections[index]!.close())
  }

  /** Starts each and waits until so many are done, a limited number at a time. */
  #each(total: number, start: (index: number) => void): Promise<void> {
    let started = 0
    let done = 0
    return new Promise((resolve) => {
      const patience = setTimeout(() => fail(`only ${done} of ${total} were answered`), PATIENCE_MS)
      this.#next = () => {
        patience.refresh()
        done++
        if (started < total) start(started++)
        else if (done === total) {
          clearTimeout(patience)
          resolve()
        }
      }
      while (started < Math.min(total, PARALLEL)) start(started++)
    })
  }
}
