/**
 * A per-message extension of a test's own: it flips every bit, so that its messages are
 * as long as before.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { Compression, type PerMessageCompress as Extension, Protocol } from "effect-websocket"
import { type CommonOptions, open, type Role } from "./apiSession.ts"

const flip = (bytes: Uint8Array): Uint8Array => bytes.map((byte) => byte ^ 0xff)

export const offer: Extension.PerMessageCompressOffer = {
  extensionName: "permessage-xor",
  extensionString: "permessage-xor"
}

export interface XorOptions {
  /** Messages of fewer bytes are sent as they are. Default: 0. */
  readonly threshold?: number
  /** What is decompressed comes so many times. Default: once. */
  readonly growth?: number
  /** Has the codec be done later, when it calls what it is given. Default: at once. */
  readonly later?: (done: () => void) => void
  /** Is told when a connection's codec is closed. */
  readonly onClose?: () => void
}

/** The extension. A message that begins with 0 cannot be decompressed. */
export const make = ({
  growth = 1,
  later = (done) => done(),
  onClose = () => {},
  threshold = 0
}: XorOptions = {}): Extension.CompressionExtension => {
  const decompress = (bytes: Uint8Array, limit: number) => {
    if (bytes.length * growth > limit) return "TooBig"
    return bytes[0] === 0 ? "Corrupt" : new Uint8Array(Buffer.alloc(bytes.length * growth, flip(bytes)))
  }
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
        decompress: (payload, limit, done) => later(() => done(decompress(payload, limit))),
        push: (piece, _isFinal, limit, done) =>
          later(() => {
            const bytes = decompress(piece, limit)
            done(typeof bytes === "string" ? bytes : [bytes])
          }),
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

// Each of one role alone, so that the options of both roles do not have it.
const speaking: Readonly<Record<Role, object>> = {
  client: { perMessageCompressionOffers: [offer] },
  server: { perMessageCompressionAccept: acceptFirst }
}

/** A channel that speaks the extension. */
export const openXor = Effect.fnUntraced(function* (
  role: Role,
  options: CommonOptions = {},
  xor: XorOptions = {}
) {
  const session = yield* open(
    role,
    { ...options, ...speaking[role] },
    { protocol: protocol(xor), extensions: offer.extensionString }
  )
  session.peer.allowRsv(4)
  return session
})
