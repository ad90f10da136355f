import type { MessageKind } from "../scenarios.ts"
import { makeDeflateExchange } from "./deflate.ts"
import { fail } from "./fail.ts"
import { clientFrame, opcodes, readBuffer, serverFrame } from "./frames.ts"
import { payloadsOf } from "./payloads.ts"

/** What a scenario's connections say, and what they expect to hear. Made once. */
export interface Exchange {
  /** No WebSocket at all: the peer sends back the same bytes. */
  readonly raw: boolean
  /** What Sec-WebSocket-Extensions says, in the request and in the response. */
  readonly extension: string | undefined
  /** `count` messages in one buffer; a connection has sent `sent` before. */
  readonly request: (sent: number, count: number) => Buffer
  /** Checks what one connection receives. */
  readonly replies: () => Replies
}

export interface Replies {
  /** Checks the next `size` bytes, which are at the start of `readBuffer`: so many replies more are whole. */
  readonly received: (size: number) => number
}

class SameReplies implements Replies {
  readonly #replySize: number
  /** The reply over and over, long enough to compare a full read from any offset in a reply. */
  readonly #replies: Buffer
  /** Position in the reply being received. */
  #offset = 0

  constructor(replySize: number, replies: Buffer) {
    this.#replySize = replySize
    this.#replies = replies
  }

  received(size: number): number {
    const end = this.#offset + size
    if (this.#replies.compare(readBuffer, 0, size, this.#offset, end) !== 0) this.#mismatch(size)
    const count = Math.floor(end / this.#replySize)
    this.#offset = end - count * this.#replySize
    return count
  }

  #mismatch(size: number): never {
    const expected = this.#replies.subarray(this.#offset)
    let index = 0
    while (readBuffer[index] === expected[index]) index++
    const excerpt = (bytes: Buffer) => bytes.subarray(index, Math.min(index + 16, size)).toString("hex")
    const position = (this.#offset + index) % this.#replySize
    return fail(
      `echo mismatch at byte ${position} of a frame of ${this.#replySize}:` +
        ` expected ${excerpt(expected)}, received ${excerpt(readBuffer)}`
    )
  }
}

/** One message, over and over. */
const makeSameExchange = (message: MessageKind, mostInFlight: number, raw: boolean): Exchange => {
  const opcode = opcodes[message.payload]
  const payload = payloadsOf(message, mostInFlight)[0]!
  const request = clientFrame(opcode, payload)
  const reply = raw ? request : serverFrame(opcode, payload)
  const batch = Buffer.concat(Array.from({ length: mostInFlight }, () => request))
  const requests = Array.from({ length: mostInFlight + 1 }, (_, n) => batch.subarray(0, n * request.length))
  const replies = Buffer.alloc(reply.length + readBuffer.length, reply)
  return {
    raw,
    extension: undefined,
    request: (_, count) => requests[count]!,
    replies: () => new SameReplies(reply.length, replies)
  }
}

/** With at most `mostInFlight` messages in one request. */
export const makeExchange = (message: MessageKind, mostInFlight: number, raw: boolean): Exchange =>
  message.compressed
    ? makeDeflateExchange(payloadsOf(message, mostInFlight))
    : makeSameExchange(message, mostInFlight, raw)
