/**
 * Back pressure of the kernel's buffers, on a channel that buffers less than Node does.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { WebSocketError } from "effect-websocket"
import { NodeWebSocketServer } from "effect-websocket/node"
import { settle } from "../support/apiSession.ts"
import { anyPort, portOf, rawTcp, serve } from "../support/node.ts"
import { requestHead } from "../support/RawPeer.ts"

/** Waits until nothing more goes out, and tells how much has. */
const stalled = Effect.fnUntraced(function* (sent: () => number) {
  let before = -1
  while (sent() === 0 || sent() !== before) {
    before = sent()
    for (let turn = 0; turn < 10; turn++) yield* settle
  }
  return before
})

describe("a peer that does not read", () => {
  it.effect("suspends send at maxSendBufferSize, far below Node's own mark, and resumes it by reading", () =>
    Effect.gen(function* () {
      const size = 1000
      let sent = 0
      const server = yield* serve(NodeWebSocketServer.layer(anyPort, { maxSendBufferSize: 1 }), {
        onOpen: (channel) =>
          Effect.forever(Effect.map(channel.send(new Uint8Array(size).fill(sent % 256)), () => void sent++))
      })
      const peer = yield* rawTcp(portOf(server.address))
      peer.socket.pause()
      peer.send(requestHead())
      const before = yield* stalled(() => sent)
      peer.socket.resume()
      yield* peer.until(() => sent > before + 1000)
      const frames = peer.text.slice(peer.text.indexOf("\r\n\r\n") + 4)
      assert.isAbove(frames.length, (size + 4) * 1000)
      for (let at = 0; at + 4 <= frames.length; at += size + 4) {
        assert.strictEqual(frames.slice(at, at + 4), "\x82\x7e\x03\xe8", "the header of a binary frame")
      }
    })
  )

  it.effect("fails the send that waits when it resets the connection", () =>
    Effect.gen(function* () {
      const failed = yield* Deferred.make<WebSocketError.WebSocketError>()
      let sent = 0
      const server = yield* serve(NodeWebSocketServer.layer(anyPort, { maxSendBufferSize: 1 }), {
        onOpen: (channel) =>
          Effect.forever(Effect.map(channel.send(new Uint8Array(100_000)), () => void sent++)).pipe(
            Effect.tapError((error) => Deferred.succeed(failed, error))
          )
      })
      const peer = yield* rawTcp(portOf(server.address))
      peer.socket.pause()
      peer.send(requestHead())
      const before = yield* stalled(() => sent)
      // What it has not read makes this a reset.
      peer.socket.destroy()
      const { reason } = yield* Deferred.await(failed)
      assert.strictEqual(reason._tag, "TransportFailure")
      assert.strictEqual(sent, before)
    })
  )
})
