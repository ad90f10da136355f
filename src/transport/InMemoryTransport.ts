/**
 * Two connected transports without a network: for tests, with the faults a
 * network has.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as NetAddress from "effect/net/NetAddress"
import * as Scheduler from "effect/Scheduler"
import type { Transport, TransportListener } from "./Transport.ts"

/** One of the two ends of a connection. */
export type Side = "client" | "server"

export interface InMemoryOptions {
  /** Bytes that may be under way in each direction before the sender's `bufferedAmount` grows. Default: 64 KiB. */
  readonly capacity?: number
  /** Cut what arrives into chunks of at most this many bytes. Default: as written. */
  readonly chunkSize?: number
  /** Time each write takes to arrive, on Effect's `Clock`. Default: none. */
  readonly latency?: Duration.Input
}

/** What can be done to a connection from outside. */
export interface Faults {
  /** From now on nothing arrives any more, in either direction, and nobody is told. */
  readonly drop: Effect.Effect<void>
  /** Both ends lose the connection with an error, at once. */
  readonly reset: Effect.Effect<void>
  /** Both ends lose the connection with an error once as many more bytes of `from` have arrived: the last to arrive. */
  readonly resetAfter: (from: Side, bytes: number) => Effect.Effect<void>
  /** This end reads no more: what is sent to it waits, and who sends it. */
  readonly stall: (end: Side) => Effect.Effect<void>
  /** A stalled end reads on. */
  readonly resume: (end: Side) => Effect.Effect<void>
}

export interface InMemoryPair {
  readonly client: Transport
  readonly server: Transport
  readonly faults: Faults
}

const defaultCapacity = 65_536

// Each one for all: until its stack is read, an error keeps alive what was running when it was made.
const resetByPeer = new Error("connection reset by peer")
const resetByFault = new Error("connection reset (in-memory fault)")

/** Two transports connected with one another. */
export const makePair = (options: InMemoryOptions = {}): Effect.Effect<InMemoryPair> =>
  Effect.map(Effect.context<never>(), (context) => {
    const latency = Duration.fromInputUnsafe(options.latency ?? 0)
    // Tasks of Effect's scheduler, not microtasks: two ends that answer one another at
    // once must let others run, and `TestClock.adjust` waits for what it set off.
    const dispatcher = Context.get(context, Scheduler.Scheduler).makeDispatcher()
    const soon = (task: () => void): void => dispatcher.scheduleTask(task, 0)
    const later = (arrive: () => void): void => {
      if (Duration.isZero(latency)) return soon(arrive)
      Effect.runForkWith(context)(Effect.andThen(Effect.sleep(latency), Effect.sync(arrive)))
    }
    const link: Link = {
      capacity: options.capacity ?? defaultCapacity,
      chunkSize: options.chunkSize ?? Number.POSITIVE_INFINITY,
      soon,
      later,
      isDropped: false
    }
    const client = new InMemoryEnd(link, loopback(49_152))
    const server = new InMemoryEnd(link, loopback(80))
    client.connect(server)
    server.connect(client)
    const ends = { client, server }
    return {
      ...ends,
      faults: {
        drop: Effect.sync(() => {
          link.isDropped = true
        }),
        reset: Effect.sync(() => client.reset()),
        resetAfter: (from, bytes) =>
          Effect.sync(() => ends[from === "client" ? "server" : "client"].resetAfter(bytes)),
        stall: (end) => Effect.sync(() => ends[end].stall(true)),
        resume: (end) => Effect.sync(() => ends[end].stall(false))
      }
    }
  })

const loopback = (port: number): NetAddress.InetAddress =>
  NetAddress.inetAddressUnsafe(NetAddress.ipv4Loopback, port)

interface Link {
  readonly capacity: number
  readonly chunkSize: number
  readonly soon: (task: () => void) => void
  readonly later: (arrive: () => void) => void
  isDropped: boolean
}

type Item = { readonly chunk: Uint8Array } | "fin"

class InMemoryEnd implements Transport {
  readonly channelType = "memory"
  readonly tls = undefined
  readonly local: NetAddress.SocketAddress
  peer: NetAddress.SocketAddress | undefined

  readonly #link: Link
  #other: InMemoryEnd | undefined
  #listener: TransportListener | undefined
  #isPaused = false
  #isStalled = false
  // Bytes that may still arrive here before the connection is lost.
  #left = Number.POSITIVE_INFINITY
  // What has arrived here and is not handed over yet.
  #arrived: Array<Item> = []
  #deliveryScheduled = false
  // Bytes sent from here that the other side's listener does not have.
  #underWay = 0
  #sentFin = false
  #gotFin = false
  #isClosed = false
  #closeCause: unknown
  #toldClosed = false

