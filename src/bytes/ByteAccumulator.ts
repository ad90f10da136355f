/**
 * Collects the pieces of a payload and joins them once.
 *
 * A large piece is kept as it is; small ones are copied together as they come.
 * So memory and time stay linear in the bytes received, however finely a peer
 * cuts them, and a large payload is copied once: when it is joined, or into its
 * place in the whole as soon as enough of an announced length is there.
 */

const keepFrom = 4096
const smallestBlock = 256
const largestBlock = 65_536
/** The share of an announced length that must have come before memory is taken for all of it. */
const wholeFrom = 1 / 4

/**
 * Whether a piece is worth keeping as a view. A small one would cost more than
 * its bytes, and one that is a small part of its chunk would pin the rest.
 */
const isWorthKeeping = (piece: Uint8Array): boolean =>
  piece.length >= keepFrom && piece.length * 2 >= piece.buffer.byteLength

const copyParts = (parts: ReadonlyArray<Uint8Array>, target: Uint8Array): void => {
  let offset = 0
  for (const part of parts) {
    target.set(part, offset)
    offset += part.length
  }
}

export class ByteAccumulator {
  /** Bytes collected since the last `take`. */
  length = 0

  #parts: Array<Uint8Array> = []
  #block: Uint8Array | undefined
  #blockLength = 0
  // Where in the block the bytes start that are not among the parts yet.
  #runStart = 0
  // The block has room for all that is to come.
  #isWhole = false

  /**
   * Adds a piece. A large one is kept by reference and must not change. `total`: the
   * length that all pieces will have in the end, once that is announced. Whether the piece was kept.
   */
  append(piece: Uint8Array, total = 0): boolean {
    if (!this.#isWhole && this.length + piece.length >= total * wholeFrom && total > 0) this.#openWhole(total)
    this.length += piece.length
    if (!this.#isWhole && isWorthKeeping(piece)) {
      this.#closeRun()
      this.#parts.push(piece)
      return true
    }
    let offset = 0
    while (offset < piece.length) {
      const block = this.#openBlock(piece.length - offset)
      const count = Math.min(block.length - this.#blockLength, piece.length - offset)
      block.set(count === piece.length ? piece : piece.subarray(offset, offset + count), this.#blockLength)
      this.#blockLength += count
      offset += count
    }
    return false
  }

  /** All bytes collected, in order, not joined; the accumulator is empty afterwards. */
  takeParts(): ReadonlyArray<Uint8Array> {
    this.#closeRun()
    const parts = this.#parts
    this.clear()
    return parts
  }

  /** All bytes collected, joined; the accumulator is empty afterwards. */
  take(): Uint8Array {
    const { length } = this
    const parts = this.takeParts()
    if (parts[0] !== undefined && parts.length === 1) return parts[0]
    const joined = new Uint8Array(length)
    copyParts(parts, joined)
    return joined
  }

  /** Drops what was collected. */
  clear(): void {
    this.length = 0
    this.#parts = []
    this.#block = undefined
    this.#blockLength = 0
    this.#runStart = 0
    this.#isWhole = false
  }

  #openWhole(total: number): void {
    const whole = new Uint8Array(total)
    const { length } = this
    copyParts(this.takeParts(), whole)
    this.length = length
    this.#block = whole
    this.#blockLength = length
    this.#isWhole = true
  }

  #openBlock(wanted: number): Uint8Array {
    if (this.#block !== undefined && this.#blockLength < this.#block.length) return this.#block
    this.#closeRun()
    // Blocks grow with what is there, so that their number stays logarithmic at
    // first and no block is larger than the bytes before it ask for.
    const size = Math.min(Math.max(wanted, this.length, smallestBlock), largestBlock)
    this.#block = new Uint8Array(size)
    this.#blockLength = 0
    this.#runStart = 0
    return this.#block
  }

  /** Ends the run of copied bytes. The rest of the block takes the next ones: no block goes half empty. */
  #closeRun(): void {
    if (this.#block === undefined || this.#runStart === this.#blockLength) return
    this.#parts.push(this.#block.subarray(this.#runStart, this.#blockLength))
    this.#runStart = this.#blockLength
  }
}
