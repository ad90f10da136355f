/**
 * Synchronous calls on a zlib state that is kept between them.
 *
 * Node's own synchronous calls make a zlib object each. That costs as much as inflating a
 * short message; and what the object leaves behind, with a native copy of its dictionary,
 * stays until V8's next full collection, which the copy does not hasten. Its streams keep
 * their state, but go through the threadpool with every write.
 */
import type { DeflateRaw, InflateRaw } from "node:zlib"

/**
 * Node says of `_processChunk` that it is left for compatibility; npm itself is built on it
 * (minizlib). At its end it closes the state, and forgets it.
 */
interface Internals {
  _handle: { close: () => void }
  _processChunk(bytes: Uint8Array, flush: number): Uint8Array
}

type Stream = DeflateRaw | InflateRaw

const hasInternals = (stream: Stream): stream is Stream & Internals =>
  "_processChunk" in stream && "_handle" in stream

const nothing = (): void => {}

export class SynchronousZlib {
  readonly #stream: Stream & Internals
  readonly #handle: Internals["_handle"]
  readonly #close: () => void

  /** A state of the stream's, which nobody else uses; `undefined`: this Node has no such calls. */
  static on(stream: Stream): SynchronousZlib | undefined {
    return hasInternals(stream) ? new SynchronousZlib(stream) : undefined
  }

  private constructor(stream: Stream & Internals) {
    this.#stream = stream
    this.#handle = stream._handle
    const { close } = this.#handle
    this.#close = () => close.call(this.#handle)
    this.#handle.close = nothing
  }

  /** What comes out: overwritten by the next call. What throws leaves a state that can only be closed. */
  run(input: Uint8Array, flush: number): Uint8Array {
    try {
      return this.#stream._processChunk(input, flush)
    } finally {
      this.#stream._handle = this.#handle
      // Each call adds one, and what it throws is emitted later too.
      this.#stream.removeAllListeners("error").on("error", nothing)
    }
  }

  /** Bytes that the last call has taken. */
  get taken(): number {
    return this.#stream.bytesWritten
  }

  /** Starts again, as if nothing had gone through. */
  reset(): void {
    this.#stream.reset()
  }

  /** Frees the state now. */
  close(): void {
    this.#close()
  }
}
