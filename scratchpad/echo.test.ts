import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Protocol, Timeouts, WebSocketClient } from "effect-websocket"
import { InMemoryNetwork, WebSocketTest } from "effect-websocket/testing"
import { Echo } from "./echo.ts"

// No socket is opened: the real handshake and framing run over an in-memory network.
const InMemory = Layer.provideMerge(Echo, WebSocketTest.layer())

it.effect("denies other paths", () =>
  Effect.gen(function* () {
    const { reason } = yield* Effect.flip(WebSocketClient.connect("ws://test/other"))
    assert.strictEqual(reason._tag === "Rejected" && reason.status, 404)
  }).pipe(Effect.provide(InMemory))
)

// One service of the protocol is replaced, the others stay: here every timeout is over at once.
const NoPatience = Layer.succeed(Timeouts.Timeouts, { after: () => Effect.void })

const InMemoryImpatient = Layer.provideMerge(
  Echo,
  WebSocketTest.layerNoProtocol().pipe(Layer.provide(NoPatience), Layer.provide(Protocol.layer))
)

it.effect("gives up on a handshake that takes too long", () =>
  Effect.gen(function* () {
    const { reason } = yield* Effect.flip(WebSocketClient.connect("ws://test/echo"))
    assert.strictEqual(reason._tag, "HandshakeTimeout")
    assert.lengthOf(yield* (yield* InMemoryNetwork.InMemoryNetwork).connections, 1)
  }).pipe(Effect.provide(InMemoryImpatient))
)
