/**
 * Compression of the messages that a connection sends, one after the other.
 */
import type { MessageCompressor } from "../extension/MessageCodec.ts"

type Done = (compressed: Uint8Array) => void

interface Task {
  readonly payload: Uint8Array
  readonly isFinal: boolean
  readonly done: Done
}

const noBytes = new Uint8Array(0)

export class Compression {
  readonly #compressor: MessageCompressor
  readonly #threshold: number
  #current: Task | undefined
  #waiting: Array<Task> = []

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

  /** Compresses a message, or a fragment of one, when what came before is done. `done` is called in any case. */
  compress(payload: Uint8Array, isFinal: boolean, done: Done): void {
    const task: Task = { payload, isFinal, done }
    if (this.#current === undefined) this.#run(task)
    else this.#waiting.push(task)
  }

  #run(task: Task): void {
    this.#current = task
    this.#compressor.compress(task.payload, task.isFinal, (compressed) => {
      if (this.#current !== task) return
      task.done(compressed)
      this.#current = undefined
      const next = this.#waiting.shift()
      if (next !== undefined) this.#run(next)
    })
  }

  /** A message compressed without the context of earlier ones, where the codec can do that. */
  alone(payload: Uint8Array): Uint8Array | undefined {
    return this.#compressor.compressAlone(payload)
  }

  /** A message that was compressed alone is sent. */
  sentAlone(payload: Uint8Array): void {
    this.#compressor.sentAlone(payload)
  }

  /** What is not compressed yet is done with nothing: it cannot be sent any more. */
  close(): void {
    const undone = this.#current === undefined ? [] : [this.#current, ...this.#waiting]
    this.#current = undefined
    this.#waiting = []
    this.#compressor.close()
    for (const { done } of undone) done(noBytes)
  }
}
