/**
 * The codec of permessage-bzip2. A message is a whole bzip2 stream, as Autobahn's are:
 * nothing is held between messages, and one in fragments or pieces is kept until its
 * last one.
 *
 * It works within the call: 1 MiB of text takes about 100 ms to compress and 40 ms to
 * decompress.
 */
import { ByteAccumulator } from "../bytes/ByteAccumulator.ts"
import type { DecompressFailure, MessageCompressor, MessageDecompressor } from "../extension/MessageCodec.ts"
import { compress, decompress, longest } from "./Bzip2Library.ts"

export interface CompressorOptions {
  /** From 1 to 9: the size of blocks, in 100,000 bytes. */
  readonly compressLevel: number
}

export const makeCompressor = (options: CompressorOptions): MessageCompressor =>
  new Bzip2Compressor(options.compressLevel)

export const makeDecompressor = (): MessageDecompressor => new Bzip2Decompressor()

class Bzip2Compressor implements MessageCompressor {
  readonly aloneKey: string
  readonly #level: number
  readonly #fragments = new ByteAccumulator()

  constructor(level: number) {
    this.#level = level
    this.aloneKey = `bzip2 ${level}`
  }

  compress(payload: Uint8Array, isFinal: boolean, done: (compressed: Uint8Array) => void): void {
    if (isFinal && this.#fragments.length === 0) return done(compress(payload, this.#level))
    // A copy: the payload may change when this is done.
    this.#fragments.append(new Uint8Array(payload))
    done(isFinal ? compress(this.#fragments.take(), this.#level) : new Uint8Array(0))
  }

  compressAlone(payload: Uint8Array): Uint8Array {
    return compress(payload, this.#level)
  }

  sentAlone(): void {}

  close(): void {
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
    done(decompress(payload, limit))
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
    const message = decompress(this.#pieces.take(), limit)
    done(typeof message === "string" ? message : [message])
  }

  close(): void {
    this.#pieces.clear()
  }
}
