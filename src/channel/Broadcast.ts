/**
 * One message for many channels, some of whose peers may not keep up.
 */
import * as Effect from "effect/Effect"
import type * as CloseCode from "../frame/CloseCode.ts"
import type { Payload } from "../message/Message.ts"
import { PreparedMessage } from "../message/PreparedMessage.ts"
import type { Channel } from "./WebSocketChannel.ts"

/**
 * What becomes of a message for a slow consumer, a peer for which more than `maxSendBufferSize` bytes wait:
 *
 * - `"suspend"`: it waits for the peer, as `send` does.
 * - `"drop"`: this peer does not get it.
 * - `{ close }`: the connection is closed with this status code, 1008 or 1013. The Close frame is behind what waits
 *   already: a peer that does not come to it within `closeHandshakeTimeout` is dropped.
 */
export type SlowConsumer =
  | "suspend"
  | "drop"
  | { readonly close: typeof CloseCode.policyViolation | typeof CloseCode.tryAgainLater }

export const sendNow: unique symbol = Symbol("sendNow")

/** A channel that can send without an effect, which for many short messages is most of the time. */
export interface SendsNow {
  /** Sends the message if nothing keeps it from being sent now: whether it was sent. */
  [sendNow](message: PreparedMessage): boolean
}

/**
 * Sends a message to all channels at once, framed and compressed once for them. It has been sent when all that keep
 * up have it; only with `"suspend"` does it wait for the others, who never keep these from theirs. Channels that are
 * closing or closed are passed over.
 */
export const broadcast = (
  channels: Iterable<Channel>,
  message: Payload | PreparedMessage,
  slowConsumer: SlowConsumer
): Effect.Effect<void> =>
  Effect.suspend(() => {
    const prepared = message instanceof PreparedMessage ? message : new PreparedMessage(message)
    const others = Array.from(channels).filter((channel) => !isSentNow(channel, prepared))
    if (others.length === 0) return Effect.void
    const send = sendTo(slowConsumer)
    return Effect.forEach(others, (channel) => Effect.ignore(send(channel, prepared)), {
      concurrency: "unbounded",
      discard: true
    })
  })

const isSentNow = (channel: Channel & Partial<SendsNow>, message: PreparedMessage): boolean =>
  channel[sendNow]?.(message) === true

const sendTo =
  (slowConsumer: SlowConsumer) =>
  (channel: Channel, message: PreparedMessage): Effect.Effect<unknown, unknown> => {
    if (slowConsumer === "suspend") return channel.send(message)
    const sent = channel.trySend(message)
    if (slowConsumer === "drop") return sent
    return Effect.flatMap(sent, (isSent) =>
      // The end of the closing handshake is not waited for.
      isSent
        ? Effect.void
        : Effect.forkDetach(channel.close(slowConsumer.close, "too slow"), { startImmediately: true })
    )
  }
