/**
 * The negotiation of permessage-deflate (RFC 7692 section 7.1), in Autobahn's terms.
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
export const extensionName = "permessage-deflate"

// The base-2 logarithm of the size of an LZ77 sliding window in bytes.
const windowRange: Negotiation.Range = { minimum: 8, maximum: 15 }

/** What a client offers. */
export class PerMessageDeflateOffer extends Schema.Class<PerMessageDeflateOffer>("PerMessageDeflateOffer")({
  /**
   * `client_no_context_takeover` is in the offer. A server may ask the client for no context takeover in any case;
   * this is a hint, and some servers answer it by asking. Default: `true`, as in Autobahn.
   */
  acceptNoContextTakeover: Negotiation.flag(true),
  /** `client_max_window_bits` is in the offer: the server may ask for a maximum of the client's window. Default: `true`. */
  acceptMaxWindowBits: Negotiation.flag(true),
  /** Asks the server for no context takeover. Default: `false`. */
  requestNoContextTakeover: Negotiation.flag(false),
  /** The maximum asked of the server's window, 8 to 15 bits; 0: none. Default: 0. */
  requestMaxWindowBits: Negotiation.field(Negotiation.numberOrNone(windowRange), 0)
}) {
  get extensionName() {
    return extensionName
  }

  get extensionString() {
    return Negotiation.format(extensionName, [
      ["client_no_context_takeover", this.acceptNoContextTakeover],
      ["client_max_window_bits", this.acceptMaxWindowBits],
      ["server_no_context_takeover", this.requestNoContextTakeover],
      ["server_max_window_bits", this.requestMaxWindowBits]
    ])
  }

  /** Reads an offer. The number that a client may hint at in `client_max_window_bits` is checked, and left aside. */
  static parse(parameters: ReadonlyArray<ExtensionParameter>): Result.Result<PerMessageDeflateOffer, string> {
    const reader = new Negotiation.ParameterReader(extensionName, parameters)
    const acceptNoContextTakeover = reader.flag("client_no_context_takeover")
    const acceptMaxWindowBits = reader.flagOrNumber("client_max_window_bits", windowRange)
    const requestNoContextTakeover = reader.flag("server_no_context_takeover")
    const requestMaxWindowBits = reader.number("server_max_window_bits", windowRange)
    return reader.finish(
      () =>
        new PerMessageDeflateOffer({
          acceptNoContextTakeover,
          acceptMaxWindowBits,
          requestNoContextTakeover,
          requestMaxWindowBits
        })
    )
  }
}

// How an end compresses, and what it lets the other end send.
const codecSettings = {
  ...Negotiation.common,
  /** zlib's memory level, 1 to 9: more is faster, and smaller on the wire. Default: 8. */
  memLevel: Negotiation.field(Negotiation.numberIn({ minimum: 1, maximum: 9 }), 8),
  /** zlib's compression level, 0 (none) to 9 (best), or -1 for zlib's own default. Default: -1. */
  level: Negotiation.field(Negotiation.numberIn({ minimum: -1, maximum: 9 }), -1),
  /**
   * A received message that has more bytes uncompressed fails the connection with 1009. Default: none but the
   * connection's own limits.
   */
  maxMessageSize: Schema.optional(Schema.Int.check(Schema.isGreaterThanOrEqualTo(1)))
}

// What both kinds of accept have; "own" is the direction in which the accepting end sends.
const ownSettings = {
  ...codecSettings,
  /** No context takeover in the own direction. Default: what the other end has asked for. */
  noContextTakeover: Schema.optional(Schema.Boolean),
  /** The window of the own direction, 8 to 15 bits. Default: what the other end has asked for, or 15. */
  windowBits: Schema.optional(Negotiation.numberIn(windowRange))
}

/** What a server can set where it accepts an offer. */
export const OfferSettings = Schema.Struct({
  /** Asks the client for no context takeover, which every client supports. Default: `false`. */
  requestNoContextTakeover: Negotiation.flag(false),
  /** The maximum asked of the client's window, 8 to 15 bits; 0: none. Default: 0. */
  requestMaxWindowBits: Negotiation.field(Negotiation.numberOrNone(windowRange), 0),
  ...ownSettings
})

/** What a server can set where it accepts an offer. */
export type OfferSettings = (typeof OfferSettings)["~type.make.in"]

