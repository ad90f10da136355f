/**
 * SHA-1 (RFC 3174) of a short input, synchronously.
 *
 * The opening handshake needs it for `Sec-WebSocket-Accept`, where nothing
 * depends on its strength. Web Crypto's digest is asynchronous and Node's is not
 * there in other runtimes, so the one computation that both roles need on every
 * connection stands here.
 */

const rotate = (word: number, bits: number): number => (word << bits) | (word >>> (32 - bits))

// The message schedule of a block, the same array for every call.
const words = new Int32Array(80)

/**
 * The 20-byte digest of `input`.
 */
export const sha1 = (input: Uint8Array): Uint8Array => {
  const paddedLength = Math.ceil((input.length + 9) / 64) * 64

  let h0 = 0x67452301
  let h1 = 0xefcdab89 | 0
  let h2 = 0x98badcfe | 0
  let h3 = 0x10325476
  let h4 = 0xc3d2e1f0 | 0
  for (let offset = 0; offset < paddedLength; offset += 64) {
    for (let t = 0; t < 16; t++) words[t] = wordAt(input, offset + t * 4)
    if (offset + 64 === paddedLength) {
      words[14] = Math.floor(input.length / 0x2000_0000)
      words[15] = input.length << 3
    }
    for (let t = 16; t < 80; t++) {
      words[t] = rotate(words[t - 3]! ^ words[t - 8]! ^ words[t - 14]! ^ words[t - 16]!, 1)
    }
    let a = h0
    let b = h1
    let c = h2
    let d = h3
    let e = h4
    for (let t = 0; t < 80; t++) {
      const mixed =
        t < 20
          ? ((b & c) | (~b & d)) + 0x5a827999
          : t < 40
            ? (b ^ c ^ d) + 0x6ed9eba1
            : t < 60
              ? ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc
              : (b ^ c ^ d) + 0xca62c1d6
      const next = (rotate(a, 5) + mixed + e + words[t]!) | 0
      e = d
      d = c
      c = rotate(b, 30)
      b = a
      a = next
    }
    h0 = (h0 + a) | 0
    h1 = (h1 + b) | 0
    h2 = (h2 + c) | 0
    h3 = (h3 + d) | 0
    h4 = (h4 + e) | 0
  }

  const digest = new Uint8Array(20)
  setWord(digest, 0, h0)
  setWord(digest, 4, h1)
  setWord(digest, 8, h2)
  setWord(digest, 12, h3)
  setWord(digest, 16, h4)
  return digest
}

// Byte by byte: a DataView would move small arrays out of V8's heap, which takes longer than the digest.

/** Four bytes of the padded input, but for its length. */
const wordAt = (input: Uint8Array, at: number): number =>
  (byteAt(input, at) << 24) |
  (byteAt(input, at + 1) << 16) |
  (byteAt(input, at + 2) << 8) |
  byteAt(input, at + 3)

const byteAt = (input: Uint8Array, at: number): number =>
  at < input.length ? input[at]! : at === input.length ? 0x80 : 0

const setWord = (bytes: Uint8Array, at: number, word: number): void => {
  bytes[at] = word >>> 24
  bytes[at + 1] = word >>> 16
  bytes[at + 2] = word >>> 8
  bytes[at + 3] = word
}
