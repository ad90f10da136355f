/**
 * The origins a server lets in (RFC 6455 section 10.2, RFC 6454), by Autobahn's rules.
 */
import * as Result from "effect/Result"
import { parseAuthority } from "./Authority.ts"

/** Where the page that connects comes from, in lower case; `"null"`: it does not say, or it is a file. */
export type Origin = "null" | OriginParts

export interface OriginParts {
  readonly scheme: string
  /** An IPv6 address is in brackets. */
  readonly host: string
  /** Of http and https the default one where none is written; of other schemes `undefined` then. */
  readonly port: number | undefined
}

/** Which origins may connect. */
export interface OriginRules {
  /** Patterns of which one must match the whole of `scheme://host:port`; `*` stands for any characters. */
  readonly allowedOrigins: ReadonlyArray<string>
  /** Whether the null origin may connect; no pattern matches it. */
  readonly allowNullOrigin: boolean
}

/** Reads the value of an Origin header. The failure is a short text that quotes nothing of it. */
export const parse = (text: string): Result.Result<Origin, string> => {
  const origin = text.toLowerCase()
  // Of a page in a file some browsers say "null", others "file://".
  if (origin === "null" || origin.startsWith("file:")) return Result.succeed("null")
  const separator = origin.indexOf("://")
  const scheme = origin.slice(0, Math.max(separator, 0))
  const authority = parseAuthority(origin.slice(separator + 3))
  if (!/^[a-z][a-z0-9+.-]*$/.test(scheme) || authority === undefined) {
    return Result.fail("invalid Origin header")
  }
  const { host, port = defaultPorts.get(scheme) } = authority
  return Result.succeed({ scheme, host, port })
}

/**
 * Whether an origin could match the pattern: one with a path, or with letters that a browser sends as punycode,
 * would never let anybody in.
 */
export const isPattern = (text: string): boolean => /^[!-~]+$/.test(text) && !/[?#@]|:\/\/.*\//.test(text)

/** Whether a connection from `origin` is allowed. The work is linear in the origin. */
export const isAllowed = (origin: Origin, { allowedOrigins, allowNullOrigin }: OriginRules): boolean => {
  if (origin === "null") return allowNullOrigin
  const { host, port, scheme } = origin
  const text = `${scheme}://${host}${port === undefined ? "" : `:${port}`}`
  return allowedOrigins.some((pattern) => matches(withDefaultPort(pattern.toLowerCase()), text))
}

const defaultPorts: ReadonlyMap<string, number> = new Map([
  ["http", 80],
  ["https", 443]
])

const withDefaultPort = (pattern: string): string => {
  const separator = pattern.indexOf("://")
  const port = defaultPorts.get(pattern.slice(0, Math.max(separator, 0)))
  // A colon in brackets is part of an IPv6 address.
  const hasPort = /:[^\]]*$/.test(pattern.slice(separator + 3))
  return port === undefined || hasPort ? pattern : `${pattern}:${port}`
}

/**
 * Whether the whole of `text` matches `pattern`. Between the stars the leftmost place of each piece is the
 * right one, if any is: nothing is tried twice.
 */
const matches = (pattern: string, text: string): boolean => {
  const [first = "", ...others] = pattern.split("*")
  const last = others.pop()
  if (last === undefined) return text === pattern
  let position = first.length
  const end = text.length - last.length
  if (end < position || !text.startsWith(first) || !text.endsWith(last)) return false
  for (const piece of others) {
    const found = text.indexOf(piece, position)
    if (found === -1) return false
    position = found + piece.length
  }
  return position <= end
}
