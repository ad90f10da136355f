/** `ws:` and `wss:` URLs (RFC 6455 section 3), and `ws://unix:/path` for Unix-domain sockets. */
import * as Result from "effect/Result"

/** Where a client connects to and what it asks for. */
export interface WebSocketUrl {
  /** TLS: the scheme is `wss`. */
  readonly secure: boolean
  /** Name or address to connect to; an IPv6 address is without brackets. */
  readonly host: string
  /** 1 to 65535; the scheme's default (80, 443) when the URL names none. */
  readonly port: number
  /** The request target: path and query, at least `/`. */
  readonly resource: string
  /** The value of the Host header: IPv6 in brackets, the port only when it is not the scheme's default. */
  readonly hostHeader: string
  /** Path of the Unix-domain socket to connect to instead of `host` and `port`. */
  readonly socketPath: string | undefined
}

/** Parses an absolute WebSocket URL. The failure is a sentence for the person who wrote the URL. */
export const parseUrl = (url: string): Result.Result<WebSocketUrl, string> => {
  // The WHATWG parser drops or rewrites these characters; in a URL that decides where to connect they are a mistake.
  if (hasUnsafeCharacter(url)) {
    return Result.fail("the URL contains white space, a control character or a backslash")
  }
  const separator = url.indexOf("://")
  const scheme = url.slice(0, Math.max(separator, 0)).toLowerCase()
  if (scheme !== "ws" && scheme !== "wss") return Result.fail("the URL does not start with ws:// or wss://")
  if (url.includes("#")) return Result.fail("a WebSocket URL has no fragment (#)")
  const secure = scheme === "wss"
  const afterScheme = url.slice(separator + 3)
  // Before the userinfo check, as a socket path may contain "@".
  if (afterScheme.slice(0, 6).toLowerCase() === "unix:/") return unixUrl(secure, afterScheme.slice(5))
  const authority = afterScheme.slice(0, authorityLength(afterScheme))
  // The WHATWG parser would take the first path segment of "ws:///path" as the host.
  if (authority.length === 0) return Result.fail("the URL has no host")
  if (authority.includes("@")) {
    return Result.fail("the URL contains user information; send credentials in an Authorization header")
  }
  const parsed = URL.parse(url)
  if (parsed === null) return Result.fail("the URL has an invalid host or port")
  const port = parsed.port === "" ? defaultPort(secure) : Number(parsed.port)
  if (port === 0) return Result.fail("the URL has port 0")
  const { hostname } = parsed
  return Result.succeed({
    secure,
    host: hostname.startsWith("[") ? hostname.slice(1, -1) : hostname,
    port,
    resource: `${parsed.pathname}${parsed.search}`,
    hostHeader: port === defaultPort(secure) ? hostname : `${hostname}:${port}`,
    socketPath: undefined
  })
}

const unixUrl = (secure: boolean, path: string): Result.Result<WebSocketUrl, string> => {
  if (path.includes("?")) return Result.fail("a Unix socket URL has no query (write ? in the path as %3F)")
  const socketPath = decodePath(path)
  if (socketPath === undefined) return Result.fail("the Unix socket path has a malformed percent-encoding")
  if (socketPath === "/" || socketPath.includes("\0"))
    return Result.fail("the URL has no valid Unix socket path")
  return Result.succeed({
    secure,
    host: "localhost",
    port: defaultPort(secure),
    resource: "/",
    hostHeader: "localhost",
    socketPath
  })
}

const decodePath = (path: string): string | undefined => {
  try {
    return decodeURIComponent(path)
  } catch {
    return undefined
  }
}

const defaultPort = (secure: boolean): number => (secure ? 443 : 80)

const authorityLength = (afterScheme: string): number => {
  const end = afterScheme.search(/[/?]/)
  return end === -1 ? afterScheme.length : end
}

// C0, DEL, C1 and Unicode white space.
const hasUnsafeCharacter = (text: string): boolean => {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code <= 0x20 || (code >= 0x7f && code <= 0xa0) || code === 0x5c) return true
    if (code > 0xa0 && /\s/.test(text.charAt(i))) return true
  }
  return false
}
