/**
 * Randomness and the digest of the opening handshake, as synchronous functions.
 */
import * as Context from "effect/Context"
import { WebCrypto } from "effect/crypto/WebCrypto"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { viewOf } from "../bytes/Masking.ts"
import { sha1 } from "../bytes/Sha1.ts"

/** The randomness and digest that handshake and framing use; a test can fix them. */
export class WebSocketCrypto extends Context.Service<
  WebSocketCrypto,
  {
    /** `size` unpredictable bytes: the client's key (RFC 6455 section 4.1). */
    readonly randomBytes: (size: number) => Uint8Array
    /** An unpredictable masking key, as an unsigned 32-bit number (RFC 6455 section 5.3). */
    readonly maskingKey: () => number
    /** SHA-1, for the accept key (RFC 6455 section 4.2.2). */
    readonly sha1: (bytes: Uint8Array) => Uint8Array
  }
>()("effect-websocket/channel/WebSocketCrypto") {}

// A call into the platform's generator costs far more than the four bytes of a key.
const poolSize = 8192

/** The platform's cryptographically secure generator, through Web Crypto; keys are drawn in blocks. */
export const layer: Layer.Layer<WebSocketCrypto> = Layer.effect(
  WebSocketCrypto,
  Effect.gen(function* () {
    // Got when it is first used, as it is much to load: a server without pings uses none.
    const context = yield* Effect.context<never>()
    const getRandomValues = (bytes: Uint8Array<ArrayBuffer>) =>
      Context.get(context, WebCrypto).getRandomValues(bytes)
    const pool = new Uint8Array(poolSize)
    const view = viewOf(pool)
    let position = poolSize
    return WebSocketCrypto.of({
      randomBytes: (size) => getRandomValues(new Uint8Array(size)),
      maskingKey: () => {
        if (position === poolSize) {
          getRandomValues(pool)
          position = 0
        }
        const key = view.getUint32(position)
        position += 4
        return key
      },
      sha1
    })
  })
)
