/**
 * `ws:` and `wss:` URLs (RFC 6455 section 3), and `ws://unix:/path/of.sock` for Unix-domain sockets: the
 * percent-encoded path of the socket, and after a colon the request target, as in
 * `ws://unix:/tmp/a.sock:/chat?room=1`; without a path in it, `ws://unix:/tmp/a.sock?room=1` will do.
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Utf8 from "../bytes/Utf8.ts"
import { defaultPort } from "./Authority.ts"
import { type Params, parseQuery } from "./Query.ts"

/** Where a client connects to and what it asks for. */
export interface WebSocketUrl {
  /** TLS: the scheme is `wss`. */
  readonly secure: boolean
  /** Name or address to connect to; an IPv6 address is without brackets. `localhost` for a Unix-domain socket. */
  readonly host: string
  /** 1 to 65535; the scheme's default (80, 443) when the URL names none. */
  readonly port: number
  /** The request target: path and query, percent-encoded, at least `/`. */
  readonly resource: string
  /**
   * The path of the request target, percent-decoded; what is not UTF-8 is U+FFFD. `%2F` is a slash like any
   * other here, even where that makes a `..` segment: only `resource` tells them apart.
   */
  readonly path: string
  /** The decoded query: `{ room: ["1"] }`, without a prototype. */
  readonly params: Params
  /** The value of the Host header: IPv6 in brackets, the port only when it is not the scheme's default. */
  readonly hostHeader: string
  /** Path of the Unix-domain socket to connect to instead of `host` and `port`. */
  readonly socketPath: string | undefined
}

/** What {@link createUrl} makes a URL of; a {@link WebSocketUrl} is such parts, too. */
export type UrlParts = {
  /** TLS: `wss` instead of `ws`. Default: `false`. */
  readonly secure?: boolean | undefined
  /** The path of the request target, not percent-encoded; it has no `.` or `..` segments. Default: `/`. */
  readonly path?: string | undefined
  /** The query, not percent-encoded. A list is its name with each value; an empty one is nothing. Default: none. */
  readonly params?: Readonly<Record<string, string | ReadonlyArray<string>>> | undefined
} & (
  | {
      /** Name or address; an IPv6 address is without brackets. */
      readonly host: string
      /** 1 to 65535. Default: the scheme's, 80 or 443. */
      readonly port?: number | undefined
      readonly socketPath?: undefined
    }
  | {
      readonly host?: string
      readonly port?: number
      /** Path of a Unix-domain socket, from `/` on; there is no use for `host` and `port` then. */
      readonly socketPath: string
    }
)

/** A text is no WebSocket URL, or there is no URL of the parts. The message quotes nothing of the text. */
export class InvalidUrl extends Schema.TaggedError<InvalidUrl>()("InvalidUrl", {
  /** The URL as it was given, or as the parts would make it, without user information. */
  url: Schema.String,
  /** The part of the URL that is wrong, or what may be nowhere in it. */
  kind: Schema.Literals([
    "Character",
    "Encoding",
    "Scheme",
    "Fragment",
    "UserInformation",
    "Host",
    "Port",
    "SocketPath",
    "Path"
  ])
}) {
  override get message() {
    return messages[this.kind]
  }
}

const messages: Readonly<Record<InvalidUrl["kind"], string>> = {
  Character: "the URL contains white space, a control character or a backslash",
  Encoding: "the URL has a malformed percent-encoding or a lone surrogate",
  Scheme: "the URL does not start with ws:// or wss://",
  Fragment: "a WebSocket URL has no fragment (#)",
  UserInformation: "the URL contains user information; send credentials in an Authorization header",
  Host: "the URL has no valid host",
  Port: "the port of the URL is not a number from 1 to 65535",
  SocketPath: "the URL has no valid Unix socket path (write : and ? in it as %3A and %3F)",
  Path: "the path of the URL has a . or .. segment"
}

const invalid = (url: string, kind: InvalidUrl["kind"]): Result.Result<never, InvalidUrl> =>
  Result.fail(new InvalidUrl({ url: withoutUserInformation(url), kind }))

