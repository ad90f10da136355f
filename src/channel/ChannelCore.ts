/**
 * The engine of a channel: it drives a {@link Connection} over a
 * {@link Transport}, with an inbox for what the application has not pulled yet and
 * an outbox for what the network has not taken yet.
 *
 * Key invariants:
 * - One pass per chunk: all complete frames are decoded, the messages resume a
 *   waiting pull once, and what the application sends in that turn leaves in one
 *   write.
 * - Frames are written synchronously and whole, so senders never interleave and
 *   an interrupted `send` has sent all of its message or nothing.
 * - Messages that came before a failure or a Close are delivered before it, and
 *   what the application answers in that turn goes out before it.
 * - Bytes held are bounded: received ones by pausing the transport, sent ones by
 *   suspending senders, pongs by keeping only the latest (RFC 6455 5.5.3).
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import {
  type Codec,
  Connection,
  type ConnectionEvents,
  type ConnectionOptions
} from "../connection/Connection.ts"
import * as CloseCode from "../frame/CloseCode.ts"
import type { MessagePiece, ReceivedMessage } from "../message/Message.ts"
import type { Transport, TransportListener } from "../transport/Transport.ts"
import type { CloseEvent, CloseFacts } from "./CloseEvent.ts"
import { ControlQueues } from "./ControlQueues.ts"
import { ControlRate } from "./ControlRate.ts"
import { Ending, type EndingStep } from "./Ending.ts"
import { Heartbeat, type HeartbeatOptions } from "./Heartbeat.ts"
import { Inbox, type InboxOwner } from "./Inbox.ts"
import { Outbox } from "./Outbox.ts"
import { Sender } from "./Sender.ts"
import type { HandshakeFacts, Statistics } from "./Statistics.ts"
import type { Timers } from "./Timers.ts"
import {
  CloseTimeout,
  ConnectionClosed,
  fromViolation,
  invalidCall,
  PingTimeout,
  TransportFailure,
  WebSocketError,
  type WebSocketErrorReason
} from "./WebSocketError.ts"
import { withoutStack } from "./withoutStack.ts"

export interface ChannelCoreOptions extends ConnectionOptions, HeartbeatOptions {
  readonly closeHandshakeTimeout: Duration.Duration
  readonly maxSendBufferSize: number
  readonly maxReceiveBufferSize: number
  readonly maxControlFramesPerSecond: number
}

const failureOf = (makeReason: () => WebSocketErrorReason): WebSocketError =>
  withoutStack(() => new WebSocketError({ reason: makeReason() }))

/** Who holds something for a connection. */
export interface Holder {
  /** The transport is gone. */
  onGone(): void
}

export class ChannelCore implements TransportListener, ConnectionEvents, InboxOwner {
  readonly transport: Transport
  /** What the application has not read yet. */
  readonly inbox: Inbox<ChannelCore> = new Inbox(this)
  /** What the application sends. */
  readonly sender: Sender
  /** Told once the transport is gone. */
  holder: Holder | undefined
  /** Whether the transport is gone. */
  isClosed = false

  readonly #connection: Connection
  readonly #role: "client" | "server"
  readonly #options: ChannelCoreOptions
  readonly #handshake: HandshakeFacts
  readonly #transportEndTimeout: Duration.Duration
  readonly #timers: Timers
  readonly #outbox: Outbox
  // By the monotonic clock.
  readonly #openedAt: bigint
  #controlRate: ControlRate | undefined
  #controls: ControlQueues | undefined
  #heartbeat: Heartbeat | undefined
  #isPaused = false
  // Chunks that came in spite of the pause.
  #held: Array<Uint8Array> | undefined
  // Once there is something to be known of the end, or someone asks.
  #endingIfAny: Ending | undefined

