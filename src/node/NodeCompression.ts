/**
 * The per-message compressions that need nothing but Node: permessage-deflate and
 * permessage-brotli on `node:zlib`.
 */
import type * as Layer from "effect/Layer"
import * as Compression from "../channel/Compression.ts"
import * as PerMessageBrotli from "../extension/PerMessageBrotli.ts"
import type { CompressionExtension } from "../extension/PerMessageCompress.ts"
import * as PerMessageDeflate from "../extension/PerMessageDeflate.ts"
import * as BrotliCodec from "./BrotliCodec.ts"
import * as DeflateCodec from "./DeflateCodec.ts"

/** permessage-deflate (RFC 7692 section 7). */
export const deflate: CompressionExtension = PerMessageDeflate.extension(
  ({ extensionName, incoming, level, maxMessageSize, memLevel, outgoing, threshold }) => ({
    extensionName,
    threshold,
    maxMessageSize,
    compressor: DeflateCodec.makeCompressor({ ...outgoing, level, memLevel }),
    decompressor: DeflateCodec.makeDecompressor(incoming)
  })
)

/**
 * permessage-brotli, as Autobahn speaks it. With context takeover a connection holds
 * about 0.6 MiB: ask for none where there are many.
 */
export const brotli: CompressionExtension = PerMessageBrotli.extension(
  ({ extensionName, incoming, outgoing, quality, threshold }) => ({
    extensionName,
    threshold,
    maxMessageSize: undefined,
    compressor: BrotliCodec.makeCompressor({ contextTakeover: !outgoing.noContextTakeover, quality }),
    decompressor: BrotliCodec.makeDecompressor({ contextTakeover: !incoming.noContextTakeover })
  })
)

/** Speaks both, where a server accepts them and a client offers them. */
export const layer: Layer.Layer<Compression.Compression> = Compression.layer([deflate, brotli])
