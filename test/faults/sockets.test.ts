/**
 * What only a kernel does to a connection.
 */
import { Socket } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as TestClock from "effect/testing/TestClock"
import { WebSocketChannel, type WebSocketError } from "effect-websocket"
import { NodeWebSocketServer } from "effect-websocket/node"
import { settle } from "../support/apiSession.ts"
import { leavesNothing, reasonOf } from "../support/faults.ts"
import {
  anyPort,
  echo,
  makeClient,
  portOf,
  type RawSocket,
  rawTcp,
  roundTrip,
  serve,
  upgradeTo,
  urlOf
} from "../support/node.ts"
import { encodeFrame, Opcode } from "../support/rawFrames.ts"

interface Faulty {
  readonly channel: WebSocketChannel.Channel
  readonly peer: RawSocket
  readonly othersWork: Effect.Effect<void>
}

interface Fault {
  readonly happens: (faulty: Faulty) => Effect.Effect<unknown, WebSocketError.WebSocketError>
  /** What who reads then fails with. */
  readonly reasons: ReadonlyArray<WebSocketError.WebSocketErrorReason["_tag"]>
}

const text = encodeFrame({ opcode: Opcode.text, payload: "hello", masked: true })

/** Where a reset meets a write, the kernel tells of either. */
const lost: Fault["reasons"] = ["TransportFailure", "ConnectionClosed"]

const reset = ({ socket }: RawSocket) =>
  Effect.sync(() => void (socket instanceof Socket && socket.resetAndDestroy()))

/** Sends until the peer's buffers are full and so is the channel's. */
const fill = Effect.fnUntraced(function* ({ channel, peer }: Faulty) {
  peer.socket.pause()
  while (yield* channel.trySend(new Uint8Array(262_144))) yield* settle
})

const faults: Readonly<Record<string, Fault>> = {
  "a reset within a frame": {
    happens: ({ channel, peer }) =>
      Effect.gen(function* () {
        peer.send(text, text.subarray(0, 8))
        assert.strictEqual(yield* channel.receive, "hello")
        yield* reset(peer)
      }),
    reasons: lost
  },
  "a peer that ends its side within a frame": {
    happens: ({ peer }) => Effect.sync(() => peer.socket.end(text.subarray(0, 8))),
    reasons: ["ConnectionClosed"]
  },
  "a reset while a message waits for the peer to read": {
    happens: (faulty) =>
      Effect.gen(function* () {
        const { channel, othersWork, peer } = faulty
        yield* fill(faulty)
        const waiting = yield* Effect.forkChild(reasonOf(channel.send("waits")))
        yield* othersWork
        yield* reset(peer)
        const { _tag } = yield* Fiber.join(waiting)
        assert.isTrue(lost.includes(_tag), _tag)
      }),
    reasons: lost
  },
  "a peer that never reads, and is disconnected as too slow": {
    happens: (faulty) =>
      Effect.gen(function* () {
        const { channel, othersWork } = faulty
        yield* fill(faulty)
        yield* WebSocketChannel.broadcast([channel], "too much", { close: 1013 })
        assert.deepInclude((yield* channel.closeFacts).localClose, { code: 1013 })
        yield* othersWork
        yield* TestClock.adjust("1 second")
      }),
    reasons: ["CloseTimeout"]
  },
  "a peer that has closed, and keeps its side of TCP open": {
    happens: ({ channel, othersWork, peer }) =>
      Effect.gen(function* () {
        peer.send(encodeFrame({ opcode: Opcode.close, payload: "", masked: true }))
        yield* peer.until(() => peer.ended)
        yield* othersWork
        yield* TestClock.adjust("1 second")
        assert.isTrue((yield* channel.closed).wasClean)
      }),
    reasons: ["ConnectionClosed"]
  }
}

describe("a connection of a server, over TCP", () => {
  it.effect.each(Object.entries(faults))("%s", ([, { happens, reasons }]) =>
    leavesNothing(({ watch }) =>
      Effect.gen(function* () {
        const opened = yield* Queue.unbounded<WebSocketChannel.Channel>()
        const server = yield* serve(NodeWebSocketServer.layer(anyPort, { maxSendBufferSize: 65_536 }), {
          onOpen: (channel) =>
            channel.request?.path === "/this"
              ? Effect.andThen(Queue.offer(opened, channel), channel.closed)
              : echo(channel)
        })
        const bystander = yield* Effect.flatMap(makeClient(), ({ connect }) => connect(urlOf(server)))
        const othersWork = Effect.orDie(
          Effect.map(roundTrip(bystander, "hello"), (answer) => assert.strictEqual(answer, "hello"))
        )
        yield* othersWork
        yield* settle
        return Effect.gen(function* () {
          const peer = yield* rawTcp(portOf(server.address), { allowHalfOpen: true })
          peer.send(upgradeTo("/this"))
          yield* peer.reads("\r\n\r\n")
          const channel = yield* Queue.take(opened)
          watch(channel)
          yield* happens({ channel, peer, othersWork })
          yield* channel.closed
          const { _tag } = yield* reasonOf(channel.receive)
          assert.isTrue(reasons.includes(_tag), _tag)
          assert.strictEqual(yield* channel.bufferedAmount, 0)
          yield* othersWork
          assert.strictEqual(yield* server.connections, 1)
        })
      })
    )
  )
})
