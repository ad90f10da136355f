/**
 * A server with the preset for the public internet on a real socket, ten honest clients that echo, and room
 * for attackers, whose bytes a test writes. All run in this process, attackers too: what the honest clients
 * wait is an upper bound.
 */
import { assert } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as TestClock from "effect/testing/TestClock"
import {
  PerMessageDeflate,
  ServerOptions,
  Transport,
  type WebSocketChannel,
  type WebSocketClient,
  type WebSocketError
} from "effect-websocket"
import { NodeTransportClient, NodeWebSocketServer } from "effect-websocket/node"
import { settle } from "./apiSession.ts"
import { anyPort, echo, host, makeClient, portOf, serve, urlOf } from "./node.ts"
import { RawPeer, requestHead } from "./RawPeer.ts"

/** An attacker's connection: pause `transport` to have it not read. */
export interface Attacker {
  readonly peer: RawPeer
  readonly transport: Transport.Transport
}

const honestPath = "/honest"

/** Echoes, and tells the attackers' channels and how they fail. */
const serveEcho = Effect.fnUntraced(function* (options: ServerOptions.ServerOptionsInput) {
  const channels: Array<WebSocketChannel.Channel> = []
  const failures = yield* Queue.unbounded<WebSocketError.WebSocketErrorReason>()
  const server = yield* serve(
    NodeWebSocketServer.layer(anyPort, {
      ...ServerOptions.hardened,
      perMessageCompressionAccept: PerMessageDeflate.acceptOffer(),
      ...options
    }),
    {
      onOpen: (channel) => {
        if (channel.request?.path === honestPath) return echo(channel)
        channels.push(channel)
        return Effect.tapError(echo(channel), ({ reason }) => Queue.offer(failures, reason))
      }
    }
  )
  return { channels, failures, server }
})

/** A server with the preset, but for `options`, and its ten clients. */
export const makeScene = Effect.fnUntraced(function* (options: ServerOptions.ServerOptionsInput = {}) {
  const { channels, failures, server } = yield* serveEcho(options)
  const client = yield* makeClient()
  const network = Context.get(yield* Layer.build(NodeTransportClient.layer()), Transport.TransportClient)
  const target = { host, port: portOf(server.address), secure: false, socketPath: undefined }

  /** A client that has not said anything yet. */
  const connect = Effect.map(network.connect(target), (transport): Attacker => {
    return { transport, peer: new RawPeer(transport, "client") }
  })

  /** A client's request, and the status that answers it. */
  const ask = Effect.fnUntraced(function* (lines?: Parameters<typeof requestHead>[0]) {
    const attacker = yield* connect
    attacker.peer.send(requestHead(lines))
    return { ...attacker, status: (yield* attacker.peer.readHead).slice(9, 12) }
  })

  /** One more honest client. */
  const join = (session?: WebSocketClient.SessionParameters) =>
    client.connect(urlOf(server, honestPath), session)

  const honest = yield* Effect.replicateEffect(join(), 10)

  /** Lets the attack run while the honest clients echo. Each gets all its echoes. */
  const during = Effect.fnUntraced(function* <A, E, R>(attack: Effect.Effect<A, E, R>) {
    const latencies: Array<number> = []
    let isOver = false
    const echoing = Effect.fnUntraced(function* (channel: WebSocketChannel.Channel) {
      for (let i = 0; !isOver || i < 20; i++) {
        const message = `message ${i}`
        const sentAt = performance.now()
        yield* channel.send(message)
        assert.strictEqual(yield* channel.receive, message)
        latencies.push(performance.now() - sentAt)
        // Or they would leave little time for the attack.
        yield* settle
      }
    })
    const fiber = yield* Effect.forkChild(Effect.forEach(honest, echoing, { concurrency: "unbounded" }))
    const result = yield* attack
    isOver = true
    yield* Fiber.join(fiber)
    return { latencies, result }
  })

  return { ask, channels, connect, during, failures, join, server }
})

export type Scene = Effect.Success<ReturnType<typeof makeScene>>

/** Has the server take what was sent, as far as it does. */
export const taken = Effect.fnUntraced(function* ({ peer, transport }: Attacker) {
  for (let before = -1; peer.end === undefined && transport.bufferedAmount !== before; ) {
    before = transport.bufferedAmount
    if (before === 0) return
    yield* settle
  }
})

/** Moves the server's clock, slowly enough for answers to come. */
export const pass = Effect.fnUntraced(function* (seconds: number) {
  for (let left = seconds; left > 0; left -= 5) {
    yield* TestClock.adjust(Duration.seconds(Math.min(left, 5)))
    yield* settle
  }
})

/** The latencies at these shares of them all. */
const quantile = (sorted: ReadonlyArray<number>, share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN

/** A line of the table. */
export const lineOf = (name: string, latencies: ReadonlyArray<number>): string => {
  const sorted = [...latencies].sort((a, b) => a - b)
  const milliseconds = [0.5, 0.99].map((share) => quantile(sorted, share).toFixed(1).padStart(8))
  return `${name.padEnd(32)}${String(sorted.length).padStart(8)}${milliseconds.join("")}`
}

export const tableHead = `${"attack".padEnd(32)}${"echoes".padStart(8)}${"p50 ms".padStart(8)}${"p99 ms".padStart(8)}`
