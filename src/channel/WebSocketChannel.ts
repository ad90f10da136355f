/**
 * An open WebSocket connection.
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as NetAddress from "effect/net/NetAddress"
import * as Pull from "effect/Pull"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as CloseCode from "../frame/CloseCode.ts"
import * as Violation from "../frame/Violation.ts"
import type { ConnectionRequest, ConnectionResponse } from "../handshake/ConnectionRequest.ts"
import {
  type IncomingMessage,
  type Message,
  type Payload,
  toIncomingMessage,
  toMessage
} from "../message/Message.ts"
import type { PreparedMessage } from "../message/PreparedMessage.ts"
import { detailsOf, type TlsFacts, type TransportDetails } from "../transport/Transport.ts"
import { type SendsNow, sendNow } from "./Broadcast.ts"
import type { ChannelCore } from "./ChannelCore.ts"
import type { CloseEvent, CloseFacts } from "./CloseEvent.ts"
import type { FragmentedOptions, MessageWriter, Sendable } from "./Sender.ts"
import type { Statistics } from "./Statistics.ts"
import * as StreamedMessages from "./StreamedMessages.ts"
import { fromViolation, type WebSocketError } from "./WebSocketError.ts"

export { broadcast, type SlowConsumer } from "./Broadcast.ts"
export { type Callbacks, type Handler, handle } from "./Callbacks.ts"
export type { FragmentedOptions, MessageWriter, Sendable } from "./Sender.ts"
export type { StreamedMessage } from "./StreamedMessages.ts"

/** What was agreed in the opening handshake. */
export interface Agreed {
  readonly role: "client" | "server"
  readonly subprotocol: string | undefined
  /** The extensions that are spoken, as they stand in Sec-WebSocket-Extensions. */
  readonly extensions: ReadonlyArray<string>
  /** The client's request; on a server. */
  readonly request: ConnectionRequest | undefined
  /** The server's response; on a client. */
  readonly response: ConnectionResponse | undefined
}

/** What was agreed in the opening handshake, and with whom. */
export interface ChannelFacts extends Agreed {
  /** The other end of the transport: where the client came through a proxy, that proxy. See `request.peer`. */
  readonly peer: NetAddress.SocketAddress | undefined
  readonly local: NetAddress.SocketAddress | undefined
  readonly tls: TlsFacts | undefined
  /** What is known of the transport, these facts included. */
  readonly details: TransportDetails
}

/**
 * An open WebSocket connection: messages in, messages out, and the closing
 * handshake.
 *
 * Received bytes are views of what was read, and belong to the application: it
 * may change them, and should copy a small one that it keeps for long. Bytes
 * handed to `send` belong to the channel until they are written: do not change
 * them afterwards.
 */
