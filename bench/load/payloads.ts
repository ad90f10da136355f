import type { MessageKind } from "../scenarios.ts"

/** The largest window of RFC 7692 section 7.1.2. */
export const windowSize = 32 * 1024

/** Pseudo-random bytes (printable ASCII for text), the same in every run. */
const payloadOf = (kind: "text" | "binary", size: number): Buffer => {
  const bytes = Buffer.alloc(size)
  let state = 1
  for (let index = 0; index < size; index++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    bytes[index] = kind === "text" ? 0x20 + ((state >>> 16) % 95) : state >>> 24
  }
  return bytes
}

/** Sensor readings as JSON, the same in every run; spaces behind them fill up to `size`. */
const jsonOf = (id: number, size: number): Buffer => {
  let state = id + 1
  const random = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return (state >>> 8) % below
  }
  const readings: Array<unknown> = []
  let text = ""
  for (;;) {
    readings.push({
      time: 1_700_000_000 + random(1e6),
      celsius: random(400) / 10,
      humidity: random(100),
      state: ["ok", "stale", "failed"][random(3)]
    })
    const longer = JSON.stringify({ id, sensor: `sensor-${random(1000)}`, readings })
    if (longer.length > size) return Buffer.from(text.padEnd(size))
    text = longer
  }
}

/**
 * What connections send in turn, over and over: one message; or, compressed, at least `mostInFlight` different ones
 * that fill a window together.
 */
export const payloadsOf = (
  { compressed, payload, size }: MessageKind,
  mostInFlight: number
): ReadonlyArray<Buffer> =>
  compressed
    ? Array.from({ length: Math.max(mostInFlight, Math.ceil(windowSize / size)) }, (_, id) =>
        jsonOf(id, size)
      )
    : [payloadOf(payload, size)]
