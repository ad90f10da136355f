/**
 * Negotiation of per-message compression (RFC 7692) as a service.
 */
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as ExtensionHeader from "../extension/ExtensionHeader.ts"
import type {
  CompressionExtension,
  OfferAcceptor,
  PerMessageCompress,
  PerMessageCompressOffer,
  ResponseAcceptor
} from "../extension/PerMessageCompress.ts"
import { rsv1 } from "../frame/FrameHeader.ts"

/** What both ends speak on a connection. */
export interface NegotiatedExtensions {
  /** As they stand in the response's Sec-WebSocket-Extensions. */
  readonly extensions: ReadonlyArray<string>
  /** The reserved bits they claim, where they stand in a frame's first byte. */
  readonly reservedBits: number
  /** The per-message compression among them. */
  readonly compress: PerMessageCompress | undefined
}

/** Nothing is negotiated. */
export const none: NegotiatedExtensions = { extensions: [], reservedBits: 0, compress: undefined }

/** Negotiates extensions, as a server and as a client. */
export class Compression extends Context.Service<
  Compression,
  {
    /**
     * The server's answer to a client's offers. Fails when the application's choice is
     * not one that can be made.
     */
    readonly accept: (
      offered: ReadonlyArray<ExtensionHeader.Extension>,
      choose: OfferAcceptor | undefined
    ) => Result.Result<NegotiatedExtensions, string>
    /** A client's offers as they stand in its Sec-WebSocket-Extensions: those of extensions that are spoken here. */
    readonly offer: (offers: ReadonlyArray<PerMessageCompressOffer>) => ReadonlyArray<string>
    /** The client's check of the server's answer; a failure fails the opening handshake. */
    readonly acceptResponse: (
      answered: ReadonlyArray<ExtensionHeader.Extension>,
      offers: ReadonlyArray<PerMessageCompressOffer>,
      choose: ResponseAcceptor | undefined
    ) => Result.Result<NegotiatedExtensions, string>
  }
>()("effect-websocket/channel/Compression") {}

/** Speaks no compression: accepts no offer, and no answer. */
export const layerNone: Layer.Layer<Compression> = Layer.sync(Compression, () => make([]))

/** Speaks these per-message compressions, where a server accepts them and a client offers them. */
export const layer = (extensions: ReadonlyArray<CompressionExtension>): Layer.Layer<Compression> =>
  Layer.sync(Compression, () => make(extensions))

const make = (extensions: ReadonlyArray<CompressionExtension>): Compression["Service"] => {
  const known = new Map(extensions.map((extension) => [extension.name, extension]))
  return {
    accept: (offered, choose) => {
      if (choose === undefined) return Result.succeed(none)
      const offers = offered.flatMap(({ name, parameters }) => {
        const offer = known.get(name)?.parseOffer(parameters)
        return offer === undefined || Result.isFailure(offer) ? [] : [offer.success]
      })
      const accept = offers.length === 0 ? undefined : choose(offers)
      if (accept === undefined) return Result.succeed(none)
      const compress = known.get(accept.offer.extensionName)?.fromOfferAccept(accept)
      return compress === undefined
        ? Result.fail(`the extension ${accept.offer.extensionName} is not spoken here`)
        : Result.map(compress, (compress) => negotiated(accept.extensionString, compress))
    },
    offer: (offers) =>
      offers.flatMap(({ extensionName, extensionString }) =>
        known.has(extensionName) ? [extensionString] : []
      ),
    acceptResponse: (answered, offers, choose) => {
      const [answer, ...others] = answered
      if (answer === undefined) return Result.succeed(none)
      if (others.length > 0) return Result.fail("the server chose several extensions")
      const made = offers.filter(({ extensionName }) => extensionName === answer.name)
      const extension = known.get(answer.name)
      if (extension === undefined || made.length === 0) {
        return Result.fail(`the server chose the extension ${answer.name}, which was not offered`)
      }
      return Result.flatMap(extension.parseResponse(answer.parameters, made), (response) => {
        const accept = choose === undefined ? extension.acceptResponse(response) : choose(response)
        return accept === undefined
          ? Result.fail(`the answer to the offer of ${answer.name} was not accepted`)
          : Result.map(extension.fromResponseAccept(accept), (compress) =>
              negotiated(ExtensionHeader.format(answer), compress)
            )
      })
    }
  }
}

const negotiated = (extension: string, compress: PerMessageCompress): NegotiatedExtensions => ({
  extensions: [extension],
  reservedBits: rsv1,
  compress
})
