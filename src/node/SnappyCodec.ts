/**
 * The codec of permessage-snappy: Snappy's framing format, with the blocks of the package
 * `snappy`. As Autobahn's, a message is a stream of its own, or with context takeover
 * the connection's messages are one: all that is saved is the stream's first ten bytes,
 * as no block refers to another. So nothing is held between messages.
 *
 * It works within the call: 1 MiB takes some 10 ms.
 */
import { compressSync, uncompressSync } from "snappy"
import { ByteAccumulator } from "../bytes/ByteAccumulator.ts"
import { crc32c } from "../bytes/Crc32c.ts"
import { viewOf } from "../bytes/Masking.ts"
import type { DecompressFailure, MessageCompressor, MessageDecompressor } from "../extension/MessageCodec.ts"

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

  constructor(contextTakeover: boolean) {
    this.#contextTakeover = contextTakeover
  }

  compress(payload: Uint8Array, isFinal: boolean, done: (compressed: Uint8Array) => void): void {
    const isFirst = !this.#isStarted
    this.#isStarted = this.#contextTakeover || !isFinal
    done(compress(payload, isFirst))
  }

  compressAlone(payload: Uint8Array): Uint8Array {
    // A stream may have the first chunk again.
    return compress(payload, true)
  }

  sentAlone(): void {
    this.#isStarted = this.#contextTakeover
  }

  close(): void {}
}

const compress = (payload: Uint8Array, isFirst: boolean): Uint8Array => {
  const output = new ByteAccumulator()
  if (isFirst) output.append(firstChunk)
  for (let offset = 0; offset < payload.length; offset += blockLength) {
    const data = payload.subarray(offset, offset + blockLength)
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
  return output.take()
}

class SnappyDecompressor implements MessageDecompressor {
  readonly #contextTakeover: boolean
  // Bytes of a chunk that is not whole yet, and how many are needed to go on.
  readonly #unread = new ByteAccumulator()
  #needed = headerLength
  // Bytes to come that mean nothing.
  #skipped = 0
  #isStarted = false

  constructor(contextTakeover: boolean) {
    this.#contextTakeover = contextTakeover
  }

  decompress(
    payload: Uint8Array,
    limit: number,
    done: (message: Uint8Array | DecompressFailure) => void
  ): void {
    const output = this.#read(payload, true, limit)
    done(typeof output === "string" ? output : output.take())
  }

  push(
    piece: Uint8Array,
    isFinal: boolean,
    limit: number,
    done: (pieces: ReadonlyArray<Uint8Array> | DecompressFailure) => void
  ): void {
    const output = this.#read(piece, isFinal, limit)
    done(typeof output === "string" ? output : output.takeParts())
  }

  #read(piece: Uint8Array, isFinal: boolean, limit: number): ByteAccumulator | DecompressFailure {
    const output = new ByteAccumulator()
    const skipped = Math.min(this.#skipped, piece.length)
    this.#skipped -= skipped
    this.#unread.append(piece.subarray(skipped))
    if (this.#unread.length >= this.#needed) {
      const failure = this.#readChunks(this.#unread.take(), limit, output)
      if (failure !== undefined) return failure
    }
    if (isFinal) {
      if (this.#unread.length > 0 || this.#skipped > 0) return "Corrupt"
      // Nothing at all is an empty message, but not a stream's first.
      if (!this.#isStarted) return "Corrupt"
      this.#isStarted = this.#contextTakeover
    }
    return output
  }

  /** Reads all chunks of `bytes` that are whole; the rest is unread. */
  #readChunks(bytes: Uint8Array, limit: number, output: ByteAccumulator): DecompressFailure | undefined {
    let offset = 0
    this.#needed = headerLength
    while (bytes.length - offset >= headerLength) {
      const type = bytes[offset]!
      const length = bytes[offset + 1]! | (bytes[offset + 2]! << 8) | (bytes[offset + 3]! << 16)
      const end = offset + headerLength + length
      if (!this.#isStarted && type !== ChunkType.Identifier) return "Corrupt"
      if (type >= ChunkType.FirstSkippable && type !== ChunkType.Identifier) {
        this.#skipped = Math.max(0, end - bytes.length)
        offset = Math.min(end, bytes.length)
        continue
      }
      if (length > longestChunk) return "Corrupt"
      if (end > bytes.length) {
        this.#needed = headerLength + length
        break
      }
      const failure = this.#readChunk(type, bytes.subarray(offset + headerLength, end), limit, output)
      if (failure !== undefined) return failure
      offset = end
    }
    this.#unread.append(new Uint8Array(bytes.subarray(offset)))
    return undefined
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
    return typeof data === "string" ? undefined : new Uint8Array(data.buffer, data.byteOffset, data.length)
  } catch {
    return undefined
  }
}
