/**
 * The codec of permessage-bzip2. A message is a whole bzip2 stream, as Autobahn's are:
 * nothing is held between messages, and one in fragments or pieces is kept until its
 * last one.
 *
 * 1 MiB of text takes about 100 ms to compress and 40 ms to decompress: only what is
 * short is done within the call, in 2 ms, or 15 ms where it is made to take long. The
 * rest is done in a thread.
 */
import { ByteAccumulator } from "../bytes/ByteAccumulator.ts"
import type { DecompressFailure, MessageCompressor, MessageDecompressor } from "../extension/MessageCodec.ts"
import { longest, type Output, run } from "./Bzip2Library.ts"
import * as Bzip2Thread from "./Bzip2Thread.ts"

export interface CompressorOptions {
  /** From 1 to 9: the size of blocks, in 100,000 bytes. */
  readonly compressLevel: number
}

export const makeCompressor = (options: CompressorOptions): MessageCompressor =>
  new Bzip2Compressor(options.compressLevel)

export const makeDecompressor = (): MessageDecompressor => new Bzip2Decompressor()

/** What is compressed, and what is decompressed from it, within a call. */
const quickInput = 16_384
const quickOutput = 65_536

class Bzip2Compressor implements MessageCompressor {
  readonly aloneKey: string
  readonly #level: number
  readonly #fragments = new ByteAccumulator()

  constructor(level: number) {
    this.#level = level
    this.aloneKey = `bzip2 ${level}`
  }

  compress(payload: Uint8Array, isFinal: boolean, done: (compressed: Uint8Array) => void): void {
    if (isFinal && this.#fragments.length === 0) return this.#compress(this, payload, done)
    // A copy: the payload may change when this is done.
    this.#fragments.append(new Uint8Array(payload))
    if (isFinal) this.#compress(this, this.#fragments.take(), done)
    else done(new Uint8Array(0))
  }

  compressAlone(payload: Uint8Array, done: (compressed: Uint8Array) => void): void {
    this.#compress(undefined, payload, done)
  }

  #compress(owner: this | undefined, payload: Uint8Array, done: (compressed: Uint8Array) => void): void {
    const call = { payload, level: this.#level }
    const finish = (output: Output): void => {
      // No payload is to blame, only memory that was not to be had.
      if (typeof output === "string") throw new Error("libbzip2 has no memory to compress")
      done(output)
    }
    if (payload.length <= quickInput) finish(run(call))
    else Bzip2Thread.start(owner, call, finish)
  }

  sentAlone(): void {}

  close(): void {
    Bzip2Thread.drop(this)
    this.#fragments.clear()
  }
}

class Bzip2Decompressor implements MessageDecompressor {
  readonly #pieces = new ByteAccumulator()

  decompress(
    payload: Uint8Array,
    limit: number,
    done: (message: Uint8Array | DecompressFailure) => void
  ): void {
    if (payload.length > longest(limit)) return done("TooBig")
    if (payload.length <= quickInput) {
      const message = run({ payload, limit: Math.min(limit, quickOutput) })
      if (message !== "TooBig" || limit <= quickOutput) return done(message)
    }
    Bzip2Thread.start(this, { payload, limit }, done)
  }

  push(
    piece: Uint8Array,
    isFinal: boolean,
    limit: number,
    done: (pieces: ReadonlyArray<Uint8Array> | DecompressFailure) => void
  ): void {
    this.#pieces.append(piece)
    if (this.#pieces.length > longest(limit)) return done("TooBig")
    if (!isFinal) return done([])
    this.decompress(this.#pieces.take(), limit, (message) =>
      done(typeof message === "string" ? message : [message])
    )
  }

  close(): void {
    Bzip2Thread.drop(this)
    this.#pieces.clear()
  }
}
