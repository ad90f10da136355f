/**
 * From a finished opening handshake to a channel: what both roles do alike.
 */
import * as Effect from "effect/Effect"
import * as ExtensionHeader from "../extension/ExtensionHeader.ts"
import type { Transport } from "../transport/Transport.ts"
import { ChannelCore } from "./ChannelCore.ts"
import type { NegotiatedExtensions } from "./Compression.ts"
import { Framing, type FramingOptions } from "./Framing.ts"
import type { CommonOptions } from "./Options.ts"
import type { Timeouts } from "./Timeouts.ts"
import * as WebSocketChannel from "./WebSocketChannel.ts"

/** A channel, with the engine that its server or client closes. */
export interface OpenedChannel {
  readonly core: ChannelCore
  readonly channel: WebSocketChannel.Channel
}

/** What the handshake agreed on, and how frames are masked. */
export interface Agreement
  extends Pick<WebSocketChannel.ChannelFacts, "role" | "subprotocol" | "request" | "response">,
    Pick<FramingOptions, "masking" | "maskOutgoing"> {
  readonly transport: Transport
  readonly options: CommonOptions
  readonly negotiated: NegotiatedExtensions
}

/** Makes the channel. It does not read yet: `core.start` follows. */
export const make = Effect.fnUntraced(function* ({
  maskOutgoing,
  masking,
  negotiated,
  options,
  transport,
  ...facts
}: Agreement): Effect.fn.Return<OpenedChannel, never, Framing | Timeouts> {
  const codec = (yield* Framing).make({
    ...options,
    masking,
    maskOutgoing,
    allowedReservedBits: negotiated.reservedBits
  })
  const context = yield* Effect.context<Timeouts>()
  const core = new ChannelCore({ role: facts.role, transport, codec, options, context })
  const channel = WebSocketChannel.make(core, {
    ...facts,
    extensions: negotiated.extensions.map(ExtensionHeader.format),
    peer: transport.peer,
    local: transport.local,
    tls: transport.tls
  })
  return { core, channel }
})
