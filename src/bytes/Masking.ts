/**
 * Masking of client frames (RFC 6455 section 5.3).
 *
 * A masking key is the four key bytes read as one unsigned big-endian 32-bit
 * number, the way they stand on the wire.
 */
import { maskBySimd } from "./SimdMasking.ts"

const byteSwap = (key: number): number =>
  (key << 24) | ((key & 0xff00) << 8) | ((key >>> 8) & 0xff00) | (key >>> 24)

/**
 * The key that goes on where `count` payload bytes have been masked already.
 */
export const rotateKey = (key: number, count: number): number => {
  const bits = (count & 3) << 3
  return bits === 0 ? key : ((key << bits) | (key >>> (32 - bits))) >>> 0
}

/**
 * XORs `bytes[start, end)` in place with `key`; masking and unmasking are the
 * same. `view` must cover exactly the bytes of `bytes`: it is handed in because
 * one view serves all frames of a chunk.
 */
export const applyMask = (
  bytes: Uint8Array,
  view: DataView,
  start: number,
  end: number,
  key: number
): void => {
  // Words through a DataView need no alignment, and run at several GB/s where
  // single bytes stay near one or two.
  const word = byteSwap(key)
  if (end - start >= simdFrom && maskBySimd(bytes, start, end, word)) return
  let i = end - start >= longFrom ? maskLong(view, start, end, word) : start
  for (; i + 16 <= end; i += 16) {
    view.setInt32(i, view.getInt32(i, true) ^ word, true)
    view.setInt32(i + 4, view.getInt32(i + 4, true) ^ word, true)
    view.setInt32(i + 8, view.getInt32(i + 8, true) ^ word, true)
    view.setInt32(i + 12, view.getInt32(i + 12, true) ^ word, true)
  }
  for (; i + 4 <= end; i += 4) {
    view.setInt32(i, view.getInt32(i, true) ^ word, true)
  }
  for (let shift = 24; i < end; i++, shift -= 8) {
    bytes[i] = bytes[i]! ^ (key >>> shift)
  }
}

/** Bytes from which on 128-bit words win, though all is copied for them twice: 4 KiB take 0.4 us, not 0.6, 64 KiB 5, not 9. */
const simdFrom = 4096

/** Bytes from which on the making of a 64-bit word pays: those run at twice the rate of 32-bit ones. */
const longFrom = 128

// Two 32-bit words put together here cost nothing, where arithmetic on BigInts allocates them.
const pair = new DataView(new ArrayBuffer(8))

/** Masks all blocks of 32 bytes, and returns where the rest starts. */
const maskLong = (view: DataView, start: number, end: number, word: number): number => {
  pair.setInt32(0, word)
  pair.setInt32(4, word)
  const long = pair.getBigUint64(0)
  let i = start
  for (; i + 32 <= end; i += 32) {
    view.setBigUint64(i, view.getBigUint64(i, true) ^ long, true)
    view.setBigUint64(i + 8, view.getBigUint64(i + 8, true) ^ long, true)
    view.setBigUint64(i + 16, view.getBigUint64(i + 16, true) ^ long, true)
    view.setBigUint64(i + 24, view.getBigUint64(i + 24, true) ^ long, true)
  }
  return i
}

/**
 * A `DataView` over exactly the bytes of `bytes`.
 */
export const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
