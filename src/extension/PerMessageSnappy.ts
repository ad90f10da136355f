/**
 * The negotiation of permessage-snappy, as Autobahn defines it.
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
export const extensionName = "permessage-snappy"

/** What a client offers. */
export class PerMessageSnappyOffer extends Schema.Class<PerMessageSnappyOffer>("PerMessageSnappyOffer")(
  ContextTakeover.offerFields
) {
  get extensionName() {
    return extensionName
  }

  get extensionString() {
    return ContextTakeover.offerString(extensionName, this)
  }

  /** Reads an offer. */
  static parse(parameters: ReadonlyArray<ExtensionParameter>): Result.Result<PerMessageSnappyOffer, string> {
    return ContextTakeover.parseOffer(extensionName, parameters, (offer) => new PerMessageSnappyOffer(offer))
  }
}

/** What a server can set where it accepts an offer. */
export const OfferSettings = Schema.Struct(ContextTakeover.offerSettings)

/** What a server can set where it accepts an offer. */
export type OfferSettings = (typeof OfferSettings)["~type.make.in"]

/** How a server accepts an offer. */
export class PerMessageSnappyOfferAccept extends Schema.Class<PerMessageSnappyOfferAccept>(
  "PerMessageSnappyOfferAccept"
)(
  Schema.Struct({ offer: PerMessageSnappyOffer, ...OfferSettings.fields }).check(
    Schema.makeFilter(ContextTakeover.offerAcceptProblem)
  )
) {
  /** As it stands in the response: it says what the server does, also where the client has not asked for that. */
  get extensionString() {
    return ContextTakeover.responseString(extensionName, this)
  }
}

/** What a server has answered. */
export class PerMessageSnappyResponse extends Schema.Class<PerMessageSnappyResponse>(
  "PerMessageSnappyResponse"
)(ContextTakeover.responseFields) {
  get extensionName() {
    return extensionName
  }

  /** Reads a response. {@link checkResponse} says whether it fits what was offered. */
  static parse(
    parameters: ReadonlyArray<ExtensionParameter>
  ): Result.Result<PerMessageSnappyResponse, string> {
    return ContextTakeover.parseResponse(
      extensionName,
      parameters,
      (response) => new PerMessageSnappyResponse(response)
    )
  }
}

/** What a client can set where it accepts a response. */
export const ResponseSettings = Schema.Struct(ContextTakeover.responseSettings)

/** What a client can set where it accepts a response. */
export type ResponseSettings = (typeof ResponseSettings)["~type.make.in"]

/** How a client accepts a response. */
export class PerMessageSnappyResponseAccept extends Schema.Class<PerMessageSnappyResponseAccept>(
  "PerMessageSnappyResponseAccept"
)(
  Schema.Struct({ response: PerMessageSnappyResponse, ...ResponseSettings.fields }).check(
    Schema.makeFilter(ContextTakeover.responseAcceptProblem)
  )
) {}

/** What was negotiated for a connection, and how one end of it compresses. */
export class PerMessageSnappy extends Schema.Class<PerMessageSnappy>("PerMessageSnappy")(
  ContextTakeover.negotiatedFields
) {
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
  Source: PerMessageSnappyOffer,
  Settings: OfferSettings,
  Accept: PerMessageSnappyOfferAccept,
  input: (settings, offer) => ({ ...settings, offer }),
  negotiated: (accept) => new PerMessageSnappy(ContextTakeover.negotiatedByServer(accept))
})

const client = Negotiation.accepting(extensionName, {
  Source: PerMessageSnappyResponse,
  Settings: ResponseSettings,
  Accept: PerMessageSnappyResponseAccept,
  input: (settings, response) => ({ ...settings, response }),
  negotiated: (accept) => new PerMessageSnappy(ContextTakeover.negotiatedByClient(accept))
})

/** {@link PerMessageSnappyOfferAccept}; what its constructor throws for is a failure here. */
export const makeOfferAccept = server.make

/** {@link PerMessageSnappyResponseAccept}; what its constructor throws for is a failure here. */
export const makeResponseAccept = client.make

/**
 * An acceptor of the first offer that the settings are consistent with. Throws an `InvalidAccept` for settings that
 * fit no offer.
 */
export const acceptOffer = (settings: OfferSettings = {}): OfferAcceptor<PerMessageSnappyOfferAccept> =>
  firstOffer(server.acceptor(settings))

/**
 * An acceptor of a response that the settings are consistent with. Throws an `InvalidAccept` for settings that fit
 * no response.
 */
export const acceptResponse = (
  settings: ResponseSettings = {}
): ResponseAcceptor<PerMessageSnappyResponseAccept> => client.acceptor(settings)

/** What a server has negotiated. Fails when the accept is none of this extension. */
export const fromOfferAccept: (
  accept: PerMessageCompressOfferAccept
) => Result.Result<PerMessageSnappy, string> = server.negotiated

/** What a client has negotiated. Fails when the accept is none of this extension. */
export const fromResponseAccept: (
  accept: PerMessageCompressResponseAccept
) => Result.Result<PerMessageSnappy, string> = client.negotiated

/** Whether the response fits one of the offers that were made. The failure says why not. */
export const checkResponse = (
  offers: ReadonlyArray<PerMessageCompressOffer>,
  response: PerMessageSnappyResponse
): Result.Result<PerMessageSnappyResponse, string> =>
  Negotiation.fitting(extensionName, offers, PerMessageSnappyOffer, response, (offer) =>
    ContextTakeover.misfit(offer, response)
  )

/** The extension, with a codec that does what was negotiated. */
export const extension = Negotiation.extension({
  name: extensionName,
  parseOffer: PerMessageSnappyOffer.parse,
  parseResponse: PerMessageSnappyResponse.parse,
  checkResponse,
  fromOfferAccept,
  fromResponseAccept,
  acceptResponse
})
