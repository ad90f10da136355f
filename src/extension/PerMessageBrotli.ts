/**
 * The negotiation of permessage-brotli, as Autobahn defines it.
 */
import type * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as ContextTakeover from "./ContextTakeover.ts"
import type { ExtensionParameter } from "./ExtensionHeader.ts"
import * as Negotiation from "./Negotiation.ts"
import {
  firstOffer,
  type OfferAcceptor,
  type PerMessageCompressOffer,
  type PerMessageCompressOfferAccept,
  type PerMessageCompressResponseAccept,
  type ResponseAcceptor
} from "./PerMessageCompress.ts"

/** The name of the extension, as it stands in Sec-WebSocket-Extensions. */
export const extensionName = "permessage-brotli"

/** What a client offers. */
export class PerMessageBrotliOffer extends Schema.Class<PerMessageBrotliOffer>("PerMessageBrotliOffer")(
  ContextTakeover.offerFields
) {
  get extensionName() {
    return extensionName
  }

  get extensionString() {
    return ContextTakeover.offerString(extensionName, this)
  }

  /** Reads an offer. */
  static parse(parameters: ReadonlyArray<ExtensionParameter>): Result.Result<PerMessageBrotliOffer, string> {
    return ContextTakeover.parseOffer(extensionName, parameters, (offer) => new PerMessageBrotliOffer(offer))
  }
}

const codecSettings = {
  /**
   * Brotli's quality, 0 (fast) to 11 (small). Default: 3, which gives some percent more bytes than 5 in half the
   * time, and with context takeover needs half the memory; 11, that of Brotli itself, takes milliseconds for a
   * kilobyte.
   */
  quality: Negotiation.field(Negotiation.numberIn({ minimum: 0, maximum: 11 }), 3)
}

/** What a server can set where it accepts an offer. */
export const OfferSettings = Schema.Struct({ ...ContextTakeover.offerSettings, ...codecSettings })

/** What a server can set where it accepts an offer. */
export type OfferSettings = (typeof OfferSettings)["~type.make.in"]

/** How a server accepts an offer. */
export class PerMessageBrotliOfferAccept extends Schema.Class<PerMessageBrotliOfferAccept>(
  "PerMessageBrotliOfferAccept"
)(
  Schema.Struct({ offer: PerMessageBrotliOffer, ...OfferSettings.fields }).check(
    Schema.makeFilter(ContextTakeover.offerAcceptProblem)
  )
) {
  /** As it stands in the response: it says what the server does, also where the client has not asked for that. */
  get extensionString() {
    return ContextTakeover.responseString(extensionName, this)
  }
}

/** What a server has answered. */
export class PerMessageBrotliResponse extends Schema.Class<PerMessageBrotliResponse>(
  "PerMessageBrotliResponse"
)(ContextTakeover.responseFields) {
  get extensionName() {
    return extensionName
  }

  /** Reads a response. {@link checkResponse} says whether it fits what was offered. */
  static parse(
    parameters: ReadonlyArray<ExtensionParameter>
  ): Result.Result<PerMessageBrotliResponse, string> {
    return ContextTakeover.parseResponse(
      extensionName,
      parameters,
      (response) => new PerMessageBrotliResponse(response)
    )
  }
}

/** What a client can set where it accepts a response. */
export const ResponseSettings = Schema.Struct({ ...ContextTakeover.responseSettings, ...codecSettings })

/** What a client can set where it accepts a response. */
export type ResponseSettings = (typeof ResponseSettings)["~type.make.in"]

/** How a client accepts a response. */
export class PerMessageBrotliResponseAccept extends Schema.Class<PerMessageBrotliResponseAccept>(
  "PerMessageBrotliResponseAccept"
)(
  Schema.Struct({ response: PerMessageBrotliResponse, ...ResponseSettings.fields }).check(
    Schema.makeFilter(ContextTakeover.responseAcceptProblem)
  )
) {}

/** What was negotiated for a connection, and how one end of it compresses. */
export class PerMessageBrotli extends Schema.Class<PerMessageBrotli>("PerMessageBrotli")({
  ...ContextTakeover.negotiatedFields,
  ...codecSettings
}) {
  get extensionName() {
    return extensionName
  }

  /** What this end sends. */
  get outgoing(): ContextTakeover.Direction {
    return ContextTakeover.direction(this, this.isServer)
  }

  /** What this end receives. */
  get incoming(): ContextTakeover.Direction {
    return ContextTakeover.direction(this, !this.isServer)
  }
}

const server = Negotiation.accepting(extensionName, {
  Source: PerMessageBrotliOffer,
  Settings: OfferSettings,
  Accept: PerMessageBrotliOfferAccept,
  input: (settings, offer) => ({ ...settings, offer }),
  negotiated: (accept) =>
    new PerMessageBrotli({ ...ContextTakeover.negotiatedByServer(accept), quality: accept.quality })
})

const client = Negotiation.accepting(extensionName, {
  Source: PerMessageBrotliResponse,
  Settings: ResponseSettings,
  Accept: PerMessageBrotliResponseAccept,
  input: (settings, response) => ({ ...settings, response }),
  negotiated: (accept) =>
    new PerMessageBrotli({ ...ContextTakeover.negotiatedByClient(accept), quality: accept.quality })
})

/** {@link PerMessageBrotliOfferAccept}; what its constructor throws for is a failure here. */
export const makeOfferAccept = server.make

/** {@link PerMessageBrotliResponseAccept}; what its constructor throws for is a failure here. */
export const makeResponseAccept = client.make

/**
 * An acceptor of the first offer that the settings are consistent with. Throws an `InvalidAccept` for settings that
 * fit no offer.
 */
export const acceptOffer = (settings: OfferSettings = {}): OfferAcceptor<PerMessageBrotliOfferAccept> =>
  firstOffer(server.acceptor(settings))

/**
 * An acceptor of a response that the settings are consistent with. Throws an `InvalidAccept` for settings that fit
 * no response.
 */
export const acceptResponse = (
  settings: ResponseSettings = {}
): ResponseAcceptor<PerMessageBrotliResponseAccept> => client.acceptor(settings)

/** What a server has negotiated. Fails when the accept is none of this extension. */
export const fromOfferAccept: (
  accept: PerMessageCompressOfferAccept
) => Result.Result<PerMessageBrotli, string> = server.negotiated

/** What a client has negotiated. Fails when the accept is none of this extension. */
export const fromResponseAccept: (
  accept: PerMessageCompressResponseAccept
) => Result.Result<PerMessageBrotli, string> = client.negotiated

/** Whether the response fits one of the offers that were made. The failure says why not. */
export const checkResponse = (
  offers: ReadonlyArray<PerMessageCompressOffer>,
  response: PerMessageBrotliResponse
): Result.Result<PerMessageBrotliResponse, string> =>
  Negotiation.fitting(extensionName, offers, PerMessageBrotliOffer, response, (offer) =>
    ContextTakeover.misfit(offer, response)
  )

/** The extension, with a codec that does what was negotiated. */
export const extension = Negotiation.extension({
  name: extensionName,
  parseOffer: PerMessageBrotliOffer.parse,
  parseResponse: PerMessageBrotliResponse.parse,
  checkResponse,
  fromOfferAccept,
  fromResponseAccept,
  acceptResponse
})
