/**
 * The negotiation of permessage-bzip2, as Autobahn defines it. There is no context takeover: each message is a
 * bzip2 stream of its own.
 */
import type * as Result from "effect/Result"
import * as Schema from "effect/Schema"
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
export const extensionName = "permessage-bzip2"

// bzip2's compression level: the size of a block in units of 100,000 bytes.
const levels: Negotiation.Range = { minimum: 1, maximum: 9 }

/** What a client offers. */
export class PerMessageBzip2Offer extends Schema.Class<PerMessageBzip2Offer>("PerMessageBzip2Offer")({
  /**
   * `client_max_compress_level` is in the offer: the server may ask for a maximum of the client's level. Default:
   * `true`.
   */
  acceptMaxCompressLevel: Negotiation.flag(true),
  /** The maximum asked of the server's level, 1 to 9; 0: none. Default: 0. */
  requestMaxCompressLevel: Negotiation.field(Negotiation.numberOrNone(levels), 0)
}) {
  get extensionName() {
    return extensionName
  }

  get extensionString() {
    return Negotiation.format(extensionName, [
      ["client_max_compress_level", this.acceptMaxCompressLevel],
      ["server_max_compress_level", this.requestMaxCompressLevel]
    ])
  }

  /** Reads an offer. */
  static parse(parameters: ReadonlyArray<ExtensionParameter>): Result.Result<PerMessageBzip2Offer, string> {
    const reader = new Negotiation.ParameterReader(extensionName, parameters)
    const acceptMaxCompressLevel = reader.flag("client_max_compress_level")
    const requestMaxCompressLevel = reader.number("server_max_compress_level", levels)
    return reader.finish(() => new PerMessageBzip2Offer({ acceptMaxCompressLevel, requestMaxCompressLevel }))
  }
}

/** What a client can set where it accepts a response. */
export const ResponseSettings = Schema.Struct({
  ...Negotiation.common,
  /** The level of the own direction, 1 to 9. Default: what the other end has asked for, or 9. */
  compressLevel: Schema.optional(Negotiation.numberIn(levels))
})

/** What a client can set where it accepts a response. */
export type ResponseSettings = (typeof ResponseSettings)["~type.make.in"]

/** What a server can set where it accepts an offer. */
export const OfferSettings = Schema.Struct({
  ...ResponseSettings.fields,
  /** The maximum asked of the client's level, 1 to 9; 0: none. Default: 0. */
  requestMaxCompressLevel: Negotiation.field(Negotiation.numberOrNone(levels), 0)
})

/** What a server can set where it accepts an offer. */
export type OfferSettings = (typeof OfferSettings)["~type.make.in"]

/** How a server accepts an offer. */
export class PerMessageBzip2OfferAccept extends Schema.Class<PerMessageBzip2OfferAccept>(
  "PerMessageBzip2OfferAccept"
)(
  Schema.Struct({ offer: PerMessageBzip2Offer, ...OfferSettings.fields }).check(
    Schema.makeFilter(
      ({ compressLevel, offer, requestMaxCompressLevel }) =>
        Negotiation.requestProblem(
          "requestMaxCompressLevel",
          requestMaxCompressLevel,
          offer.acceptMaxCompressLevel,
          "client_max_compress_level"
        ) ?? Negotiation.limitProblem("compressLevel", offer.requestMaxCompressLevel, compressLevel)
    )
  )
) {
  /** As it stands in the response: it says what the server does, also where the client has not asked for that. */
  get extensionString() {
    return Negotiation.format(extensionName, [
      ["server_max_compress_level", this.compressLevel ?? this.offer.requestMaxCompressLevel],
      ["client_max_compress_level", this.requestMaxCompressLevel]
    ])
  }
}

/** What a server has answered. A level is 1 to 9, or 0 where the response does not have the parameter. */
export class PerMessageBzip2Response extends Schema.Class<PerMessageBzip2Response>("PerMessageBzip2Response")(
  {
    clientMaxCompressLevel: Negotiation.numberOrNone(levels),
    serverMaxCompressLevel: Negotiation.numberOrNone(levels)
  }
) {
  get extensionName() {
    return extensionName
  }

  /** Reads a response. {@link checkResponse} says whether it fits what was offered. */
  static parse(
    parameters: ReadonlyArray<ExtensionParameter>
  ): Result.Result<PerMessageBzip2Response, string> {
    const reader = new Negotiation.ParameterReader(extensionName, parameters)
    const clientMaxCompressLevel = reader.number("client_max_compress_level", levels)
    const serverMaxCompressLevel = reader.number("server_max_compress_level", levels)
    return reader.finish(
      () => new PerMessageBzip2Response({ clientMaxCompressLevel, serverMaxCompressLevel })
    )
  }
}

/** How a client accepts a response. */
export class PerMessageBzip2ResponseAccept extends Schema.Class<PerMessageBzip2ResponseAccept>(
  "PerMessageBzip2ResponseAccept"
)(
  Schema.Struct({ response: PerMessageBzip2Response, ...ResponseSettings.fields }).check(
    Schema.makeFilter(({ compressLevel, response }) =>
      Negotiation.limitProblem("compressLevel", response.clientMaxCompressLevel, compressLevel)
    )
  )
) {}

