/**
 * Denial of a connection by the application.
 */
import * as Schema from "effect/Schema"

const HeaderValue = Schema.Union([Schema.String, Schema.Array(Schema.String)])

/** What a denial says beside its status. */
export interface DenyOptions {
  /** The HTTP reason phrase. Default: the usual one of the status. */
  readonly reason?: string
  /** Further headers of the response. */
  readonly headers?: Readonly<Record<string, string | ReadonlyArray<string>>>
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
  headers: Schema.optionalKey(Schema.Record(Schema.String, HeaderValue)),
  body: Schema.optionalKey(Schema.Union([Schema.String, Schema.Uint8Array]))
}) {
  override get message() {
    return `connection denied: ${this.status}${this.reason === undefined ? "" : ` ${this.reason}`}`
  }

  /** 400: the request is malformed. */
  static readonly badRequest = (options?: DenyOptions) => new ConnectionDeny({ status: 400, ...options })
  /** 401: the client must authenticate. */
  static readonly unauthorized = (options?: DenyOptions) => new ConnectionDeny({ status: 401, ...options })
  /** 403: the server refuses, and authenticating will make no difference. */
  static readonly forbidden = (options?: DenyOptions) => new ConnectionDeny({ status: 403, ...options })
  /** 404: there is no such endpoint. */
  static readonly notFound = (options?: DenyOptions) => new ConnectionDeny({ status: 404, ...options })
  /** 406: nothing the client accepts can be given. */
  static readonly notAcceptable = (options?: DenyOptions) => new ConnectionDeny({ status: 406, ...options })
  /** 408: the request took too long. */
  static readonly requestTimeout = (options?: DenyOptions) => new ConnectionDeny({ status: 408, ...options })
  /** 429: too many requests or connections. */
  static readonly tooManyRequests = (options?: DenyOptions) => new ConnectionDeny({ status: 429, ...options })
  /** 500: the server met an unexpected condition. */
  static readonly internalServerError = (options?: DenyOptions) =>
    new ConnectionDeny({ status: 500, ...options })
  /** 501: the server cannot do what is asked for. */
  static readonly notImplemented = (options?: DenyOptions) => new ConnectionDeny({ status: 501, ...options })
  /** 503: the server is overloaded or going down. */
  static readonly serviceUnavailable = (options?: DenyOptions) =>
    new ConnectionDeny({ status: 503, ...options })
}
