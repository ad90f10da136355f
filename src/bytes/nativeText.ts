/**
 * What Node's buffers read and write text with, in any bytes: no view is made of those at hand, which takes as long
 * as the text itself where that is short.
 */

interface NativeText {
  utf8Slice(this: Uint8Array, start: number, end: number): string
  latin1Slice(this: Uint8Array, start: number, end: number): string
  /** Gives how many bytes were written, at most `length`. */
  utf8Write(this: Uint8Array, text: string, start: number, length: number): number
  latin1Write(this: Uint8Array, text: string, start: number, length: number): number
}

const found: Partial<NativeText> = globalThis.Buffer?.prototype ?? {}

const byteOrderMark = Uint8Array.of(0xef, 0xbb, 0xbf)

/** Empty where there is no Buffer, or one that takes off a byte order mark: that is payload. */
export const nativeText: Partial<NativeText> =
  found.utf8Slice?.call(byteOrderMark, 0, byteOrderMark.length) === "\ufeff" ? found : {}
