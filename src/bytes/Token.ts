/**
 * Tokens, the words of HTTP headers (RFC 7230 section 3.2.6).
 */

// RFC 7230 section 3.2.6: tchar.
const tokenCodes: ReadonlyArray<boolean> = (() => {
  const chars = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
  return Array.from({ length: 0x80 }, (_, code) => chars.includes(String.fromCharCode(code)))
})()

/** Whether the character with this code may be part of a token (RFC 7230 section 3.2.6). */
export const isTokenCode = (code: number): boolean => tokenCodes[code] === true

/** Whether `text` is an RFC 7230 section 3.2.6 token: not empty, ASCII, no separators. */
export const isToken = (text: string): boolean => {
  for (let i = 0; i < text.length; i++) {
    if (!isTokenCode(text.charCodeAt(i))) return false
  }
  return text.length > 0
}
