/**
 * Asking an HTTP proxy for a tunnel: the CONNECT request and what can come of it (RFC 9110 section 9.3.6).
 */
import * as Base64 from "effect/encoding/Base64"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Utf8 from "../bytes/Utf8.ts"
import { formatAuthority, parseAuthority } from "./Authority.ts"
import { type HeadersInput, toLines } from "./ConnectionRequest.ts"
import { encodeHead, headersProblem } from "./HttpHead.ts"
import type { WebSocketUrl } from "./WebSocketUrl.ts"

/** An HTTP proxy, with what is sent to it and not to the server (Autobahn's `proxy`). */
export interface Proxy {
  /** Name or address; an IPv6 address is without brackets. */
  readonly host: string
  /** 1 to 65535. */
  readonly port: number
  /** Sent as `Proxy-Authorization: Basic` (RFC 7617). A user name has no colon. Default: none. */
  readonly credentials?:
    | {
        readonly username: string
        readonly password: Redacted.Redacted | string
      }
    | undefined
  /** Further headers of the CONNECT request. Default: none. */
  readonly headers?: HeadersInput | undefined
}

/** The proxy answered CONNECT with another status than 2xx. */
export class ProxyRefused extends Schema.TaggedError<ProxyRefused>()("ProxyRefused", {
  /** 407: the proxy wants other credentials. */
  status: Schema.Int,
  /** The reason phrase. */
  statusText: Schema.String,
  /** By lower-case name. */
  headers: Schema.Record(Schema.String, Schema.String),
  /** The body as text, at most its first 64 KiB. */
  body: Schema.String
}) {
  override get message() {
    return `the proxy refused the tunnel: ${this.status} ${this.statusText}`.trimEnd()
  }
}

/** The proxy could not be reached, was lost before it answered CONNECT, or its answer is not valid. */
export class ProxyFailure extends Schema.TaggedError<ProxyFailure>()("ProxyFailure", {
  message: Schema.String,
  cause: Schema.Defect()
}) {}

/** Whether a status opens the tunnel. */
export const opensTunnel = (status: number): boolean => status >= 200 && status < 300

/**
 * The CONNECT request for a tunnel to the host and port of `url`. The failure says which part of the proxy
 * cannot be used.
 */
export const buildConnect = (proxy: Proxy, url: WebSocketUrl): Result.Result<Uint8Array, string> => {
  if (url.socketPath !== undefined) return Result.fail("a Unix-domain socket has no proxy")
  if (parseAuthority(formatAuthority(proxy.host, proxy.port)) === undefined)
    return Result.fail("invalid host or port of the proxy")
  const target = formatAuthority(url.host, url.port)
  if (parseAuthority(target) === undefined) return Result.fail("invalid host in the URL")
  const headers: Array<readonly [string, string]> = [["Host", target]]
  if (proxy.credentials !== undefined) {
    const { password, username } = proxy.credentials
    if (username.includes(":")) return Result.fail("the proxy's user name contains a colon")
    const secret = `${username}:${Redacted.isRedacted(password) ? Redacted.value(password) : password}`
    if (hasControlCharacter(secret)) return Result.fail("the proxy's credentials contain a control character")
    headers.push(["Proxy-Authorization", `Basic ${Base64.encode(Utf8.encode(secret))}`])
  }
  const lines = toLines(proxy.headers)
  const problem = headersProblem(
    lines,
    (name) => ownedHeaders.has(name) || (name === "proxy-authorization" && proxy.credentials !== undefined)
  )
  return problem === undefined
    ? Result.succeed(encodeHead(`CONNECT ${target} HTTP/1.1`, [...headers, ...lines]))
    : Result.fail(`${problem} (of the proxy)`)
}

const ownedHeaders: ReadonlySet<string> = new Set(["host", "content-length", "transfer-encoding"])

// RFC 7617 section 2.
const hasControlCharacter = (text: string): boolean => /\p{Cc}/u.test(text)
