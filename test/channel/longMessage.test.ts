/**
 * A message far larger than the memory it may take.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { type WebSocketChannel, WebSocketClient, WebSocketServer } from "effect-websocket"
import { WebSocketTest } from "effect-websocket/testing"
import { arrayBufferBytes } from "../support/memory.ts"

const mebibyte = 1024 * 1024
const piece = new Uint8Array(64 * 1024)
const length = 256 * mebibyte

// Nothing changes the piece, so it may be sent again and again.
const source = Stream.range(1, length / piece.length).pipe(
  Stream.rechunk(1),
  Stream.map(() => piece)
)

const binary = { isBinary: true }

const ways: ReadonlyArray<
  readonly [what: string, send: (channel: WebSocketChannel.Channel) => Effect.Effect<void, unknown>]
> = [
  ["in fragments", (channel) => channel.sendStream(source, binary)],
  ["in one frame", (channel) => channel.sendFragmented(binary, (writer) => writer.sendFrame(length, source))]
]

describe("a message of 256 MiB", () => {
  it.effect.each(ways)(
    "%s goes to a server and comes back with little memory",
    ([, send]) =>
      Effect.gen(function* () {
        const server = yield* WebSocketServer.WebSocketServer
        yield* server.serve({
          onOpen: (channel) =>
            Stream.runForEach(channel.streamed, ({ payload }) => channel.sendStream(payload, binary))
        })
        const client = yield* WebSocketClient.connect("ws://test/")
        const before = arrayBufferBytes()
        let received = 0
        let highest = 0
        let measureAt = 0
        const reading = yield* client.streamed.pipe(
          Stream.take(1),
          Stream.flatMap(({ payload }) => payload),
          Stream.runForEach((bytes) =>
            Effect.sync(() => {
              received += bytes.length
              if (received < measureAt) return
              measureAt += 16 * mebibyte
              highest = Math.max(highest, arrayBufferBytes())
            })
          ),
          Effect.forkChild
        )
        yield* send(client)
        yield* Fiber.join(reading)
        assert.strictEqual(received, length)
        assert.isBelow(highest - before, 16 * mebibyte)
      }).pipe(Effect.provide(WebSocketTest.layer())),
    60_000
  )
})
