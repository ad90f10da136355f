/**
 * Framing as a service: it makes the decoder and encoder of each connection.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { OutgoingBytes, SlabPool } from "../bytes/OutgoingBytes.ts"
import { Compression as ConnectionCompression } from "../connection/Compression.ts"
import type { Codec } from "../connection/Connection.ts"
import { Decompression } from "../connection/Decompression.ts"
import type { PerMessageCompress } from "../extension/PerMessageCompress.ts"
import { FrameDecoder, type FrameDecoderOptions } from "../frame/FrameDecoder.ts"
import { FrameWriter } from "../frame/FrameWriter.ts"
import { MessageAssembler, type MessageAssemblerOptions } from "../message/MessageAssembler.ts"
import { WebSocketCrypto } from "./WebSocketCrypto.ts"

export interface FramingOptions extends FrameDecoderOptions, MessageAssemblerOptions {
  /** Whether outgoing frames are masked (RFC 6455 section 5.1: a client's are). */
  readonly maskOutgoing: boolean
  /** The per-message compression that is spoken. */
  readonly compress: PerMessageCompress | undefined
  /** How many times its compressed payload a message may be; 0 for no limit. */
  readonly maxDecompressionRatio: number
}

/** Makes the codec of a connection: a plain synchronous object, resolved once. */
export class Framing extends Context.Service<
  Framing,
  {
    readonly make: (options: FramingOptions) => Codec
  }
>()("effect-websocket/channel/Framing") {}

/** RFC 6455 framing. All connections of the layer share one slab for small outgoing frames. */
export const layer: Layer.Layer<Framing, never, WebSocketCrypto> = Layer.effect(
  Framing,
  Effect.gen(function* () {
    const { maskingKey } = yield* WebSocketCrypto
    const pool = new SlabPool()
    return Framing.of({
      make: (options) => {
        const outgoing = new OutgoingBytes(pool)
        const assembler = new MessageAssembler(options)
        const { compress } = options
        return {
          decoder: new FrameDecoder(options),
          assembler,
          compression: compress && new ConnectionCompression(compress.compressor, compress.threshold),
          decompression:
            compress &&
            new Decompression(
              compress.decompressor,
              Math.min(assembler.limit, compress.maxMessageSize ?? assembler.limit),
              options.maxDecompressionRatio
            ),
          outgoing,
          writer: new FrameWriter(outgoing, {
            nextMaskingKey: options.maskOutgoing ? maskingKey : undefined,
            applyMask: options.applyMask
          })
        }
      }
    })
  })
)
