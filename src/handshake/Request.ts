/**
 * The opening request: the server's reading of it (RFC 6455 section 4.2.1) and the client's writing (section
 * 4.1).
 */
import * as Result from "effect/Result"
import { isToken } from "../bytes/Token.ts"
import * as ExtensionHeader from "../extension/ExtensionHeader.ts"
import { parseAuthority } from "./Authority.ts"
import {
  elements,
  encodeHead,
  type Headers,
  header,
  headersProblem,
  isFieldValue,
  tokens
} from "./HttpHead.ts"
import { type Params, parseQuery } from "./Query.ts"
import type { WebSocketUrl } from "./WebSocketUrl.ts"

/** A valid opening request, as the server sees it. */
export interface HandshakeRequest {
  /** Always `GET`. */
  readonly method: string
  /** The request target as received: `/path?query` or an absolute URI. */
  readonly target: string
  /** The path of the target, at least `/`, still percent-encoded. */
  readonly path: string
  /** The decoded query: `/a?foo=1&foo=2` is `{ foo: ["1", "2"] }`. It has no prototype. */
  readonly params: Params
  /** The value of the Host header. */
  readonly host: string
  readonly headers: Headers
  /** The value of Sec-WebSocket-Key: base64 of 16 bytes. */
  readonly key: string
  /** The protocol version of Sec-WebSocket-Version: 13, or 8 for the draft. */
  readonly version: number
  /** The value of Origin (before version 13 of Sec-WebSocket-Origin, if there is one); browsers always send one. */
  readonly origin: string | undefined
  /** The subprotocols the client offers, by preference, without duplicates. */
  readonly protocols: ReadonlyArray<string>
  /** The extensions the client offers, by preference. */
  readonly extensions: ReadonlyArray<ExtensionHeader.Extension>
}

/**
 * An HTTP answer that refuses a request. `reason` is a short ASCII text that quotes nothing of the request.
 */
export interface Rejection {
  readonly status: number
  readonly reason: string
  readonly headers: Headers
}

const reject = (status: number, reason: string, headers: Headers = []): Result.Result<never, Rejection> =>
  Result.fail({ status, reason, headers })

const badRequest = (reason: string): Result.Result<never, Rejection> => reject(400, reason)

const methodNotAllowed = reject(405, "Method Not Allowed", [["Allow", "GET"]])

/**
 * Splits a request line (RFC 7230 section 3.1.1). 400 when it is malformed, 505 for an HTTP version other
 * than 1.1 and later 1.x, 405 for a method other than GET.
 */
export const parseRequestLine = (
  startLine: string
): Result.Result<{ readonly method: string; readonly target: string }, Rejection> => {
  const parts = startLine.split(" ")
  const [method = "", target = "", version = ""] = parts
  if (
    parts.length > 3 ||
    !isToken(method) ||
    !isTargetText(target) ||
    !/^HTTP\/[0-9]\.[0-9]$/.test(version)
  ) {
    return badRequest("malformed request line")
  }
  if (!version.startsWith("HTTP/1.") || version === "HTTP/1.0")
    return reject(505, "HTTP Version Not Supported")
  return method === "GET" ? Result.succeed({ method, target }) : methodNotAllowed
}

/**
 * Judges an opening request by RFC 6455 section 4.2.1; `versions` are the protocol versions the server
 * speaks, the preferred one first. `headers` as read by `HeadReader` or by another HTTP server.
 */
export const parseRequest = (
  input: { readonly method: string; readonly target: string; readonly headers: Headers },
  options: { readonly versions: ReadonlyArray<number> }
): Result.Result<HandshakeRequest, Rejection> => {
  const { method, target, headers } = input
  if (method !== "GET") return methodNotAllowed

  const location = parseTarget(target)
  if (location === undefined) return badRequest("invalid request target")

  const hosts = header(headers, "Host")
  const host = hosts[0]
  if (host === undefined || hosts.length > 1) return badRequest("Host header must appear exactly once")
  if (parseAuthority(host) === undefined) return badRequest("invalid Host header")

  // A protocol in Upgrade may carry a version ("h2c/1"), so this is not a list of tokens (RFC 7230 section 6.7).
  if (!includes(elements(header(headers, "Upgrade")), "websocket")) {
    return reject(426, "Upgrade Required", [["Upgrade", "websocket"]])
  }
  if (!includes(tokens(header(headers, "Connection")) ?? [], "upgrade")) {
    return badRequest("Connection header lacks upgrade")
  }

  const version = parseVersion(header(headers, "Sec-WebSocket-Version"), options.versions)
  if (version === undefined) {
    const supported = options.versions.join(", ")
    return reject(400, "unsupported Sec-WebSocket-Version", [["Sec-WebSocket-Version", supported]])
  }

  const keys = header(headers, "Sec-WebSocket-Key")
  const key = keys[0]
  if (key === undefined || keys.length > 1) {
    return badRequest("Sec-WebSocket-Key header must appear exactly once")
  }
  if (!isKey(key)) return badRequest("Sec-WebSocket-Key is not base64 of 16 bytes")

  // A body would be read as WebSocket frames.
  const hasLength = header(headers, "Content-Length").some((value) => value !== "0")
  if (hasLength || header(headers, "Transfer-Encoding").length > 0) {
    return badRequest("an opening request has no body")
  }

  const protocols = elements(header(headers, "Sec-WebSocket-Protocol"))
  if (!areProtocols(protocols)) return badRequest("Sec-WebSocket-Protocol is not a list of unique tokens")

  const extensions = ExtensionHeader.parse(header(headers, "Sec-WebSocket-Extensions"))
  if (Result.isFailure(extensions)) return badRequest(extensions.failure)

  const origins = originsOf(headers, version)
  if (origins.length > 1) return badRequest("Origin header must appear at most once")

  return Result.succeed({
    method,
    target,
    path: location.path,
    params: location.params,
    host,
    headers,
    key,
    version,
    origin: origins[0],
    protocols,
    extensions: extensions.success
  })
}

