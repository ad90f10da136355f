/**
 * Connections that have ended are gone with the next young collection: were something old to refer to them, each
 * would copy all that have ended since the last, until a full one.
 */
import { once } from "node:events"
import * as Net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { WebSocketChannel, type WebSocketServer } from "effect-websocket"
import { NodeWebSocketServer } from "effect-websocket/node"
import { youngHeapBytes } from "../support/memory.ts"
import { anyPort, echo, host, portOf, serve } from "../support/node.ts"
import { requestHead } from "../support/RawPeer.ts"
import { closePayload, encodeFrame, Opcode } from "../support/rawFrames.ts"

const frames = [
  encodeFrame({ opcode: Opcode.text, payload: "hello", masked: true }),
  encodeFrame({ opcode: Opcode.close, payload: closePayload(1000), masked: true })
]

/** Opens a connection, says something, and closes it. */
const comeAndGo = async (port: number): Promise<void> => {
  const socket = Net.connect(port, host)
  socket.write(requestHead({}))
  await once(socket, "data")
  socket.write(Buffer.concat(frames))
  socket.resume()
  await once(socket, "close")
}

const handlers: ReadonlyArray<{
  readonly name: string
  readonly onOpen: WebSocketServer.Handlers["onOpen"]
}> = [
  { name: "a Stream", onOpen: (channel) => Effect.ignore(echo(channel)) },
  {
    name: "callbacks",
    onOpen: WebSocketChannel.handle({
      onMessage: (payload, isBinary, channel) => Effect.ignore(channel.send({ payload, isBinary }))
    })
  }
]

describe("connections that have ended are gone with the next young collection", () => {
  it.live.each(handlers)("served by $name", ({ onOpen }) =>
    Effect.gen(function* () {
      const { address } = yield* serve(NodeWebSocketServer.layer(anyPort), { onOpen })
      const crowd = Effect.promise(async () => {
        for (let index = 0; index < 1000; index += 50) {
          await Promise.all(Array.from({ length: 50 }, () => comeAndGo(portOf(address))))
        }
      })
      yield* crowd
      const before = youngHeapBytes()
      yield* crowd
      // The client's sockets take 1,800 bytes each, this end's connections had 4,000.
      assert.isBelow(youngHeapBytes() - before, 1000 * 3000)
    })
  )
})
