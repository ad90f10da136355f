/**
 * The places of a server's connections: when they are taken, and when they are given back.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as NetAddress from "effect/net/NetAddress"
import * as TestClock from "effect/testing/TestClock"
import { ConnectionDeny, Protocol, type ServerOptions, Transport, WebSocketServer } from "effect-websocket"
import { InMemoryTransport } from "effect-websocket/testing"
import { observed, settle } from "../support/apiSession.ts"
import { layer, openRawClient, rawClient, untilClosed } from "../support/bothEnds.ts"
import { RawPeer, requestHead } from "../support/RawPeer.ts"

/** One place. Each `onConnect` waits until the test decides. */
const serveOne = (options: ServerOptions.ServerOptionsInput = {}) =>
  Effect.gen(function* () {
    const server = yield* WebSocketServer.WebSocketServer
    yield* server.options.set({ maxConnections: 1, ...options })
    const decisions: Array<Deferred.Deferred<void, ConnectionDeny>> = []
    yield* server.serve({
      onConnect: () => {
        const decision = Deferred.makeUnsafe<void, ConnectionDeny>()
        decisions.push(decision)
        return Deferred.await(decision)
      },
      onOpen: untilClosed
    })
    return decisions
  })

const ask = Effect.gen(function* () {
  const peer = yield* rawClient
  peer.send(requestHead())
  yield* settle
  return peer
})

const status = (peer: RawPeer) => Effect.map(peer.readHead, (head) => head.slice(9, 12))

describe("a place", () => {
  it.effect("is taken before onConnect has decided, and given back at once when it denies", () =>
    Effect.gen(function* () {
      const decisions = yield* serveOne({ closeHandshakeTimeout: 0 })
      const first = yield* ask
      const second = yield* ask
      assert.strictEqual(yield* status(second), "503")
      assert.lengthOf(decisions, 1)
      yield* Deferred.fail(decisions[0]!, ConnectionDeny.forbidden())
      assert.strictEqual(yield* status(first), "403")
      // The transports of both have not ended.
      const third = yield* ask
      yield* Deferred.succeed(decisions[1]!, undefined)
      assert.strictEqual(yield* status(third), "101")
      assert.strictEqual(yield* status(yield* ask), "503")
      // It is not given back once more.
      first.drop()
      second.drop()
      yield* settle
      assert.strictEqual(yield* status(yield* ask), "503")
    }).pipe(Effect.provide(layer()))
  )

  it.effect("is given back when the opening handshake has timed out, died, or lost its client", () =>
    Effect.gen(function* () {
      const decisions = yield* serveOne({ openHandshakeTimeout: "5 seconds" })
      const late = yield* ask
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* status(late), "408")
      const unlucky = yield* ask
      yield* Deferred.die(decisions[1]!, new Error("expected"))
      assert.strictEqual(yield* status(unlucky), "500")
      const gone = yield* ask
      gone.drop()
      yield* Deferred.succeed(decisions[2]!, undefined)
      yield* settle
      const last = yield* ask
      yield* Deferred.succeed(decisions[3]!, undefined)
      assert.strictEqual(yield* status(last), "101")
    }).pipe(Effect.provide(layer()))
  )

  it.effect("is kept until the transport has ended, whatever the handler does", () =>
    Effect.gen(function* () {
      const server = yield* WebSocketServer.WebSocketServer
      yield* server.options.set({ maxConnections: 1, closeHandshakeTimeout: 0 })
      yield* server.serve({
        onOpen: (channel) => (channel.request?.path === "/brief" ? Effect.void : Effect.never)
      })
      const brief = yield* rawClient
      brief.send(requestHead({}, "GET /brief HTTP/1.1"))
      assert.strictEqual(yield* status(brief), "101")
      assert.strictEqual(yield* brief.read, "close 1000")
      assert.strictEqual(yield* status(yield* ask), "503")
      brief.drop()
      yield* settle
      const lasting = yield* openRawClient
      lasting.drop()
      yield* settle
      assert.strictEqual(yield* status(yield* ask), "101")
      yield* server.drain(0)
    }).pipe(Effect.provide(layer()))
  )

  it.effect("of a peer without an IP address is not limited per peer", () =>
    Effect.gen(function* () {
      let accept: Transport.OnTransport = () => assert.fail("nobody accepts")
      const server = yield* WebSocketServer.make({ maxConnectionsPerPeer: 1 }).pipe(
        Effect.provideService(Transport.TransportServer, {
          address: NetAddress.unixPathAddress("/server"),
          accept: (onTransport) =>
            Effect.sync(() => {
              accept = onTransport
            }),
          stop: Effect.void
        }),
        Effect.provide(Protocol.layer)
      )
      yield* server.serve({ onOpen: untilClosed })
      const peers = [undefined, NetAddress.unixPathAddress("/client"), NetAddress.unixPathAddress("/client")]
      for (const peer of [...peers, undefined]) {
        const pair = yield* InMemoryTransport.makePair()
        const client = new RawPeer(pair.client, "client")
        accept(
          Transport.accepted(
            Object.assign(
              observed(pair.server, () => {}),
              { peer }
            )
          )
        )
        client.send(requestHead())
        assert.strictEqual(yield* status(client), "101")
        yield* Effect.addFinalizer(() => Effect.sync(() => client.drop()))
      }
    })
  )
})

