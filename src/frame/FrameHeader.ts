/**
 * A frame's header as bytes (RFC 6455 section 5.2).
 */

/** The longest header: two bytes, a 64-bit length, a masking key. */
export const maxHeaderSize = 14

/** The bit of a header's first byte that marks a message's last frame. */
export const fin = 0x80

/** The reserved bit that marks the first frame of a compressed message (RFC 7692 section 6). */
export const rsv1 = 0x40

/** Bytes of the header of a frame with `length` bytes of payload. */
export const headerSize = (length: number, isMasked: boolean): number =>
  (length < 126 ? 2 : length < 0x1_0000 ? 4 : 10) + (isMasked ? 4 : 0)

/**
 * Writes a header at `at` and returns where it ends. `first` is its first byte;
 * without a `key` the frame is not masked. `view` covers exactly `bytes`.
 */
export const writeHeader = (
  bytes: Uint8Array,
  view: DataView,
  at: number,
  first: number,
  length: number,
  key: number | undefined
): number => {
  const maskBit = key === undefined ? 0 : 0x80
  let end = at + 2
  bytes[at] = first
  if (length < 126) {
    bytes[at + 1] = length | maskBit
  } else if (length < 0x1_0000) {
    bytes[at + 1] = 126 | maskBit
    view.setUint16(end, length)
    end += 2
  } else {
    bytes[at + 1] = 127 | maskBit
    view.setUint32(end, Math.floor(length / 0x1_0000_0000))
    view.setUint32(end + 4, length)
    end += 8
  }
  if (key !== undefined) {
    view.setUint32(end, key)
    end += 4
  }
  return end
}
