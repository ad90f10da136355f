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
import { FrameWriter } from "../frame/FrameWriter.ts"
import { messageLimit } from "../message/MessageAssembler.ts"
import { MessageReader, type MessageReaderOptions } from "../message/MessageReader.ts"
import { WebSocketCrypto } from "./WebSocketCrypto.ts"

export interface FramingOptions extends MessageReaderOptions {
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

/** Makes readers. Connections that agreed on the same, as most do that follow one another, share the function for that. */
class Readers {
  #options: MessageReaderOptions | undefined
  #make: (() => MessageReader) | undefined

  like(framing: FramingOptions): () => MessageReader {
    const options: MessageReaderOptions = {
      masking: framing.masking,
      applyMask: framing.applyMask,
      maxFramePayloadSize: framing.maxFramePayloadSize,
      allowedReservedBits: framing.allowedReservedBits,
      maxMessagePayloadSize: framing.maxMessagePayloadSize,
      utf8validateIncoming: framing.utf8validateIncoming
    }
    if (this.#make !== undefined && this.#options !== undefined && isAlike(this.#options, options)) {
      return this.#make
    }
    this.#options = options
    this.#make = () => new MessageReader(options)
    return this.#make
  }
}

const isAlike = <A extends object>(one: A, other: A): boolean => {
  for (const name in one) if (one[name] !== other[name]) return false
  return true
}

/** RFC 6455 framing. All connections of the layer share one slab for small outgoing frames. */
export const layer: Layer.Layer<Framing, never, WebSocketCrypto> = Layer.effect(
  Framing,
  Effect.gen(function* () {
    const { maskingKey } = yield* WebSocketCrypto
    const pool = new SlabPool()
    const readers = new Readers()
    return Framing.of({
      make: (options) => {
        const outgoing = new OutgoingBytes(pool)
        const { compress } = options
        const limit = messageLimit(options)
        return {
          makeReader: readers.like(options),
          compression: compress && new ConnectionCompression(compress.compressor, compress.threshold),
          decompression:
            compress &&
            new Decompression(
              compress.decompressor,
              Math.min(limit, compress.maxMessageSize ?? limit),
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
