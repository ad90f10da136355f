/**
 * permessage-snappy, as Autobahn speaks it. It needs the package `snappy`, which
 * nothing else does.
 */
import type { CompressionExtension } from "../extension/PerMessageCompress.ts"
import * as PerMessageSnappy from "../extension/PerMessageSnappy.ts"
import * as SnappyCodec from "./SnappyCodec.ts"

/** permessage-snappy, for `Compression.layer`. */
export const snappy: CompressionExtension = PerMessageSnappy.extension(
  ({ extensionName, incoming, outgoing, threshold }) => ({
    extensionName,
    threshold,
    maxMessageSize: undefined,
    compressor: SnappyCodec.makeCompressor({ contextTakeover: !outgoing.noContextTakeover }),
    decompressor: SnappyCodec.makeDecompressor({ contextTakeover: !incoming.noContextTakeover })
  })
)
