/**
 * The codec of permessage-brotli (RFC 7932) on `node:zlib`.
 *
 * Without context takeover a message is a whole brotli stream, and nothing is held
 * between messages. With it, all messages of a direction are one stream, flushed where
 * a message ends. Only a stream of `node:zlib` can do that: it works in Node's thread
 * pool, and holds memory from the first message until the connection ends. It cannot be
 * let go before, as a message may refer to the distances of those before it.
 *
 * Measured with Node 24 and JSON in messages of 1 KiB, 64 and 512 of them:
 * - With quality 3 and a window of 15 bits a compressor holds 0.3 MiB after its first
 *   message and 0.4 to 0.5 MiB later, a decompressor 0.06 and 0.1 to 0.2 MiB, and up to
 *   the 16 MiB of the largest window if the peer sends as much.
 * - Quality 4 and 5 hold 0.75 to 0.8 MiB for messages that are 3 and 5 % smaller, and
 *   take 1.5 and 2 times as long; with 2 they are 20 % larger, for no less memory. A
 *   window of 18 bits holds 1.1 MiB from the first message on.
 * - A window of 14 bits saves 20 KiB, one of 16 bits costs 60 KiB more, and as much with
 *   the peer: most is Brotli's tables and blocks, which no window makes smaller.
 * - The ratio is 0.18 with context takeover and 0.24 without.
 */
import { constants as bufferConstants } from "node:buffer"
import {
  type BrotliCompress,
  type BrotliDecompress,
  type BrotliOptions,
  brotliCompress,
  brotliCompressSync,
  brotliDecompress,
  brotliDecompressSync,
  constants,
  createBrotliCompress,
  createBrotliDecompress
} from "node:zlib"
import { ByteAccumulator } from "../bytes/ByteAccumulator.ts"
import type { DecompressFailure, MessageCompressor, MessageDecompressor } from "../extension/MessageCodec.ts"
import { plainViewOf } from "./PlainView.ts"

export interface CompressorOptions {
  /** Whether messages refer to earlier ones. */
  readonly contextTakeover: boolean
  /** From 0, the fastest, to 11. */
  readonly quality: number
}

export const makeCompressor = (options: CompressorOptions): MessageCompressor => new BrotliCompressor(options)

export interface DecompressorOptions {
  /** Whether the peer's messages may refer to earlier ones. */
  readonly contextTakeover: boolean
}

export const makeDecompressor = (options: DecompressorOptions): MessageDecompressor =>
  new BrotliDecompressor(options.contextTakeover)

/** Base-2 logarithm of how many bytes back a message refers: as far as one of permessage-deflate. */
const windowBits = 15

/** What is compressed, and what is decompressed from it, within a call: both take less than a millisecond. */
const quickInput = 16_384
const quickOutput = 65_536

class BrotliCompressor implements MessageCompressor {
  readonly aloneKey: string | undefined

  readonly #contextTakeover: boolean
  readonly #options: BrotliOptions
  // With context takeover the connection's, without it that of a message in fragments.
  #stream: BrotliCompress | undefined
  #isClosed = false

