/**
 * permessage-deflate's codec (RFC 7692 section 7.2) on node:zlib.
 *
 * Between messages no zlib state is held, only the plain bytes that the next one may
 * refer to. A message is deflated by a call of zlib's own, with those bytes as its
 * dictionary; a short one is inflated on a state that all connections share
 * (`SharedInflate`). One that would take long goes through the threadpool.
 *
 * Measured with Node 24 on two cores, window 15 and level 6, against streams that are
 * kept, as `ws` does it:
 * - Resident memory of each of 5,000 connections over that of one without compression and
 *   the same traffic: 12 KiB after 1 KiB of JSON each way, nothing after 64 KiB each way,
 *   when what the sockets have left behind is more. Of the heap and its buffers, which
 *   is all that stays: 4 KiB, and 37 KiB. Kept streams: about 240 KiB.
 * - Deflating 1 KiB with a dictionary of 4 KiB takes 22 us, of 32 KiB 75 us, to 178 and
 *   174 bytes of JSON. Inflating takes 5 us, and 1.5 to 3 to tell whether all of it was there.
 * - States that are kept while a connection talks deflate no faster: with 50 in turn
 *   their 110 KiB each fall out of the processor's cache, and 1 KiB takes 70 us instead
 *   of 55 us for both ways; smaller windows and memory levels change nothing.
 * - Inflating and deflating 32 KiB takes 0.3 ms at once and 0.4 ms through the
 *   threadpool, 64 KiB 0.8 ms and 0.6 ms, with a sixth of it on the main thread. But where the
 *   threads have no processor of their own, 64 KiB at once is 1.04 times as fast as `ws`, through
 *   them 0.83 times.
 * - 16 MiB of JSON or noise: at most 18 ms of a turn of the event loop, both ways.
 */
import {
  constants,
  createInflateRaw,
  deflateRaw,
  deflateRawSync,
  type InflateRaw,
  type ZlibOptions
} from "node:zlib"
import { ByteAccumulator } from "../bytes/ByteAccumulator.ts"
import { SlidingWindow } from "../bytes/SlidingWindow.ts"
import type { DecompressFailure, MessageCompressor, MessageDecompressor } from "../extension/MessageCodec.ts"
import { plainViewOf } from "./PlainView.ts"
import { finalBlock, inflate, isEnd } from "./SharedInflate.ts"

/** How the messages of one direction are decompressed. */
export interface InflateParameters {
  /** The sender's window has at most 2 to this power of bytes: 8 to 15. */
  readonly windowBits: number
  /** No message refers to an earlier one. */
  readonly noContextTakeover: boolean
}

/** How the messages of one direction are compressed. */
export interface DeflateParameters extends InflateParameters {
  /** How much memory zlib takes while it compresses: 1 to 9. */
  readonly memLevel: number
  /** From 1, the fastest, to 9, the smallest; 0 does not compress, and -1 is zlib's default. */
  readonly level: number
}

/** Compresses what is sent. */
export const makeCompressor = (parameters: DeflateParameters): MessageCompressor =>
  new DeflateCompressor(parameters)

/** Decompresses what is received. A limit of 0 is one: it lets only empty messages pass. */
export const makeDecompressor = (parameters: InflateParameters): MessageDecompressor =>
  new DeflateDecompressor(parameters)

/** Up to so many plain bytes go through zlib at once, in the calling turn of the event loop. */
const quickBytes = 65_536
/** zlib's output comes in chunks of so many bytes: what is expected, and at most these. */
const largestChunk = 65_536
/** A chunk for output that may be far more than what is expected, or far less. */
const usualChunk = 16_384
/** The smallest chunk that Node allows. */
const smallestChunk = 64

/** A small message refers to so many bytes at most: to learn a whole window takes longer than to compress it. */
const smallestReach = 4096
/** Longer messages refer to more, so that learning takes a part of the time at most. */
const reachPerByte = 4

/** zlib refers no further back than its window less this, one longest match and what it looks ahead. */
const lookahead = 262
/** zlib deflates with no smaller window. Less its lookahead that is 250 bytes, and so within a window of 8 bits. */
const smallestWindowBits = 9

/** How many times as long a message usually gets. */
const usualRatio = 4
/** So many compressed bytes at most are inflated at once. */
const quickInput = quickBytes / usualRatio

/** RFC 7692 section 7.2.1: the empty stored block that a sender cuts off. */
const tail = Uint8Array.of(0x00, 0x00, 0xff, 0xff)

class DeflateCompressor implements MessageCompressor {
  readonly aloneKey: string
  readonly #parameters: DeflateParameters
  readonly #window = new SlidingWindow()
  // How far back a message has referred so far. What is further back is not kept.
  #reach = 0
  #isClosed = false

  constructor(parameters: DeflateParameters) {
    const { level, memLevel, windowBits } = parameters
    this.aloneKey = `permessage-deflate ${windowBits} ${memLevel} ${level}`
    this.#parameters = parameters
  }

