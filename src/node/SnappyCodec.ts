/**
 * The codec of permessage-snappy: Snappy's framing format, with the blocks of the package
 * `snappy`. As Autobahn's, a message is a stream of its own, or with context takeover
 * the connection's messages are one: all that is saved is the stream's first ten bytes,
 * as no block refers to another. So nothing is held between messages.
 *
 * A long message is done part by part, each in a turn of the event loop of its own. The
 * package's threads would not help: 1 MiB of JSON takes 2.3 ms for its checksums, which
 * are to be made here, and 0.7 ms to compress or 0.2 ms to uncompress in blocks; with its
 * threads that takes 0.4 and 0.3 ms here, and 2 to 3 times as much of all cores.
 */
import { compressSync, uncompressSync } from "snappy"
import { ByteAccumulator } from "../bytes/ByteAccumulator.ts"
import { crc32c } from "../bytes/Crc32c.ts"
import { viewOf } from "../bytes/Masking.ts"
import type { DecompressFailure, MessageCompressor, MessageDecompressor } from "../extension/MessageCodec.ts"
import { plainViewOf } from "./PlainView.ts"

export interface CodecOptions {
  /** Whether all messages are one stream. */
  readonly contextTakeover: boolean
}

export const makeCompressor = (options: CodecOptions): MessageCompressor =>
  new SnappyCompressor(options.contextTakeover)

export const makeDecompressor = (options: CodecOptions): MessageDecompressor =>
  new SnappyDecompressor(options.contextTakeover)

const ChunkType = { Compressed: 0x00, Uncompressed: 0x01, FirstSkippable: 0x80, Identifier: 0xff } as const

/** The chunk that a stream starts with: an Identifier. */
const firstChunk = Uint8Array.from([0xff, 6, 0, 0, 0x73, 0x4e, 0x61, 0x50, 0x70, 0x59])

const headerLength = 4
const checksumLength = 4
/** So much data at most is in a chunk. */
const blockLength = 65_536
/** So many bytes, plain and compressed ones, are made and read in one turn: in 2 ms. */
const bytesPerTurn = 8 * blockLength
/** So many bytes at most has a chunk with data: Snappy makes no more of a block. */
const longestChunk = checksumLength + 32 + blockLength + Math.floor(blockLength / 6)

/** A CRC of data that has CRCs in it is weak, so the format changes it. */
const checksumOf = (data: Uint8Array): number => {
  const checksum = crc32c(data)
  return (((checksum >>> 15) | (checksum << 17)) + 0xa282ead8) >>> 0
}

class SnappyCompressor implements MessageCompressor {
  readonly aloneKey = "snappy"
  readonly #contextTakeover: boolean
  #isStarted = false
  #isClosed = false

  constructor(contextTakeover: boolean) {
    this.#contextTakeover = contextTakeover
  }

  compress(payload: Uint8Array, isFinal: boolean, done: (compressed: Uint8Array) => void): void {
    const isFirst = !this.#isStarted
    this.#isStarted = this.#contextTakeover || !isFinal
    compress(payload, isFirst, () => !this.#isClosed, done)
  }

  compressAlone(payload: Uint8Array, done: (compressed: Uint8Array) => void): void {
    // A stream may have the first chunk again.
    compress(payload, true, () => true, done)
  }

  sentAlone(): void {
    this.#isStarted = this.#contextTakeover
  }

  close(): void {
    this.#isClosed = true
  }
}

/** Goes on in later turns of the event loop while `isWanted`. */
const compress = (
  payload: Uint8Array,
  isFirst: boolean,
  isWanted: () => boolean,
  done: (compressed: Uint8Array) => void
): void => {
  const output = new ByteAccumulator()
  if (isFirst) output.append(firstChunk)
  const goOn = (start: number): void => {
    const end = start + bytesPerTurn
    for (let offset = start; offset < Math.min(end, payload.length); offset += blockLength) {
      appendBlock(output, payload.subarray(offset, offset + blockLength))
    }
    if (end >= payload.length) return done(output.take())
    setImmediate(() => {
      if (isWanted()) goOn(end)
    })
  }
  goOn(0)
}

const appendBlock = (output: ByteAccumulator, data: Uint8Array): void => {
  const compressed = compressSync(data)
  // As python-snappy: what saves less than an eighth stays as it is.
  const isWorth = compressed.length <= data.length * 0.875
  const type = isWorth ? ChunkType.Compressed : ChunkType.Uncompressed
  const content = isWorth ? compressed : data
  const start = new Uint8Array(headerLength + checksumLength)
  viewOf(start).setUint32(0, type | ((checksumLength + content.length) << 8), true)
  viewOf(start).setUint32(headerLength, checksumOf(data), true)
  output.append(start)
  output.append(content)
}

/** Called when all that was given has been read, or cannot. */
type Finish = (failure?: DecompressFailure) => void

class SnappyDecompressor implements MessageDecompressor {
  readonly #contextTakeover: boolean
  // Bytes of a chunk that is not whole yet, and how many are needed to go on.
  readonly #unread = new ByteAccumulator()
  #needed = headerLength
  // Bytes to come that mean nothing.
  #skipped = 0
  #isStarted = false
  #isClosed = false

