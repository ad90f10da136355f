/**
 * permessage-bzip2, as Autobahn speaks it. It needs the package `bzip2-wasm`, which
 * nothing else does.
 */

import * as PerMessageBzip2 from "../extension/PerMessageBzip2.ts"
import type { CompressionExtension } from "../extension/PerMessageCompress.ts"
import * as Bzip2Codec from "./Bzip2Codec.ts"

/** permessage-bzip2, for `Compression.layer`. */
export const bzip2: CompressionExtension = PerMessageBzip2.extension(
  ({ extensionName, outgoing, threshold }) => ({
    extensionName,
    threshold,
    maxMessageSize: undefined,
    compressor: Bzip2Codec.makeCompressor({ compressLevel: outgoing.compressLevel }),
    decompressor: Bzip2Codec.makeDecompressor()
  })
)
