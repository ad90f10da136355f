/**
 * Per-message compression extensions (RFC 7692 section 5) in general: the values
 * that a negotiation goes through, and what an extension is made of. The names are
 * Autobahn's.
 */
import type * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { ExtensionParameter } from "./ExtensionHeader.ts"
import type { MessageCompressor, MessageDecompressor } from "./MessageCodec.ts"

export type { DecompressFailure, MessageCompressor, MessageDecompressor } from "./MessageCodec.ts"

/** What a client offers. */
export interface PerMessageCompressOffer {
  /** The extension's name, `permessage-deflate` for example. */
  readonly extensionName: string
  /** As it stands in the request's Sec-WebSocket-Extensions. */
  readonly extensionString: string
}

/** How a server accepts an offer. */
export interface PerMessageCompressOfferAccept {
  readonly offer: PerMessageCompressOffer
  /** As it stands in the response's Sec-WebSocket-Extensions. */
  readonly extensionString: string
}

/** What a server has answered to a client's offers. */
export interface PerMessageCompressResponse {
  readonly extensionName: string
}

/** How a client accepts a server's answer. */
export interface PerMessageCompressResponseAccept {
  readonly response: PerMessageCompressResponse
}

/** What was negotiated, and works on the messages of one connection. */
export interface PerMessageCompress {
  readonly extensionName: string
  readonly compressor: MessageCompressor
  readonly decompressor: MessageDecompressor
  /** Messages of fewer bytes are sent as they are. */
  readonly threshold: number
  /** A received message that has more bytes fails the connection with 1009, beside the connection's own limits. */
  readonly maxMessageSize: number | undefined
}

/**
 * A per-message compression extension. Failures are sentences that quote nothing of
 * what the peer sent.
 */
export interface CompressionExtension {
  readonly name: string
  /** Reads an offer's parameters. An offer that cannot be read is declined. */
  readonly parseOffer: (
    parameters: ReadonlyArray<ExtensionParameter>
  ) => Result.Result<PerMessageCompressOffer, string>
  /**
   * Reads the parameters of the response to these offers of the extension. One that
   * cannot be read, or fits none of them, fails the opening handshake.
   */
  readonly parseResponse: (
    parameters: ReadonlyArray<ExtensionParameter>,
    offers: ReadonlyArray<PerMessageCompressOffer>
  ) => Result.Result<PerMessageCompressResponse, string>
  /** How a client accepts a response that its application has no say in. */
  readonly acceptResponse: ResponseAcceptor
  /** A server's codec of a connection. Fails when the accept is none of this extension. */
  readonly fromOfferAccept: (
    accept: PerMessageCompressOfferAccept
  ) => Result.Result<PerMessageCompress, string>
  /** A client's codec of a connection. Fails when the accept is none of this extension. */
  readonly fromResponseAccept: (
    accept: PerMessageCompressResponseAccept
  ) => Result.Result<PerMessageCompress, string>
}

/** An application's accept has a value it cannot have, or contradicts the offer or response that it accepts. */
export class InvalidAccept extends Schema.TaggedError<InvalidAccept>()("InvalidAccept", {
  /** `permessage-deflate` for example. */
  extensionName: Schema.String,
  /** What is wrong. */
  problem: Schema.String
}) {
  override get message() {
    return `${this.extensionName}: invalid accept: ${this.problem}`
  }
}

/** A server's choice among a client's offers, which come in the client's order; `undefined`: no compression. */
export type OfferAcceptor<A extends PerMessageCompressOfferAccept = PerMessageCompressOfferAccept> = (
  offers: ReadonlyArray<PerMessageCompressOffer>
) => A | undefined

/** A client's answer to a server's response; `undefined` refuses it, which fails the opening handshake. */
export type ResponseAcceptor<A extends PerMessageCompressResponseAccept = PerMessageCompressResponseAccept> =
  (response: PerMessageCompressResponse) => A | undefined

/** An acceptor of the first offer, in the client's order, that `accept` takes. */
export const firstOffer =
  <A extends PerMessageCompressOfferAccept>(
    accept: (offer: PerMessageCompressOffer) => A | undefined
  ): OfferAcceptor<A> =>
  (offers) =>
    first(offers, accept)

/** Accepts the first offer, in the client's order, that one of the acceptors takes. */
export const acceptAnyOffer = (...acceptors: ReadonlyArray<OfferAcceptor>): OfferAcceptor =>
  firstOffer((offer) => first(acceptors, (accept) => accept([offer])))

/** Accepts a response that one of the acceptors takes. */
export const acceptAnyResponse =
  (...acceptors: ReadonlyArray<ResponseAcceptor>): ResponseAcceptor =>
  (response) =>
    first(acceptors, (accept) => accept(response))

const first = <A, B>(all: ReadonlyArray<A>, choose: (one: A) => B | undefined): B | undefined => {
  for (const one of all) {
    const chosen = choose(one)
    if (chosen !== undefined) return chosen
  }
  return undefined
}
