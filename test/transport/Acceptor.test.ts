import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { Transport } from "effect-websocket"
import { InMemoryTransport } from "effect-websocket/testing"
import { acceptor } from "../../src/transport/Acceptor.ts"
import { settle } from "../support/apiSession.ts"
import { record } from "../support/nodeRecorder.ts"

const transport = Effect.map(InMemoryTransport.makePair(), ({ server }) => Transport.accepted(server))

const request: Transport.ReceivedRequest = {
  head: { startLine: "GET / HTTP/1.1", headers: [] },
  rest: new Uint8Array()
}

describe("acceptor", () => {
  it.effect("what came before `accept` is handed over first, in order, with its request", () =>
    Effect.gen(function* () {
      const [first, plain, third] = yield* Effect.all([transport, transport, transport])
      const second = { ...plain, request }
      const { accept, onTransport } = acceptor()
      onTransport(first)
      onTransport(second)
      const handed: Array<Transport.AcceptedTransport> = []
      yield* accept((accepted) => void handed.push(accepted))
      onTransport(third)
      assert.deepStrictEqual(handed, [first, second, third])
      assert.deepStrictEqual(
        handed.map(({ request }) => request),
        [undefined, request, undefined]
      )
    })
  )

  it.effect("after the scope of `accept` they wait for the next one, and are handed over once", () =>
    Effect.gen(function* () {
      const [first, second] = yield* Effect.all([transport, transport])
      const { accept, onTransport } = acceptor()
      const accepted: Array<Transport.AcceptedTransport> = []
      const scope = yield* Scope.make()
      yield* Scope.provide(
        accept((one) => void accepted.push(one)),
        scope
      )
      onTransport(first)
      yield* Scope.close(scope, Exit.void)
      onTransport(second)
      assert.strictEqual(accepted.length, 1)
      assert.strictEqual(accepted[0], first)
      const later: Array<Transport.AcceptedTransport> = []
      yield* accept((one) => void later.push(one))
      assert.strictEqual(later.length, 1)
      assert.strictEqual(later[0], second)
    })
  )

  it.effect("`close` drops what nobody has accepted, and whatever still comes", () =>
    Effect.gen(function* () {
      const [waiting, late] = yield* Effect.all([InMemoryTransport.makePair(), InMemoryTransport.makePair()])
      const atWaiting = record(waiting.client)
      const atLate = record(late.client)
      const { accept, close, onTransport } = acceptor()
      onTransport(Transport.accepted(waiting.server))
      close()
      onTransport(Transport.accepted(late.server))
      yield* settle
      assert.deepStrictEqual([atWaiting.told, atLate.told], [["failure"], ["failure"]])
      const accepted: Array<Transport.AcceptedTransport> = []
      yield* accept((one) => void accepted.push(one))
      assert.strictEqual(accepted.length, 0)
    })
  )
})
