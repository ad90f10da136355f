/** A plain view of the first `length` bytes: a Buffer's subarrays are slower, and its `slice` does not copy. */
export const plainViewOf = (
  { buffer, byteLength, byteOffset }: Uint8Array,
  length = byteLength
): Uint8Array => new Uint8Array(buffer, byteOffset, length)
