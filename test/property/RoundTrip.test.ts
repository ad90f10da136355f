import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as PreparedMessage from "../../src/message/PreparedMessage.ts"
import {
  boolean,
  type Cut,
  cut,
  int,
  key,
  messageStream,
  oneOf,
  pick,
  type Sent,
  sent
} from "../support/arbitraries.ts"
import { type Received, TestConnection } from "../support/connections.ts"
import { Binary, Continuation, joined, Ping, Pong, parseFrames, Text, utf8 } from "../support/frames.ts"
import { receiveAll } from "../support/model.ts"

const options = { arbitrary: { runs: 250, size: 40 }, timeout: 60_000 }

const asReceived = (item: Sent): Received =>
  item.kind === "text" ? ["text", item.text] : [item.kind, item.payload]

const send = ({ connection }: TestConnection, item: Sent): void => {
  if (item.kind === "text") connection.sendText(item.text)
  else if (item.kind === "binary") connection.sendBytes(Binary, item.payload)
  else if (item.kind === "ping") connection.sendPing(item.payload)
  else connection.sendPong(item.payload)
}

const written = (): void => {}

/** Sends a message in one of the ways there are, cut where that cuts it. */
const sendIn = (way: Way, from: TestConnection, item: Sent, cut: Cut): void => {
  if (way === "whole" || item.kind === "ping" || item.kind === "pong") return send(from, item)
  const { connection } = from
  const content = item.kind === "text" ? item.text : item.payload
  if (way === "prepared") return connection.sendPrepared(PreparedMessage.make(content))
  const payload = typeof content === "string" ? utf8(content) : content
  connection.beginMessage(item.kind === "text" ? Text : Binary, false)
  if (way === "in fragments") for (const part of cut(payload)) connection.sendFragment(part, false, written)
  else {
    connection.beginFragment(payload.length)
    for (const part of cut(payload)) connection.continueFragment(part)
    assert.isFalse(connection.isInFrame)
  }
  connection.sendFragment(new Uint8Array(), true, written)
}

const ways = ["whole", "prepared", "in fragments", "piece by piece"] as const

type Way = (typeof ways)[number]

const asBytes = (received: Received): Received =>
  received[0] === "text" ? ["encodedText", utf8(received[1])] : received

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0

/** Strict equality, with words for where it ends. */
const assertSame = (actual: ReadonlyArray<Received>, expected: ReadonlyArray<Received>): void => {
  actual.forEach(([kind, content], i) => {
    const [expectedKind, expectedContent] = expected[i] ?? ["nothing", ""]
    assert.strictEqual(kind, expectedKind, `item ${i}`)
    if (typeof content === "string" || typeof expectedContent === "string") {
      assert.isTrue(content === expectedContent, `item ${i}, ${kind}`)
    } else {
      assert.isTrue(sameBytes(content, expectedContent), `item ${i}, ${kind}`)
    }
  })
  assert.lengthOf(actual, expected.length)
}

const fragmentSize = oneOf(pick(0), int(1, 20), pick(125, 126, 4096, 65_536))

const sizeOf = (item: Sent): number => (item.kind === "text" ? utf8(item.text) : item.payload).length

/** The size; for long messages a multiple of it, for not too many frames. */
const autoFragmentSize = (size: number, items: ReadonlyArray<Sent>): number =>
  size < 125 && items.some((item) => sizeOf(item) > 5000) ? size * 100 : size

