/**
 * Compression of the messages that a connection sends, one after the other.
 */
import type { MessageCompressor } from "../extension/MessageCodec.ts"

type Done = (compressed: Uint8Array) => void

export class Compression {
  readonly #compressor: MessageCompressor
  readonly #threshold: number
  #isBusy = false
  #waiting: Array<() => void> = []

  /** `threshold`: bytes from which on a message is compressed. */
  constructor(compressor: MessageCompressor, threshold: number) {
    this.#compressor = compressor
    this.#threshold = threshold
  }

  /** Whether a message of so many bytes is worth it. */
  isWorth(length: number): boolean {
    return length >= this.#threshold
  }

  /** The key of {@link alone}. */
  get aloneKey(): string {
    return this.#compressor.aloneKey
  }

  /** Compresses a message, or a fragment of one, when what came before is done. */
  compress(payload: Uint8Array, isFinal: boolean, done: Done): void {
    const run = () =>
      this.#compressor.compress(payload, isFinal, (compressed) => {
        done(compressed)
        const next = this.#waiting.shift()
        if (next === undefined) this.#isBusy = false
        else next()
      })
    if (this.#isBusy) {
      this.#waiting.push(run)
    } else {
      this.#isBusy = true
      run()
    }
  }

  /** A message compressed without the context of earlier ones, where the codec can do that. */
  alone(payload: Uint8Array): Uint8Array | undefined {
    return this.#compressor.compressAlone(payload)
  }

  /** A message that was compressed alone is sent. */
  sentAlone(payload: Uint8Array): void {
    this.#compressor.sentAlone(payload)
  }

  close(): void {
    this.#waiting = []
    this.#compressor.close()
  }
}
