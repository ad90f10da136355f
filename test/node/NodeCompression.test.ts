/**
 * Per-message compression over Node's sockets, between our two ends.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { PreparedMessage, WebSocketClient, WebSocketServer } from "effect-websocket"
import { NodeTransportClient, NodeTransportServer } from "effect-websocket/node"
import { compressions, protocolWith } from "../support/compressions.ts"
import { anyPort, echo, urlOf } from "../support/node.ts"

const words = "the quick brown fox jumps over the lazy dog "
const long = new Uint8Array(300_000).map((_, i) => (i * 7) ^ (i >> 5))

describe.each(compressions)("$name", ({ accept, extension, name, offer }) => {
  const protocol = protocolWith(extension)
  const layers = Layer.merge(
    WebSocketServer.layer({ perMessageCompressionAccept: accept, maxMessagePayloadSize: 400_000 }).pipe(
      Layer.provide([protocol, NodeTransportServer.layer(anyPort)])
    ),
    WebSocketClient.layer({ perMessageCompressionOffers: [offer] }).pipe(
      Layer.provide([protocol, NodeTransportClient.layer()])
    )
  )

  it.effect("messages come back, of every kind and length, and fewer octets pass", () =>
    Effect.gen(function* () {
      const server = yield* WebSocketServer.WebSocketServer
      yield* server.serve({ onOpen: echo })
      const channel = yield* WebSocketClient.connect(urlOf(server))
      assert.deepStrictEqual(channel.extensions, [name])
      const messages = [
        "",
        "a",
        words.repeat(20),
        long,
        words.repeat(20),
        new Uint8Array(0),
        words.repeat(9000)
      ]
      for (const message of messages) {
        yield* channel.send(message)
        assert.deepStrictEqual(yield* channel.receive, message)
      }
      const prepared = PreparedMessage.make(words)
      for (let i = 0; i < 3; i++) {
        yield* channel.send(prepared)
        yield* channel.send(words)
        assert.strictEqual(yield* channel.receive, words)
        assert.strictEqual(yield* channel.receive, words)
      }
      yield* channel.sendStream(Stream.fromIterable([words, words, words]), { isBinary: false })
      assert.strictEqual(yield* channel.receive, words.repeat(3))
      const { received, sent } = yield* channel.statistics
      assert.isBelow(sent.payloadOctets, sent.messageOctets)
      assert.isBelow(received.payloadOctets, received.messageOctets)
      assert.deepStrictEqual(yield* channel.close(1000), { wasClean: true, code: 1000, reason: "" })
    }).pipe(Effect.provide(layers))
  )

  it.effect("a message beyond the limit once it is decompressed fails with 1009", () =>
    Effect.gen(function* () {
      const server = yield* WebSocketServer.WebSocketServer
      const limited = yield* Effect.orDie(
        server.options.set({ maxMessagePayloadSize: 1000, failByDrop: false })
      )
      assert.isUndefined(limited)
      yield* server.serve({ onOpen: echo })
      const channel = yield* WebSocketClient.connect(urlOf(server))
      yield* channel.send("x".repeat(100_000))
      assert.strictEqual((yield* channel.closed).code, 1009)
    }).pipe(Effect.provide(layers))
  )
})
