/**
 * Peers that do wrong, on sockets of Node's own.
 */

import * as Net from "node:net"
import { constants, deflateRawSync } from "node:zlib"
import * as Effect from "effect/Effect"
import { requestHead } from "../support/RawPeer.ts"
import { concat, encodeFrame, type FrameSpec, Opcode } from "../support/rawFrames.ts"

const latin1 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "latin1"))

const frame = (spec: Partial<FrameSpec>): Uint8Array =>
  encodeFrame({ opcode: Opcode.binary, payload: "", masked: true, ...spec })

const opening = latin1(requestHead())
const deflating = latin1(requestHead({ "Sec-WebSocket-Extensions": "permessage-deflate" }))

const bomb = new Uint8Array(
  deflateRawSync(new Uint8Array(64 * 1_048_576), { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4)
)

interface Attack {
  /** What the peer sends. Put together once: those on their way would otherwise be told as the heap's growth. */
  readonly bytes: Uint8Array
  /** What the peer then does: reads to the end, leaves at once, or reads nothing for a while and leaves. */
  readonly ending: "read" | "reset" | "stall"
  /** What the server answers before the end, if anything. */
  readonly answer?: RegExp
}

const close = (code: number): RegExp =>
  new RegExp(`\x88[\\x02-\x7d]\\x${(code >> 8).toString(16).padStart(2, "0")}\\x${(code & 255).toString(16)}`)

const large = frame({ payload: new Uint8Array(100_000) })

export const attacks: ReadonlyArray<Attack> = [
  { bytes: new Uint8Array(0), ending: "reset" },
  { bytes: concat(opening.subarray(0, 60)), ending: "reset" },
  { bytes: concat(opening.subarray(0, 60)), ending: "read" },
  {
    bytes: concat(latin1("GET / HTTP/1.1\r\nHost: test\r\nNo colon\r\n\r\n")),
    ending: "read",
    answer: /^HTTP\/1\.1 400 /
  },
  { bytes: concat(opening), ending: "reset" },
  { bytes: concat(opening, frame({ payload: "half" }).subarray(0, 7)), ending: "reset" },
  {
    bytes: concat(opening, frame({ payload: "a", fin: false }), frame({ payload: "b" })),
    ending: "read",
    answer: close(1002)
  },
  { bytes: concat(opening, frame({ opcode: 11 })), ending: "read", answer: close(1002) },
  { bytes: concat(opening, frame({ masked: false })), ending: "read", answer: close(1002) },
  {
    bytes: concat(opening, frame({ opcode: Opcode.text, payload: new Uint8Array([0xc0, 0xaf]) })),
    ending: "read",
    answer: close(1007)
  },
  { bytes: concat(deflating, frame({ rsv: 4, payload: bomb })), ending: "read", answer: close(1009) },
  {
    bytes: concat(
      opening,
      ...Array.from({ length: 2000 }, () => frame({ opcode: Opcode.ping, payload: "p" }))
    ),
    ending: "reset"
  },
  { bytes: concat(opening, ...Array.from({ length: 30 }, () => large)), ending: "stall" }
]

/** Succeeds with what was wrong with the server's answer, if anything. */
export const perform = (port: number, { answer, bytes, ending }: Attack): Effect.Effect<string | undefined> =>
  Effect.gen(function* () {
    const socket = yield* Effect.acquireRelease(
      Effect.sync(() => Net.connect({ host: "127.0.0.1", port })),
      (socket) => Effect.sync(() => void socket.destroy())
    )
    let received = ""
    let isReset = false
    const ended = Effect.callback<void>((resume) => {
      socket.on("data", (chunk) => {
        received += chunk.toString("latin1")
      })
      socket.on("end", () => resume(Effect.void))
      socket.on("close", () => resume(Effect.void))
    })
    socket.on("error", () => {
      isReset = true
    })
    socket.write(bytes)
    if (ending === "read") {
      yield* ended
      // It was draining, or did not listen at that moment.
      const isExcused =
        isReset || received === "" || /^HTTP\/1\.1 503 /.test(received) || close(1001).test(received)
      return answer === undefined || answer.test(received) || isExcused
        ? undefined
        : `no ${answer}: ${received}`
    }
    socket.pause()
    yield* Effect.sleep(ending === "stall" ? "3 seconds" : "20 millis")
    socket.resetAndDestroy()
    return undefined
  }).pipe(Effect.scoped)
