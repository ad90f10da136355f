/**
 * Header values that come again and again. A connection keeps its request, and what most clients send alike, several
 * hundred bytes of a browser, is kept once.
 */

/** Names whose values are no secret, and mostly those of the connection before. */
const names = [
  "accept-encoding",
  "accept-language",
  "cache-control",
  "connection",
  "host",
  "origin",
  "pragma",
  "sec-websocket-extensions",
  "sec-websocket-version",
  "upgrade",
  "user-agent"
]

/** Code units up to which a value is kept for the next connection. */
const maxLength = 256

const last = new Map(names.map((name) => [name, ""]))

/** `value`, as the string that the header `name` had last if that is the same text. */
export const shared = (name: string, value: string): string => {
  const key = name.toLowerCase()
  const before = last.get(key)
  if (before === value) return before
  if (before !== undefined && value.length <= maxLength) last.set(key, value)
  return value
}
