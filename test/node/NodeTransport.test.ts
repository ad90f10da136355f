import { Buffer } from "node:buffer"
import * as Net from "node:net"
import { Duplex, duplexPair } from "node:stream"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as NetAddress from "effect/net/NetAddress"
import * as Queue from "effect/Queue"
import type { Transport } from "effect-websocket"
import { NodeTransport } from "effect-websocket/node"
import { settle } from "../support/apiSession.ts"
import { collectGarbage } from "../support/memory.ts"
import { rawServer, rawTcp } from "../support/node.ts"
import { latin1, record } from "../support/nodeRecorder.ts"

const mebibyte = new Uint8Array(1_048_576).map((_, i) => i % 251)

/** A TCP socket, and the raw one at its other end. */
const makeSockets = Effect.gen(function* () {
  const accepted = yield* Queue.unbounded<Net.Socket>()
  const port = yield* rawServer((socket) => Queue.offerUnsafe(accepted, socket))
  const peer = yield* rawTcp(port, { allowHalfOpen: true })
  return { peer, socket: yield* Queue.take(accepted) }
})

/** The same, with a transport on the first. */
const makePair = Effect.map(makeSockets, (sockets) => ({
  ...sockets,
  transport: NodeTransport.fromSocket(sockets.socket)
}))

