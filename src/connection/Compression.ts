/**
 * Compression of the messages that a connection sends, one after the other.
 */
import type { MessageCompressor } from "../extension/MessageCodec.ts"
import type { PreparedMessage } from "../message/PreparedMessage.ts"

type Done = (compressed: Uint8Array) => void

interface Task {
  readonly start: (done: Done) => void
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

  /** Compresses a message, or a fragment of one, when what came before is done. `done` is called in any case. */
  compress(payload: Uint8Array, isFinal: boolean, done: Done): void {
    this.#add({ start: (done) => this.#compressor.compress(payload, isFinal, done), done })
  }

  /** As `compress`, of a message that is compressed once for all connections, where the codec can do that. */
  compressPrepared(message: PreparedMessage, done: Done): void {
    const { payload } = message
    const compressor = this.#compressor
    const { aloneKey } = compressor
    if (aloneKey === undefined) return this.compress(payload, true, done)
    const start = (done: Done): void => {
      compressor.sentAlone(payload)
      message.compressed(aloneKey, (done) => compressor.compressAlone(payload, done), done)
    }
    this.#add({ start, done })
  }

  #add(task: Task): void {
    if (this.#current === undefined) this.#run(task)
    else this.#waiting.push(task)
  }

  #run(task: Task): void {
    this.#current = task
    task.start((compressed) => {
      if (this.#current !== task) return
      task.done(compressed)
      this.#current = undefined
      const next = this.#waiting.shift()
      if (next !== undefined) this.#run(next)
    })
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
