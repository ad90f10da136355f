/**
 * The negotiation of extensions whose only parameters are those of context takeover, as Autobahn defines
 * permessage-brotli and permessage-snappy: both mean what they mean in RFC 7692 section 7.1.1, but that a server
 * may ask a client for no context takeover only where the offer has `client_no_context_takeover`.
 */
import type * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { ExtensionParameter } from "./ExtensionHeader.ts"
import * as Negotiation from "./Negotiation.ts"

export const offerFields = {
  /**
   * `client_no_context_takeover` is in the offer: the server may ask the client for no context takeover. Default:
   * `true`.
   */
  acceptNoContextTakeover: Negotiation.flag(true),
  /** Asks the server for no context takeover. Default: `false`. */
  requestNoContextTakeover: Negotiation.flag(false)
}

type Offer = Schema.Struct<typeof offerFields>["Type"]

export const offerString = (extensionName: string, offer: Offer): string =>
  Negotiation.format(extensionName, [
    ["client_no_context_takeover", offer.acceptNoContextTakeover],
    ["server_no_context_takeover", offer.requestNoContextTakeover]
  ])

export const parseOffer = <A>(
  extensionName: string,
  parameters: ReadonlyArray<ExtensionParameter>,
  make: (offer: Offer) => A
): Result.Result<A, string> => {
  const reader = new Negotiation.ParameterReader(extensionName, parameters)
  const acceptNoContextTakeover = reader.flag("client_no_context_takeover")
  const requestNoContextTakeover = reader.flag("server_no_context_takeover")
  return reader.finish(() => make({ acceptNoContextTakeover, requestNoContextTakeover }))
}

export const responseSettings = {
  ...Negotiation.common,
  /** No context takeover in the own direction. Default: what the other end has asked for. */
  noContextTakeover: Schema.optional(Schema.Boolean)
}

export const offerSettings = {
  ...responseSettings,
  /** Asks the client for no context takeover. Default: `false`. */
  requestNoContextTakeover: Negotiation.flag(false)
}

type OfferAccept = { readonly offer: Offer } & Schema.Struct<typeof offerSettings>["Type"]

export const offerAcceptProblem = (accept: OfferAccept): Negotiation.Problem =>
  Negotiation.requestProblem(
    "requestNoContextTakeover",
    accept.requestNoContextTakeover,
    accept.offer.acceptNoContextTakeover,
    "client_no_context_takeover"
  ) ?? Negotiation.takeoverProblem(accept.offer.requestNoContextTakeover, accept.noContextTakeover)

export const responseString = (extensionName: string, accept: OfferAccept): string =>
  Negotiation.format(extensionName, [
    ["server_no_context_takeover", accept.noContextTakeover ?? accept.offer.requestNoContextTakeover],
    ["client_no_context_takeover", accept.requestNoContextTakeover]
  ])

/** A flag is `true` where the response has the parameter. */
export const responseFields = {
  clientNoContextTakeover: Schema.Boolean,
  serverNoContextTakeover: Schema.Boolean
}

type Response = Schema.Struct<typeof responseFields>["Type"]

export const parseResponse = <A>(
  extensionName: string,
  parameters: ReadonlyArray<ExtensionParameter>,
  make: (response: Response) => A
): Result.Result<A, string> => {
  const reader = new Negotiation.ParameterReader(extensionName, parameters)
  const clientNoContextTakeover = reader.flag("client_no_context_takeover")
  const serverNoContextTakeover = reader.flag("server_no_context_takeover")
  return reader.finish(() => make({ clientNoContextTakeover, serverNoContextTakeover }))
}

export const misfit = (offer: Offer, response: Response): Negotiation.Problem =>
  Negotiation.flagMisfit(
    "server_no_context_takeover",
    offer.requestNoContextTakeover,
    response.serverNoContextTakeover
  ) ??
  Negotiation.acceptMisfit(
    "client_no_context_takeover",
    offer.acceptNoContextTakeover,
    response.clientNoContextTakeover
  )

type ResponseAccept = { readonly response: Response } & Schema.Struct<typeof responseSettings>["Type"]

export const responseAcceptProblem = (accept: ResponseAccept): Negotiation.Problem =>
  Negotiation.takeoverProblem(accept.response.clientNoContextTakeover, accept.noContextTakeover)

export const negotiatedFields = {
  /** The end that this is the view of. */
  isServer: Schema.Boolean,
  serverNoContextTakeover: Schema.Boolean,
  clientNoContextTakeover: Schema.Boolean,
  ...Negotiation.common
}

type Negotiated = Schema.Struct<typeof negotiatedFields>["Type"]

export const negotiatedByServer = (accept: OfferAccept): Negotiated => ({
  isServer: true,
  serverNoContextTakeover: accept.noContextTakeover ?? accept.offer.requestNoContextTakeover,
  clientNoContextTakeover: accept.requestNoContextTakeover,
  threshold: accept.threshold
})

export const negotiatedByClient = (accept: ResponseAccept): Negotiated => ({
  isServer: false,
  serverNoContextTakeover: accept.response.serverNoContextTakeover,
  clientNoContextTakeover: accept.noContextTakeover ?? accept.response.clientNoContextTakeover,
  threshold: accept.threshold
})

/** One direction of a connection. */
export interface Direction {
  /** Each message is compressed by itself. */
  readonly noContextTakeover: boolean
}

export const direction = (negotiated: Negotiated, fromServer: boolean): Direction => ({
  noContextTakeover: fromServer ? negotiated.serverNoContextTakeover : negotiated.clientNoContextTakeover
})
