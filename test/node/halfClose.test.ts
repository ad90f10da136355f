/**
 * A peer's end that comes while a transport is paused: Node tells it at once when no bytes are unread.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { NodeWebSocketServer } from "effect-websocket/node"
import { anyPort, makeClient, portOf, rawTcp, serve, urlOf } from "../support/node.ts"
import { requestHead } from "../support/RawPeer.ts"

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
