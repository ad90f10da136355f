/**
 * CRC-32C (Castagnoli; RFC 3720 appendix B.4), which Snappy's framing format has over
 * each chunk.
 */

const table = Int32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte
  for (let bit = 0; bit < 8; bit++) remainder = (remainder >>> 1) ^ (remainder & 1 ? 0x82f63b78 : 0)
  return remainder
})

/** The checksum, as an unsigned number. */
export const crc32c = (bytes: Uint8Array): number => {
  let remainder = -1
  for (let i = 0; i < bytes.length; i++)
    remainder = (remainder >>> 8) ^ table[(remainder ^ bytes[i]!) & 0xff]!
  return ~remainder >>> 0
}
