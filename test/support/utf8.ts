/**
 * What is UTF-8 and what may still become it, told by the platform's decoder.
 */

import { concat } from "./frames.ts"

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** Whether `bytes` are valid, complete UTF-8. */
export const isUtf8 = (bytes: Uint8Array): boolean => {
  try {
    decoder.decode(bytes)
    return true
  } catch {
    return false
  }
}

// A second byte of a code point has other bounds after E0, ED, F0 and F4: one
// of these fits whichever the bounds are.
const continuations: ReadonlyArray<ReadonlyArray<number>> = [
  [],
  [0x80],
  [0x80, 0x80],
  [0x90, 0x80, 0x80],
  [0x80, 0x80, 0x80],
  [0xa0, 0x80]
]

/** Whether some continuation makes `bytes` valid UTF-8. */
export const mayBecomeUtf8 = (bytes: Uint8Array): boolean =>
  continuations.some((more) => isUtf8(concat(bytes, Uint8Array.from(more))))

/** Index of the first byte after which no continuation is valid; the length where there is none. */
export const firstWrongByte = (bytes: Uint8Array): number => {
  for (let end = 1; end <= bytes.length; end++) {
    if (!mayBecomeUtf8(bytes.subarray(0, end))) return end - 1
  }
  return bytes.length
}

/** The rows of the Unicode standard's table 3-7: the bounds of each byte of a well-formed sequence. */
export const wellFormed: ReadonlyArray<ReadonlyArray<readonly [number, number]>> = [
  [[0x00, 0x7f]],
  [
    [0xc2, 0xdf],
    [0x80, 0xbf]
  ],
  [
    [0xe0, 0xe0],
    [0xa0, 0xbf],
    [0x80, 0xbf]
  ],
  [
    [0xe1, 0xec],
    [0x80, 0xbf],
    [0x80, 0xbf]
  ],
  [
    [0xed, 0xed],
    [0x80, 0x9f],
    [0x80, 0xbf]
  ],
  [
    [0xee, 0xef],
    [0x80, 0xbf],
    [0x80, 0xbf]
  ],
  [
    [0xf0, 0xf0],
    [0x90, 0xbf],
    [0x80, 0xbf],
    [0x80, 0xbf]
  ],
  [
    [0xf1, 0xf3],
    [0x80, 0xbf],
    [0x80, 0xbf],
    [0x80, 0xbf]
  ],
  [
    [0xf4, 0xf4],
    [0x80, 0x8f],
    [0x80, 0xbf],
    [0x80, 0xbf]
  ]
]

/** A text with a sequence from each corner of the table, a byte order mark first. */
export const everyKind =
  "\ufeffplain \u0000\u007f\u0080\u07ff\u0800\u0fff\u1000\ucfff\ud7ff\ue000\uffff" +
  "\u{10000}\u{3ffff}\u{40000}\u{fffff}\u{100000}\u{10ffff} end"