describe("a connection without a place", () => {
  const here = ({ end }: RawPeer) => end === undefined

  it.effect("is dropped when it is the oldest of more than maxOpenHandshakes", () =>
    Effect.gen(function* () {
      const decisions = yield* serveOne({ maxConnections: 3, maxOpenHandshakes: 2, closeHandshakeTimeout: 0 })
      // Neither who waits for the application nor who is connected counts.
      const opened = yield* ask
      yield* Deferred.succeed(decisions[0]!, undefined)
      assert.strictEqual(yield* status(opened), "101")
      const asking = yield* ask
      const silent = yield* rawClient
      const slow = yield* rawClient
      slow.send("GET / HT")
      yield* settle
      assert.deepStrictEqual([opened, asking, silent, slow].map(here), [true, true, true, true])
      // A refused one does, until it has gone, and is the newest.
      const refused = yield* ask
      yield* Deferred.fail(decisions[2]!, ConnectionDeny.forbidden())
      assert.strictEqual(yield* status(refused), "403")
      assert.deepStrictEqual([opened, asking, silent, slow].map(here), [true, true, false, true])
      refused.finish()
      yield* settle
      const next = yield* rawClient
      yield* settle
      assert.isTrue(here(slow))
      const last = yield* rawClient
      yield* settle
      assert.deepStrictEqual([slow, next, last].map(here), [false, true, true])
      last.send(requestHead())
      yield* settle
      yield* Deferred.succeed(decisions[3]!, undefined)
      assert.strictEqual(yield* status(last), "101")
      yield* Deferred.succeed(decisions[1]!, undefined)
      assert.strictEqual(yield* status(asking), "101")
    }).pipe(Effect.provide(layer()))
  )

  it.effect("gives way also to a limit that is set while it waits", () =>
    Effect.gen(function* () {
      yield* serveOne({ maxOpenHandshakes: 0 })
      const server = yield* WebSocketServer.WebSocketServer
      const silent = yield* Effect.replicateEffect(
        Effect.tap(rawClient, () => settle),
        5
      )
      yield* server.options.set({ maxOpenHandshakes: 2 })
      assert.deepStrictEqual(silent.map(here), Array(5).fill(true))
      const newest = yield* rawClient
      yield* settle
      assert.deepStrictEqual([...silent, newest].map(here), [false, false, false, false, true, true])
    }).pipe(Effect.provide(layer()))
  )
})

describe("options that change while a server runs", () => {
  it.effect("are those of the next connections; open ones keep theirs, and are counted", () =>
    Effect.gen(function* () {
      const server = yield* WebSocketServer.WebSocketServer
      yield* server.serve({ onOpen: untilClosed })
      const before = yield* openRawClient
      const waiting = yield* rawClient
      yield* settle
      yield* server.options.set({ echoCloseCodeReason: true, maxConnections: 2 })
      waiting.send(requestHead())
      yield* waiting.readHead
      assert.strictEqual(yield* status(yield* ask), "503")
      before.send(before.close(3000))
      assert.deepStrictEqual((yield* before.rest).frames, ["close 1000"])
      before.finish()
      yield* settle
      const after = yield* openRawClient
      after.send(after.close(3000))
      assert.deepStrictEqual((yield* after.rest).frames, ["close 3000"])
      waiting.send(waiting.close(3000))
      assert.deepStrictEqual((yield* waiting.rest).frames, ["close 1000"], "it was accepted before")
      assert.strictEqual(
        (yield* Effect.flip(server.options.set({ maxConnections: -1 }))).option,
        "maxConnections"
      )
      yield* server.options.reset
      for (let i = 0; i < 3; i++) yield* openRawClient
    }).pipe(Effect.provide(layer()))
  )
})
