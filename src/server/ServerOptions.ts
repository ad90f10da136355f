/**
 * The options of a server, with Autobahn's names and defaults.
 */
import * as Duration from "effect/Duration"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Options from "../channel/Options.ts"
import type { OfferAcceptor } from "../extension/PerMessageCompress.ts"
import { agent } from "../handshake/Agent.ts"
import { HeadersInput, toLines } from "../handshake/ConnectionRequest.ts"
import * as FlashPolicy from "../handshake/FlashPolicy.ts"
import { header, isFieldValue } from "../handshake/HttpHead.ts"
import { isPattern } from "../handshake/Origin.ts"
import { areProtocols } from "../handshake/Request.ts"
import { acceptHeadersProblem } from "../handshake/Response.ts"
import { parseUrl } from "../handshake/WebSocketUrl.ts"

const text = (isAllowed: (value: string) => boolean) => Schema.String.check(Schema.makeFilter(isAllowed))

const PublicUrl = text((url) => Result.isSuccess(parseUrl(url)) && !url.includes("?"))

const Subprotocols = Schema.Array(Schema.String).check(Schema.makeFilter(areProtocols))

const ExtraHeaders = HeadersInput.check(
  Schema.makeFilter((headers) => {
    const lines = toLines(headers)
    return acceptHeadersProblem(lines) === undefined && header(lines, "Server").length === 0
  })
)

// RFC 3986: a URI is visible ASCII.
const Target = text((target) => /^[!-~]+$/.test(target))

/** The options of a server; a test can read each default here. */
export const ServerOptions = Schema.Struct({
  ...Options.common,
  /**
   * The server's own URL as clients see it. Of it only the scheme matters here: it says which port a Host
   * header without one means. Default: none, which is `ws://localhost`.
   */
  url: Options.option(
    Schema.UndefinedOr(PublicUrl),
    undefined,
    'a WebSocket URL without a query, such as "wss://example.com"'
  ),
  /**
   * Subprotocols that the server speaks. Where `onConnect` chooses none, the first of the client's list that
   * is in this one is spoken. Default: none.
   */
  protocols: Options.option(Subprotocols, [], "a list of different tokens"),
  /** The Server header of every response; `""` sends none. Default: the package's name and version. */
  server: Options.option(text(isFieldValue), agent, 'the value of a header, "" for none'),
  /** Further headers of every 101; a list of values becomes one line each. Default: none. */
  headers: Options.option(
    ExtraHeaders,
    {},
    "valid headers that are not set by the opening handshake or by the option server"
  ),
  /**
   * The port that clients connect to, where another one is forwarded to this server. A request whose Host
   * header has another one is answered 400. Default: none, any.
   */
  externalPort: Options.option(
    Schema.UndefinedOr(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 65_535 }))),
    undefined,
    "a port from 1 to 65535"
  ),
  /** Protocol versions spoken; another one is answered 400 with these. Default: 13 and 8. */
  versions: Options.someOf([13, 8]),
  /** A GET without Upgrade gets a status page; `false`: 426. Default: `true`. */
  webStatus: Options.flag(true),
  /**
   * Where the status page may lead to: for one of these targets `?redirect=` is answered 303, and with
   * `&after=` seconds by the page and a refresh. Any other target is ignored. Default: none.
   */
  webStatusRedirects: Options.option(Schema.Array(Target), [], "a list of URLs in visible ASCII"),
  /**
   * Chooses among a client's offers of per-message compression, where the `Compression` service speaks any.
   * Default: none is accepted.
   */
  perMessageCompressionAccept: Options.callback<OfferAcceptor>(
    "a function that takes a list of offers and gives an accept or undefined"
  ),
  /** Mask the frames sent, against RFC 6455 section 5.1. Default: `false`. */
  maskServerFrames: Options.flag(false),
  /** Fail the connection with 1002 when a client's frame is not masked. Default: `true`. */
  requireMaskedClientFrames: Options.flag(true),
  /**
   * Patterns for the origins that may connect; others are answered 403. A request without Origin does not come
   * from a browser, and is let in. A pattern matches the whole of `scheme://host:port`, whatever the case; `*`
   * stands for any characters, also none. One of http or https without a port has the default port, and no
   * other: `"https://*.example.com"` is port 443, `"https://*.example.com:*"` any port. A pattern has no path, and
   * a host that is not ASCII stands in it as punycode. Default: `["*"]`.
   */
  allowedOrigins: Options.option(
    Schema.Array(text(isPattern)),
    ["*"],
    'a list of patterns such as "https://*.example.com"'
  ),
  /** Let the null origin connect: files, sandboxed frames; otherwise 403. Default: `false`. */
  allowNullOrigin: Options.flag(false),
  /**
   * Most connections at a time, each from its opening request on; the next is answered 503. Who has sent none
   * yet is not counted: `maxOpenHandshakes` and `openHandshakeTimeout` bound that. Default: 0, no limit.
   */
  maxConnections: Options.countLimit(0),
  /**
   * As `maxConnections` for one IP address, which is answered 429. Peers without one, as on a Unix-domain
   * socket, are not limited. Default: 0, no limit.
   */
  maxConnectionsPerPeer: Options.countLimit(0),
  /**
   * Most connections at a time that `maxConnections` does not count: whose opening request has not come yet, in
   * their TLS handshake for example, or was refused, and that have not gone. One more drops the oldest of them,
   * without an answer. An HTTP server's own limits hold until it hands a request over. Default: 0, no limit.
   */
  maxOpenHandshakes: Options.countLimit(0),
  /**
   * Time for connections and their handlers to end once the server is drained, which it is when its scope
   * closes; what has not ended by then is dropped. 0: no limit. Default: 10 seconds.
   */
  drainTimeout: Options.timeLimit(Duration.seconds(10)),
  /**
   * Trusted proxies in front of the server, each of which appends to X-Forwarded-For: the n-th address from the
   * right is the request's `peer`. Default: 0, the header is ignored.
   */
  trustXForwardedFor: Options.option(
    Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)),
    0,
    "a number of proxies, 0 for none"
  ),
  /** Answer a Flash player's `<policy-file-request/>` with `flashSocketPolicy`. Default: `false`. */
  serveFlashSocketPolicy: Options.flag(false),
  /** The cross-domain policy for Flash; it ends with NUL. Default: every page may connect. */
  flashSocketPolicy: Options.option(
    text((policy) => policy.endsWith("\0")),
    FlashPolicy.allowAll,
    "a text that ends with a NUL character"
  )
})

/** The options of a server, decoded. */
export interface ServerOptions extends Schema.Schema.Type<typeof ServerOptions> {}

/** The options of a server as an application gives them. */
export type ServerOptionsInput = (typeof ServerOptions)["Encoded"]

/**
 * Fit for the public internet. Strangers are not told what the server runs on. Behind a reverse proxy all clients
 * have its address, unless `trustXForwardedFor` is the number of proxies: set that, or raise
 * `maxConnectionsPerPeer`.
 */
export const hardened: ServerOptionsInput = {
  ...Options.hardened,
  maxConnections: 16_384,
  maxConnectionsPerPeer: 1024,
  maxOpenHandshakes: 1024,
  webStatus: false,
  server: ""
}

/** Decodes options, naming the first wrong one. */
export const decode: (input: ServerOptionsInput) => Result.Result<ServerOptions, Options.InvalidOptions> =
  Options.decode(ServerOptions)
