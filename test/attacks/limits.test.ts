/**
 * Each limit of the preset for the public internet under a client that attacks it, while ten others echo. How
 * long those waited is printed.
 */
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import { ServerOptions } from "effect-websocket"
import { type Attacker, lineOf, makeScene, pass, type Scene, tableHead, taken } from "../support/attacks.ts"
import { compressed, compressions } from "../support/compressions.ts"
import { mebibyte, repeated } from "../support/hazards.ts"
import { arrayBufferBytes } from "../support/memory.ts"

const lines: Array<string> = []

afterAll(() => {
  console.log(["", "What ten clients waited for their echoes", tableHead, ...lines, ""].join("\n"))
})

/** An attack on a server with the preset, but for `options`. */
const attack = <E>(
  name: string,
  run: (scene: Scene) => Effect.Effect<void, E, Scope.Scope>,
  options?: ServerOptions.ServerOptionsInput
) =>
  it.effect(name, () =>
    Effect.gen(function* () {
      const scene = yield* makeScene(options)
      const { latencies } = yield* scene.during(run(scene))
      lines.push(lineOf(name, latencies))
    })
  )

const { maxConnectionsPerPeer = 0, maxOpenHandshakes = 0, maxMessagePayloadSize = 0 } = ServerOptions.hardened

/** Attackers that are open. */
const openAttackers = ({ ask }: Scene, count: number) => Effect.replicateEffect(ask(), count)

/** The reasons with which the server's channels of so many attackers fail. */
const failuresOf = ({ failures }: Scene, count: number) => Queue.takeN(failures, count)

const isHere = ({ peer }: Attacker): boolean => peer.end === undefined