describe("NodeTransport", () => {
  it.effect("reads and writes, in order", () =>
    Effect.gen(function* () {
      const { peer, transport } = yield* makePair
      const recorder = record(transport)
      peer.send("hello")
      yield* recorder.bytes(5)
      assert.strictEqual(recorder.text, "hello")
      assert.isFalse(recorder.chunks.some((chunk) => Buffer.isBuffer(chunk)))
      transport.write([latin1("a")])
      transport.write([latin1("b"), latin1("c")])
      assert.strictEqual(yield* peer.reads("abc"), "abc")
    })
  )

  it.effect("tells both addresses of TCP, and no TLS", () =>
    Effect.gen(function* () {
      const { socket, transport } = yield* makePair
      const ip = NetAddress.ipv4Loopback
      assert.deepStrictEqual(transport.peer, NetAddress.inetAddressUnsafe(ip, socket.remotePort ?? 0))
      assert.deepStrictEqual(transport.local, NetAddress.inetAddressUnsafe(ip, socket.localPort ?? 0))
      assert.isUndefined(transport.tls)
    })
  )

  it("an IPv4 address mapped into IPv6 is told as IPv4", () => {
    assert.deepStrictEqual(
      NodeTransport.addressOf("::ffff:192.0.2.1", 80),
      NodeTransport.addressOf("192.0.2.1", 80)
    )
  })

  it("an address of one link is told with its scope", () => {
    const address = NodeTransport.addressOf("fe80::1%7", 80)
    assert.isTrue(address?._tag === "InetAddressV6" && address.scopeId === 7)
    assert.strictEqual(String(address?.address), "fe80::1")
  })

  it.each([
    [undefined, 80],
    ["192.0.2.1", undefined],
    ["fe80::1%nosuch", 80]
  ])("there is no address in %s and %s", (address, port) => {
    assert.isUndefined(NodeTransport.addressOf(address, port))
  })

  it.effect("frees the memory of long chunks that are used up, and of no others", () =>
    Effect.gen(function* () {
      const { peer, transport } = yield* makePair
      const chunks: Array<Uint8Array> = []
      const freed: Array<boolean> = []
      const done = yield* Deferred.make<void>()
      let received = 0
      transport.listen({
        onData: (chunk) => {
          freed.push(...chunks.splice(0).map(({ length }) => length === 0))
          received += chunk.length
          if (chunk.length > 10_000) chunks.push(chunk)
          if (received >= 2 * mebibyte.length) Deferred.doneUnsafe(done, Effect.void)
          return received <= mebibyte.length
        },
        onEnd: () => {},
        onDrain: () => {},
        onClose: () => {}
      })
      for (let i = 0; i < 2; i++) peer.socket.write(mebibyte)
      transport.resume()
      yield* Deferred.await(done)
      const used = freed.lastIndexOf(true)
      assert.isAbove(used, 4)
      assert.isBelow(used, freed.length - 4)
      assert.strictEqual(freed.indexOf(false), used + 1)
    })
  )

  it.effect("frees nothing of what somebody else listens to, too", () =>
    Effect.gen(function* () {
      const { peer, socket, transport } = yield* makePair
      const kept: Array<Uint8Array> = []
      const done = yield* Deferred.make<void>()
      let received = 0
      socket.on("data", (chunk: Uint8Array) => kept.push(chunk))
      transport.listen({
        onData: (chunk) => {
          received += chunk.length
          if (received === mebibyte.length) Deferred.doneUnsafe(done, Effect.void)
          return true
        },
        onEnd: () => {},
        onDrain: () => {},
        onClose: () => {}
      })
      peer.socket.write(mebibyte)
      transport.resume()
      yield* Deferred.await(done)
      yield* settle
      assert.deepStrictEqual(Buffer.compare(Buffer.concat(kept), mebibyte), 0)
    })
  )

  it.effect("a plain socket that an application has marked as encrypted is none of TLS", () =>
    Effect.gen(function* () {
      const { socket } = yield* makeSockets
      const marked = NodeTransport.fromSocket(Object.assign(socket, { encrypted: true }))
      assert.isUndefined(marked.tls)
      assert.strictEqual(marked.channelType, "tcp")
    })
  )

  it.effect("a paused transport reads neither bytes nor the end", () =>
    Effect.gen(function* () {
      const { peer, transport } = yield* makePair
      const recorder = record(transport)
      peer.send("a")
      yield* recorder.bytes(1)
      transport.pause()
      peer.send("b")
      peer.socket.end()
      yield* settle
      assert.deepStrictEqual([recorder.text, recorder.told], ["a", []])
      transport.resume()
      yield* recorder.hears("end")
      assert.strictEqual(recorder.text, "ab")
    })
  )

  it.effect("what the peer does not read is buffered, and drains when it does", () =>
    Effect.gen(function* () {
      const { peer, transport } = yield* makePair
      const recorder = record(transport)
      peer.socket.pause()
      const count = 32
      for (let i = 0; i < count; i++) transport.write([mebibyte])
      yield* settle
      assert.isAbove(transport.bufferedAmount, 0)
      assert.deepStrictEqual(recorder.told, [])
      peer.socket.resume()
      yield* recorder.hears("drain")
      assert.strictEqual(transport.bufferedAmount, 0)
    })
  )

  it.effect("a TCP socket that is behind tells when all is through, once, also what came meanwhile", () =>
    Effect.gen(function* () {
      const written: Array<string> = []
      const room: Array<() => void> = []
      const socket = new Net.Socket()
      Object.assign(socket, {
        _writev: null,
        _write: (chunk: Uint8Array, _encoding: string, done: () => void) => {
          written.push(String(chunk))
          room.push(done)
        }
      })
      const makeRoom = Effect.suspend(() => {
        room.shift()?.()
        return settle
      })
      const transport = NodeTransport.fromSocket(socket)
      const recorder = record(transport)
      for (let round = 0; round < 2; round++) {
        for (const text of ["one", "two", "three"]) transport.write([latin1(text)])
        while (transport.bufferedAmount > 0) {
          assert.strictEqual(recorder.told.length, round)
          yield* makeRoom
        }
        while (room.length > 0) yield* makeRoom
        assert.deepStrictEqual(recorder.told, Array(round + 1).fill("drain"))
      }
      assert.deepStrictEqual(
        written.filter((text) => text !== ""),
        ["one", "two", "three", "one", "two", "three"]
      )
      // One that has ended is not written to, and tells no more.
      transport.write([latin1("four")])
      transport.write([latin1("five")])
      transport.end()
      while (room.length > 0) yield* makeRoom
      assert.deepStrictEqual(written.slice(-2), ["", "five"])
      assert.deepStrictEqual(recorder.told, ["drain", "drain"])
      socket.destroy()
    })
  )

  it.effect(
    "of the answers of one turn at most the last is not counted as buffered, and all leave in order",
    () =>
      Effect.gen(function* () {
        const written: Array<string> = []
        const room: Array<() => void> = []
        const socket = new Duplex({
          read: () => {},
          write: (chunk, _encoding, done) => {
            written.push(String(chunk))
            room.push(done)
          }
        })
        const transport = NodeTransport.fromSocket(socket)
        const buffered: Array<number> = []
        transport.listen({
          onData: () => {
            for (const answer of ["one", "two", "three", "four", "five"]) {
              transport.write([latin1(answer)])
              buffered.push(transport.bufferedAmount)
            }
            return true
          },
          onEnd: () => {},
          onDrain: () => {},
          onClose: () => {}
        })
        socket.push("question")
        yield* settle
        assert.deepStrictEqual(buffered, [0, 6, 6, 15, 15])
        assert.strictEqual(transport.bufferedAmount, 19)
        for (let done = room.shift(); done !== undefined; done = room.shift()) {
          done()
          yield* settle
        }
        assert.deepStrictEqual(written, ["one", "two", "three", "four", "five"])
        socket.destroy()
      })
  )

  it.effect("an end is a half-close, and what is written after it is not sent", () =>
    Effect.gen(function* () {
      const { peer, transport } = yield* makePair
      const recorder = record(transport)
      transport.write([latin1("last")])
      transport.end()
      transport.write([latin1("lost")])
      assert.strictEqual(yield* peer.readAll, "last")
      peer.send("late")
      peer.socket.end()
      yield* recorder.hears("close")
      assert.strictEqual(recorder.text, "late")
      assert.deepStrictEqual(recorder.told, ["end", "close"])
    })
  )

  it.effect("an abort drops the socket at once, without a cause", () =>
    Effect.gen(function* () {
      const { peer, transport } = yield* makePair
      const recorder = record(transport)
      transport.abort()
      assert.deepStrictEqual(recorder.told, [])
      yield* Effect.all([recorder.hears("close"), peer.readAll])
      assert.deepStrictEqual(recorder.told, ["close"])
    })
  )

  it.effect("a reset closes with Node's error, and a later listener is told again", () =>
    Effect.gen(function* () {
      const { peer, transport } = yield* makePair
      const recorder = record(transport)
      if (peer.socket instanceof Net.Socket) peer.socket.resetAndDestroy()
      yield* recorder.hears("failure")
      assert.propertyVal(recorder.cause, "code", "ECONNRESET")
      const late = record(transport)
      assert.deepStrictEqual(late.told, [])
      yield* late.hears("failure")
      assert.strictEqual(late.cause, recorder.cause)
    })
  )

  it.effect("a reset before anyone listens is told to who listens", () =>
    Effect.gen(function* () {
      const { peer, socket, transport } = yield* makePair
      if (peer.socket instanceof Net.Socket) peer.socket.resetAndDestroy()
      socket.resume()
      yield* Effect.callback<void>((resume) => void socket.once("close", () => resume(Effect.void)))
      const late = record(transport)
      yield* late.hears("failure")
      assert.propertyVal(late.cause, "code", "ECONNRESET")
    })
  )

  it.effect("a listener that takes over from another while the socket closes is told, once and why", () =>
    Effect.gen(function* () {
      const { socket, transport } = yield* makePair
      const first = record(transport)
      const error = new Error("expected")
      socket.destroy(error)
      const second = record(transport)
      yield* second.hears("failure")
      yield* settle
      assert.strictEqual(second.cause, error)
      assert.deepStrictEqual(second.told, ["failure"])
      assert.deepStrictEqual(first.told, [])
    })
  )

  it.effect("keeps nobody whom it has told that it is closed", () =>
    Effect.gen(function* () {
      const { peer, transport } = yield* makePair
      const first = new WeakRef(record(transport))
      if (peer.socket instanceof Net.Socket) peer.socket.resetAndDestroy()
      yield* first.deref()!.hears("failure")
      const late = new WeakRef(record(transport))
      yield* late.deref()!.hears("failure")
      // What a WeakRef was made of or asked for is kept until the end of the turn.
      yield* settle
      collectGarbage()
      assert.isUndefined(first.deref())
      assert.isUndefined(late.deref())
      assert.strictEqual(transport.bufferedAmount, 0)
    })
  )

  it.effect("another listener takes over, and the one before hears no more", () =>
    Effect.gen(function* () {
      const { peer, transport } = yield* makePair
      const first = record(transport)
      peer.send("a")
      yield* first.bytes(1)
      const second = record(transport)
      peer.send("b")
      yield* second.bytes(1)
      peer.socket.end()
      transport.end()
      yield* second.hears("close")
      assert.deepStrictEqual([first.text, first.told], ["a", []])
      assert.deepStrictEqual([second.text, second.told], ["b", ["end", "close"]])
    })
  )

  it("setNoDelay reaches the socket", () => {
    class Spied extends Net.Socket {
      readonly calls: Array<boolean | undefined> = []
      override setNoDelay(noDelay?: boolean): this {
        this.calls.push(noDelay)
        return this
      }
    }
    const socket = new Spied()
    const transport = NodeTransport.fromSocket(socket)
    transport.setNoDelay(true)
    transport.setNoDelay(false)
    assert.deepStrictEqual(socket.calls, [true, false])
    socket.destroy()
  })

  it.effect("the socket's own timeout is taken off", () =>
    Effect.gen(function* () {
      const socket = new Net.Socket()
      socket.setTimeout(60_000)
      NodeTransport.fromSocket(socket)
      assert.strictEqual(socket.timeout, 0)
      socket.destroy()
    })
  )

  it.effect("stands on any Duplex, of which it knows no facts", () =>
    Effect.gen(function* () {
      const [near, far] = duplexPair()
      const transports: ReadonlyArray<Transport.Transport> = [near, far].map((side) =>
        NodeTransport.fromSocket(side)
      )
      const [first, second] = transports
      if (first === undefined || second === undefined) return assert.fail("two sides")
      assert.deepStrictEqual([first.peer, first.local, first.tls], [undefined, undefined, undefined])
      first.setNoDelay(true)
      const recorder = record(second)
      const atFirst = record(first)
      first.write([latin1("ab"), latin1("c")])
      yield* recorder.bytes(3)
      assert.strictEqual(recorder.text, "abc")
      first.end()
      second.end()
      yield* Effect.all([recorder.hears("close"), atFirst.hears("close")])
    })
  )

  it.effect("stands on a stream that hands its listeners on to another", () =>
    Effect.gen(function* () {
      const [near, far] = duplexPair()
      const wrapper = Object.create(near, {
        on: {
          value: (event: string, listener: (argument: unknown) => void) => near.on(event, listener.bind(near))
        }
      }) as Duplex // what the object is made of says so
      const recorder = record(NodeTransport.fromSocket(wrapper))
      far.end("abc")
      yield* recorder.bytes(3)
      yield* recorder.hears("end")
      near.destroy()
      yield* recorder.hears("close")
    })
  )

  it("is the only one of its socket", () => {
    const [socket] = duplexPair()
    NodeTransport.fromSocket(socket)
    assert.throws(() => NodeTransport.fromSocket(socket), "the socket has a transport")
    socket.destroy()
  })

  it.effect.each(["write", "end", "abort", "resume", "listen"] as const)(
    "%s makes no call to the listener",
    (name) =>
      Effect.gen(function* () {
        const socket = new Duplex({
          read: () => {},
          write: (_chunk, _encoding, done) => done(),
          final: (done) => done()
        })
        const transport = NodeTransport.fromSocket(socket)
        const recorder = record(transport)
        transport.pause()
        socket.push("waits")
        socket.push(null)
        yield* settle
        const calls = {
          write: () => transport.write([latin1("a")]),
          end: () => transport.end(),
          abort: () => transport.abort(),
          resume: () => transport.resume(),
          listen: () => transport.listen(recorder)
        }
        calls[name]()
        assert.deepStrictEqual([recorder.text, recorder.told], ["", []])
        socket.destroy()
      })
  )
})
