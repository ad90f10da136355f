/**
 * Denial of a connection by the application.
 */
import * as Schema from "effect/Schema"
import { Bytes } from "../bytes/Bytes.ts"
import { HeadersInput } from "./ConnectionRequest.ts"

/** What a denial says beside its status. */
export interface DenyOptions {
  /** The HTTP reason phrase. Default: the usual one of the status. */
  readonly reason?: string
  /** Further headers of the response. */
  readonly headers?: HeadersInput
  /** The body of the response; text is sent as UTF-8. Default: empty. */
  readonly body?: string | Uint8Array
}

/**
 * Fails a server's `onConnect`: the client gets an HTTP response instead of a
 * connection (Autobahn's `ConnectionDeny`).
 */
export class ConnectionDeny extends Schema.TaggedError<ConnectionDeny>()("ConnectionDeny", {
  /** The HTTP status, 300 to 599. */
  status: Schema.Int,
  reason: Schema.optionalKey(Schema.String),
  headers: Schema.optionalKey(HeadersInput),
  body: Schema.optionalKey(Schema.Union([Schema.String, Bytes]))
}) {
  override get message() {
    return `connection denied: ${this.status}${this.reason === undefined ? "" : ` ${this.reason}`}`
  }

  // Autobahn's constants, and two more that have a constructor.
  static readonly BAD_REQUEST = 400
  static readonly UNAUTHORIZED = 401
  static readonly FORBIDDEN = 403
  static readonly NOT_FOUND = 404
  static readonly NOT_ACCEPTABLE = 406
  static readonly REQUEST_TIMEOUT = 408
  static readonly TOO_MANY_REQUESTS = 429
  static readonly INTERNAL_SERVER_ERROR = 500
  static readonly NOT_IMPLEMENTED = 501
  static readonly SERVICE_UNAVAILABLE = 503

  /** 400: the request is malformed. */
  static readonly badRequest = (options?: DenyOptions) =>
    new ConnectionDeny({ status: ConnectionDeny.BAD_REQUEST, ...options })
  /** 401: the client must authenticate. */
  static readonly unauthorized = (options?: DenyOptions) =>
    new ConnectionDeny({ status: ConnectionDeny.UNAUTHORIZED, ...options })
  /** 403: the server refuses, and authenticating will make no difference. */
  static readonly forbidden = (options?: DenyOptions) =>
    new ConnectionDeny({ status: ConnectionDeny.FORBIDDEN, ...options })
  /** 404: there is no such endpoint. */
  static readonly notFound = (options?: DenyOptions) =>
    new ConnectionDeny({ status: ConnectionDeny.NOT_FOUND, ...options })
  /** 406: nothing the client accepts can be given. */
  static readonly notAcceptable = (options?: DenyOptions) =>
    new ConnectionDeny({ status: ConnectionDeny.NOT_ACCEPTABLE, ...options })
  /** 408: the request took too long. */
  static readonly requestTimeout = (options?: DenyOptions) =>
    new ConnectionDeny({ status: ConnectionDeny.REQUEST_TIMEOUT, ...options })
  /** 429: too many requests or connections. */
  static readonly tooManyRequests = (options?: DenyOptions) =>
    new ConnectionDeny({ status: ConnectionDeny.TOO_MANY_REQUESTS, ...options })
  /** 500: the server met an unexpected condition. */
  static readonly internalServerError = (options?: DenyOptions) =>
    new ConnectionDeny({ status: ConnectionDeny.INTERNAL_SERVER_ERROR, ...options })
  /** 501: the server cannot do what is asked for. */
  static readonly notImplemented = (options?: DenyOptions) =>
    new ConnectionDeny({ status: ConnectionDeny.NOT_IMPLEMENTED, ...options })
  /** 503: the server is overloaded or going down. */
  static readonly serviceUnavailable = (options?: DenyOptions) =>
    new ConnectionDeny({ status: ConnectionDeny.SERVICE_UNAVAILABLE, ...options })
}