describe("with ServerOptions.hardened", () => {
  attack(
    "total connections",
    (scene) =>
      Effect.gen(function* () {
        const { ask, join, server } = scene
        const attackers = yield* Effect.replicateEffect(ask(), 300)
        assert.deepStrictEqual(
          attackers.map(({ status }) => status),
          [...Array(190).fill("101"), ...Array(110).fill("503")]
        )
        assert.strictEqual(yield* server.connections, 200)
        const { reason } = yield* Effect.flip(join())
        assert.strictEqual(reason._tag === "Rejected" && reason.status, 503)
        attackers[0]?.peer.drop()
        yield* failuresOf(scene, 1)
        yield* join()
        assert.strictEqual(yield* server.connections, 200)
      }),
    // The preset's number would take too long.
    { maxConnections: 200 }
  )

  attack(
    "connections per peer",
    ({ ask, join, server }) =>
      Effect.gen(function* () {
        const forwarded = { "X-Forwarded-For": "198.51.100.1" }
        const attackers = yield* Effect.replicateEffect(ask(forwarded), maxConnectionsPerPeer + 50, {
          concurrency: 50
        })
        assert.deepStrictEqual(attackers.map(({ status }) => status).sort(), [
          ...Array(maxConnectionsPerPeer).fill("101"),
          ...Array(50).fill("429")
        ])
        yield* join({ headers: { "X-Forwarded-For": "198.51.100.2" } })
        assert.strictEqual(yield* server.connections, 10 + maxConnectionsPerPeer + 1)
      }),
    // So that the attackers have another address.
    { trustXForwardedFor: 1 }
  )

  attack("opening handshakes in progress", ({ connect, join, server }) =>
    Effect.gen(function* () {
      const tooMany = 200
      const attackers = yield* Effect.replicateEffect(connect, maxOpenHandshakes + tooMany)
      const rest = attackers.splice(tooMany)
      for (const { peer } of attackers) assert.deepStrictEqual((yield* peer.rest).frames, [])
      assert.isTrue(rest.every(isHere))
      // Each honest one pushes out one more while it has its handshake.
      yield* Effect.replicateEffect(join(), 5)
      assert.strictEqual(yield* server.connections, 15)
      assert.deepStrictEqual(
        rest.map(isHere),
        rest.map((_, i) => i >= 1)
      )
      yield* pass(10)
      for (const { peer } of rest.slice(1)) assert.match(yield* peer.readHead, /^HTTP\/1.1 408 /)
    })
  )

  attack("header bytes", ({ connect, join }) =>
    Effect.gen(function* () {
      const heads = [
        `GET / HTTP/1.1\r\nX: ${"a".repeat(100_000)}`,
        `GET / HTTP/1.1\r\n${"X: a\r\n".repeat(101)}`
      ]
      for (let i = 0; i < 100; i++) {
        const { peer } = yield* connect
        peer.send(heads[i % 2] ?? "")
        assert.match(yield* peer.readHead, /^HTTP\/1.1 431 /)
      }
      yield* join()
    })
  )

  attack("header bytes, one a second", ({ connect, join }) =>
    Effect.gen(function* () {
      const attackers = yield* Effect.replicateEffect(connect, 100)
      for (const byte of "GET / HTTP") {
        assert.isTrue(attackers.every(isHere))
        for (const { peer } of attackers) peer.send(byte)
        yield* pass(1)
      }
      for (const { peer } of attackers) assert.match(yield* peer.readHead, /^HTTP\/1.1 408 /)
      yield* join()
    })
  )

  attack("message bytes", (scene) =>
    Effect.gen(function* () {
      const before = arrayBufferBytes()
      const attackers = yield* openAttackers(scene, 6)
      for (const [i, attacker] of attackers.entries()) {
        const { peer } = attacker
        if (i % 2 === 0)
          peer.send(peer.frame({ opcode: 2, announcedLength: BigInt(maxMessagePayloadSize + 1) }))
        else {
          peer.send(peer.binary(new Uint8Array(mebibyte), { fin: false }))
          const fragment = peer.continuation(new Uint8Array(mebibyte), { fin: false })
          for (let sent = 1; isHere(attacker) && sent < 32; sent++) {
            peer.send(fragment)
            yield* taken(attacker)
          }
        }
        const { end, frames } = yield* peer.rest
        assert.match(frames.join(), /^close 1009 /)
        assert.strictEqual(end, "fin")
        attacker.transport.abort()
      }
      for (const reason of yield* failuresOf(scene, 6)) assert.strictEqual(reason._tag, "MessageTooBig")
      assert.isBelow(arrayBufferBytes() - before, maxMessagePayloadSize)
    })
  )

  attack("buffered bytes out", (scene) =>
    Effect.gen(function* () {
      const attackers = yield* openAttackers(scene, 5)
      const size = 65_536
      for (const attacker of attackers) {
        attacker.transport.pause()
        const message = attacker.peer.binary(new Uint8Array(size))
        // Until the server takes no more: its answers fill what is between them, and it does not read on.
        while (attacker.transport.bufferedAmount < mebibyte) {
          attacker.peer.send(message)
          yield* taken(attacker)
        }
      }
      for (const channel of scene.channels) {
        const buffered = yield* channel.bufferedAmount
        assert.isAtLeast(buffered, mebibyte - size)
        assert.isBelow(buffered, mebibyte + 2 * size)
      }
      // The heartbeat has 30 seconds to its ping, and 30 to the pong.
      yield* pass(61)
      for (const reason of yield* failuresOf(scene, 5)) assert.strictEqual(reason._tag, "PingTimeout")
      assert.strictEqual(yield* scene.server.connections, 10)
    })
  )

  attack("pings per second", (scene) =>
    Effect.gen(function* () {
      const attackers = yield* openAttackers(scene, 20)
      for (const [i, attacker] of attackers.entries()) {
        const { peer } = attacker
        const frame = i % 2 === 0 ? peer.ping("flood") : peer.pong("flood")
        const flood = repeated(frame, 10_000)
        for (let sent = 0; isHere(attacker) && sent < 100; sent++) {
          peer.send(flood)
          yield* taken(attacker)
        }
        const { frames } = yield* peer.rest
        assert.match(frames.at(-1) ?? "", /^close 1008 /)
        assert.lengthOf(frames, i % 2 === 0 ? 101 : 1)
      }
      for (const reason of yield* failuresOf(scene, 20)) assert.strictEqual(reason._tag, "PolicyViolation")
    })
  )

  attack("inflate ratio", (scene) =>
    Effect.gen(function* () {
      const [deflate = assert.fail("no compression")] = compressions
      const bomb = yield* Effect.promise(() => compressed(deflate, new Uint8Array(16 * mebibyte)))
      const before = arrayBufferBytes()
      for (let i = 0; i < 20; i++) {
        const { peer, transport } = yield* scene.ask({ "Sec-WebSocket-Extensions": "permessage-deflate" })
        peer.send(peer.frame({ opcode: 2, payload: bomb, rsv: 4 }))
        assert.match((yield* peer.rest).frames.join(), /^close 1009 /)
        transport.abort()
      }
      for (const reason of yield* failuresOf(scene, 20)) {
        assert.deepInclude(reason, { _tag: "MessageTooBig", violation: "DecompressionRatioTooHigh" })
      }
      assert.isBelow(arrayBufferBytes() - before, 4 * mebibyte)
    })
  )
})