  constructor(contextTakeover: boolean) {
    this.#contextTakeover = contextTakeover
  }

  decompress(
    payload: Uint8Array,
    limit: number,
    done: (message: Uint8Array | DecompressFailure) => void
  ): void {
    this.#read(payload, true, limit, (output) => done(typeof output === "string" ? output : output.take()))
  }

  push(
    piece: Uint8Array,
    isFinal: boolean,
    limit: number,
    done: (pieces: ReadonlyArray<Uint8Array> | DecompressFailure) => void
  ): void {
    this.#read(piece, isFinal, limit, (output) =>
      done(typeof output === "string" ? output : output.takeParts())
    )
  }

  #read(
    piece: Uint8Array,
    isFinal: boolean,
    limit: number,
    done: (output: ByteAccumulator | DecompressFailure) => void
  ): void {
    const output = new ByteAccumulator()
    const finish: Finish = (failure) => done(failure ?? (isFinal ? this.#end() : undefined) ?? output)
    const skipped = Math.min(this.#skipped, piece.length)
    this.#skipped -= skipped
    this.#unread.append(piece.subarray(skipped))
    if (this.#unread.length < this.#needed) return finish()
    this.#readChunks(this.#unread.take(), 0, limit, output, finish)
  }

  /** The message ends here: what is wrong with that. */
  #end(): DecompressFailure | undefined {
    // Nothing at all is an empty message, but not a stream's first.
    if (this.#unread.length > 0 || this.#skipped > 0 || !this.#isStarted) return "Corrupt"
    this.#isStarted = this.#contextTakeover
    return undefined
  }

  /** Reads all chunks of `bytes` from `start` on that are whole, in this turn and later ones; the rest is unread. */
  #readChunks(
    bytes: Uint8Array,
    start: number,
    limit: number,
    output: ByteAccumulator,
    finish: Finish
  ): void {
    const made = output.length
    let offset = start
    this.#needed = headerLength
    while (bytes.length - offset >= headerLength) {
      if (offset - start + output.length - made > bytesPerTurn) {
        setImmediate(() => {
          if (!this.#isClosed) this.#readChunks(bytes, offset, limit, output, finish)
        })
        return
      }
      const type = bytes[offset]!
      const length = bytes[offset + 1]! | (bytes[offset + 2]! << 8) | (bytes[offset + 3]! << 16)
      const end = offset + headerLength + length
      if (!this.#isStarted && type !== ChunkType.Identifier) return finish("Corrupt")
      if (type >= ChunkType.FirstSkippable && type !== ChunkType.Identifier) {
        this.#skipped = Math.max(0, end - bytes.length)
        offset = Math.min(end, bytes.length)
        continue
      }
      if (length > longestChunk) return finish("Corrupt")
      if (end > bytes.length) {
        this.#needed = headerLength + length
        break
      }
      const failure = this.#readChunk(type, bytes.subarray(offset + headerLength, end), limit, output)
      if (failure !== undefined) return finish(failure)
      offset = end
    }
    this.#unread.append(new Uint8Array(bytes.subarray(offset)))
    finish()
  }

  #readChunk(
    type: number,
    chunk: Uint8Array,
    limit: number,
    output: ByteAccumulator
  ): DecompressFailure | undefined {
    if (type === ChunkType.Identifier) {
      this.#isStarted = isFirstChunk(chunk)
      return this.#isStarted ? undefined : "Corrupt"
    }
    if (type > ChunkType.Uncompressed || chunk.length < checksumLength) return "Corrupt"
    const content = chunk.subarray(checksumLength)
    const length = type === ChunkType.Uncompressed ? content.length : announcedLength(content)
    if (length > blockLength) return "Corrupt"
    if (output.length + length > limit) return "TooBig"
    const data = type === ChunkType.Uncompressed ? new Uint8Array(content) : uncompress(content)
    if (data === undefined || checksumOf(data) !== viewOf(chunk).getUint32(0, true)) return "Corrupt"
    output.append(data)
    return undefined
  }

  close(): void {
    this.#isClosed = true
    this.#unread.clear()
  }
}

const isFirstChunk = (chunk: Uint8Array): boolean =>
  chunk.length === firstChunk.length - headerLength &&
  chunk.every((byte, i) => byte === firstChunk[headerLength + i])

/** How much a block says that it holds; without the end of that number, more than it may. */
const announcedLength = (block: Uint8Array): number => {
  let length = 0
  for (let i = 0; i < 3; i++) {
    const byte = block[i] ?? 0x80
    length += (byte & 0x7f) << (7 * i)
    if (byte < 0x80) return length
  }
  return Number.POSITIVE_INFINITY
}

const uncompress = (block: Uint8Array): Uint8Array | undefined => {
  try {
    const data = uncompressSync(block)
    return typeof data === "string" ? undefined : plainViewOf(data)
  } catch {
    return undefined
  }
}