export interface Channel extends ChannelFacts {
  /**
   * The messages received: text as strings, binary as bytes. Ends after a clean
   * close, fails after an unclean one, in both cases after the messages that came
   * before. A message goes to one reader; what a stream had taken and not handed on
   * when it was ended is gone, so use `receive` for a first message on its own.
   */
  readonly messages: Stream.Stream<Message, WebSocketError>
  /** The next message on its own. After the end of the connection it fails, also after a clean one. */
  readonly receive: Effect.Effect<Message, WebSocketError>
  /** The batches under `messages`: all messages of one read. */
  readonly pull: Pull.Pull<NonEmptyReadonlyArray<Message>, WebSocketError>
  /**
   * The messages received as bytes, text as its UTF-8: valid unless
   * `utf8validateIncoming` is off.
   */
  readonly incoming: Stream.Stream<IncomingMessage, WebSocketError>
  /**
   * The messages received, each a stream of its own that can be read before the
   * message is complete: what waits unread is at most about `maxReceiveBufferSize`,
   * however long the message. From then on the other ways to receive fail.
   */
  readonly streamed: Stream.Stream<StreamedMessages.StreamedMessage, WebSocketError>
  /**
   * Sends a message: a string as text, bytes as binary. Succeeds when the frame is
   * in the outgoing buffer, which is written at the end of the turn. Suspends while
   * more than `maxSendBufferSize` bytes wait; interrupted then, it has sent nothing.
   */
  readonly send: (message: Sendable) => Effect.Effect<void, WebSocketError>
  /**
   * As `send`, but never waits for a peer that does not keep up: while more than
   * `maxSendBufferSize` bytes wait it sends nothing, and succeeds with `false`. It
   * suspends while another message is sent in fragments, or is compressed.
   */
  readonly trySend: (message: Sendable) => Effect.Effect<boolean, WebSocketError>
  /**
   * Sends one message in fragments as `write` hands them over (Autobahn's
   * `beginMessage`, `endMessage`); it is complete when `write` succeeds. Other
   * messages wait meanwhile, so `write` must not wait for one; control frames go
   * between. When `write` fails after a first fragment, the connection is closed with
   * 1011: half a message cannot be taken back.
   */
  readonly sendFragmented: <A, E, R>(
    options: FragmentedOptions,
    write: (writer: MessageWriter) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, WebSocketError | E, R>
  /** Sends a stream as one message, each element a fragment: see `sendFragmented`. */
  readonly sendStream: <E, R>(
    payload: Stream.Stream<Payload, E, R>,
    options: FragmentedOptions
  ) => Effect.Effect<void, WebSocketError | E, R>
  /** Sends a ping with at most 125 bytes of payload. Default: none. */
  readonly sendPing: (payload?: ArrayBufferView) => Effect.Effect<void, WebSocketError>
  /** Sends an unsolicited pong with at most 125 bytes of payload. Default: none. */
  readonly sendPong: (payload?: ArrayBufferView) => Effect.Effect<void, WebSocketError>
  /** The payloads of pings received. The last 16 are kept while nobody reads. */
  readonly pings: Stream.Stream<Uint8Array>
  /** The payloads of pongs received. The last 16 are kept while nobody reads. */
  readonly pongs: Stream.Stream<Uint8Array>
  /**
   * Handles pings that come from now on, instead of the automatic pong, until the
   * scope closes. The handler sends the pong, if there is to be one. A defect in it
   * closes the connection with 1011.
   */
  readonly onPing: <R>(
    handler: (payload: Uint8Array) => Effect.Effect<unknown, never, R>
  ) => Effect.Effect<void, never, R | Scope.Scope>
  /** Handles pongs until the scope closes, those that wait in `pongs` first. */
  readonly onPong: <R>(
    handler: (payload: Uint8Array) => Effect.Effect<unknown, never, R>
  ) => Effect.Effect<void, never, R | Scope.Scope>
  /**
   * Performs the closing handshake, or joins the one under way, and succeeds with
   * how it ended once the transport is closed. Any sendable status code may be
   * given (RFC 6455 section 7.4); a reason needs one, and is cut to 123 bytes.
   * Messages that still come are discarded. Default: no status code.
   */
  readonly close: (code?: number, reason?: string) => Effect.Effect<CloseEvent, WebSocketError>
  /** How the connection ended, once the transport is closed. */
  readonly closed: Effect.Effect<CloseEvent>
  /** Bytes accepted by `send` that the network has not taken yet. */
  readonly bufferedAmount: Effect.Effect<number>
  /** What has gone through the connection so far. */
  readonly statistics: Effect.Effect<Statistics>
  /** What is known of the connection's end so far: who closed, with what, and which timeout fired. */
  readonly closeFacts: Effect.Effect<CloseFacts>
}

/** The connection that a handler serves. */
export class WebSocketChannel extends Context.Service<WebSocketChannel, Channel>()(
  "effect-websocket/channel/WebSocketChannel"
) {}

const noBytes = new Uint8Array(0)

/** A text that came as bytes and is too long for a string fails the connection, as it would have on its way in. */
const tooLong = (core: ChannelCore): Effect.Effect<never, WebSocketError> =>
  Effect.suspend(() => {
    core.closeUnsafe(Violation.statusCode("TextTooLong"), "")
    return Effect.fail(fromViolation("TextTooLong"))
  })

const takeMessages = (core: ChannelCore): Effect.Effect<NonEmptyReadonlyArray<Message>, WebSocketError> => {
  const batch = core.inbox.take()
  if (core.deliversPlain) return Effect.succeed(batch as NonEmptyReadonlyArray<Message>) // nothing else was kept
  const messages = batch.map(toMessage)
  return messages.includes(undefined)
    ? tooLong(core)
    : Effect.succeed(messages as unknown as NonEmptyReadonlyArray<Message>) // as many as before
}

const takeMessage = (core: ChannelCore): Effect.Effect<Message, WebSocketError> => {
  const message = toMessage(core.inbox.takeFirst())
  return message === undefined ? tooLong(core) : Effect.succeed(message)
}

const takeIncoming = (core: ChannelCore): Effect.Effect<NonEmptyReadonlyArray<IncomingMessage>> =>
  Effect.succeed(
    core.inbox.take().map(toIncomingMessage) as unknown as NonEmptyReadonlyArray<IncomingMessage> // as many
  )

// A function that is written where a property is set is made in V8's old space, where it would keep the whole connection
// until a full collection.
const sendOf =
  (sender: ChannelCore["sender"]): Channel["send"] =>
  (message) =>
    sender.send(message)

/** A channel on its engine. */
export const make = (core: ChannelCore, agreed: Agreed): Channel => new OpenChannel(core, agreed)

/**
 * What a connection does not use is not made: effects, streams and functions are made when they are asked for. The
 * functions need no `this`, so that they can be handed on.
 */
class OpenChannel implements Channel, SendsNow {
  readonly role: Channel["role"]
  readonly subprotocol: Channel["subprotocol"]
  readonly extensions: Channel["extensions"]
  readonly request: Channel["request"]
  readonly response: Channel["response"]
  readonly #core: ChannelCore
  // Those that are asked for again and again.
  #pull: Channel["pull"] | undefined
  #receive: Channel["receive"] | undefined
  #streamed: Channel["streamed"] | undefined
  #send: Channel["send"] | undefined

