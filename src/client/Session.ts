/**
 * What one connection of a client asks for, and what its application has a say
 * in while it is opened.
 */
import * as Effect from "effect/Effect"
import { agent } from "../handshake/Agent.ts"
import { formatHostHeader } from "../handshake/Authority.ts"
import {
  type ConnectingRequest,
  type ConnectionResponse,
  type HeadersInput,
  toLines
} from "../handshake/ConnectionRequest.ts"
import { type Headers, header } from "../handshake/HttpHead.ts"
import type { Proxy } from "../handshake/ProxyConnect.ts"
import type { WebSocketUrl } from "../handshake/WebSocketUrl.ts"
import type { TransportDetails } from "../transport/Transport.ts"

/**
 * What one connection asks for. The effects in it run at each attempt to connect,
 * within `openHandshakeTimeout` and in the connection's scope; their failures are
 * failures of `connect`.
 */
export interface SessionParameters<
  EHeaders = never,
  RHeaders = never,
  EConnecting = never,
  RConnecting = never,
  EConnect = never,
  RConnect = never
> {
  /** Subprotocols to offer, most wanted first. Default: none. */
  readonly protocols?: ReadonlyArray<string> | undefined
  /** The Origin header, of an application that runs in a browser's place. Default: none. */
  readonly origin?: string | undefined
  /**
   * The User-Agent header; the empty string sends none. Default: the package's name and version, unless the
   * header is among `headers`.
   */
  readonly userAgent?: string | undefined
  /** Further headers of the request, or the effect that makes them. Default: none. */
  readonly headers?: HeadersInput | Effect.Effect<HeadersInput, EHeaders, RHeaders> | undefined
  /** The HTTP proxy to connect through, which is asked with CONNECT for `ws` and `wss` alike. Default: none. */
  readonly proxy?: Proxy | undefined
  /**
   * Called when the transport is connected, before the handshake. May succeed with what to ask for instead of
   * the URL's and the session's.
   */
  readonly onConnecting?:
    | ((
        details: TransportDetails
      ) => Effect.Effect<ConnectingRequest | undefined | void, EConnecting, RConnecting>)
    | undefined
  /**
   * Called with the server's response, before `connect` succeeds. Its failure closes the connection with 1000;
   * `connect` then fails with it.
   */
  readonly onConnect?:
    | ((response: ConnectionResponse) => Effect.Effect<unknown, EConnect, RConnect>)
    | undefined
}

/** A session whose effects have these failures and requirements at most. */
export type AnySession<E, R> = SessionParameters<E, R, E, R, E, R>

/** The parts of a request that the application has a say in. */
export interface RequestParameters {
  readonly url: WebSocketUrl
  readonly protocols: ReadonlyArray<string>
  readonly origin: string | undefined
  /** `undefined`: the package's, unless it is among `headers`. */
  readonly userAgent: string | undefined
  readonly headers: Headers
}

/** A failure of the application's own effects, apart from those of the handshake. */
export class ApplicationFailure<E> {
  readonly failure: E

  constructor(failure: E) {
    this.failure = failure
  }
}

/** Runs an effect of the application. */
export const ask = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, ApplicationFailure<E>, R> =>
  Effect.mapError(effect, (failure) => new ApplicationFailure(failure))

/** What URL and session ask for; makes the headers. */
export const parametersOf = Effect.fnUntraced(function* <E, R>(
  url: WebSocketUrl,
  { headers, origin, protocols = [], userAgent }: AnySession<E, R>
): Effect.fn.Return<RequestParameters, ApplicationFailure<E>, R> {
  const input = Effect.isEffect(headers) ? yield* ask(headers) : headers
  return { url, protocols, origin, userAgent, headers: toLines(input) }
})

/** The parameters with those of `instead` in their place. */
export const replaced = (parameters: RequestParameters, instead: ConnectingRequest): RequestParameters => {
  const { url } = parameters
  const { headers, host, port, resource = url.resource, ...others } = instead
  const isMoved = host !== undefined || port !== undefined
  return {
    ...parameters,
    protocols: others.protocols ?? parameters.protocols,
    origin: others.origin ?? parameters.origin,
    userAgent: others.userAgent ?? parameters.userAgent,
    headers: headers === undefined ? parameters.headers : toLines(headers),
    url: {
      ...url,
      resource,
      hostHeader: isMoved ? formatHostHeader(host ?? url.host, port ?? url.port, url.secure) : url.hostHeader
    }
  }
}

/** The User-Agent header to send; `undefined`: none. */
export const userAgentOf = ({ headers, userAgent }: RequestParameters): string | undefined => {
  if (userAgent !== undefined) return userAgent === "" ? undefined : userAgent
  return header(headers, "User-Agent").length > 0 ? undefined : agent
}
