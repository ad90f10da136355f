/**
 * 20,000 connections that end in all the ways there are leave nothing behind.
 */
import { Socket } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as NetAddress from "effect/net/NetAddress"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import {
  ConnectionDeny,
  type HandshakeError,
  Protocol,
  Transport,
  type WebSocketChannel,
  WebSocketClient,
  WebSocketServer
} from "effect-websocket"
import { NodeWebSocketClient, NodeWebSocketServer } from "effect-websocket/node"
import { InMemoryTransport } from "effect-websocket/testing"
import { acceptor } from "../../src/transport/Acceptor.ts"
import { leavesNothing } from "../support/faults.ts"
import { heapBytes } from "../support/memory.ts"
import { anyPort, echo, host, portOf, type RawSocket, rawTcp, roundTrip } from "../support/node.ts"
import { RawPeer, requestHead } from "../support/RawPeer.ts"
import { closePayload, encodeFrame, Opcode } from "../support/rawFrames.ts"

const batchSize = 1000
/** Of each batch, those that end with their server. */
const drained = 100

/** What all connections may leave together: less than a hundred bytes each. */
const tolerance = 1_500_000

const limits = {
  failByDrop: false,
  openHandshakeTimeout: "5 seconds",
  closeHandshakeTimeout: "5 seconds",
  autoPingInterval: "5 seconds",
  autoPingTimeout: "5 seconds"
} as const

const handlers: WebSocketServer.Handlers<unknown> = {
  onConnect: ({ path }) => (path === "/denied" ? Effect.fail(ConnectionDeny.forbidden()) : Effect.void),
  onOpen: (channel) => {
    const path = channel.request?.path
    if (path === "/brief") return Effect.void
    if (path === "/fails") return Effect.fail("no more")
    if (path === "/dies") return Effect.die("no more")
    return echo(channel)
  }
}

const request = (path: string): string => requestHead({}, `GET ${path} HTTP/1.1`)

const frame = (opcode: number, payload: Uint8Array | string = "") =>
  encodeFrame({ opcode, payload, masked: true })

/** What a peer sends that then goes away, or waits to be sent away. */
const said: ReadonlyArray<ReadonlyArray<string | Uint8Array>> = [
  [],
  ["GET / HTTP/1.1\r\nHost"],
  ["nonsense\r\n\r\n"],
  [request("/denied")],
  [request("/brief")],
  [request("/echo")],
  [request("/echo"), frame(Opcode.text, "half").subarray(0, 7)],
  [request("/echo"), frame(11)],
  [request("/echo"), frame(Opcode.text, new Uint8Array([255]))],
  [request("/echo"), frame(Opcode.close, closePayload(4000))]
]

/** A server, and what reaches it. */
interface World {
  readonly server: WebSocketServer.WebSocketServer["Service"]
  readonly connect: (
    path: string
  ) => Effect.Effect<WebSocketChannel.Channel, HandshakeError.HandshakeError, Scope.Scope>
  /** Says something, and then ends its side, drops the connection, or is silent. */
  readonly peers: ReadonlyArray<(parts: ReadonlyArray<string | Uint8Array>) => Effect.Effect<unknown>>
}

/** Connections to a server that stays, until each has ended in its way. */
const comeAndGo = Effect.fnUntraced(function* ({ connect, peers }: World) {
  const opened = (path: string) => Effect.scoped(Effect.flatMap(connect(path), ({ closed }) => closed))
  const endings: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
    Effect.scoped(Effect.flip(connect("/denied"))),
    opened("/brief"),
    opened("/fails"),
    opened("/dies"),
    Effect.scoped(Effect.flatMap(connect("/echo"), (channel) => roundTrip(channel, "hello"))),
    ...said.flatMap((parts) => peers.map((peer) => peer(parts)))
  ]
  yield* Effect.forEach(
    Array.from({ length: batchSize - drained }, (_, index) => endings[index % endings.length]!),
    (ending) => ending,
    { concurrency: 50, discard: true }
  )
  // Whoever is silent is dropped: within the opening handshake, the closing handshake, or for want of a pong.
  for (let second = 0; second < 20; second++) yield* TestClock.adjust("1 second")
})