  compress(payload: Uint8Array, isFinal: boolean, done: (compressed: Uint8Array) => void): void {
    const dictionary = this.#window.last(this.#reachOf(payload))
    const options = { ...this.#optionsFor(payload), dictionary }
    deflate(payload, options, (compressed) => {
      if (this.#isClosed) return
      this.#remember(payload, isFinal)
      done(isFinal ? withoutTail(compressed) : plainViewOf(compressed))
    })
  }

  compressAlone(payload: Uint8Array, done: (compressed: Uint8Array) => void): void {
    // A copy, since it may be kept for long, and zlib's output has been cut for the worst case.
    deflate(payload, this.#optionsFor(payload), (compressed) => done(withoutTail(compressed).slice()))
  }

  sentAlone(payload: Uint8Array): void {
    this.#remember(payload, true)
  }

  close(): void {
    this.#isClosed = true
    this.#window.clear()
  }

  #optionsFor(payload: Uint8Array): ZlibOptions {
    const { level, memLevel, windowBits } = this.#parameters
    return {
      level,
      memLevel,
      windowBits: Math.max(windowBits, smallestWindowBits),
      finishFlush: constants.Z_SYNC_FLUSH,
      // What cannot be compressed gets only little longer.
      chunkSize: Math.min(payload.length + smallestChunk, largestChunk)
    }
  }

  #reachOf(payload: Uint8Array): number {
    const farthest = 2 ** Math.max(this.#parameters.windowBits, smallestWindowBits) - lookahead
    return Math.min(farthest, Math.max(smallestReach, reachPerByte * payload.length))
  }

  #remember(payload: Uint8Array, isFinal: boolean): void {
    if (isFinal && this.#parameters.noContextTakeover) {
      this.#window.clear()
      return
    }
    this.#reach = Math.max(this.#reach, this.#reachOf(payload))
    this.#window.append(payload, this.#reach)
  }
}

const deflate = (payload: Uint8Array, options: ZlibOptions, done: (compressed: Uint8Array) => void): void => {
  if (payload.length <= quickBytes) return done(deflateRawSync(payload, options))
  deflateRaw(payload, options, (error, compressed) => {
    // No payload is to blame, only memory that was not to be had.
    if (error !== null) throw error
    done(compressed)
  })
}

const withoutTail = (compressed: Uint8Array): Uint8Array =>
  plainViewOf(compressed, compressed.length - tail.length)

const nothing: Uint8Array = new Uint8Array(0)

const withTail = (payload: Uint8Array): Uint8Array => {
  const bytes = new Uint8Array(payload.length + tail.length)
  bytes.set(payload)
  bytes.set(tail, payload.length)
  return bytes
}

/** So many deflate streams of a message are read in one turn of the event loop. */
const streamsPerTurn = 64

/** Called when all that was given has come out, or cannot. */
type Finish = (failure?: DecompressFailure) => void

/**
 * A message is a deflate stream that does not end, or several: a block with BFINAL ends
 * one, and another begins at the next byte (RFC 7692 section 7.2.3.4). zlib stops there
 * and says how many bytes it has taken.
 */
class DeflateDecompressor implements MessageDecompressor {
  readonly #parameters: InflateParameters
  readonly #windowSize: number
  readonly #window = new SlidingWindow()
  // What the call under way has given so far, and how much more the message may have.
  readonly #inflated = new ByteAccumulator()
  #left = 0
  // Of a message that comes in pieces, or is long.
  #stream: InflateRaw | undefined
  // What came out of the final block.
  #ending = nothing
  // Ends the stream's part of the call under way.
  #settle: Finish | undefined
  #isClosed = false

  constructor(parameters: InflateParameters) {
    this.#parameters = parameters
    this.#windowSize = 2 ** parameters.windowBits
  }

  decompress(
    payload: Uint8Array,
    limit: number,
    done: (message: Uint8Array | DecompressFailure) => void
  ): void {
    this.#start(payload, true, limit, (failure) => done(failure ?? this.#inflated.take()))
  }

  push(
    piece: Uint8Array,
    isFinal: boolean,
    limit: number,
    done: (pieces: ReadonlyArray<Uint8Array> | DecompressFailure) => void
  ): void {
    this.#start(piece, isFinal, limit, (failure) => done(failure ?? this.#inflated.takeParts()))
  }

  close(): void {
    this.#isClosed = true
    this.#dropStream()
    this.#inflated.clear()
    this.#window.clear()
  }

  #start(piece: Uint8Array, isFinal: boolean, limit: number, finish: Finish): void {
    this.#left = limit
    const bytes = isFinal ? withTail(piece) : piece
    if (this.#stream === undefined) this.#inflate(bytes, isFinal, 0, finish)
    else this.#feed(this.#stream, bytes, isFinal, finish)
  }

