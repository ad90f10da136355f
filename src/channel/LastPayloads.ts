/**
 * The last payloads of pings or pongs that nobody has read yet, in one buffer: each on its own, they would take as
 * much memory as the rest of an idle connection.
 */

/** What is kept at most; the oldest are dropped. */
export const capacity = 16

const noBytes = new Uint8Array(0)

export class LastPayloads {
  #count = 0
  // Of each its length, which fits into a byte (RFC 6455 section 5.5), and then itself.
  #bytes = noBytes

  /** Keeps a copy of the payload. */
  push(payload: Uint8Array): void {
    const isFull = this.#count === capacity
    const kept = isFull ? this.#bytes.subarray(1 + this.#bytes[0]!) : this.#bytes
    const bytes = new Uint8Array(kept.length + 1 + payload.length)
    bytes.set(kept)
    bytes[kept.length] = payload.length
    bytes.set(payload, kept.length + 1)
    this.#bytes = bytes
    if (!isFull) this.#count++
  }

  /** The payloads, each in a buffer of its own. */
  get all(): ReadonlyArray<Uint8Array> {
    const payloads: Array<Uint8Array> = []
    const bytes = this.#bytes
    for (let start = 1; start <= bytes.length; ) {
      const end = start + bytes[start - 1]!
      payloads.push(bytes.slice(start, end))
      start = end + 1
    }
    return payloads
  }
}
