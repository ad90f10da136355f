/**
 * A peer that ends its side of the transport while the other one still goes on.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import type { CloseEvent } from "effect-websocket"
import { NodeWebSocketServer } from "effect-websocket/node"
import { anyPort, makeClient, portOf, rawTcp, serve, urlOf } from "../support/node.ts"
import { requestHead } from "../support/RawPeer.ts"

// Node tells the end of a paused transport at once when no bytes are unread.
describe("a client that ends its side while onConnect decides", () => {
  it.effect("has an open connection that is over, and the server ends it too", () =>
    Effect.gen(function* () {
      const asked = yield* Deferred.make<void>()
      const decided = yield* Deferred.make<void>()
      const closed = yield* Deferred.make<boolean>()
      const server = yield* serve(NodeWebSocketServer.layer(anyPort), {
        onConnect: ({ path }) =>
          path === "/"
            ? Effect.andThen(Deferred.succeed(asked, undefined), Deferred.await(decided))
            : Effect.void,
        onOpen: (channel) =>
          Effect.flatMap(channel.closed, ({ wasClean }) =>
            channel.request?.path === "/" ? Deferred.succeed(closed, wasClean) : Effect.void
          )
      })
      const peer = yield* rawTcp(portOf(server.address))
      peer.send(requestHead())
      yield* Deferred.await(asked)
      yield* Effect.callback<void>((resume) => {
        peer.socket.end(() => resume(Effect.void))
      })
      // When a later connection has come and gone, the end has come.
      const client = yield* makeClient()
      const other = yield* client.connect(urlOf(server, "/other"))
      yield* other.close()
      yield* Deferred.succeed(decided, undefined)
      assert.isFalse(yield* Deferred.await(closed))
      yield* peer.until(() => peer.ended)
      assert.match(peer.text, /^HTTP\/1\.1 101 /)
    })
  )
})

describe("a client that ends its side and reads nothing", () => {
  it.effect("is dropped in the end, and is who ended the transport", () =>
    Effect.gen(function* () {
      const ended = yield* Deferred.make<void>()
      const closed = yield* Deferred.make<CloseEvent.CloseFacts>()
      const server = yield* serve(NodeWebSocketServer.layer(anyPort), {
        onOpen: (channel) =>
          Effect.gen(function* () {
            yield* channel.send(new Uint8Array(32 * 1024 * 1024))
            yield* Effect.flip(channel.receive)
            yield* Deferred.succeed(ended, undefined)
            yield* channel.closed
            yield* Deferred.succeed(closed, yield* channel.closeFacts)
          })
      })
      const peer = yield* rawTcp(portOf(server.address))
      peer.socket.pause()
      peer.send(requestHead())
      peer.socket.end()
      yield* Deferred.await(ended)
      yield* TestClock.adjust("1 second")
      assert.deepInclude(yield* Deferred.await(closed), {
        wasClean: false,
        wasNotCleanReason: "the peer ended the transport without a closing handshake",
        droppedByMe: true,
        timeout: "transportEnd"
      })
    })
  )
})
