/**
 * A client's connections that have ended are gone with the next young collection. In a process of its own: V8 keeps
 * more of what it has compiled for other cases.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { NodeWebSocketServer } from "effect-websocket/node"
import { anyPort, echo, makeClient, roundTrip, serve, urlOf } from "../support/node.ts"
import { leftBy } from "../support/young.ts"

describe("connections that have ended are gone with the next young collection", () => {
  it.live("of a client", () =>
    Effect.gen(function* () {
      const server = yield* serve(NodeWebSocketServer.layer(anyPort), {
        onOpen: (channel) => Effect.ignore(echo(channel))
      })
      const client = yield* makeClient()
      const visit = Effect.scoped(
        Effect.flatMap(client.connect(urlOf(server)), (channel) =>
          Effect.andThen(roundTrip(channel, "hello"), channel.close(1000))
        )
      )
      // Of both ends: they would take 7,000 bytes each.
      assert.isBelow(yield* leftBy(Effect.asVoid(visit)), 5_000_000)
    })
  )
})
