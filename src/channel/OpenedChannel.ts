/**
 * From a finished opening handshake to a channel: what both roles do alike.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Span } from "effect/Tracer"
import type { Transport } from "../transport/Transport.ts"
import { ChannelCore } from "./ChannelCore.ts"
import type { NegotiatedExtensions } from "./Compression.ts"
import { ConnectionObserver } from "./ConnectionMetrics.ts"
import * as ConnectionSpan from "./ConnectionSpan.ts"
import { Framing, type FramingOptions } from "./Framing.ts"
import type { CommonOptions } from "./Options.ts"
import type { HandshakeFacts } from "./Statistics.ts"
import type { Timers } from "./Timers.ts"
import * as WebSocketChannel from "./WebSocketChannel.ts"

/** A channel, with the engine that its server or client closes. */
export interface OpenedChannel {
  readonly core: ChannelCore
  readonly channel: WebSocketChannel.Channel
  /** The connection's span, where connections are traced. */
  readonly span: Span | undefined
}

/** What the handshake agreed on, and how frames are masked. */
export interface Agreement
  extends Omit<WebSocketChannel.Agreed, "extensions">,
    Pick<FramingOptions, "masking" | "maskOutgoing"> {
  readonly transport: Transport
  readonly options: CommonOptions
  /** Time for the transport to end after the closing handshake; 0: no limit, and 30 seconds. */
  readonly transportEndTimeout: Duration.Duration
  readonly negotiated: NegotiatedExtensions
  readonly handshake: HandshakeFacts
  /** Those of the server or client. */
  readonly timers: Timers
  /** What is still to be sent of the handshake: a server's 101. */
  readonly answer: Uint8Array | undefined
  /** Bytes that came after the peer's head. */
  readonly rest: Uint8Array
}

/**
 * Makes the channel, and starts it. Who observes connections in `context` is told of it before the 101 is sent:
 * what dies there is thrown.
 */
export const start = (agreement: Agreement, context: Context.Context<Framing>): OpenedChannel => {
  const { answer, negotiated, options, request, response, role, subprotocol, transport } = agreement
  const core = new ChannelCore({
    role,
    transport,
    transportEndTimeout: agreement.transportEndTimeout,
    codec: Context.get(context, Framing).make({
      masking: agreement.masking,
      maskOutgoing: agreement.maskOutgoing,
      applyMask: options.applyMask,
      maxFramePayloadSize: options.maxFramePayloadSize,
      maxMessagePayloadSize: options.maxMessagePayloadSize,
      utf8validateIncoming: options.utf8validateIncoming,
      allowedReservedBits: negotiated.reservedBits,
      compress: negotiated.compress,
      maxDecompressionRatio: options.maxDecompressionRatio
    }),
    options,
    handshake: agreement.handshake,
    timers: agreement.timers
  })
  const { extensions } = negotiated
  const channel = WebSocketChannel.make(core, { role, subprotocol, extensions, request, response })
  const span = ConnectionSpan.isTraced(context)
    ? runNow(ConnectionSpan.start(core, channel), context)
    : undefined
  const observer = Context.get(context, ConnectionObserver)
  if (observer !== undefined) runNow(observer({ role, core }), context)
  // Last, as what dies before can still be answered by HTTP.
  if (answer !== undefined) transport.write([answer])
  core.start(agreement.rest)
  return { core, channel, span }
}

/** Runs an effect that takes no time; one that does goes on by itself. What it dies with is thrown, or logged then. */
const runNow = <A>(effect: Effect.Effect<A>, context: Context.Context<never>): A | undefined => {
  const run = Effect.runForkWith(context)
  const fiber = run(effect, { uninterruptible: true })
  const exit = fiber.pollUnsafe()
  if (exit === undefined) {
    fiber.addObserver((late) => {
      if (Exit.isFailure(late)) run(Effect.logError("what observes a connection died", late.cause))
    })
    return undefined
  }
  if (Exit.isFailure(exit)) throw Cause.squash(exit.cause)
  return exit.value
}
