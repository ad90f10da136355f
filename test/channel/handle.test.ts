/**
 * A channel served by callbacks.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { WebSocketChannel } from "effect-websocket"
import { open, type Role, roles, settle } from "../support/apiSession.ts"
import { hex, toHex, utf8 } from "../support/rawFrames.ts"

/** Serves a channel with a handler record that writes down its calls. */
const recorded = Effect.fnUntraced(function* (role: Role, answersPings = false) {
  const session = yield* open(role, { failByDrop: false })
  const calls: Array<string> = []
  const call = (what: string) => Effect.sync(() => void calls.push(what))
  const handle = WebSocketChannel.handle({
    onOpen: (channel) => call(`open as ${channel.role}`),
    onMessage: (payload, isBinary) => call(`message ${toHex(payload)} ${isBinary ? "binary" : "text"}`),
    onPong: (payload) => call(`pong ${toHex(payload)}`),
    onClose: (wasClean, code, reason) => call(`close ${wasClean} ${code} ${JSON.stringify(reason)}`),
    ...(answersPings && { onPing: (payload) => call(`ping ${toHex(payload)}`) })
  })
  const serving = yield* Effect.forkChild(handle(session.channel))
  yield* settle
  return { ...session, calls, serving }
})

const endOf = (role: Role) => (role === "server" ? "fin of the server" : "fin of the peer")

describe.each(roles)("callbacks on a %s's channel", (role) => {
  it.effect("are called in the order of what came, and onClose last", () =>
    Effect.gen(function* () {
      const { calls, channel, peer, serving } = yield* recorded(role)
      peer.send(peer.text("é"), peer.pong("p"))
      yield* settle
      peer.send(peer.binary(hex("00ff")), peer.close(4000, "bye"))
      assert.strictEqual(yield* peer.read, "close 1000")
      peer.finish()
      yield* Fiber.join(serving)
      assert.deepStrictEqual(calls, [
        `open as ${role}`,
        "message c3a9 text",
        "pong 70",
        "message 00ff binary",
        'close true 4000 "bye"'
      ])
      assert.isTrue((yield* channel.closed).wasClean, endOf(role))
    })
  )

  it.effect("the next message is handed over when the callback for the last one has finished", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      let running = 0
      let most = 0
      const seen: Array<string> = []
      const serving = yield* Effect.forkChild(
        WebSocketChannel.handle({
          onMessage: (payload) =>
            Effect.gen(function* () {
              most = Math.max(most, ++running)
              yield* settle
              seen.push(toHex(payload))
              running--
            })
        })(channel)
      )
      peer.send(peer.binary(hex("01")), peer.binary(hex("02")))
      peer.send(peer.binary(hex("03")), peer.close())
      yield* settle
      peer.finish()
      yield* Fiber.join(serving)
      assert.strictEqual(most, 1)
      assert.deepStrictEqual(seen, ["01", "02", "03"])
    })
  )

  it.effect("without onPing pings are answered by themselves", () =>
    Effect.gen(function* () {
      const { calls, peer } = yield* recorded(role)
      peer.send(peer.ping("p"))
      assert.strictEqual(yield* peer.read, "pong 70")
      assert.deepStrictEqual(calls, [`open as ${role}`])
    })
  )

  it.effect("onPing replaces the automatic pong", () =>
    Effect.gen(function* () {
      const { calls, channel, peer } = yield* recorded(role, true)
      peer.send(peer.ping("p"))
      yield* settle
      assert.deepStrictEqual(calls, [`open as ${role}`, "ping 70"])
      yield* channel.send("next")
      assert.strictEqual(yield* peer.read, 'text "next"', "no pong went out")
    })
  )

  it.effect("onClose tells an unclean end: a lost connection", () =>
    Effect.gen(function* () {
      const { calls, faults, peer, serving } = yield* recorded(role)
      peer.send(peer.text("a"))
      yield* settle
      yield* faults.reset
      yield* Fiber.join(serving)
      assert.deepStrictEqual(calls, [`open as ${role}`, "message 61 text", 'close false 1006 ""'])
    })
  )

  it.effect("onClose tells an unclean end: a violation by the peer", () =>
    Effect.gen(function* () {
      const { calls, peer, serving } = yield* recorded(role)
      peer.send(peer.text(utf8("a")), peer.text(hex("ff")))
      yield* peer.rest
      peer.finish()
      yield* Fiber.join(serving)
      assert.deepStrictEqual(calls, [`open as ${role}`, "message 61 text", 'close false 1006 ""'])
    })
  )

  it.effect("onClose tells the peer's code when this end has started the closing handshake", () =>
    Effect.gen(function* () {
      const { calls, channel, peer, serving } = yield* recorded(role)
      yield* Effect.forkChild(channel.close(4000, "ours"))
      yield* peer.read
      peer.send(peer.close(4001, "theirs"))
      peer.finish()
      yield* Fiber.join(serving)
      assert.deepStrictEqual(calls, [`open as ${role}`, 'close true 4001 "theirs"'])
    })
  )

  it.effect("all are optional: messages are read and dropped until the end", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      const serving = yield* Effect.forkChild(WebSocketChannel.handle({})(channel))
      peer.send(peer.text("dropped"), peer.close())
      peer.finish()
      yield* Fiber.join(serving)
    })
  )

  it.effect("a callback's failure closes with 1011, is told to onClose, and is the failure of all", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open(role)
      const told: Array<unknown> = []
      const serving = yield* Effect.forkChild(
        Effect.exit(
          WebSocketChannel.handle({
            onMessage: () => Effect.fail("refused"),
            onClose: (...end) => Effect.sync(() => void told.push(end))
          })(channel)
        )
      )
      peer.send(peer.text("a"))
      assert.match(yield* peer.read, /^close 1011/)
      peer.send(peer.close(1000))
      peer.finish()
      assert.deepStrictEqual(yield* Fiber.join(serving), Exit.fail("refused"))
      assert.deepStrictEqual(told, [[true, 1000, ""]])
    })
  )
})

describe("callbacks in a server", () => {
  it.effect("a pong that takes long to handle does not hold back messages", () =>
    Effect.gen(function* () {
      const { channel, peer } = yield* open("server")
      const seen: Array<string> = []
      yield* Effect.forkChild(
        WebSocketChannel.handle({
          onPong: () => Effect.never,
          onMessage: (payload) => Effect.sync(() => void seen.push(toHex(payload)))
        })(channel)
      )
      peer.send(peer.pong("p"), peer.text("a"))
      yield* settle
      assert.deepStrictEqual(seen, ["61"])
    })
  )
})