  constructor({ contextTakeover, quality }: CompressorOptions) {
    this.#contextTakeover = contextTakeover
    this.aloneKey = contextTakeover ? undefined : `brotli ${quality}`
    this.#options = {
      flush: constants.BROTLI_OPERATION_FLUSH,
      params: { [constants.BROTLI_PARAM_QUALITY]: quality, [constants.BROTLI_PARAM_LGWIN]: windowBits }
    }
  }

  compress(payload: Uint8Array, isFinal: boolean, done: (compressed: Uint8Array) => void): void {
    const isLast = isFinal && !this.#contextTakeover
    if (isLast && this.#stream === undefined) {
      return compressWhole(payload, this.#options, (compressed) => {
        if (!this.#isClosed) done(compressed)
      })
    }
    this.#stream ??= createBrotliCompress(this.#options)
    const stream = this.#stream
    const output = new ByteAccumulator()
    const collect = (chunk: Uint8Array) => output.append(plainViewOf(chunk))
    const finish = () => {
      stream.off("data", collect)
      if (this.#isClosed) return
      if (isLast) this.#stream = undefined
      done(output.take())
    }
    stream.on("data", collect)
    if (isLast) stream.once("end", finish).end(payload)
    else stream.write(payload, finish)
  }

  compressAlone(payload: Uint8Array, done: (compressed: Uint8Array) => void): void {
    // A copy, since it may be kept for long, and Brotli's output has been cut for more.
    compressWhole(payload, this.#options, (compressed) => done(compressed.slice()))
  }

  sentAlone(): void {}

  close(): void {
    this.#isClosed = true
    this.#stream?.destroy()
    this.#stream = undefined
  }
}

const compressWhole = (
  payload: Uint8Array,
  options: BrotliOptions,
  done: (compressed: Uint8Array) => void
): void => {
  if (payload.length <= quickInput) return done(plainViewOf(brotliCompressSync(payload, options)))
  brotliCompress(payload, options, (error, compressed) => {
    // No payload is to blame, only memory that was not to be had.
    if (error !== null) throw error
    done(plainViewOf(compressed))
  })
}

/** What is decompressed now. */
interface Job {
  readonly piece: Uint8Array
  /** Of the stream's input: where the piece starts. */
  readonly start: number
  readonly isFinal: boolean
  readonly limit: number
  readonly output: ByteAccumulator
  readonly done: (output: ByteAccumulator | DecompressFailure) => void
}

class BrotliDecompressor implements MessageDecompressor {
  readonly #contextTakeover: boolean
  // With context takeover the connection's, without it that of a message in pieces.
  #stream: BrotliDecompress | undefined
  #job: Job | undefined
  // Whether nothing came of the next message yet.
  #isBetween = true
  #isClosed = false

  constructor(contextTakeover: boolean) {
    this.#contextTakeover = contextTakeover
  }

  decompress(
    payload: Uint8Array,
    limit: number,
    done: (message: Uint8Array | DecompressFailure) => void
  ): void {
    if (this.#contextTakeover) {
      this.#feed(payload, true, limit, (output) => done(typeof output === "string" ? output : output.take()))
    } else {
      decompressWhole(payload, limit, (message) => {
        if (!this.#isClosed) done(message)
      })
    }
  }

  push(
    piece: Uint8Array,
    isFinal: boolean,
    limit: number,
    done: (pieces: ReadonlyArray<Uint8Array> | DecompressFailure) => void
  ): void {
    this.#feed(piece, isFinal, limit, (output) =>
      done(typeof output === "string" ? output : output.takeParts())
    )
  }

  #feed(piece: Uint8Array, isFinal: boolean, limit: number, done: Job["done"]): void {
    this.#stream ??= this.#open()
    const stream = this.#stream
    this.#job = { piece, start: stream.bytesWritten, isFinal, limit, output: new ByteAccumulator(), done }
    if (isFinal && !this.#contextTakeover) stream.end(piece)
    else stream.write(piece, () => this.#onRead(stream))
  }

  #open(): BrotliDecompress {
    return createBrotliDecompress()
      .on("data", (chunk: Uint8Array) => {
        if (this.#job === undefined) return
        const { limit, output } = this.#job
        output.append(plainViewOf(chunk))
        if (output.length > limit) this.#settle("TooBig")
      })
      .on("error", () => this.#settle("Corrupt"))
      .on("end", () => this.#onEnd())
  }

  #onRead(stream: BrotliDecompress): void {
    // Also called when the stream was destroyed, and then there may be another one.
    if (this.#job === undefined || stream !== this.#stream) return
    const { isFinal, output, piece } = this.#job
    this.#isBetween = isFinal || (this.#isBetween && piece.length === 0)
    this.#settle(output)
  }

  /** The brotli stream is over: all was read, or there is more behind it. */
  #onEnd(): void {
    const stream = this.#stream
    const job = this.#job
    if (stream === undefined || job === undefined) return
    const read = stream.bytesWritten - job.start
    if (job.isFinal && read === job.piece.length) {
      this.#drop()
      this.#settle(job.output)
    } else if (this.#contextTakeover && this.#isBetween && read === 0) {
      // Autobahn ends its stream with a message: the next one can only be another stream.
      this.#drop()
      this.#isBetween = false
      this.#feed(job.piece, job.isFinal, job.limit, job.done)
    } else {
      this.#settle("Corrupt")
    }
  }

  #settle(output: ByteAccumulator | DecompressFailure): void {
    const job = this.#job
    this.#job = undefined
    if (typeof output === "string") this.#drop()
    job?.done(output)
  }

  #drop(): void {
    this.#stream?.destroy()
    this.#stream = undefined
  }

  close(): void {
    this.#isClosed = true
    this.#job = undefined
    this.#drop()
  }
}

const decompressWhole = (
  payload: Uint8Array,
  limit: number,
  done: (message: Uint8Array | DecompressFailure) => void
): void => {
  if (payload.length <= quickInput) {
    const message = decompressNow(payload, Math.min(limit, quickOutput))
    if (message !== "TooBig" || limit <= quickOutput) return done(message)
  }
  brotliDecompress(payload, within(limit), (error, result) =>
    done(error === null ? messageOf(result, payload, limit) : failureOf(error))
  )
}

const decompressNow = (payload: Uint8Array, limit: number): Uint8Array | DecompressFailure => {
  try {
    const message = messageOf(brotliDecompressSync(payload, within(limit)), payload, limit)
    // A copy, as it may be a small part of a larger buffer.
    return typeof message === "string" ? message : new Uint8Array(message)
  } catch (error) {
    return failureOf(error)
  }
}

/** Node takes no less than 1, and no more than a buffer may have. */
const within = (limit: number): BrotliOptions => ({
  info: true,
  maxOutputLength: Math.max(1, Math.min(limit, bufferConstants.MAX_LENGTH))
})

/** What `node:zlib` gives with `info`, which its types do not say. */
interface Result {
  readonly buffer: Buffer
  readonly engine: BrotliDecompress
}

const messageOf = (result: unknown, payload: Uint8Array, limit: number): Uint8Array | DecompressFailure => {
  const { buffer, engine } = result as Result
  if (buffer.length > limit) return "TooBig"
  return engine.bytesWritten === payload.length ? plainViewOf(buffer) : "Corrupt"
}

const failureOf = (error: unknown): DecompressFailure =>
  error instanceof RangeError && "code" in error && error.code === "ERR_BUFFER_TOO_LARGE"
    ? "TooBig"
    : "Corrupt"
