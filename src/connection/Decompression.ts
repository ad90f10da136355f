/**
 * Received messages that were compressed, on their way to plain ones (RFC 7692
 * section 6.2): whole, or piece by piece as they come.
 */
import { Utf8Validator } from "../bytes/Utf8.ts"
import type { DecompressFailure, MessageDecompressor } from "../extension/MessageCodec.ts"
import type { Violation } from "../frame/Violation.ts"

/** What any message may be decompressed to, however little it was, in bytes. */
const alwaysAllowed = 65_536

export class Decompression {
  readonly #decompressor: MessageDecompressor
  readonly #limit: number
  readonly #maxRatio: number
  // Of the message that comes in pieces, before and after.
  #compressedSize = 0
  #size = 0
  #validator: Utf8Validator | undefined

  /**
   * `limit`: bytes that a message may have. `maxRatio`: how many times its compressed payload it may be, once it
   * has more than 64 KiB; 0: however many.
   */
  constructor(decompressor: MessageDecompressor, limit: number, maxRatio: number) {
    this.#decompressor = decompressor
    this.#limit = limit
    this.#maxRatio = maxRatio
  }

  /** Bytes that may come of so many compressed ones. */
  #allowed(compressedSize: number): number {
    if (this.#maxRatio === 0) return this.#limit
    return Math.min(this.#limit, Math.max(alwaysAllowed, this.#maxRatio * compressedSize))
  }

  #violation(failure: DecompressFailure, allowed: number): Violation {
    if (failure === "Corrupt") return "CompressedDataCorrupt"
    return allowed < this.#limit ? "DecompressionRatioTooHigh" : "MessageTooBig"
  }

  /** A whole message, within the call or later. */
  whole(payload: Uint8Array, done: (message: Uint8Array | Violation) => void): void {
    const allowed = this.#allowed(payload.length)
    this.#decompressor.decompress(payload, allowed, (message) =>
      done(typeof message === "string" ? this.#violation(message, allowed) : message)
    )
  }

  /** What comes out of the next piece, within the call or later; `isText`: it must be UTF-8. */
  piece(
    payload: Uint8Array,
    isText: boolean,
    isFinal: boolean,
    done: (pieces: ReadonlyArray<Uint8Array> | Violation) => void
  ): void {
    this.#compressedSize += payload.length
    const allowed = this.#allowed(this.#compressedSize)
    this.#decompressor.push(payload, isFinal, allowed - this.#size, (pieces) => {
      if (typeof pieces === "string") return done(this.#violation(pieces, allowed))
      for (const piece of pieces) this.#size += piece.length
      if (isText && !this.#isUtf8(pieces, isFinal)) return done("TextNotUtf8")
      if (isFinal) {
        this.#compressedSize = 0
        this.#size = 0
      }
      done(pieces)
    })
  }

  #isUtf8(pieces: ReadonlyArray<Uint8Array>, isFinal: boolean): boolean {
    this.#validator ??= new Utf8Validator()
    const validator = this.#validator
    if (isFinal) this.#validator = undefined
    return pieces.every((piece) => validator.write(piece)) && (!isFinal || validator.isComplete)
  }

  close(): void {
    this.#decompressor.close()
  }
}