/** How a server accepts an offer. */
export class PerMessageDeflateOfferAccept extends Schema.Class<PerMessageDeflateOfferAccept>(
  "PerMessageDeflateOfferAccept"
)(
  Schema.Struct({ offer: PerMessageDeflateOffer, ...OfferSettings.fields }).check(
    Schema.makeFilter(
      (accept) =>
        Negotiation.requestProblem(
          "requestMaxWindowBits",
          accept.requestMaxWindowBits,
          accept.offer.acceptMaxWindowBits,
          "client_max_window_bits"
        ) ??
        Negotiation.takeoverProblem(accept.offer.requestNoContextTakeover, accept.noContextTakeover) ??
        Negotiation.limitProblem("windowBits", accept.offer.requestMaxWindowBits, accept.windowBits)
    )
  )
) {
  /** As it stands in the response: it says what the server does, also where the client has not asked for that. */
  get extensionString() {
    return Negotiation.format(extensionName, [
      ["server_no_context_takeover", this.noContextTakeover ?? this.offer.requestNoContextTakeover],
      ["server_max_window_bits", this.windowBits ?? this.offer.requestMaxWindowBits],
      ["client_no_context_takeover", this.requestNoContextTakeover],
      ["client_max_window_bits", this.requestMaxWindowBits]
    ])
  }
}

/** What a server has answered. A window is 8 to 15 bits, or 0 where the response does not have the parameter. */
export class PerMessageDeflateResponse extends Schema.Class<PerMessageDeflateResponse>(
  "PerMessageDeflateResponse"
)({
  clientMaxWindowBits: Negotiation.numberOrNone(windowRange),
  clientNoContextTakeover: Schema.Boolean,
  serverMaxWindowBits: Negotiation.numberOrNone(windowRange),
  serverNoContextTakeover: Schema.Boolean
}) {
  get extensionName() {
    return extensionName
  }

  /** Reads a response. {@link checkResponse} says whether it fits what was offered. */
  static parse(
    parameters: ReadonlyArray<ExtensionParameter>
  ): Result.Result<PerMessageDeflateResponse, string> {
    const reader = new Negotiation.ParameterReader(extensionName, parameters)
    const clientMaxWindowBits = reader.number("client_max_window_bits", windowRange)
    const clientNoContextTakeover = reader.flag("client_no_context_takeover")
    const serverMaxWindowBits = reader.number("server_max_window_bits", windowRange)
    const serverNoContextTakeover = reader.flag("server_no_context_takeover")
    return reader.finish(
      () =>
        new PerMessageDeflateResponse({
          clientMaxWindowBits,
          clientNoContextTakeover,
          serverMaxWindowBits,
          serverNoContextTakeover
        })
    )
  }
}

/** What a client can set where it accepts a response. */
export const ResponseSettings = Schema.Struct(ownSettings)

/** What a client can set where it accepts a response. */
export type ResponseSettings = (typeof ResponseSettings)["~type.make.in"]

/** How a client accepts a response. */
export class PerMessageDeflateResponseAccept extends Schema.Class<PerMessageDeflateResponseAccept>(
  "PerMessageDeflateResponseAccept"
)(
  Schema.Struct({ response: PerMessageDeflateResponse, ...ResponseSettings.fields }).check(
    Schema.makeFilter(
      ({ noContextTakeover, response, windowBits }) =>
        Negotiation.takeoverProblem(response.clientNoContextTakeover, noContextTakeover) ??
        Negotiation.limitProblem("windowBits", response.clientMaxWindowBits, windowBits)
    )
  )
) {}

/** One direction of a connection. */
export interface Direction {
  /** Each message is compressed by itself. */
  readonly noContextTakeover: boolean
  /** The LZ77 sliding window is of at most 2 to the power of this many bytes: 8 to 15. */
  readonly windowBits: number
}

/** What was negotiated for a connection, and how one end of it compresses. */
export class PerMessageDeflate extends Schema.Class<PerMessageDeflate>("PerMessageDeflate")({
  /** The end that this is the view of. */
  isServer: Schema.Boolean,
  serverNoContextTakeover: Schema.Boolean,
  clientNoContextTakeover: Schema.Boolean,
  /** 8 to 15. */
  serverMaxWindowBits: Negotiation.numberIn(windowRange),
  /** 8 to 15. */
  clientMaxWindowBits: Negotiation.numberIn(windowRange),
  ...codecSettings
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
    return fromServer
      ? { noContextTakeover: this.serverNoContextTakeover, windowBits: this.serverMaxWindowBits }
      : { noContextTakeover: this.clientNoContextTakeover, windowBits: this.clientMaxWindowBits }
  }
}

// RFC 7692 section 7.1.2: without the parameter, a window may be of 32,768 bytes.
const orLargest = (bits: number): number => (bits === 0 ? windowRange.maximum : bits)

