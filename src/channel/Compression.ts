/**
 * Negotiation of per-message compression (RFC 7692) as a service.
 */
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type { Extension } from "../extension/ExtensionHeader.ts"

/** What both ends speak on a connection. */
export interface NegotiatedExtensions {
  /** As they stand in the response's Sec-WebSocket-Extensions. */
  readonly extensions: ReadonlyArray<Extension>
  /** The reserved bits they claim, where they stand in a frame's first byte. */
  readonly reservedBits: number
}

/** Nothing is negotiated. */
export const none: NegotiatedExtensions = { extensions: [], reservedBits: 0 }

/** Offers extensions as a client, and accepts them as a server. */
export class Compression extends Context.Service<
  Compression,
  {
    /** What a client offers, most wanted first. */
    readonly offers: ReadonlyArray<Extension>
    /** The server's choice among a client's offers. */
    readonly accept: (offers: ReadonlyArray<Extension>) => NegotiatedExtensions
    /** The client's check of the server's choice; a failure fails the opening handshake. */
    readonly acceptResponse: (
      response: ReadonlyArray<Extension>
    ) => Result.Result<NegotiatedExtensions, string>
  }
>()("effect-websocket/channel/Compression") {}

/** Offers nothing and accepts nothing. */
export const layerNone: Layer.Layer<Compression> = Layer.succeed(Compression, {
  offers: [],
  accept: () => none,
  acceptResponse: (response) =>
    response.length === 0
      ? Result.succeed(none)
      : Result.fail(`the server chose the extension ${response[0]!.name}, which was not offered`)
})