describe("property: messages", () => {
  it.prop(
    "any sequence sent by one end, cut anywhere, comes out at the other as it was",
    {
      items: Arbitrary.array(sent, { minLength: 1, maxLength: 12 }),
      keys: Arbitrary.array(key, { minLength: 1, maxLength: 5 }),
      fromClient: boolean,
      size: fragmentSize,
      cut
    },
    ({ cut, fromClient, keys, size, ...values }) => {
      const items = values.items.map(({ value }) => value)
      const from = new TestConnection({
        role: fromClient ? "client" : "server",
        keys,
        autoFragmentSize: autoFragmentSize(size, items)
      })
      const to = new TestConnection({ role: fromClient ? "server" : "client" })
      for (const item of items) send(from, item)
      to.receive(...cut.value(from.sentBytes()))
      assert.isUndefined(to.connection.violation)
      assert.strictEqual(to.connection.state, "Open")
      assertSame(to.received, items.map(asReceived))
      assert.strictEqual(to.connection.outgoing.length, 0)
    },
    options
  )

  it.prop(
    "any sequence sent is the frames it should be",
    {
      items: Arbitrary.array(sent, { minLength: 1, maxLength: 12 }),
      keys: Arbitrary.array(key, { minLength: 1, maxLength: 5 }),
      isClient: boolean,
      chosen: fragmentSize
    },
    ({ chosen, isClient, keys, ...values }) => {
      const items = values.items.map(({ value }) => value)
      const size = autoFragmentSize(chosen, items)
      const end = new TestConnection({ role: isClient ? "client" : "server", keys, autoFragmentSize: size })
      for (const item of items) send(end, item)
      const { length } = end.connection.outgoing
      const bytes = end.sentBytes()
      assert.strictEqual(bytes.length, length)
      const frames = parseFrames(bytes)
      frames.forEach((frame, i) => {
        assert.deepStrictEqual(frame.key, isClient ? keys[i % keys.length] : undefined)
        assert.strictEqual(frame.reservedBits, 0)
      })
      let at = 0
      for (const item of items) {
        const payload = item.kind === "text" ? utf8(item.text) : item.payload
        const isData = item.kind === "text" || item.kind === "binary"
        const count = isData && size !== 0 ? Math.max(1, Math.ceil(payload.length / size)) : 1
        const own = frames.slice(at, at + count)
        at += count
        const opcode = { text: Text, binary: Binary, ping: Ping, pong: Pong }[item.kind]
        own.forEach((frame, i) => {
          assert.strictEqual(frame.opcode, i === 0 ? opcode : Continuation)
          assert.strictEqual(frame.fin, i === count - 1)
          if (isData && size !== 0) assert.isAtMost(frame.payload.length, size)
        })
        assert.isTrue(sameBytes(joined(own.map((frame) => frame.payload)), payload))
      }
      assert.lengthOf(frames, at)
    },
    options
  )

  it.prop(
    "however it is sent and received, it comes out as it was, and both ends count the same",
    {
      items: Arbitrary.array(Arbitrary.all([sent, pick(...ways), cut]), { minLength: 1, maxLength: 8 }),
      keys: Arbitrary.array(key, { minLength: 1, maxLength: 5 }),
      fromClient: boolean,
      wholeChunks: int(0, 20),
      cut
    },
    ({ cut, fromClient, items, keys, wholeChunks }) => {
      const from = new TestConnection({ role: fromClient ? "client" : "server", keys })
      const to = new TestConnection({ role: fromClient ? "server" : "client" })
      for (const [item, way, parts] of items) sendIn(way, from, item.value, parts.value)
      cut.value(from.sentBytes()).forEach((chunk, i) => {
        if (i === wholeChunks) to.connection.inPieces = true
        to.receive(chunk)
      })
      assert.isUndefined(to.connection.violation)
      assertSame(
        to.received.map(asBytes),
        items.map(([item]) => asBytes(asReceived(item.value)))
      )
      assert.deepStrictEqual(to.connection.received, from.connection.sent)
    },
    options
  )

  it.prop(
    "connections that share a slab and send in turns each come out whole",
    {
      items: Arbitrary.array(Arbitrary.all([int(0, 3), sent, boolean]), { minLength: 2, maxLength: 40 }),
      keys: Arbitrary.array(key, { minLength: 1, maxLength: 5 })
    },
    ({ items, keys }) => {
      const first = new TestConnection({ role: "client", keys })
      const { pool } = first.connection.outgoing
      const ends = [
        first,
        ...["server", "client", "server"].map(
          (role) => new TestConnection({ role: role === "client" ? "client" : "server", keys, pool })
        )
      ]
      const segments = ends.map((): Array<Uint8Array> => [])
      for (const [which, item, isFlushed] of items) {
        send(ends[which]!, item.value)
        if (isFlushed) segments[which]!.push(...ends[which]!.connection.outgoing.take())
      }
      ends.forEach((end, which) => {
        const to = new TestConnection({ role: which % 2 === 0 ? "server" : "client" })
        to.receive(...segments[which]!, end.sentBytes())
        assertSame(
          to.received,
          items.filter(([own]) => own === which).map(([, item]) => asReceived(item.value))
        )
      })
    },
    options
  )

  for (const role of ["server", "client"] as const) {
    it.prop(
      `fragments cut by any peer, with control frames among them, come out whole: ${role}`,
      { stream: messageStream(role === "server"), cut },
      ({ cut, stream: { value: stream } }) => {
        const expected = receiveAll(stream, {
          role,
          maxFramePayloadSize: 0,
          maxMessagePayloadSize: 0,
          utf8validateIncoming: true
        })
        assert.isUndefined(expected.failsWith)
        const end = new TestConnection({ role }).receive(...cut.value(stream))
        assert.isUndefined(end.connection.violation)
        assertSame(end.received, expected.received)
      },
      options
    )
  }
})
