/**
 * UTF-8 as text messages need it (RFC 3629; RFC 6455 sections 5.6 and 8.1):
 * whole messages through the platform's decoder, and a validator that works
 * piece by piece and stops at the first byte that no valid text can contain.
 */
import { nativeText } from "./nativeText.ts"

// A byte order mark is payload and stays.
const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
const lossyDecoder = new TextDecoder("utf-8", { ignoreBOM: true })
const encoder = new TextEncoder()

/** What stands for bytes that are no text. */
const replacement = "\ufffd"

/** Bytes that are validated at a time where a text may be too long for a string. */
const partLength = 0x10_0000

/**
 * The text in `bytes`, from `start` to `end`, or `undefined` where there is none: they are not
 * valid UTF-8, or the text is longer than a string of this JavaScript engine
 * can be. {@link isValid} tells the two apart.
 */
export const decode = (bytes: Uint8Array, start = 0, end = bytes.length): string | undefined => {
  try {
    const text = nativeText.utf8Slice?.call(bytes, start, end)
    // With a replacement, it may be the text's own.
    return text?.includes(replacement) === false ? text : strictDecoder.decode(bytes.subarray(start, end))
  } catch {
    return undefined
  }
}

/**
 * The text in `bytes` with U+FFFD for what is not valid; `undefined` where it
 * is longer than a string can be.
 */
export const decodeLossy = (bytes: Uint8Array): string | undefined => {
  try {
    return lossyDecoder.decode(bytes)
  } catch {
    return undefined
  }
}

/**
 * The UTF-8 of `text`; a lone surrogate becomes U+FFFD.
 */
export const encode = (text: string): Uint8Array => encoder.encode(text)

/**
 * Writes the UTF-8 of `text` into `target` from `start` on and returns the
 * number of bytes written. `target` must have room for three bytes a code unit.
 */
export const encodeInto = (text: string, target: Uint8Array, start: number): number => {
  // For some ASCII characters a loop is faster than the call into the platform.
  if (text.length <= 16) {
    let i = 0
    for (; i < text.length; i++) {
      const unit = text.charCodeAt(i)
      if (unit > 0x7f) break
      target[start + i] = unit
    }
    if (i === text.length) return i
  }
  return (
    nativeText.utf8Write?.call(target, text, start, text.length * 3) ??
    encoder.encodeInto(text, target.subarray(start)).written
  )
}

/**
 * Whether `bytes` are valid, complete UTF-8.
 */
export const isValid = (bytes: Uint8Array): boolean => {
  // The platform's decoder is much faster than the validator, and rarely says no.
  if (decode(bytes) !== undefined) return true
  // It says no to a text that is too long, too: in parts, none of them is.
  const decoder = new TextDecoder("utf-8", { fatal: true })
  try {
    for (let start = 0; start < bytes.length; start += partLength) {
      decoder.decode(bytes.subarray(start, start + partLength), { stream: true })
    }
    decoder.decode()
    return true
  } catch {
    return false
  }
}

/**
 * The longest prefix of `bytes` of at most `limit` bytes that does not cut a
 * code point. `bytes` must be valid UTF-8.
 */
export const truncate = (bytes: Uint8Array, limit: number): Uint8Array => {
  if (bytes.length <= limit) return bytes
  let end = limit
  while (end > 0 && (bytes[end]! & 0xc0) === 0x80) end--
  return bytes.subarray(0, end)
}

/**
 * Validates UTF-8 that arrives in pieces, cut anywhere. Each byte is looked at
 * once.
 */
export class Utf8Validator {
  // What may come next, as in the Unicode standard's table 3-7: how many
  // continuation bytes are due, and the bounds of the next one.
  #due = 0
  #lower = 0x80
  #upper = 0xbf

  /** Whether the bytes so far end at a code point's end. */
  get isComplete(): boolean {
    return this.#due === 0
  }

  /** `false` as soon as no continuation can make the text valid. */
  write(bytes: Uint8Array): boolean {
    const end = bytes.length
    let i = 0
    while (i < end) {
      if (this.#due === 0) {
        while (i < end && bytes[i]! < 0x80) i++
        if (i === end) return true
        if (!this.#lead(bytes[i++]!)) return false
      } else {
        const byte = bytes[i++]!
        if (byte < this.#lower || byte > this.#upper) return false
        this.#due--
        this.#lower = 0x80
        this.#upper = 0xbf
      }
    }
    return true
  }

  #lead(byte: number): boolean {
    if (byte < 0xc2 || byte > 0xf4) return false
    if (byte < 0xe0) {
      this.#due = 1
    } else if (byte < 0xf0) {
      this.#due = 2
      if (byte === 0xe0) this.#lower = 0xa0
      else if (byte === 0xed) this.#upper = 0x9f
    } else {
      this.#due = 3
      if (byte === 0xf0) this.#lower = 0x90
      else if (byte === 0xf4) this.#upper = 0x8f
    }
    return true
  }
}