/**
 * The head of an opening request (RFC 6455 section 4.1). `key` is base64 of 16 random bytes, `extensions` the
 * value of Sec-WebSocket-Extensions; `headers` follow the handshake's own. The failure says which option
 * cannot be sent.
 */
export const buildRequest = (options: {
  readonly url: WebSocketUrl
  readonly key: string
  readonly version: number
  readonly protocols: ReadonlyArray<string>
  readonly extensions: string | undefined
  readonly origin: string | undefined
  readonly userAgent: string | undefined
  readonly headers: Headers
}): Result.Result<Uint8Array, string> => {
  const { url, key, version, protocols, extensions, origin, userAgent } = options
  if (!url.resource.startsWith("/") || !isTargetText(url.resource))
    return Result.fail("invalid resource in the URL")
  if (parseAuthority(url.hostHeader) === undefined) return Result.fail("invalid host in the URL")
  if (!isKey(key)) return Result.fail("the key is not base64 of 16 bytes")
  if (!isVersion(String(version))) return Result.fail("the version is not an integer from 0 to 255")
  if (!areProtocols(protocols)) return Result.fail("the subprotocols are not unique tokens")
  if (extensions !== undefined && Result.isFailure(ExtensionHeader.parse([extensions]))) {
    return Result.fail("invalid value of header Sec-WebSocket-Extensions")
  }

  const headers: Array<readonly [string, string]> = [
    ["Host", url.hostHeader],
    ["Upgrade", "websocket"],
    ["Connection", "Upgrade"],
    ["Sec-WebSocket-Key", key],
    ["Sec-WebSocket-Version", String(version)]
  ]
  if (protocols.length > 0) headers.push(["Sec-WebSocket-Protocol", protocols.join(", ")])
  if (extensions !== undefined) headers.push(["Sec-WebSocket-Extensions", extensions])
  if (origin !== undefined) {
    if (!isFieldValue(origin)) return Result.fail("invalid value of header Origin")
    headers.push([originHeader(version), origin])
  }
  if (userAgent !== undefined) {
    if (!isFieldValue(userAgent)) return Result.fail("invalid value of header User-Agent")
    headers.push(["User-Agent", userAgent])
  }

  const problem = headersProblem(
    options.headers,
    (name) =>
      ownedHeaders.has(name) ||
      name.startsWith("sec-websocket-") ||
      (name === "origin" && origin !== undefined) ||
      (name === "user-agent" && userAgent !== undefined)
  )
  if (problem !== undefined) return Result.fail(problem)
  return Result.succeed(encodeHead(`GET ${url.resource} HTTP/1.1`, [...headers, ...options.headers]))
}

const ownedHeaders: ReadonlySet<string> = new Set([
  "host",
  "upgrade",
  "connection",
  "content-length",
  "transfer-encoding"
])

// The drafts before RFC 6455 had a header of their own.
const originHeader = (version: number): string => (version < 13 ? "Sec-WebSocket-Origin" : "Origin")

// The drafts hybi-11 and hybi-12 are version 8 as well, but send Origin.
const originsOf = (headers: Headers, version: number): ReadonlyArray<string> => {
  const origins = header(headers, originHeader(version))
  return origins.length > 0 ? origins : header(headers, "Origin")
}

const includes = (list: ReadonlyArray<string>, lowerCase: string): boolean =>
  list.some((element) => isToken(element) && element.toLowerCase() === lowerCase)

/** Whether `protocols` can be subprotocols to choose from (RFC 6455 section 4.1, item 10). */
export const areProtocols = (protocols: ReadonlyArray<string>): boolean =>
  protocols.length === 0 || (protocols.every(isToken) && new Set(protocols).size === protocols.length)

const isVersion = (text: string): boolean => /^(0|[1-9][0-9]{0,2})$/.test(text) && Number(text) <= 255

const parseVersion = (values: ReadonlyArray<string>, versions: ReadonlyArray<number>): number | undefined => {
  const text = values[0]
  if (text === undefined || values.length > 1 || !isVersion(text)) return undefined
  const version = Number(text)
  return versions.includes(version) ? version : undefined
}

const isKey = (text: string): boolean => /^[A-Za-z0-9+/]{22}==$/.test(text)

// RFC 6455 section 3: no fragment. Anything but visible ASCII would have to be percent-encoded.
const isTargetText = (target: string): boolean => target.length > 0 && !/[^!"$-~]/.test(target)

/** The path and the decoded query of a request target; `undefined` when it is malformed. */
export const parseTarget = (target: string): Pick<HandshakeRequest, "path" | "params"> | undefined => {
  if (!isTargetText(target)) return undefined
  let resource = target
  if (!target.startsWith("/")) {
    const scheme = /^(?:http|ws)s?:\/\//i.exec(target)?.[0]
    if (scheme === undefined) return undefined
    const end = target.slice(scheme.length).search(/[/?]/)
    const authorityEnd = end === -1 ? target.length : scheme.length + end
    if (parseAuthority(target.slice(scheme.length, authorityEnd)) === undefined) return undefined
    resource = target.slice(authorityEnd)
  }
  const mark = resource.indexOf("?")
  const path = mark === -1 ? resource : resource.slice(0, mark)
  return { path: path === "" ? "/" : path, params: parseQuery(mark === -1 ? "" : resource.slice(mark + 1)) }
}
