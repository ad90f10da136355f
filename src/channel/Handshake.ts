/**
 * The opening handshake as a service: what each role reads, checks and sends
 * (RFC 6455 section 4).
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Layer from "effect/Layer"
import type * as Result from "effect/Result"
import type { Extension } from "../extension/ExtensionHeader.ts"
import type { Headers, HttpHead } from "../handshake/HttpHead.ts"
import * as Request from "../handshake/Request.ts"
import * as Response from "../handshake/Response.ts"
import { WebSocketCrypto } from "./WebSocketCrypto.ts"

/** Synchronous and total: a failure says what is wrong. */
export class Handshake extends Context.Service<
  Handshake,
  {
    /** The server's reading of a request. */
    readonly parseRequest: (
      input: { readonly method: string; readonly target: string; readonly headers: Headers },
      options: { readonly versions: ReadonlyArray<number> }
    ) => Result.Result<Request.HandshakeRequest, Request.Rejection>
    /** The 101 that answers a request with this key. */
    readonly accept: (options: {
      readonly key: string
      readonly subprotocol: string | undefined
      readonly extensions: string | undefined
      readonly headers: Headers
    }) => Result.Result<Uint8Array, string>
    /** An HTTP response instead of a connection. */
    readonly deny: (options: {
      readonly status: number
      readonly reason: string | undefined
      readonly headers: Headers
      readonly body: Uint8Array
    }) => Result.Result<Uint8Array, string>
    /** A new client's key. */
    readonly makeKey: () => string
    /** The client's request. */
    readonly request: (
      options: Parameters<typeof Request.buildRequest>[0]
    ) => Result.Result<Uint8Array, string>
    /** The client's check of a 101. */
    readonly checkResponse: (
      head: HttpHead,
      expected: { readonly key: string; readonly protocols: ReadonlyArray<string> }
    ) => Result.Result<
      { readonly subprotocol: string | undefined; readonly extensions: ReadonlyArray<Extension> },
      string
    >
  }
>()("effect-websocket/channel/Handshake") {}

/** RFC 6455's opening handshake. */
export const layer: Layer.Layer<Handshake, never, WebSocketCrypto> = Layer.effect(
  Handshake,
  Effect.gen(function* () {
    const { randomBytes, sha1 } = yield* WebSocketCrypto
    return Handshake.of({
      parseRequest: Request.parseRequest,
      accept: ({ key, ...options }) =>
        Response.buildAccept({ ...options, accept: Response.acceptKey(key, sha1) }),
      deny: Response.buildDenial,
      makeKey: () => Base64.encode(randomBytes(16)),
      request: Request.buildRequest,
      checkResponse: (head, { key, protocols }) =>
        Response.checkResponse(head, { accept: Response.acceptKey(key, sha1), protocols })
    })
  })
)
