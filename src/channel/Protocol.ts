/**
 * The protocol's services with their default layers. Replace one of them by
 * providing another layer of it first.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Compression from "./Compression.ts"
import * as Framing from "./Framing.ts"
import * as Handshake from "./Handshake.ts"
import * as Timeouts from "./Timeouts.ts"
import * as WebSocketCrypto from "./WebSocketCrypto.ts"

/** What servers and clients are made of, but for the transport. */
export type Protocol = Handshake.Handshake | Framing.Framing | Compression.Compression | Timeouts.Timeouts

/** The protocol with the randomness in context. */
export const layerNoCrypto: Layer.Layer<Protocol, never, WebSocketCrypto.WebSocketCrypto> = Layer.mergeAll(
  Handshake.layer,
  Framing.layer,
  Compression.layerNone,
  Timeouts.layer
)

/** The protocol with the platform's randomness. */
export const layer: Layer.Layer<Protocol> = Layer.provide(layerNoCrypto, WebSocketCrypto.layer)

/** The protocol's services in context, and nothing else of it. */
export const services: Effect.Effect<Context.Context<Protocol>, never, Protocol> = Effect.map(
  Effect.context<Protocol>(),
  Context.pick(Handshake.Handshake, Framing.Framing, Compression.Compression, Timeouts.Timeouts)
)