  constructor(options: {
    readonly role: "client" | "server"
    readonly transport: Transport
    readonly transportEndTimeout: Duration.Duration
    readonly codec: Codec
    readonly options: ChannelCoreOptions
    readonly handshake: HandshakeFacts
    readonly timers: Timers
  }) {
    this.#role = options.role
    this.transport = options.transport
    this.#options = options.options
    this.#handshake = options.handshake
    this.#transportEndTimeout = options.transportEndTimeout
    this.#timers = options.timers
    this.#connection = new Connection(options.codec, options.options, this)
    this.#openedAt = options.timers.clock.monotonicTimeNanosUnsafe()
    this.#outbox = new Outbox(options.codec.outgoing, options.transport, options.options.maxSendBufferSize)
    this.sender = new Sender(this.#connection, this.#outbox, this)
  }

  /** Starts reading. `rest`: bytes that came with the opening handshake. */
  start(rest: Uint8Array): void {
    this.transport.listen(this)
    if (rest.length > 0) this.onData(rest)
    if (!this.#isPaused) this.transport.resume()
    if (Duration.isZero(this.#options.autoPingInterval)) return
    this.#heartbeat = new Heartbeat(this, this.#options, this.#timers.clock, this.#openedAt)
    this.#timers.heartbeats.start(this.#heartbeat)
  }

  /** The pings and pongs it has received. */
  get controls(): ControlQueues {
    if (this.#controls !== undefined) return this.#controls
    this.#controls = new ControlQueues()
    // Whoever asks for pings after the end is told of it.
    if (!this.#connection.isReceiving) this.#controls.end()
    return this.#controls
  }

  /** Bytes accepted by `send` that the network has not taken yet. */
  get bufferedAmount(): number {
    return this.isClosed ? 0 : this.#outbox.bufferedAmount
  }

  /** Whether the connection is no longer open. */
  get isClosing(): boolean {
    return this.#connection.state !== "Open"
  }

  get #ending(): Ending {
    this.#endingIfAny ??= new Ending()
    return this.#endingIfAny
  }

  /** How the connection ended, once the transport is gone. */
  get closed(): Effect.Effect<CloseEvent> {
    return Effect.suspend(() => (this.isClosed ? Effect.succeed(this.closeEvent) : this.#ending.closed))
  }

  /** How the connection ended, or would end now. */
  get closeEvent(): CloseEvent {
    const { remoteClose, wasClean } = this.#connection
    return {
      wasClean,
      code: remoteClose?.code ?? CloseCode.abnormalClosure,
      reason: remoteClose?.reason ?? ""
    }
  }

  get statistics(): Statistics {
    const { received, sent } = this.#connection
    const { nanos, receivedOctets, sentOctets } = this.#handshake
    return {
      received,
      sent,
      handshake: { receivedOctets, sentOctets, duration: Duration.nanos(BigInt(nanos)) },
      roundTripTime: this.#heartbeat?.roundTripTime
    }
  }

  get closeFacts(): CloseFacts {
    const { localClose, remoteClose, state, violation, wasClean } = this.#connection
    const { closedByMe, droppedByMe, timeout } = this.#ending
    const isOver = state === "Closed" || state === "Failed"
    return {
      wasClean,
      wasNotCleanReason: wasClean || !isOver ? undefined : this.#uncleanReason(),
      localClose,
      remoteClose,
      closedByMe,
      violation,
      droppedByMe,
      timeout
    }
  }

  #uncleanReason(): string {
    const { droppedByMe, endedByPeer, failure } = this.#ending
    if (this.#connection.violation !== undefined || failure !== undefined) return this.error.message
    const isByMe = droppedByMe && !endedByPeer
    return `${isByMe ? "this end" : "the peer"} ended the transport without a closing handshake`
  }

  // ---- transport ----------------------------------------------------------

  onData(chunk: Uint8Array): boolean {
    this.#heartbeat?.onData()
    if (!this.#isBusy()) return this.#takeTurn(() => this.#connection.receive(chunk))
    this.#held ??= []
    this.#held.push(chunk)
    return false
  }

  onReady(): void {
    this.#takeTurn(() => {
      this.#connection.goOn()
      while (!this.#isBusy()) {
        const chunk = this.#held?.shift()
        if (chunk === undefined) break
        this.#connection.receive(chunk)
      }
    })
    if (!this.#mustPause()) this.#resumeReading()
  }

  /** What comes must wait until a message is decompressed. */
  #isBusy(): boolean {
    return this.#connection.isBusy && this.#connection.isReceiving
  }

  #mustPause(): boolean {
    return this.#isBusy() || this.inbox.size >= this.#options.maxReceiveBufferSize
  }

  #takeTurn<A>(receive: () => A): A {
    this.#outbox.isInTurn = true
    const outcome = receive()
    this.inbox.deliver()
    this.#outbox.isInTurn = false
    this.#afterTurn()
    return outcome
  }

  onEnd(): void {
    // Without both Close frames this is a lost connection (RFC 6455 section 7.1.5):
    // nothing more can come, so this side ends too.
    if (this.#connection.isReceiving) {
      this.#ending.endedByPeer = true
      this.#connection.transportClosed()
      this.#settle()
    }
    this.#endTransport()
  }

  onDrain(): void {
    this.sender.sendPending()
    this.#outbox.flush()
  }

  onClose(cause: unknown): void {
    if (this.#heartbeat !== undefined) this.#timers.heartbeats.stop(this.#heartbeat)
    const ending = this.#ending
    ending.isTransportEnding = true
    if (!this.#connection.wasClean && ending.failure === undefined && cause !== undefined) {
      ending.failure = failureOf(() => new TransportFailure({ cause }))
    }
    this.#connection.transportClosed()
    this.#held = undefined
    this.#settle()
    this.#outbox.discard()
    this.isClosed = true
    ending.close(this.closeEvent)
    this.holder?.onGone()
  }

  // ---- connection events --------------------------------------------------

  onMessage(message: ReceivedMessage | MessagePiece): void {
    this.inbox.push(message)
  }

  onPing(payload: Uint8Array): void {
    if (!this.#allowsControl()) return this.#connection.fail("TooManyControlFrames")
    if (!this.controls.isHandlingPings) this.sender.answerPing(payload)
    this.controls.onPing(payload)
  }

  onPong(payload: Uint8Array, isAsked: boolean): void {
    if (!isAsked && !this.#allowsControl()) return this.#connection.fail("TooManyControlFrames")
    this.#heartbeat?.onPong(payload)
    this.controls.onPong(payload)
  }

  /** Counts a ping, or a pong to no ping. */
  #allowsControl(): boolean {
    this.#controlRate ??= new ControlRate(
      this.#options.maxControlFramesPerSecond,
      this.#timers.clock,
      this.#openedAt
    )
    return this.#controlRate.allows()
  }

  onClosing(): void {
    this.inbox.deliver()
  }

  onInboxEmpty(): void {
    this.#resumeReading()
  }

  // ---- receiving ----------------------------------------------------------

  /** Whether messages wait as the application gets them: strings and bytes. */
  get deliversPlain(): boolean {
    return !this.#connection.keepBytes
  }

  /** From now on text is kept as bytes. */
  keepBytes(): void {
    this.#connection.keepBytes = true
  }

  /** From now on messages come in pieces, and only so. */
  readInPieces(): void {
    this.#connection.inPieces = true
    this.inbox.readInPieces()
  }

  #pauseReading(): void {
    if (this.#isPaused) return
    this.#isPaused = true
    this.transport.pause()
  }

  #resumeReading(): void {
    if (!this.#isPaused || this.#isBusy()) return
    this.#isPaused = false
    this.#heartbeat?.onResume()
    this.transport.resume()
  }

  // ---- closing ------------------------------------------------------------

  /** The closing handshake, unless it has begun; succeeds when the transport is closed. */
  close(code: number | undefined, reason: string): Effect.Effect<CloseEvent, WebSocketError> {
    return Effect.suspend(() => {
      if (code === undefined && reason !== "") {
        return Effect.fail(invalidCall("a close reason needs a status code"))
      }
      if (code !== undefined && !CloseCode.isSendable(code)) {
        return Effect.fail(
          invalidCall(`status code ${code} must not be sent: ${CloseCode.info(code).meaning}`)
        )
      }
      this.closeUnsafe(code, reason)
      return this.closed
    })
  }

  /** Starts the closing handshake, unless it has begun. */
  closeUnsafe(code: number | undefined, reason: string): void {
    if (this.#connection.state !== "Open") return
    this.#ending.closedByMe = true
    if (this.#connection.isInFrame) {
      // A Close would be taken for payload: it waits for the end of the frame.
      this.#ending.pendingClose ??= { code, reason }
      this.#begin("closeHandshake")
      return
    }
    this.#connection.sendClose(code, reason)
    this.#afterTurn()
  }

  frameEnded(): void {
    const close = this.#endingIfAny?.pendingClose
    if (close !== undefined) this.closeUnsafe(close.code, close.reason)
  }

  /** Drops the transport without a closing handshake. */
  abort(): void {
    if (!this.isClosed) this.#ending.droppedByMe = true
    this.#ending.isTransportEnding = true
    this.transport.abort()
  }

  // ---- heartbeat ----------------------------------------------------------

  get isHeld(): boolean {
    // A peer that takes nothing keeps the application from reading on: that holds nothing back.
    return (this.#isPaused && !this.#outbox.isFull) || this.sender.isPingHeld
  }

  get takenAmount(): number {
    return this.#connection.sent.wireOctets - this.bufferedAmount
  }

  ping(payload: Uint8Array): void {
    this.sender.ping(payload)
  }

  pingSent(): void {
    this.#heartbeat?.onPingSent()
  }

  pingTimeUp(): void {
    this.#fail(
      "autoPing",
      () => new PingTimeout({ message: "the peer did not answer an automatic ping in time" })
    )
  }

  #fail(timeout: CloseFacts["timeout"], makeReason: () => WebSocketErrorReason): void {
    this.#ending.timeout = timeout
    this.#ending.failure = failureOf(makeReason)
    this.abort()
  }

  /** Flushes, and takes the steps that the connection's state asks for. */
  #afterTurn(): void {
    const { mustDrop, state } = this.#connection
    if (state === "Open") {
      this.#flushTurn()
      if (this.#mustPause()) this.#pauseReading()
      return
    }
    // From the closing handshake on, only a message that is being decompressed holds back the reading.
    if (this.#isBusy()) this.#pauseReading()
    else this.#resumeReading()
    if (state === "CloseSent") {
      this.#outbox.fail(() => this.error)
      this.#flushTurn()
      this.#begin("closeHandshake")
      return
    }
    this.#settle()
    if (mustDrop) {
      this.#outbox.flushAll()
      this.abort()
    } else if (this.#role === "server" || state === "Failed") this.#endTransport()
    else {
      // RFC 6455 section 7.1.1: the server ends the transport first, the client waits for that.
      this.#outbox.flush()
      if (!this.#ending.isTransportEnding) this.#begin("transportEnd")
    }
  }

  #flushTurn(): void {
    this.#outbox.flush()
    // What the turn wrote may have been what the pong had to wait for.
    if (!this.#outbox.isFull) this.sender.sendPending()
  }

  /**
   * FIN, then discard what comes until the peer's FIN: closing with unread input
   * would reset the connection and lose the Close frame on its way.
   */
  #endTransport(): void {
    if (this.#ending.isTransportEnding) return
    this.#ending.isTransportEnding = true
    this.#resumeReading()
    this.#outbox.flushAll()
    this.transport.end()
    this.#begin("transportEnd")
  }

  #begin(step: EndingStep): void {
    const limit = step === "closeHandshake" ? this.#options.closeHandshakeTimeout : this.#transportEndTimeout
    this.#ending.begin(step, limit, this.#timers, () => this.#timeUp(step))
  }

  #timeUp(step: EndingStep): void {
    if (step === "closeHandshake") {
      const message =
        this.#connection.localClose === undefined
          ? "a frame was not complete in time for the Close frame"
          : "the peer did not answer the Close frame in time"
      this.#fail(step, () => new CloseTimeout({ message }))
    } else {
      this.#ending.timeout = step
      this.abort()
    }
  }

  /** Nothing more will be received or sent: everyone who waits is told. */
  #settle(): void {
    this.#outbox.fail(() => this.error)
    this.#controls?.end()
    this.inbox.end(() => (this.#connection.wasClean ? Cause.done() : Effect.fail(this.error)))
  }

  /** Why nothing more can be sent or received. */
  get error(): WebSocketError {
    const { localClose, state, violation } = this.#connection
    const failure = this.#endingIfAny?.failure
    if (failure !== undefined) return failure
    if (violation !== undefined) {
      this.#ending.failure = fromViolation(violation)
      return this.#ending.failure
    }
    const { code, reason, wasClean } =
      state === "CloseSent" && localClose !== undefined ? { ...localClose, wasClean: false } : this.closeEvent
    return failureOf(() => new ConnectionClosed({ code, closeReason: reason, wasClean }))
  }
}