/** A text that may be a URL, without the name and the password in it: fit for an error. */
export const withoutUserInformation = (url: string): string => url.replace(/^([^/?#]*\/\/)[^/?#]*@/, "$1")

/** Parses an absolute WebSocket URL (Autobahn's `parse_url`). */
export const parseUrl = (url: string): Result.Result<WebSocketUrl, InvalidUrl> => {
  // The WHATWG parser drops or rewrites these characters; in a URL that decides where to connect they are a mistake.
  if (hasUnsafeCharacter(url)) return invalid(url, "Character")
  if (/\p{Surrogate}/u.test(url)) return invalid(url, "Encoding")
  const [, scheme, afterScheme] = /^(wss?):\/\/(.*)$/i.exec(url) ?? []
  if (scheme === undefined || afterScheme === undefined) return invalid(url, "Scheme")
  if (url.includes("#")) return invalid(url, "Fragment")
  // Before the check for user information, as a socket path may contain "@".
  if (/^unix:\//i.test(afterScheme)) return parseUnixUrl(url, scheme, afterScheme)
  const authority = afterScheme.split(/[/?]/, 1)[0]!
  // The WHATWG parser would take the first path segment of "ws:///path" as the host.
  if (authority === "") return invalid(url, "Host")
  if (authority.includes("@")) return invalid(url, "UserInformation")
  const parsed = URL.parse(url)
  if (parsed === null) return invalid(url, hasPort(authority) ? "Host" : "Port")
  return parsed.port === "0" ? invalid(url, "Port") : Result.succeed(fromParsed(parsed, undefined))
}

const parseUnixUrl = (
  url: string,
  scheme: string,
  afterScheme: string
): Result.Result<WebSocketUrl, InvalidUrl> => {
  const [, encoded, target] = /^unix:([^:?]*)(?::(?=\/)|(?=\?)|$)(.*)$/i.exec(afterScheme) ?? []
  if (encoded === undefined) return invalid(url, "SocketPath")
  const socketPath = decodeStrict(encoded)
  if (socketPath === undefined) return invalid(url, "Encoding")
  if (socketPath === "/" || socketPath.includes("\0")) return invalid(url, "SocketPath")
  return Result.succeed(fromParsed(new URL(`${scheme}://localhost${target}`), socketPath))
}

const fromParsed = (parsed: URL, socketPath: string | undefined): WebSocketUrl => {
  const { host, hostname, pathname, port, protocol, search } = parsed
  const secure = protocol === "wss:"
  return {
    secure,
    host: hostname.startsWith("[") ? hostname.slice(1, -1) : hostname,
    port: port === "" ? defaultPort(secure) : Number(port),
    resource: `${pathname}${search}`,
    path: decodeLossy(pathname),
    params: parseQuery(search.slice(1)),
    hostHeader: host,
    socketPath
  }
}

/**
 * The URL of the parts (Autobahn's `create_url`), as the WHATWG's URLs are written: the host in lower case and
 * ASCII, the scheme's default port left out. {@link parseUrl} gives the parts back.
 */
export const createUrl = (parts: UrlParts): Result.Result<string, InvalidUrl> => {
  const { params = {}, path = "/", secure = false } = parts
  const scheme = secure ? "wss" : "ws"
  const slash = path.startsWith("/") ? "" : "/"
  const target = `${slash}${percentEncode(path)}${formatQuery(params)}`
  const isUnix = parts.socketPath !== undefined
  const url = `${scheme}://${isUnix ? unixAddress(parts.socketPath, target) : tcpAddress(parts, target)}`
  // The WHATWG parser would resolve these segments: what was made of a user's input would name another resource.
  if (/(?:^|\/)\.\.?(?:\/|$)/.test(path)) return invalid(url, "Path")
  if (isUnix && !parts.socketPath.startsWith("/")) return invalid(url, "SocketPath")
  if (!isUnix && /[/?]/.test(parts.host)) return invalid(url, "Host")
  return Result.map(parseUrl(url), ({ hostHeader, resource }) =>
    isUnix ? url : `${scheme}://${hostHeader}${resource}`
  )
}

const unixAddress = (socketPath: string, target: string): string =>
  `unix:${percentEncode(socketPath)}${target === "/" ? "" : `:${target}`}`

const tcpAddress = (
  { host, port }: { readonly host: string; readonly port?: number | undefined },
  target: string
): string => {
  const name = host.includes(":") ? `[${host}]` : host
  return `${name}${port === undefined ? "" : `:${port}`}${target}`
}

const formatQuery = (params: Readonly<Record<string, string | ReadonlyArray<string>>>): string => {
  const pairs = Object.entries(params).flatMap(([name, value]) =>
    (typeof value === "string" ? [value] : value).map((one) => `${percentEncode(name)}=${percentEncode(one)}`)
  )
  return pairs.length === 0 ? "" : `?${pairs.join("&")}`
}

// All but slashes and what RFC 3986 calls unreserved; a lone surrogate has no encoding, and stays.
const percentEncode = (text: string): string => text.replace(/[^\w.~/\p{Surrogate}-]+/gu, encodeURIComponent)

const decodeStrict = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

const decodeLossy = (text: string): string =>
  text.replace(/(?:%[0-9A-F]{2})+/gi, (encoded) => {
    const bytes = Uint8Array.from(encoded.slice(1).split("%"), (hex) => Number.parseInt(hex, 16))
    return Utf8.decodeLossy(bytes) ?? ""
  })

// An empty port stands for the scheme's default.
const hasPort = (authority: string): boolean => {
  const port = /:([^:\]]*)$/.exec(authority)?.[1] ?? ""
  return !/[^0-9]/.test(port) && Number(port) <= 65535
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
