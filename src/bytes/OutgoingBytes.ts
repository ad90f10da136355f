/**
 * Bytes on their way out, gathered so that one write carries all of a turn.
 *
 * Small frames are written next to one another into a slab that all
 * connections of a pool share; large payloads are passed on by reference. An
 * idle connection therefore holds no buffer of its own.
 */
import { viewOf } from "./Masking.ts"

const slabSize = 65_536

/**
 * The slab that is being filled. A slab is never written to again before its
 * position: what was taken from it may still be on its way to the kernel.
 */
export class SlabPool {
  bytes = new Uint8Array(0)
  view = viewOf(this.bytes)
  /** First free byte of `bytes`. */
  position = 0

  /** Makes room for `size` bytes from `position` on. */
  reserve(size: number): void {
    if (this.position + size <= this.bytes.length) return
    this.bytes = new Uint8Array(Math.max(slabSize, size))
    this.view = viewOf(this.bytes)
    this.position = 0
  }
}

const none: ReadonlyArray<never> = []

export class OutgoingBytes {
  /** Bytes gathered since the last `take`. */
  length = 0
  /** Bytes gathered ever. */
  total = 0
  readonly pool: SlabPool

  // `undefined`: none.
  #segments: Array<Uint8Array> | undefined
  // The run of slab bytes that grows with each commit; `#slab` undefined: none.
  #slab: Uint8Array | undefined
  #start = 0
  #end = 0

  constructor(pool: SlabPool) {
    this.pool = pool
  }

  /** Takes over the `size` bytes that were written at the pool's position. */
  commit(size: number): void {
    const pool = this.pool
    if (this.#slab !== pool.bytes || this.#end !== pool.position) {
      this.#closeRun()
      this.#slab = pool.bytes
      this.#start = pool.position
    }
    pool.position += size
    this.#end = pool.position
    this.length += size
    this.total += size
  }

  /** Adds `bytes` by reference: they must not change until they are written. */
  append(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    this.#closeRun()
    this.#add(bytes)
    this.length += bytes.length
    this.total += bytes.length
  }

  /** What was gathered, in order; nothing is left behind. */
  take(): ReadonlyArray<Uint8Array> {
    this.#closeRun()
    const segments = this.#segments
    this.#segments = undefined
    this.length = 0
    return segments ?? none
  }

  #add(segment: Uint8Array): void {
    if (this.#segments === undefined) this.#segments = [segment]
    else this.#segments.push(segment)
  }

  #closeRun(): void {
    if (this.#slab === undefined) return
    // Faster than `subarray`.
    this.#add(new Uint8Array(this.#slab.buffer, this.#start, this.#end - this.#start))
    this.#slab = undefined
  }
}
