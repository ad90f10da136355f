import { constants, deflateRawSync, inflateRawSync } from "node:zlib"
import type { Exchange, Replies } from "./exchange.ts"
import { fail } from "./fail.ts"
import { clientFrame, opcodes, RSV1, readBuffer } from "./frames.ts"
import { windowSize } from "./payloads.ts"

/** What a sender cuts off a message (RFC 7692 section 7.2.1). */
const tail = Buffer.from([0x00, 0x00, 0xff, 0xff])
const finishFlush = constants.Z_SYNC_FLUSH

/** What the connections of an exchange expect, and know already. */
class Expectation {
  readonly #payloads: ReadonlyArray<Buffer>
  readonly #twice: Buffer
  /** By place, the compressed replies that have been inflated and were right. */
  readonly #known: ReadonlyArray<Set<string>>

  constructor(payloads: ReadonlyArray<Buffer>) {
    this.#payloads = payloads
    this.#twice = Buffer.concat([...payloads, ...payloads])
    this.#known = [...payloads, ...payloads].map(() => new Set())
  }

  /**
   * What a reply inflates to depends on its bytes and on the window before it. From the second
   * cycle on each cycle's windows are the same, so that each reply need be inflated only once.
   */
  check(index: number, compressed: Buffer): void {
    const cycle = this.#payloads.length
    const turn = index % cycle
    const isFirstCycle = index < cycle
    const known = this.#known[isFirstCycle ? index : cycle + turn]!
    const bytes = compressed.toString("latin1")
    if (known.has(bytes)) return
    const expected = this.#payloads[turn]!
    const end = (isFirstCycle ? turn : turn + cycle) * expected.length
    const window = this.#twice.subarray(Math.max(0, end - windowSize), end)
    if (!inflate(compressed, window).equals(expected)) fail(`echo mismatch in message ${index}`)
    known.add(bytes)
  }
}

const inflate = (compressed: Buffer, dictionary: Buffer): Buffer => {
  try {
    return inflateRawSync(Buffer.concat([compressed, tail]), { dictionary, finishFlush })
  } catch (cause) {
    return fail(`a reply cannot be inflated: ${cause}`)
  }
}

class DeflatedReplies implements Replies {
  readonly #expectation: Expectation
  #count = 0
  /** The start of a frame. */
  #begun = Buffer.alloc(0)

  constructor(expectation: Expectation) {
    this.#expectation = expectation
  }

  received(size: number): number {
    const bytes = Buffer.concat([this.#begun, readBuffer.subarray(0, size)])
    const before = this.#count
    let offset = 0
    while (bytes.length - offset >= 4) {
      if (bytes[offset] !== (0x80 | RSV1 | opcodes.text)) fail("a reply is not one compressed text frame")
      const short = bytes[offset + 1]!
      if (short > 126) fail("a compressed reply is masked, or longer than 64 KiB")
      const start = offset + (short === 126 ? 4 : 2)
      const end = start + (short === 126 ? bytes.readUInt16BE(offset + 2) : short)
      if (end > bytes.length) break
      this.#expectation.check(this.#count++, bytes.subarray(start, end))
      offset = end
    }
    this.#begun = bytes.subarray(offset)
    return this.#count - before
  }
}

/** permessage-deflate with context takeover both ways. The messages were compressed beforehand, none refers to another. */
export const makeDeflateExchange = (payloads: ReadonlyArray<Buffer>): Exchange => {
  const cycle = payloads.length
  const frames = payloads.map((payload) =>
    clientFrame(RSV1 | opcodes.text, deflateRawSync(payload, { finishFlush }).subarray(0, -tail.length))
  )
  const offsets = [0]
  for (const frame of [...frames, ...frames]) offsets.push(offsets.at(-1)! + frame.length)
  const twice = Buffer.concat([...frames, ...frames])
  const expectation = new Expectation(payloads)
  return {
    raw: false,
    extension: "permessage-deflate",
    request: (sent, count) => {
      const first = sent % cycle
      return twice.subarray(offsets[first], offsets[first + count])
    },
    replies: () => new DeflatedReplies(expectation)
  }
}
