/**
 * Every per-message compression there is, as both ends negotiate it by default.
 */
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import {
  Compression,
  PerMessageBrotli,
  PerMessageBzip2,
  type PerMessageCompress,
  PerMessageDeflate,
  PerMessageSnappy,
  Protocol
} from "effect-websocket"
import { NodeCompression } from "effect-websocket/node"
import { bzip2 } from "effect-websocket/node/bzip2"
import { snappy } from "effect-websocket/node/snappy"

export interface Spoken {
  /** As it stands in the response. */
  readonly name: string
  readonly extension: PerMessageCompress.CompressionExtension
  readonly offer: PerMessageCompress.PerMessageCompressOffer
  readonly accept: PerMessageCompress.OfferAcceptor
}

/** The protocol with one extension. */
export const protocolWith = (
  extension: PerMessageCompress.CompressionExtension
): Layer.Layer<Protocol.Protocol> => Layer.merge(Protocol.layer, Compression.layer([extension]))

/** What a client sends for one message. */
export const compressed = async (
  { accept, extension, offer }: Spoken,
  payload: Uint8Array
): Promise<Uint8Array> => {
  const chosen = accept([offer])
  if (chosen === undefined) throw new Error("the offer is not accepted")
  const { compressor } = Result.getOrThrow(extension.fromOfferAccept(chosen))
  const result = await new Promise<Uint8Array>((done) => compressor.compress(payload, true, done))
  compressor.close()
  return result
}

export const compressions: ReadonlyArray<Spoken> = [
  {
    name: "permessage-deflate",
    extension: NodeCompression.deflate,
    offer: new PerMessageDeflate.PerMessageDeflateOffer(),
    accept: PerMessageDeflate.acceptOffer()
  },
  {
    name: "permessage-deflate; server_no_context_takeover; server_max_window_bits=9; client_no_context_takeover; client_max_window_bits=9",
    extension: NodeCompression.deflate,
    offer: new PerMessageDeflate.PerMessageDeflateOffer(),
    accept: PerMessageDeflate.acceptOffer({
      windowBits: 9,
      noContextTakeover: true,
      requestMaxWindowBits: 9,
      requestNoContextTakeover: true
    })
  },
  {
    name: "permessage-brotli",
    extension: NodeCompression.brotli,
    offer: new PerMessageBrotli.PerMessageBrotliOffer(),
    accept: PerMessageBrotli.acceptOffer()
  },
  {
    name: "permessage-bzip2",
    extension: bzip2,
    offer: new PerMessageBzip2.PerMessageBzip2Offer(),
    accept: PerMessageBzip2.acceptOffer()
  },
  {
    name: "permessage-snappy",
    extension: snappy,
    offer: new PerMessageSnappy.PerMessageSnappyOffer(),
    accept: PerMessageSnappy.acceptOffer()
  }
]
