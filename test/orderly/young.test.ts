/**
 * Connections that have ended are gone with the next young collection: were something old to refer to them, each
 * would copy all that have ended since the last, until a full one.
 */
import { once } from "node:events"
import * as Net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { ConnectionMetrics, WebSocketChannel, type WebSocketServer } from "effect-websocket"
import { NodeWebSocketServer } from "effect-websocket/node"
import { youngHeapBytes } from "../support/memory.ts"
import { anyPort, echo, host, portOf, serve } from "../support/node.ts"
import { requestHead } from "../support/RawPeer.ts"
import { closePayload, encodeFrame, Opcode } from "../support/rawFrames.ts"

const hello = encodeFrame({ opcode: Opcode.text, payload: "hello", masked: true })
const close = encodeFrame({ opcode: Opcode.close, payload: closePayload(1000), masked: true })

/** Opens a connection, says something, and then does what ends it. */
const comeAndGo = (end: (socket: Net.Socket) => void) =>
  Effect.fnUntraced(function* (port: number) {
    const socket = Net.connect(port, host).on("error", () => {})
    socket.write(requestHead({}))
    yield* Effect.promise(() => once(socket, "data"))
    socket.write(hello)
    yield* Effect.promise(() => once(socket, "data"))
    socket.resume()
    end(socket)
    yield* Effect.promise(() => once(socket, "close"))
  })

const withClose = comeAndGo((socket) => socket.write(close))

interface Case {
  readonly name: string
  readonly onOpen?: WebSocketServer.Handlers["onOpen"]
  readonly visit?: (port: number) => Effect.Effect<void>
  readonly layer?: Layer.Layer<never>
}

const cases: ReadonlyArray<Case> = [
  { name: "that were ended without a Close", visit: comeAndGo((socket) => socket.end()) },
  { name: "that were reset", visit: comeAndGo((socket) => socket.resetAndDestroy()) },
  { name: "served by a Stream" },
  {
    name: "served by a Stream of bytes",
    onOpen: (channel) => Effect.ignore(Stream.runForEach(channel.incoming, channel.send))
  },
  {
    name: "served by callbacks",
    onOpen: WebSocketChannel.handle({
      onMessage: (payload, isBinary, channel) => Effect.ignore(channel.send({ payload, isBinary }))
    })
  },
  { name: "that were measured", layer: ConnectionMetrics.layer() }
]

const measurements = 5

/**
 * Bytes that a thousand visits leave in the heap, of which the young collections found that something refers to them.
 * The least of several measurements: what is alive when V8 makes a collection of its own may become old, too.
 */
export const leftBy = <E, R>(visit: Effect.Effect<void, E, R>): Effect.Effect<number, E, R> =>
  Effect.gen(function* () {
    const crowd = Effect.replicateEffect(visit, 1000, { concurrency: 50, discard: true })
    yield* crowd
    const left: Array<number> = []
    for (let measurement = 0; measurement < measurements; measurement++) {
      const before = youngHeapBytes()
      yield* crowd
      left.push(youngHeapBytes() - before)
    }
    // Less than nothing: V8 has made a full collection meanwhile.
    return Math.min(...left.filter((bytes) => bytes > 0))
  })

describe("connections that have ended are gone with the next young collection", () => {
  it.live.each(cases)("$name", ({ layer = Layer.empty, onOpen, visit = withClose }) =>
    Effect.gen(function* () {
      const { address } = yield* serve(NodeWebSocketServer.layer(anyPort), {
        onOpen: onOpen ?? ((channel) => Effect.ignore(echo(channel)))
      })
      // The sockets of the client take 1,800 bytes each, this end's connections would take 3,000 to 6,000 more.
      assert.isBelow(yield* leftBy(visit(portOf(address))), 4_300_000)
    }).pipe(Effect.provide(layer))
  )
})