  constructor(core: ChannelCore, agreed: Agreed) {
    this.role = agreed.role
    this.subprotocol = agreed.subprotocol
    this.extensions = agreed.extensions
    this.request = agreed.request
    this.response = agreed.response
    this.#core = core
  }

  get peer(): Channel["peer"] {
    return this.#core.transport.peer
  }

  get local(): Channel["local"] {
    return this.#core.transport.local
  }

  get tls(): Channel["tls"] {
    return this.#core.transport.tls
  }

  get details(): Channel["details"] {
    return detailsOf(this.#core.transport)
  }

  get pull(): Channel["pull"] {
    this.#pull ??= this.#core.inbox.read(takeMessages)
    return this.#pull
  }

  get receive(): Channel["receive"] {
    const core = this.#core
    this.#receive ??= Pull.catchDone(core.inbox.read(takeMessage), () =>
      Effect.suspend(() => Effect.fail(core.error))
    )
    return this.#receive
  }

  get messages(): Channel["messages"] {
    return Stream.fromPull(Effect.succeed(this.pull))
  }

  get incoming(): Channel["incoming"] {
    const { inbox } = this.#core
    return Stream.fromPull(
      Effect.sync(() => {
        inbox.owner?.keepBytes()
        return inbox.read(takeIncoming)
      })
    )
  }

  get streamed(): Channel["streamed"] {
    this.#streamed ??= StreamedMessages.make(this.#core)
    return this.#streamed
  }

  get send(): Channel["send"] {
    this.#send ??= sendOf(this.#core.sender)
    return this.#send
  }

  [sendNow](message: PreparedMessage): boolean {
    // Who wraps a channel has a `send` of its own.
    return #core in this && this.#core.sender.sendNow(message)
  }

  get trySend(): Channel["trySend"] {
    const { sender } = this.#core
    return (message) => sender.trySend(message)
  }

  get sendFragmented(): Channel["sendFragmented"] {
    const { sender } = this.#core
    return (options, write) => sender.sendFragmented(options, write)
  }

  get sendStream(): Channel["sendStream"] {
    const { sender } = this.#core
    return (payload, options) =>
      sender.sendFragmented(options, (writer) => Stream.runForEach(payload, writer.send))
  }

  get sendPing(): Channel["sendPing"] {
    const { sender } = this.#core
    return (payload = noBytes) => sender.sendPing(payload)
  }

  get sendPong(): Channel["sendPong"] {
    const { sender } = this.#core
    return (payload = noBytes) => sender.sendPong(payload)
  }

  get pings(): Channel["pings"] {
    const { controls } = this.#core
    return Stream.suspend(() => Stream.fromQueue(controls.pings))
  }

  get pongs(): Channel["pongs"] {
    const { controls } = this.#core
    return Stream.suspend(() => Stream.fromQueue(controls.pongs))
  }

  get onPing(): Channel["onPing"] {
    const core = this.#core
    return (handler) =>
      Effect.acquireRelease(
        Effect.sync(() => core.controls.takePings()),
        (pings) => Effect.sync(() => core.controls.releasePings(pings))
      ).pipe(Effect.flatMap((pings) => handleControls(core, Stream.fromQueue(pings), handler)))
  }

  get onPong(): Channel["onPong"] {
    const core = this.#core
    return (handler) => handleControls(core, this.pongs, handler)
  }

  get close(): Channel["close"] {
    const core = this.#core
    return (code, reason = "") => core.close(code, reason)
  }

  get closed(): Channel["closed"] {
    return this.#core.closed
  }

  get bufferedAmount(): Channel["bufferedAmount"] {
    const core = this.#core
    return Effect.sync(() => core.bufferedAmount)
  }

  get statistics(): Channel["statistics"] {
    const core = this.#core
    return Effect.sync(() => core.statistics)
  }

  get closeFacts(): Channel["closeFacts"] {
    const core = this.#core
    return Effect.sync(() => core.closeFacts)
  }
}

/** Handles pings or pongs in a fiber of the scope. A defect in that closes the connection. */
const handleControls = <R>(
  core: ChannelCore,
  payloads: Stream.Stream<Uint8Array>,
  handler: (payload: Uint8Array) => Effect.Effect<unknown, never, R>
): Effect.Effect<void, never, R | Scope.Scope> =>
  payloads.pipe(
    Stream.runForEach((payload) => Effect.suspend(() => handler(payload))),
    Effect.catchCause((cause) =>
      Cause.hasDies(cause)
        ? Effect.andThen(
            Effect.logError("a handler died", cause),
            Effect.sync(() => core.closeUnsafe(CloseCode.unexpectedCondition, ""))
          )
        : Effect.failCause(cause)
    ),
    Effect.forkScoped,
    Effect.asVoid
  )