  /** Inflates from a stream's start; `ended`: so many streams have ended in the call under way. */
  #inflate(bytes: Uint8Array, isFinal: boolean, ended: number, finish: Finish): void {
    // After a final block the message needs no tail.
    const isWhole = isFinal && (bytes.length === 0 || bytes.length === tail.length)
    if (isWhole && this.#parameters.noContextTakeover) this.#window.clear()
    if (isWhole || bytes.length === 0) return finish()
    // Another stream may be short, however much follows it.
    const isQuick = ended > 0 || (isFinal && bytes.length <= quickInput)
    const taken = isQuick ? this.#inflateAtOnce(bytes, isFinal) : "Unfinished"
    if (taken === "Unfinished") this.#feed(this.#openStream(bytes), bytes, isFinal, finish)
    else if (typeof taken === "string") this.#fail(taken, finish)
    else this.#goOn(bytes.subarray(taken), isFinal, ended + 1, finish)
  }

  /** Inflates what is behind a stream's end. */
  #goOn(rest: Uint8Array, isFinal: boolean, ended: number, finish: Finish): void {
    if (ended % streamsPerTurn !== 0) return this.#inflate(rest, isFinal, ended, finish)
    setImmediate(() => {
      if (!this.#isClosed) this.#inflate(rest, isFinal, ended, finish)
    })
  }

  /** How many bytes a stream has, if it ends within what takes no long time. */
  #inflateAtOnce(bytes: Uint8Array, isFinal: boolean): number | DecompressFailure | "Unfinished" {
    // No more than that: what follows a stream would be copied for each of many.
    const head = bytes.subarray(0, quickInput)
    const isAll = isFinal && head.length === bytes.length
    try {
      const window = this.#window.last(this.#windowSize)
      const { hasEnded, output, taken } = inflate(window, head)
      // A block may have ended there, or the stream: another way of reading tells.
      if (!isAll && taken === head.length) return "Unfinished"
      if (!this.#take(output)) return "TooBig"
      return hasEnded ? taken : "Corrupt"
    } catch (error) {
      const failure = failureOf(error)
      return failure === "TooBig" && this.#left > quickBytes ? "Unfinished" : failure
    }
  }

  #openStream(bytes: Uint8Array): InflateRaw {
    const stream = createInflateRaw({
      windowBits: this.#parameters.windowBits,
      dictionary: this.#window.last(this.#windowSize),
      chunkSize: Math.min(Math.max(usualRatio * bytes.length, usualChunk), largestChunk)
    })
    const settle = (failure?: DecompressFailure): void => {
      if (this.#stream === stream) this.#settle?.(failure)
    }
    stream.on("data", (chunk: Uint8Array) => {
      if (this.#stream !== stream) return
      // All of the message has come out before the final block goes in.
      if (stream.writableEnded) this.#ending = Buffer.concat([this.#ending, chunk])
      else if (!this.#take(chunk)) settle("TooBig")
    })
    stream.on("error", (error) => settle(failureOf(error)))
    stream.on("end", () => settle())
    this.#stream = stream
    return stream
  }

  #feed(stream: InflateRaw, bytes: Uint8Array, isFinal: boolean, finish: Finish): void {
    const before = stream.bytesWritten
    // Written apart from the property, or V8 would make it in its old space, and keep the message until a full collection.
    const settle: Finish = (failure) => {
      this.#settle = undefined
      if (failure !== undefined) return this.#fail(failure, finish)
      const taken = stream.bytesWritten - before
      const isPast = isFinal && taken >= bytes.length
      if (isPast && !isEnd(this.#ending, taken - bytes.length)) return this.#fail("Corrupt", finish)
      // What was not taken is behind the stream's end.
      if (!isFinal && taken === bytes.length) return finish()
      this.#dropStream()
      this.#goOn(bytes.subarray(taken), isFinal, 1, finish)
    }
    this.#settle = settle
    stream.write(bytes, (error) => {
      if (error || this.#stream !== stream) return
      const hasEnded = stream.bytesWritten - before < bytes.length
      if (isFinal && !hasEnded) stream.end(finalBlock)
      else this.#settle?.()
    })
  }

  /** Takes over what has come out, unless it is too much. */
  #take(chunk: Uint8Array): boolean {
    this.#left -= chunk.length
    if (this.#left < 0) return false
    const bytes = plainViewOf(chunk)
    this.#inflated.append(bytes)
    this.#window.append(bytes, this.#windowSize)
    return true
  }

  #fail(failure: DecompressFailure, finish: Finish): void {
    this.#dropStream()
    this.#inflated.clear()
    finish(failure)
  }

  #dropStream(): void {
    this.#stream?.destroy()
    this.#stream = undefined
    this.#ending = nothing
  }
}

/** zlib's own complaints are of the bytes; all others, of the memory for what they become. */
const failureOf = (error: unknown): DecompressFailure => {
  const code = error instanceof Error && "code" in error ? error.code : undefined
  return code === "Z_DATA_ERROR" || code === "Z_BUF_ERROR" ? "Corrupt" : "TooBig"
}
