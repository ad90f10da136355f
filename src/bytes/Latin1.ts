/**
 * ISO 8859-1 (latin1), as HTTP heads are written: one byte for each UTF-16 code unit.
 */
import { nativeText } from "./nativeText.ts"

/** So many bytes V8 keeps in its heap, and moves them out of it when native code asks for them. */
const mostInHeap = 64

/**
 * `text` as latin1; the caller has made sure that no code unit is above 0xff.
 */
export const encode = (text: string): Uint8Array => {
  const bytes = new Uint8Array(text.length)
  if (nativeText.latin1Write !== undefined && text.length > mostInHeap) {
    nativeText.latin1Write.call(bytes, text, 0, text.length)
  } else {
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i)
  }
  return bytes
}

/**
 * The text in `bytes`, from `start` to before `end`.
 */
export const decode = (bytes: Uint8Array, start = 0, end = bytes.length): string => {
  // `TextDecoder("latin1")` is windows-1252, which is another mapping for 0x80 to 0x9f.
  if (nativeText.latin1Slice !== undefined) return nativeText.latin1Slice.call(bytes, start, end)
  let text = ""
  for (let i = start; i < end; i++) text += String.fromCharCode(bytes[i]!)
  return text
}
