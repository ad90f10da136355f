/**
 * A program that floods an open channel with frames, and prints what came of it as a line of JSON. It is a
 * process of its own because measuring coverage makes millions of frames many times slower.
 *
 *     node --conditions=effect-websocket:source test/support/floods.ts pings server
 */
import * as Effect from "effect/Effect"
import { type CommonOptions, open, roles, settle } from "./apiSession.ts"
import { parseFrames } from "./frames.ts"
import { arrayBufferBytes } from "./memory.ts"
import { record } from "./nodeRecorder.ts"
import type { PeerFrame } from "./RawPeer.ts"
import { Opcode } from "./rawFrames.ts"

interface Flood {
  /** Frames of the flood. */
  readonly count: number
  readonly frame: PeerFrame
  /** What the peer sends before the flood. */
  readonly before?: PeerFrame
  /** A message that comes every 10,000 frames. */
  readonly between?: PeerFrame
  /** What comes after the flood: in the end a message. */
  readonly after: ReadonlyArray<PeerFrame>
  /** The peer does not read before the flood is over. */
  readonly isHeld?: boolean
  readonly options?: CommonOptions
}

const data: PeerFrame = { opcode: Opcode.text, payload: "data" }
const ping: PeerFrame = { opcode: Opcode.ping, payload: "1234" }
const lastPing: PeerFrame = { opcode: Opcode.ping, payload: "last" }

const floods = {
  emptyFragments: {
    count: 10_000_000,
    frame: { opcode: Opcode.continuation, fin: false },
    before: { opcode: Opcode.text, fin: false, payload: "da" },
    after: [{ opcode: Opcode.continuation, payload: "ta" }],
    options: { maxMessagePayloadSize: 4 }
  },
  pings: { count: 1_000_000, frame: ping, between: data, after: [lastPing, data] },
  pongs: { count: 1_000_000, frame: { ...ping, opcode: Opcode.pong }, between: data, after: [data] },
  unreadPings: {
    count: 1_000_000,
    frame: ping,
    between: data,
    after: [lastPing, data],
    isHeld: true,
    options: { maxSendBufferSize: 65_536 }
  }
} satisfies Readonly<Record<string, Flood>>

export type FloodName = keyof typeof floods

/** What came of a flood. */
export interface Flooded {
  /** The message that came after it. */
  readonly received: unknown
  /** Bytes of array buffers that it has left behind here, without those that the peer keeps. */
  readonly grown: number
  /** The channel's `bufferedAmount` at its end. */
  readonly buffered: number
  /** Frames that the peer got. */
  readonly answers: number
  /** The payloads of the last two of them. */
  readonly last: ReadonlyArray<string>
}

const perChunk = 10_000

const run = Effect.fnUntraced(function* (role: (typeof roles)[number], flood: Flood) {
  const { channel, peer, peerEnd } = yield* open(role, flood.options)
  const heard = record(peerEnd)
  if (flood.isHeld === true) peerEnd.pause()
  const { before, between } = flood
  if (before !== undefined) peer.send(peer.frame(before))
  yield* settle
  const used = arrayBufferBytes()
  const frame = peer.frame(flood.frame)
  const chunk = new Uint8Array(Buffer.alloc(frame.length * perChunk, frame))
  for (let sent = 0; sent < flood.count; sent += perChunk) {
    peer.send(chunk)
    if (between === undefined) yield* settle
    else {
      peer.send(peer.frame(between))
      yield* channel.receive
    }
  }
  peer.send(...flood.after.map((one) => peer.frame(one)))
  const received = yield* channel.receive
  const grown = arrayBufferBytes() - used - heard.received
  const buffered = yield* channel.bufferedAmount
  peerEnd.resume()
  yield* settle
  yield* channel.send("done")
  yield* settle
  const frames = parseFrames(Buffer.concat(heard.chunks))
  const last = frames.slice(-2).map(({ payload }) => Buffer.from(payload).toString())
  const flooded: Flooded = { received, grown, buffered, answers: frames.length, last }
  console.log(JSON.stringify(flooded))
})

const [name, side] = process.argv.slice(2)
for (const role of roles) {
  for (const [flood, parameters] of Object.entries(floods)) {
    if (flood === name && role === side) await Effect.runPromise(Effect.scoped(run(role, parameters)))
  }
}