/** Connections to a server that drains them. */
const drain = Effect.fnUntraced(function* ({ connect, server }: World) {
  const open = Effect.flatMap(connect("/echo"), (channel) => roundTrip(channel, "hello"))
  yield* Effect.forEach(Array.from({ length: drained }), () => open, { concurrency: 50, discard: true })
  assert.deepStrictEqual(yield* server.drain(), { finished: drained, dropped: 0 })
})

const target: Transport.TransportTarget = { host: "test", port: 80, secure: false, socketPath: undefined }

/** As `InMemoryNetwork`, which remembers each connection. */
const network = Layer.effectContext(
  Effect.sync(() => {
    const accepting = acceptor()
    const connect = Effect.map(InMemoryTransport.makePair(), ({ client, server }) => {
      accepting.onTransport(Transport.accepted(server))
      return client
    })
    const address = NetAddress.inetAddressUnsafe(NetAddress.ipv4Loopback, 80)
    return Context.make(Transport.TransportServer, {
      address,
      accept: accepting.accept,
      stop: Effect.void
    }).pipe(Context.add(Transport.TransportClient, { connect: () => connect }))
  })
)

const inMemory = Effect.gen(function* () {
  const context = yield* Layer.build(
    Layer.provideMerge(
      Layer.mergeAll(WebSocketServer.layer(limits), WebSocketClient.layer(limits)),
      Layer.mergeAll(network, Protocol.layer)
    )
  )
  const server = Context.get(context, WebSocketServer.WebSocketServer)
  yield* server.serve(handlers)
  const client = Context.get(context, WebSocketClient.WebSocketClient)
  const { connect } = Context.get(context, Transport.TransportClient)
  const peer = Effect.scoped(Effect.orDie(connect(target)))
  const then = (end: (peer: RawPeer) => void) => (parts: ReadonlyArray<string | Uint8Array>) =>
    Effect.map(peer, (transport) => {
      const peer = new RawPeer(transport, "client")
      peer.send(...parts)
      end(peer)
    })
  const world: World = {
    server,
    connect: (path) => client.connect(`ws://test${path}`),
    peers: [then((peer) => peer.finish()), then((peer) => peer.drop()), then(() => {})]
  }
  return world
})

const onSockets = Effect.gen(function* () {
  const context = yield* Layer.build(
    Layer.mergeAll(NodeWebSocketServer.layer(anyPort, limits), NodeWebSocketClient.layer(limits))
  )
  const server = Context.get(context, WebSocketServer.WebSocketServer)
  yield* server.serve(handlers)
  const client = Context.get(context, WebSocketClient.WebSocketClient)
  const port = portOf(server.address)
  const then = (end: (peer: RawSocket) => void) => (parts: ReadonlyArray<string | Uint8Array>) =>
    Effect.gen(function* () {
      const peer = yield* rawTcp(port)
      peer.send(...parts)
      end(peer)
      yield* peer.gone
    }).pipe(Effect.scoped)
  const world: World = {
    server,
    connect: (path) => client.connect(`ws://${host}:${port}${path}`),
    peers: [
      then(({ socket }) => socket.end()),
      then(({ socket }) => void (socket instanceof Socket && socket.resetAndDestroy()))
    ]
  }
  return world
})

const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length

const worlds: ReadonlyArray<{
  readonly where: string
  readonly count: number
  readonly makeWorld: Effect.Effect<World, unknown, Scope.Scope>
}> = [
  { where: "in memory", count: 18_000, makeWorld: inMemory },
  { where: "on sockets", count: 2_000, makeWorld: onSockets }
]

describe("connections that end in mixed ways leave no fiber, socket, timer or memory behind", () => {
  it.effect.each(worlds)("$where: $count", ({ count, makeWorld }) =>
    Effect.gen(function* () {
      const before = { heap: 0, timers: 0 }
      yield* leavesNothing(() =>
        Effect.gen(function* () {
          const world = yield* makeWorld
          const batch = Effect.andThen(comeAndGo(world), Effect.scoped(Effect.flatMap(makeWorld, drain)))
          yield* batch
          before.timers = timers()
          before.heap = heapBytes()
          return Effect.repeat(batch, { times: count / batchSize - 1 })
        })
      )
      assert.isBelow(heapBytes() - before.heap, tolerance)
      assert.isAtMost(timers(), before.timers)
    }).pipe(Effect.provide(Logger.layer([])))
  )
})
