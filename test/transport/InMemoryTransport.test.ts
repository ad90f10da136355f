import { Buffer } from "node:buffer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as NetAddress from "effect/net/NetAddress"
import * as TestClock from "effect/testing/TestClock"
import type { Transport } from "effect-websocket"
import { InMemoryTransport } from "effect-websocket/testing"
import { settle } from "../support/apiSession.ts"
import { latin1, Recorder, record } from "../support/nodeRecorder.ts"

const makePair = Effect.fnUntraced(function* (options?: InMemoryTransport.InMemoryOptions) {
  const pair = yield* InMemoryTransport.makePair(options)
  return { ...pair, atClient: record(pair.client), atServer: record(pair.server) }
})

const texts = (recorder: Recorder): ReadonlyArray<string> =>
  recorder.chunks.map((chunk) => Buffer.from(chunk).toString("latin1"))

describe("InMemoryTransport", () => {
  it.effect("chunks arrive in order, both ways", () =>
    Effect.gen(function* () {
      const { atClient, atServer, client, server } = yield* makePair()
      client.write([latin1("ab"), latin1("c")])
      client.write([latin1("d")])
      server.write([latin1("e")])
      yield* settle
      assert.deepStrictEqual(texts(atServer), ["ab", "c", "d"])
      assert.deepStrictEqual(texts(atClient), ["e"])
      assert.deepStrictEqual([...atServer.told, ...atClient.told], [])
    })
  )

  it.effect("each end has the other's address as its peer", () =>
    Effect.gen(function* () {
      const { client, server } = yield* InMemoryTransport.makePair()
      const expected = NetAddress.inetAddressUnsafe(NetAddress.ipv4Loopback, 80)
      assert.deepStrictEqual(server.local, expected)
      assert.deepStrictEqual(client.peer, server.local)
      assert.deepStrictEqual(server.peer, client.local)
      assert.notDeepEqual(client.local, server.local)
      assert.isUndefined(client.tls)
    })
  )

  it.effect("what arrives before anyone listens is kept", () =>
    Effect.gen(function* () {
      const { client, server } = yield* InMemoryTransport.makePair()
      client.write([latin1("early")])
      client.end()
      yield* settle
      const atServer = record(server)
      yield* settle
      assert.deepStrictEqual(texts(atServer), ["early"])
      assert.deepStrictEqual(atServer.told, ["end"])
    })
  )

  describe("back pressure", () => {
    it.effect("bytes beyond the capacity are buffered until the peer reads, and then it drains", () =>
      Effect.gen(function* () {
        const { atClient, atServer, client, server } = yield* makePair({ capacity: 10 })
        server.pause()
        client.write([latin1("0123456789")])
        yield* settle
        assert.strictEqual(client.bufferedAmount, 0)
        client.write([latin1("abcde"), latin1("fghij")])
        yield* settle
        assert.strictEqual(client.bufferedAmount, 10)
        assert.strictEqual(server.bufferedAmount, 0)
        assert.deepStrictEqual(atClient.told, [])
        server.resume()
        yield* settle
        assert.strictEqual(atServer.text, "0123456789abcdefghij")
        assert.strictEqual(client.bufferedAmount, 0)
        assert.deepStrictEqual(atClient.told, ["drain"])
      })
    )

    it.effect("nobody hears of a drain that was not needed", () =>
      Effect.gen(function* () {
        const { atClient, client } = yield* makePair({ capacity: 10 })
        client.write([latin1("0123456789")])
        yield* settle
        assert.deepStrictEqual(atClient.told, [])
      })
    )

    it.effect("the default capacity is 64 KiB", () =>
      Effect.gen(function* () {
        const { client, server } = yield* makePair()
        server.pause()
        client.write([new Uint8Array(65_537)])
        assert.strictEqual(client.bufferedAmount, 1)
      })
    )

    it.effect("a paused end gets neither bytes nor the end, until it resumes", () =>
      Effect.gen(function* () {
        const { atServer, client, server } = yield* makePair()
        server.pause()
        client.write([latin1("ab")])
        client.end()
        yield* settle
        assert.deepStrictEqual([texts(atServer), atServer.told], [[], []])
        server.resume()
        yield* settle
        assert.deepStrictEqual([texts(atServer), atServer.told], [["ab"], ["end"]])
      })
    )

    it.effect("pausing inside onData holds the rest", () =>
      Effect.gen(function* () {
        const { client, server } = yield* InMemoryTransport.makePair({ chunkSize: 1 })
        class PausesAfterOne extends Recorder {
          override onData(chunk: Uint8Array): boolean {
            server.pause()
            return super.onData(chunk)
          }
        }
        const atServer = new PausesAfterOne()
        server.listen(atServer)
        client.write([latin1("abc")])
        yield* settle
        assert.deepStrictEqual(texts(atServer), ["a"])
        server.resume()
        yield* settle
        assert.deepStrictEqual(texts(atServer), ["a", "b"])
      })
    )
  })

  it.effect("chunkSize cuts what arrives", () =>
    Effect.gen(function* () {
      const { atServer, client } = yield* makePair({ chunkSize: 3 })
      client.write([latin1("abcdefg"), latin1("hij"), latin1("k")])
      yield* settle
      assert.deepStrictEqual(texts(atServer), ["abc", "def", "g", "hij", "k"])
    })
  )

  describe("latency", () => {
    it.effect("everything takes its time on the clock, in order", () =>
      Effect.gen(function* () {
        const { atServer, client } = yield* makePair({ latency: "100 millis" })
        client.write([latin1("a")])
        client.write([latin1("b")])
        yield* TestClock.adjust("50 millis")
        client.write([latin1("c")])
        client.end()
        yield* TestClock.adjust("49 millis")
        assert.deepStrictEqual(texts(atServer), [])
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual([texts(atServer), atServer.told], [["a", "b"], []])
        yield* TestClock.adjust("50 millis")
        assert.deepStrictEqual([texts(atServer), atServer.told], [["a", "b", "c"], ["end"]])
      })
    )

    it.effect("many writes of one moment keep their order", () =>
      Effect.gen(function* () {
        const { atServer, client } = yield* makePair({ latency: "1 second" })
        const written = Array.from({ length: 100 }, (_, i) => String(i))
        for (const text of written) client.write([latin1(text)])
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(texts(atServer), written)
      })
    )

    it.effect("the other end sees an abort when the time is over", () =>
      Effect.gen(function* () {
        const { atServer, client } = yield* makePair({ latency: "1 second" })
        client.abort()
        yield* TestClock.adjust("999 millis")
        assert.deepStrictEqual(atServer.told, [])
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(atServer.told, ["failure"])
      })
    )
  })

  describe("the end", () => {
    it.effect("an end that has ended still receives", () =>
      Effect.gen(function* () {
        const { atClient, atServer, client, server } = yield* makePair()
        client.end()
        yield* settle
        assert.deepStrictEqual(atServer.told, ["end"])
        server.write([latin1("late")])
        yield* settle
        assert.deepStrictEqual([texts(atClient), atClient.told], [["late"], []])
      })
    )

    it.effect("both are closed without a cause once both have ended", () =>
      Effect.gen(function* () {
        const { atClient, atServer, client, server } = yield* makePair()
        client.end()
        server.end()
        client.end()
        yield* settle
        assert.deepStrictEqual(atClient.told, ["end", "close"])
        assert.deepStrictEqual(atServer.told, ["end", "close"])
      })
    )

    it.effect("what is written after the end is not sent", () =>
      Effect.gen(function* () {
        const { atServer, client } = yield* makePair()
        client.end()
        client.write([latin1("lost")])
        yield* settle
        assert.deepStrictEqual([texts(atServer), atServer.told], [[], ["end"]])
      })
    )

    it.effect("an abort closes this end without a cause, and the other with one", () =>
      Effect.gen(function* () {
        const { atClient, atServer, client } = yield* makePair()
        client.abort()
        client.abort()
        yield* settle
        assert.deepStrictEqual(atClient.told, ["close"])
        assert.deepStrictEqual(atServer.told, ["failure"])
        assert.instanceOf(atServer.cause, Error)
      })
    )

    it.effect("nothing is sent or received after an abort", () =>
      Effect.gen(function* () {
        const { atClient, atServer, client, server } = yield* makePair()
        server.write([latin1("a")])
        client.abort()
        client.write([latin1("b")])
        client.end()
        yield* settle
        assert.deepStrictEqual([texts(atClient), texts(atServer)], [[], []])
      })
    )

    it.effect("a listener that comes after the end is told again", () =>
      Effect.gen(function* () {
        const { atServer, client, server } = yield* makePair()
        client.abort()
        yield* settle
        const late = record(server)
        assert.deepStrictEqual(late.told, [])
        yield* settle
        assert.deepStrictEqual(late.told, ["failure"])
        assert.strictEqual(late.cause, atServer.cause)
        assert.deepStrictEqual(atServer.told, ["failure"])
      })
    )
  })

  describe("faults", () => {
    it.effect("after a drop nothing arrives any more, and nobody is told", () =>
      Effect.gen(function* () {
        const { atClient, atServer, client, faults, server } = yield* makePair({ latency: "1 second" })
        client.write([latin1("under way")])
        yield* faults.drop
        client.write([latin1("a")])
        server.write([latin1("b")])
        server.end()
        client.abort()
        yield* TestClock.adjust("1 day")
        assert.deepStrictEqual([texts(atServer), atServer.told], [[], []])
        assert.deepStrictEqual([texts(atClient), atClient.told], [[], ["close"]])
      })
    )

    it.effect("after a reset both ends have lost the connection with an error", () =>
      Effect.gen(function* () {
        const { atClient, atServer, client, faults } = yield* makePair()
        client.write([latin1("under way")])
        yield* faults.reset
        yield* faults.reset
        yield* settle
        for (const recorder of [atClient, atServer]) {
          assert.deepStrictEqual([texts(recorder), recorder.told], [[], ["failure"]])
          assert.instanceOf(recorder.cause, Error)
        }
      })
    )
  })

  describe("faults in the middle", () => {
    const sizes = [1, 2, 5] as const

    it.effect.each(sizes)(
      "resetAfter lets as many bytes of one end arrive, and then both lose it: %i",
      (bytes) =>
        Effect.gen(function* () {
          const { atClient, atServer, client, faults, server } = yield* makePair()
          client.write([latin1("before")])
          yield* settle
          yield* faults.resetAfter("client", bytes)
          server.write([latin1("the other way does not count")])
          yield* settle
          assert.deepStrictEqual([...atServer.told, ...atClient.told], [])
          client.write([latin1("ab"), latin1("cde")])
          client.write([latin1("fgh")])
          yield* settle
          assert.strictEqual(atServer.text, `before${"abcde".slice(0, bytes)}`)
          assert.deepStrictEqual([atServer.told, atClient.told], [["failure"], ["failure"]])
          assert.instanceOf(atClient.cause, Error)
        })
    )

    it.effect("resetAfter of nothing is a reset, also before anyone listens", () =>
      Effect.gen(function* () {
        const { client, faults, server } = yield* InMemoryTransport.makePair()
        yield* faults.resetAfter("server", 0)
        const recorders = [record(client), record(server)]
        yield* settle
        assert.deepStrictEqual(
          recorders.map(({ told }) => told),
          [["failure"], ["failure"]]
        )
      })
    )

    it.effect("a stalled end reads nothing, whatever it resumes itself, and then everything", () =>
      Effect.gen(function* () {
        const { atClient, atServer, client, faults, server } = yield* makePair({ capacity: 10 })
        yield* faults.stall("server")
        client.write([latin1("0123456789abc")])
        client.end()
        server.resume()
        server.write([latin1("I send")])
        yield* settle
        assert.deepStrictEqual([texts(atServer), atServer.told], [[], []])
        assert.strictEqual(client.bufferedAmount, 3)
        assert.strictEqual(atClient.text, "I send")
        yield* faults.resume("server")
        yield* settle
        assert.strictEqual(atServer.text, "0123456789abc")
        assert.deepStrictEqual([atServer.told, atClient.told], [["end"], ["drain"]])
      })
    )

    it.effect("a stalled end hears of a reset", () =>
      Effect.gen(function* () {
        const { atServer, faults } = yield* makePair()
        yield* faults.stall("server")
        yield* faults.reset
        yield* settle
        assert.deepStrictEqual(atServer.told, ["failure"])
      })
    )
  })

  it.effect.each([
    { name: "bytes", make: (text: string) => latin1(text) },
    { name: "a Buffer", make: (text: string) => Buffer.from(text, "latin1") }
  ])("who receives $name may change them, and the sender's stay", ({ make }) =>
    Effect.gen(function* () {
      for (const options of [{}, { chunkSize: 2 }]) {
        const { atServer, client } = yield* makePair(options)
        const written = make("abcde")
        client.write([written])
        yield* settle
        for (const chunk of atServer.chunks) chunk.fill(0)
        assert.strictEqual(Buffer.from(written).toString("latin1"), "abcde")
        assert.strictEqual(atServer.received, 5)
      }
    })
  )

  const calls: Record<
    string,
    (transport: Transport.Transport, listener: Transport.TransportListener) => void
  > = {
    listen: (transport, listener) => transport.listen(listener),
    resume: (transport) => transport.resume(),
    write: (transport) => transport.write([latin1("x")]),
    end: (transport) => transport.end(),
    abort: (transport) => transport.abort(),
    setNoDelay: (transport) => transport.setNoDelay(true)
  }

  it.effect.each(Object.entries(calls))("%s makes no call to the listener", ([, call]) =>
    Effect.gen(function* () {
      const { client, server } = yield* InMemoryTransport.makePair()
      const atServer = new Recorder()
      server.pause()
      server.listen(atServer)
      client.write([latin1("waits")])
      client.end()
      yield* settle
      call(server, atServer)
      assert.deepStrictEqual([texts(atServer), atServer.told], [[], []])
    })
  )
})