  constructor(link: Link, local: NetAddress.SocketAddress) {
    this.#link = link
    this.local = local
  }

  connect(other: InMemoryEnd): void {
    this.#other = other
    this.peer = other.local
  }

  get bufferedAmount(): number {
    return Math.max(0, this.#underWay - this.#link.capacity)
  }

  listen(listener: TransportListener): void {
    this.#listener = listener
    this.#toldClosed = false
    this.#scheduleDelivery()
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    this.#scheduleDelivery()
  }

  write(chunks: ReadonlyArray<Uint8Array>): void {
    if (this.#isClosed || this.#sentFin) return
    // What arrives belongs to the receiver, so it must not be the sender's memory.
    const copies = chunks.map((chunk) => ({ chunk: new Uint8Array(chunk) }))
    for (const { chunk } of copies) this.#underWay += chunk.length
    this.#send(copies)
  }

  end(): void {
    if (this.#isClosed || this.#sentFin) return
    this.#sentFin = true
    this.#send(["fin"])
    this.#closeIfEnded()
  }

  abort(): void {
    if (this.#isClosed) return
    this.#close(undefined)
    this.#send(["fin"], (other) => other.#close(resetByPeer))
  }

  setNoDelay(): void {}

  /** Loses the connection on both sides, at once. */
  reset(): void {
    this.#close(resetByFault)
    if (this.#other !== undefined) this.#other.#close(resetByFault)
  }

  /** Loses it once as many more bytes have arrived here. */
  resetAfter(bytes: number): void {
    this.#left = bytes
    if (bytes === 0) this.reset()
  }

  /** Reads nothing, or reads on. */
  stall(isStalled: boolean): void {
    this.#isStalled = isStalled
    this.#scheduleDelivery()
  }

  #isReading(): boolean {
    return !this.#isPaused && !this.#isStalled && !this.#isClosed
  }

  #send(items: ReadonlyArray<Item>, arrive = (other: InMemoryEnd) => other.#arrive(items)): void {
    this.#link.later(() => {
      if (!this.#link.isDropped && this.#other !== undefined) arrive(this.#other)
    })
  }

  #arrive(items: ReadonlyArray<Item>): void {
    if (this.#isClosed) return
    this.#arrived.push(...items)
    this.#scheduleDelivery()
  }

  #scheduleDelivery(): void {
    if (this.#deliveryScheduled) return
    this.#deliveryScheduled = true
    this.#link.soon(() => {
      this.#deliveryScheduled = false
      this.#deliver()
    })
  }

  #deliver(): void {
    while (this.#listener !== undefined && this.#isReading() && this.#arrived.length > 0) {
      const item = this.#arrived.shift()!
      if (item === "fin") {
        this.#gotFin = true
        this.#listener.onEnd()
        this.#closeIfEnded()
      } else {
        this.#handOver(item.chunk)
      }
    }
    if (this.#isClosed && !this.#toldClosed && this.#listener !== undefined) {
      this.#toldClosed = true
      const listener = this.#listener
      // Who keeps the faults of a connection that is gone does not keep what it was for.
      this.#listener = undefined
      listener.onClose(this.#closeCause)
    }
  }

  #handOver(chunk: Uint8Array): void {
    const size = Math.min(this.#link.chunkSize, this.#left)
    const now = chunk.length > size ? chunk.slice(0, size) : chunk
    if (chunk.length > size) this.#arrived.unshift({ chunk: chunk.subarray(size) })
    if (this.#other !== undefined) this.#other.#taken(now.length)
    this.#left -= now.length
    this.#listener?.onData(now)
    if (this.#left === 0) this.reset()
  }

  #taken(count: number): void {
    const before = this.bufferedAmount
    this.#underWay -= count
    if (before > 0 && this.bufferedAmount === 0) this.#link.soon(() => this.#tellDrain())
  }

  #tellDrain(): void {
    if (!this.#isClosed && this.bufferedAmount === 0) this.#listener?.onDrain()
  }

  #closeIfEnded(): void {
    if (this.#sentFin && this.#gotFin) this.#close(undefined)
  }

  #close(cause: unknown): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#closeCause = cause
    this.#arrived = []
    this.#scheduleDelivery()
  }
}
