/**
 * The last bytes of what has gone by: what a later message may refer to (RFC 7692
 * section 7.1.1, "context takeover").
 *
 * One buffer, which grows with what comes up to the size asked for.
 */
const noBytes = new Uint8Array(0)
const smallest = 256

export class SlidingWindow {
  #bytes = noBytes
  #length = 0

  /** At most the last `count` bytes; the next `append` overwrites them. */
  last(count: number): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(Math.max(0, this.#length - count), this.#length)
  }

  /** Adds a copy of the bytes, and keeps the last `size` of all. */
  append(bytes: Uint8Array, size: number): void {
    const added = bytes.length > size ? bytes.subarray(bytes.length - size) : bytes
    const kept = Math.min(this.#length, size - added.length)
    const length = kept + added.length
    if (length > this.#bytes.length) {
      const grown = new Uint8Array(Math.min(size, Math.max(length, 2 * this.#bytes.length, smallest)))
      grown.set(this.last(kept))
      this.#bytes = grown
    } else if (kept < this.#length) {
      this.#bytes.copyWithin(0, this.#length - kept, this.#length)
    }
    this.#bytes.set(added, kept)
    this.#length = length
  }

  /** Forgets everything, and holds nothing. */
  clear(): void {
    this.#bytes = noBytes
    this.#length = 0
  }
}
