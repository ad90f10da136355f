/**
 * Received messages that were compressed, on their way to plain ones (RFC 7692
 * section 6.2): whole, or piece by piece as they come.
 */
import { Utf8Validator } from "../bytes/Utf8.ts"
import type { DecompressFailure, MessageDecompressor } from "../extension/MessageCodec.ts"
import type { Violation } from "../frame/Violation.ts"

const violations: Readonly<Record<DecompressFailure, Violation>> = {
  Corrupt: "CompressedDataCorrupt",
  TooBig: "MessageTooBig"
}

export class Decompression {
  readonly #decompressor: MessageDecompressor
  readonly #limit: number
  // Of the message that comes in pieces.
  #size = 0
  #validator: Utf8Validator | undefined

  /** `limit`: bytes that a message may have. */
  constructor(decompressor: MessageDecompressor, limit: number) {
    this.#decompressor = decompressor
    this.#limit = limit
  }

  /** A whole message, within the call or later. */
  whole(payload: Uint8Array, done: (message: Uint8Array | Violation) => void): void {
    this.#decompressor.decompress(payload, this.#limit, (message) =>
      done(typeof message === "string" ? violations[message] : message)
    )
  }

  /** What comes out of the next piece, within the call or later; `isText`: it must be UTF-8. */
  piece(
    payload: Uint8Array,
    isText: boolean,
    isFinal: boolean,
    done: (pieces: ReadonlyArray<Uint8Array> | Violation) => void
  ): void {
    this.#decompressor.push(payload, isFinal, this.#limit - this.#size, (pieces) => {
      if (typeof pieces === "string") return done(violations[pieces])
      for (const piece of pieces) this.#size += piece.length
      if (isText && !this.#isUtf8(pieces, isFinal)) return done("TextNotUtf8")
      if (isFinal) this.#size = 0
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
