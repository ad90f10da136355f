/**
 * What a per-message compression extension does to the messages of a connection.
 * The calls on a codec come in the order of the wire, each after the one before
 * has called `done`.
 */

/** Why a payload cannot be decompressed: it is not what the extension makes, or it gets too long. */
export type DecompressFailure = "Corrupt" | "TooBig"

/** Compresses what one end of a connection sends. */
export interface MessageCompressor {
  /**
   * Compresses a message, or the next fragment of one; `isFinal`: the message ends
   * with it. `done` is called once: within the call where that is quick, later where
   * it would take long. Until then the payload must not change.
   */
  compress(payload: Uint8Array, isFinal: boolean, done: (compressed: Uint8Array) => void): void
  /**
   * What {@link MessageCompressor.compressAlone} gives is the same for compressors with the same key.
   * `undefined`: it cannot be called, each message is compressed for its connection.
   */
  readonly aloneKey: string | undefined
  /**
   * Compresses a message for many connections: without the context of earlier ones, which stays as it is.
   * `done` is called as that of {@link MessageCompressor.compress}, but also after `close`.
   */
  compressAlone(payload: Uint8Array, done: (compressed: Uint8Array) => void): void
  /** A message that is compressed alone is the next one of this connection: later ones may refer to it. */
  sentAlone(payload: Uint8Array): void
  /** The connection has ended: what is held is let go. */
  close(): void
}

/** Decompresses what one end of a connection receives. */
export interface MessageDecompressor {
  /**
   * Decompresses a whole message; "TooBig" as soon as it has more than `limit`
   * bytes. `done` is called as a compressor's.
   */
  decompress(
    payload: Uint8Array,
    limit: number,
    done: (message: Uint8Array | DecompressFailure) => void
  ): void
  /**
   * Decompresses the next piece of a message, cut anywhere; `limit`: bytes that the
   * message may still have. Gives what has come out of it, in order.
   */
  push(
    piece: Uint8Array,
    isFinal: boolean,
    limit: number,
    done: (pieces: ReadonlyArray<Uint8Array> | DecompressFailure) => void
  ): void
  /** The connection has ended: what is held is let go. */
  close(): void
}