/** One direction of a connection. */
export interface Direction {
  /** 1 to 9; a stream may have a lower level. */
  readonly compressLevel: number
}

/** What was negotiated for a connection, and how one end of it compresses. */
export class PerMessageBzip2 extends Schema.Class<PerMessageBzip2>("PerMessageBzip2")({
  /** The end that this is the view of. */
  isServer: Schema.Boolean,
  /** 1 to 9. */
  serverMaxCompressLevel: Negotiation.numberIn(levels),
  /** 1 to 9. */
  clientMaxCompressLevel: Negotiation.numberIn(levels),
  ...Negotiation.common
}) {
  get extensionName() {
    return extensionName
  }

  /** What this end sends. */
  get outgoing(): Direction {
    return this.#direction(this.isServer)
  }

  /** What this end receives. */
  get incoming(): Direction {
    return this.#direction(!this.isServer)
  }

  #direction(fromServer: boolean): Direction {
    return { compressLevel: fromServer ? this.serverMaxCompressLevel : this.clientMaxCompressLevel }
  }
}

const orHighest = (level: number): number => (level === 0 ? levels.maximum : level)

const server = Negotiation.accepting(extensionName, {
  Source: PerMessageBzip2Offer,
  Settings: OfferSettings,
  Accept: PerMessageBzip2OfferAccept,
  input: (settings, offer) => ({
    ...settings,
    offer,
    compressLevel: Negotiation.within(offer.requestMaxCompressLevel, settings.compressLevel)
  }),
  negotiated: ({ compressLevel, offer, requestMaxCompressLevel, threshold }) =>
    new PerMessageBzip2({
      isServer: true,
      serverMaxCompressLevel: compressLevel ?? orHighest(offer.requestMaxCompressLevel),
      clientMaxCompressLevel: orHighest(requestMaxCompressLevel),
      threshold
    })
})

const client = Negotiation.accepting(extensionName, {
  Source: PerMessageBzip2Response,
  Settings: ResponseSettings,
  Accept: PerMessageBzip2ResponseAccept,
  input: (settings, response) => ({
    ...settings,
    response,
    compressLevel: Negotiation.within(response.clientMaxCompressLevel, settings.compressLevel)
  }),
  negotiated: ({ compressLevel, response, threshold }) =>
    new PerMessageBzip2({
      isServer: false,
      serverMaxCompressLevel: orHighest(response.serverMaxCompressLevel),
      clientMaxCompressLevel: compressLevel ?? orHighest(response.clientMaxCompressLevel),
      threshold
    })
})

/** {@link PerMessageBzip2OfferAccept}; what its constructor throws for is a failure here. */
export const makeOfferAccept = server.make

/** {@link PerMessageBzip2ResponseAccept}; what its constructor throws for is a failure here. */
export const makeResponseAccept = client.make

/**
 * An acceptor of the first offer that the settings are consistent with. `compressLevel` is the most that the server
 * wants here: a client that asks for less gets less. Throws an `InvalidAccept` for settings that fit no offer.
 */
export const acceptOffer = (settings: OfferSettings = {}): OfferAcceptor<PerMessageBzip2OfferAccept> =>
  firstOffer(server.acceptor(settings))

/**
 * An acceptor of a response that the settings are consistent with; `compressLevel` is as in {@link acceptOffer}.
 * Throws an `InvalidAccept` for settings that fit no response.
 */
export const acceptResponse = (
  settings: ResponseSettings = {}
): ResponseAcceptor<PerMessageBzip2ResponseAccept> => client.acceptor(settings)

/** What a server has negotiated. Fails when the accept is none of this extension. */
export const fromOfferAccept: (
  accept: PerMessageCompressOfferAccept
) => Result.Result<PerMessageBzip2, string> = server.negotiated

/** What a client has negotiated. Fails when the accept is none of this extension. */
export const fromResponseAccept: (
  accept: PerMessageCompressResponseAccept
) => Result.Result<PerMessageBzip2, string> = client.negotiated

/** Whether the response fits one of the offers that were made. The failure says why not. */
export const checkResponse = (
  offers: ReadonlyArray<PerMessageCompressOffer>,
  response: PerMessageBzip2Response
): Result.Result<PerMessageBzip2Response, string> =>
  Negotiation.fitting(
    extensionName,
    offers,
    PerMessageBzip2Offer,
    response,
    (offer) =>
      Negotiation.limitMisfit(
        "server_max_compress_level",
        offer.requestMaxCompressLevel,
        response.serverMaxCompressLevel
      ) ??
      Negotiation.acceptMisfit(
        "client_max_compress_level",
        offer.acceptMaxCompressLevel,
        response.clientMaxCompressLevel
      )
  )

/** The extension, with a codec that does what was negotiated. */
export const extension = Negotiation.extension({
  name: extensionName,
  parseOffer: PerMessageBzip2Offer.parse,
  parseResponse: PerMessageBzip2Response.parse,
  checkResponse,
  fromOfferAccept,
  fromResponseAccept,
  acceptResponse
})
