/**
 * Pings and pongs of a channel (RFC 6455 sections 5.5.2 and 5.5.3).
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { open, roles, type Session, settle } from "../support/apiSession.ts"
import { recordLog } from "../support/bothEnds.ts"
import { concat, Opcode, toHex, utf8 } from "../support/rawFrames.ts"

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("utf8")

const numbers = (count: number): ReadonlyArray<string> => Array.from({ length: count }, (_, i) => `${i}`)

describe.each(roles)("control frames of a %s", (role) => {
  it.effect("a ping is answered with its payload, though nobody pulls", () =>
    Effect.gen(function* () {
      const { peer } = yield* open(role)
      peer.send(peer.text("not pulled"), peer.ping("one"), peer.ping(), peer.ping("p".repeat(125)))
      assert.strictEqual(yield* peer.read, `pong ${toHex(utf8("one"))}`)
      assert.strictEqual(yield* peer.read, "pong")
      assert.strictEqual(yield* peer.read, `pong ${toHex(utf8("p".repeat(125)))}`)
    })
  )

  it.effect("a ping between the fragments of a message is answered before the message is complete", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      peer.send(peer.text("a", { fin: false }), peer.ping("p"))
      assert.strictEqual(yield* peer.read, "pong 70")
      peer.send(peer.continuation("b"))
      assert.deepStrictEqual(yield* Stream.runCollect(Stream.take(channel.messages, 1)), ["ab"])
    })
  )

  it.effect("a ping is still answered while we wait for the peer's Close", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      yield* Effect.forkChild(channel.close())
      assert.strictEqual(yield* peer.read, "close")
      peer.send(peer.ping("p"))
      assert.strictEqual(yield* peer.read, "pong 70")
    })
  )

  it.effect("sendPing and sendPong send their payload, by default none", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      yield* channel.sendPing(utf8("a"))
      yield* channel.sendPong(utf8("b"))
      yield* channel.sendPing()
      yield* channel.sendPong()
      for (const frame of ["ping 61", "pong 62", "ping", "pong"]) {
        assert.strictEqual(yield* peer.read, frame)
      }
    })
  )

  it.effect.each(["sendPing", "sendPong"] as const)("%s takes 125 bytes, and refuses 126", (call) =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      yield* channel[call](new Uint8Array(125))
      const { reason } = yield* Effect.flip(channel[call](new Uint8Array(126)))
      assert.strictEqual(reason._tag, "InvalidCall")
      assert.strictEqual(reason.message, "a control frame carries at most 125 bytes, got 126")
      yield* channel.send("next")
      assert.lengthOf((yield* peer.readFrame).payload, 125)
      assert.strictEqual(yield* peer.read, 'text "next"', "nothing of it was sent")
    })
  )

  it.effect.each(["sendPing", "sendPong"] as const)("%s counts and sends the bytes of any view", (call) =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      const { buffer } = Uint16Array.from({ length: 64 }, (_, i) => i * 257)
      yield* channel[call](new Uint16Array(buffer, 2, 2))
      yield* channel[call](new DataView(buffer, 3, 2))
      const { reason } = yield* Effect.flip(channel[call](new Uint16Array(buffer, 0, 63)))
      assert.strictEqual(reason.message, "a control frame carries at most 125 bytes, got 126")
      assert.strictEqual(toHex((yield* peer.readFrame).payload), "01010202")
      assert.strictEqual(toHex((yield* peer.readFrame).payload), "0102")
    })
  )

  it.effect("pings and pongs give the payloads received, and end when the connection does", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      const pings = yield* Effect.forkChild(Stream.runCollect(channel.pings))
      const pongs = yield* Effect.forkChild(Stream.runCollect(channel.pongs))
      yield* settle
      peer.send(peer.ping("1"), peer.pong("a"), peer.ping("2"))
      yield* settle
      peer.send(peer.pong("b"), peer.close(1000))
      assert.deepStrictEqual((yield* Fiber.join(pings)).map(text), ["1", "2"])
      assert.deepStrictEqual((yield* Fiber.join(pongs)).map(text), ["a", "b"])
    })
  )

  it.effect("pings and pongs end when the connection is lost, and when they are asked for later", () =>
    Effect.gen(function* () {
      const { channel, faults } = yield* open(role)
      const pings = yield* Effect.forkChild(Stream.runCollect(channel.pings))
      yield* settle
      yield* faults.reset
      assert.deepStrictEqual(yield* Fiber.join(pings), [])
      assert.deepStrictEqual(yield* Stream.runCollect(channel.pongs), [])
    })
  )

  it.effect("pings and pongs that nobody asked for before the end are none", () =>
    Effect.gen(function* () {
      const { channel, faults } = yield* open(role)
      yield* faults.reset
      yield* channel.closed
      assert.deepStrictEqual(yield* Stream.runCollect(channel.pings), [])
      assert.deepStrictEqual(yield* Stream.runCollect(channel.pongs), [])
    })
  )

  it.effect("of pings and pongs that nobody reads the last 16 are kept", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      peer.send(...numbers(40).map((n) => peer.ping(n)), ...numbers(50).map((n) => peer.pong(n)))
      peer.send(peer.close())
      yield* settle
      const pings = yield* Stream.runCollect(channel.pings)
      assert.deepStrictEqual(pings.map(text), numbers(40).slice(-16))
      const pongs = yield* Stream.runCollect(channel.pongs)
      assert.deepStrictEqual(pongs.map(text), numbers(50).slice(-16))
    })
  )

  it.effect("payloads of pings are copies: they do not keep the chunk they came in", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      peer.send(concat(peer.ping("ping"), peer.binary(new Uint8Array(10_000))))
      yield* settle
      const [ping] = yield* Stream.runCollect(Stream.take(channel.pings, 1))
      assert.strictEqual(ping?.buffer.byteLength, 4)
    })
  )
})

describe.each(roles)("onPing of a %s", (role) => {
  it.effect("replaces the automatic pong until its scope ends", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      const scope = yield* Scope.make()
      const seen: Array<string> = []
      yield* channel
        .onPing((payload) => Effect.sync(() => void seen.push(text(payload))))
        .pipe(Scope.provide(scope))
      peer.send(peer.ping("1"), peer.ping("2"))
      yield* settle
      assert.deepStrictEqual(seen, ["1", "2"])
      yield* Scope.close(scope, Exit.void)
      peer.send(peer.ping("3"))
      assert.strictEqual(yield* peer.read, "pong 33")
      yield* settle
      assert.deepStrictEqual(seen, ["1", "2"])
    })
  )

  it.effect("a handler sends the pong it wants", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      yield* channel.onPing((payload) => Effect.orDie(channel.sendPong(concat(utf8("own "), payload))))
      peer.send(peer.ping("1"))
      assert.strictEqual(yield* peer.read, `pong ${toHex(utf8("own 1"))}`)
    })
  )

  it.effect("a handler gets the pings that come from now on: earlier ones have been answered", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      peer.send(peer.ping("early"))
      assert.strictEqual(yield* peer.read, `pong ${toHex(utf8("early"))}`)
      const seen: Array<string> = []
      yield* channel.onPing((payload) => Effect.sync(() => void seen.push(text(payload))))
      peer.send(peer.ping("late"))
      yield* settle
      assert.deepStrictEqual(seen, ["late"])
    })
  )

  it.effect("several handlers get every ping, and the automatic pong is back when the last has gone", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      const seen: Array<string> = []
      const handler = (name: string) =>
        Effect.gen(function* () {
          const scope = yield* Scope.make()
          const record = (payload: Uint8Array) =>
            Effect.sync(() => void seen.push(`${name} ${text(payload)}`))
          yield* Scope.provide(channel.onPing(record), scope)
          return Scope.close(scope, Exit.void)
        })
      const endOne = yield* handler("one")
      const endTwo = yield* handler("two")
      peer.send(peer.ping("1"))
      yield* settle
      assert.sameMembers(seen, ["one 1", "two 1"])
      yield* endOne
      peer.send(peer.ping("2"))
      yield* settle
      assert.deepStrictEqual(seen.slice(2), ["two 2"])
      yield* endTwo
      peer.send(peer.ping("3"))
      assert.strictEqual(yield* peer.read, "pong 33", "the first pong of all")
    })
  )

  it.effect("a handler does not take the pings from those who read them", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      yield* channel.onPing(() => Effect.void)
      peer.send(peer.ping("1"))
      const [ping] = yield* Stream.runCollect(Stream.take(channel.pings, 1))
      assert.strictEqual(ping && text(ping), "1")
    })
  )

  it.effect("a handler that dies closes the connection with 1011, and is in the log", () => {
    const log = recordLog()
    return Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      yield* channel.onPing(() => Effect.die(new Error("broken")))
      peer.send(peer.ping("1"))
      assert.strictEqual(yield* peer.read, "close 1011")
      assert.deepStrictEqual(log.lines, ["Error a handler died: broken"])
    }).pipe(Effect.provide(log.layer))
  })

  it.effect("a handler that never ends holds back neither messages nor the closing handshake", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      yield* channel.onPing(() => Effect.never)
      peer.send(peer.ping("1"), peer.ping("2"), peer.text("message"))
      assert.deepStrictEqual(yield* Stream.runCollect(Stream.take(channel.messages, 1)), ["message"])
      peer.send(peer.close(1000))
      assert.strictEqual(yield* peer.read, "close 1000")
    })
  )
})

describe.each(roles)("onPong of a %s", (role) => {
  it.effect("gets the pongs until its scope ends, those that wait first", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      peer.send(peer.pong("early"))
      yield* settle
      const scope = yield* Scope.make()
      const seen: Array<string> = []
      const record = (payload: Uint8Array) => Effect.sync(() => void seen.push(text(payload)))
      yield* Scope.provide(channel.onPong(record), scope)
      peer.send(peer.pong("late"))
      yield* settle
      assert.deepStrictEqual(seen, ["early", "late"])
      yield* Scope.close(scope, Exit.void)
      peer.send(peer.pong("later"))
      yield* settle
      assert.deepStrictEqual(seen, ["early", "late"])
    })
  )

  it.effect("that dies closes the connection with 1011, and is in the log", () => {
    const log = recordLog()
    return Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      yield* channel.onPong(() => Effect.die(new Error("broken")))
      peer.send(peer.pong("1"))
      assert.strictEqual(yield* peer.read, "close 1011")
      assert.deepStrictEqual(log.lines, ["Error a handler died: broken"])
    }).pipe(Effect.provide(log.layer))
  })
})

/** Pings without reading anything, each in a write of its own. */
const flood = ({ peer, peerEnd }: Session, count: number) =>
  Effect.gen(function* () {
    peerEnd.pause()
    for (const n of numbers(count)) peer.send(peer.ping(n.padStart(100, " ")))
    yield* settle
  })

