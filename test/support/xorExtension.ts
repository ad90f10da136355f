/**
 * A per-message extension of a test's own: it flips every bit, so that its messages are
 * as long as before.
 */
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { Compression, type PerMessageCompress as Extension, Protocol } from "effect-websocket"

const flip = (bytes: Uint8Array): Uint8Array => bytes.map((byte) => byte ^ 0xff)

export const offer: Extension.PerMessageCompressOffer = {
  extensionName: "permessage-xor",
  extensionString: "permessage-xor"
}

export interface XorOptions {
  /** Messages of fewer bytes are sent as they are. Default: 0. */
  readonly threshold?: number
  /** Has the codec be done later, when it calls what it is given. Default: at once. */
  readonly later?: (done: () => void) => void
  /** Is told when a connection's codec is closed. */
  readonly onClose?: () => void
}

/** The extension. A message that begins with 0 cannot be decompressed. */
export const make = ({
  later = (done) => done(),
  onClose = () => {},
  threshold = 0
}: XorOptions = {}): Extension.CompressionExtension => {
  const codec = (): Result.Result<Extension.PerMessageCompress, string> =>
    Result.succeed({
      extensionName: offer.extensionName,
      threshold,
      maxMessageSize: undefined,
      compressor: {
        compress: (payload, _isFinal, done) => later(() => done(flip(payload))),
        aloneKey: "",
        compressAlone: (payload, done) => later(() => done(flip(payload))),
        sentAlone: () => {},
        close: onClose
      },
      decompressor: {
        decompress: (payload, limit, done) =>
          later(() => done(payload.length > limit ? "TooBig" : payload[0] === 0 ? "Corrupt" : flip(payload))),
        push: (piece, _isFinal, limit, done) =>
          later(() => done(piece.length > limit ? "TooBig" : piece[0] === 0 ? "Corrupt" : [flip(piece)])),
        close: onClose
      }
    })
  const parse = (parameters: ReadonlyArray<unknown>) =>
    parameters.length === 0 ? Result.succeed(offer) : Result.fail("permessage-xor has no parameters")
  return {
    name: offer.extensionName,
    parseOffer: parse,
    parseResponse: parse,
    acceptResponse: (response) => ({ response }),
    fromOfferAccept: codec,
    fromResponseAccept: codec
  }
}

/** Accepts the first offer. */
export const acceptFirst: Extension.OfferAcceptor = ([first]) =>
  first === undefined ? undefined : { offer: first, extensionString: first.extensionString }

/** The protocol with the extension. */
export const protocol = (options?: XorOptions): Layer.Layer<Protocol.Protocol> =>
  Layer.merge(Protocol.layer, Compression.layer([make(options)]))