const codecSettingsOf = ({
  level,
  maxMessageSize,
  memLevel,
  threshold
}: PerMessageDeflateOfferAccept | PerMessageDeflateResponseAccept) => ({
  level,
  maxMessageSize,
  memLevel,
  threshold
})

const server = Negotiation.accepting(extensionName, {
  Source: PerMessageDeflateOffer,
  Settings: OfferSettings,
  Accept: PerMessageDeflateOfferAccept,
  input: (settings, offer) => ({
    ...settings,
    offer,
    windowBits: Negotiation.within(offer.requestMaxWindowBits, settings.windowBits)
  }),
  negotiated: (accept) =>
    new PerMessageDeflate({
      isServer: true,
      serverNoContextTakeover: accept.noContextTakeover ?? accept.offer.requestNoContextTakeover,
      clientNoContextTakeover: accept.requestNoContextTakeover,
      serverMaxWindowBits: accept.windowBits ?? orLargest(accept.offer.requestMaxWindowBits),
      clientMaxWindowBits: orLargest(accept.requestMaxWindowBits),
      ...codecSettingsOf(accept)
    })
})

const client = Negotiation.accepting(extensionName, {
  Source: PerMessageDeflateResponse,
  Settings: ResponseSettings,
  Accept: PerMessageDeflateResponseAccept,
  input: (settings, response) => ({
    ...settings,
    response,
    windowBits: Negotiation.within(response.clientMaxWindowBits, settings.windowBits)
  }),
  negotiated: (accept) =>
    new PerMessageDeflate({
      isServer: false,
      serverNoContextTakeover: accept.response.serverNoContextTakeover,
      clientNoContextTakeover: accept.noContextTakeover ?? accept.response.clientNoContextTakeover,
      serverMaxWindowBits: orLargest(accept.response.serverMaxWindowBits),
      clientMaxWindowBits: accept.windowBits ?? orLargest(accept.response.clientMaxWindowBits),
      ...codecSettingsOf(accept)
    })
})

/** {@link PerMessageDeflateOfferAccept}; what its constructor throws for is a failure here. */
export const makeOfferAccept = server.make

/** {@link PerMessageDeflateResponseAccept}; what its constructor throws for is a failure here. */
export const makeResponseAccept = client.make

/**
 * An acceptor of the first offer that the settings are consistent with. `windowBits` is the most that the server
 * wants here: a client that asks for less gets less. Throws an `InvalidAccept` for settings that fit no offer.
 */
export const acceptOffer = (settings: OfferSettings = {}): OfferAcceptor<PerMessageDeflateOfferAccept> =>
  firstOffer(server.acceptor(settings))

/**
 * An acceptor of a response that the settings are consistent with; `windowBits` is as in {@link acceptOffer}. Throws
 * an `InvalidAccept` for settings that fit no response.
 */
export const acceptResponse = (
  settings: ResponseSettings = {}
): ResponseAcceptor<PerMessageDeflateResponseAccept> => client.acceptor(settings)

/** What a server has negotiated. Fails when the accept is none of this extension. */
export const fromOfferAccept: (
  accept: PerMessageCompressOfferAccept
) => Result.Result<PerMessageDeflate, string> = server.negotiated

/** What a client has negotiated. Fails when the accept is none of this extension. */
export const fromResponseAccept: (
  accept: PerMessageCompressResponseAccept
) => Result.Result<PerMessageDeflate, string> = client.negotiated

/** Whether the response fits one of the offers that were made. The failure says why not. */
export const checkResponse = (
  offers: ReadonlyArray<PerMessageCompressOffer>,
  response: PerMessageDeflateResponse
): Result.Result<PerMessageDeflateResponse, string> =>
  Negotiation.fitting(
    extensionName,
    offers,
    PerMessageDeflateOffer,
    response,
    (offer) =>
      Negotiation.flagMisfit(
        "server_no_context_takeover",
        offer.requestNoContextTakeover,
        response.serverNoContextTakeover
      ) ??
      Negotiation.limitMisfit(
        "server_max_window_bits",
        offer.requestMaxWindowBits,
        response.serverMaxWindowBits
      ) ??
      Negotiation.acceptMisfit(
        "client_max_window_bits",
        offer.acceptMaxWindowBits,
        response.clientMaxWindowBits
      )
  )

/** The extension, with a codec that does what was negotiated. */
export const extension = Negotiation.extension({
  name: extensionName,
  parseOffer: PerMessageDeflateOffer.parse,
  parseResponse: PerMessageDeflateResponse.parse,
  checkResponse,
  fromOfferAccept,
  fromResponseAccept,
  acceptResponse
})