const lastPong = ({ peer }: Session, payload: string) =>
  Effect.gen(function* () {
    let pongs = 0
    while (true) {
      const frame = yield* peer.readFrame
      assert.strictEqual(frame.opcode, Opcode.pong)
      pongs++
      if (text(frame.payload).trim() === payload) return pongs
    }
  })

describe.each(roles)("a flood of pings to a %s", (role) => {
  it.effect("from a peer that does not read costs bounded memory, and the latest is answered", () =>
    Effect.gen(function* () {
      const options = { maxSendBufferSize: 2000 }
      const session = yield* open(role, options, { network: { capacity: 1000 } })
      yield* flood(session, 5000)
      assert.isAtLeast(yield* session.channel.bufferedAmount, 2000)
      assert.isAtMost(yield* session.channel.bufferedAmount, 2000 + 106)
      session.peerEnd.resume()
      const pongs = yield* lastPong(session, "4999")
      assert.isBelow(pongs, 40)
      session.peer.send(session.peer.text("after"))
      const [message] = yield* Stream.runCollect(Stream.take(session.channel.messages, 1))
      assert.strictEqual(message, "after", "data still flows")
    })
  )

  it.effect("in one chunk is answered up to the latest, also when the network takes everything", () =>
    Effect.gen(function* () {
      const session = yield* open(role, { maxSendBufferSize: 2000 })
      const { peer } = session
      peer.send(...numbers(5000).map((n) => peer.ping(n.padStart(100, " "))))
      assert.isBelow(yield* lastPong(session, "4999"), 40)
    })
  )

  it.effect("keeps a sender waiting no longer than the peer does not read", () =>
    Effect.gen(function* () {
      const session = yield* open(role, { maxSendBufferSize: 2000 }, { network: { capacity: 1000 } })
      yield* flood(session, 100)
      const sending = yield* Effect.forkChild(session.channel.send("message"))
      yield* settle
      assert.isUndefined(sending.pollUnsafe())
      session.peerEnd.resume()
      yield* Fiber.join(sending)
      const frames: Array<number> = []
      while (!frames.includes(Opcode.text)) frames.push((yield* session.peer.readFrame).opcode)
    })
  )
})
