/**
 * The engine of a channel: it drives a {@link Connection} over a
 * {@link Transport}, buffers what the application has not pulled yet, and holds
 * back senders while the peer does not read.
 *
 * Key invariants:
 * - One pass per chunk: all complete frames are decoded, the messages resume a
 *   waiting pull once, and what the application sends in that turn leaves in one
 *   write.
 * - Frames are written synchronously and whole, so senders never interleave and
 *   an interrupted `send` has sent all of its message or nothing.
 * - Messages that came before a failure or a Close are delivered before it.
 * - Bytes held are bounded: received ones by pausing the transport, sent ones by
 *   suspending senders, pongs by keeping only the latest (RFC 6455 5.5.3).
 */

import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Utf8 from "../bytes/Utf8.ts"
import {
  type Codec,
  Connection,
  type ConnectionEvents,
  type ConnectionOptions
} from "../connection/Connection.ts"
import * as CloseCode from "../frame/CloseCode.ts"
import * as Opcode from "../frame/Opcode.ts"
import {
  footprint,
  type OutgoingMessage,
  type Payload,
  type ReceivedMessage,
  toBytes
} from "../message/Message.ts"
import type { Transport, TransportListener } from "../transport/Transport.ts"
import type { CloseEvent } from "./CloseEvent.ts"
import { type TimeoutKind, Timeouts } from "./Timeouts.ts"
import {
  CloseTimeout,
  ConnectionClosed,
  fromViolation,
  invalidCall,
  TransportFailure,
  WebSocketError
} from "./WebSocketError.ts"

export interface ChannelCoreOptions extends ConnectionOptions {
  readonly closeHandshakeTimeout: Duration.Duration
  readonly maxSendBufferSize: number
  readonly maxReceiveBufferSize: number
}

type Pulled = NonEmptyReadonlyArray<ReceivedMessage>
type PullResume = (effect: Effect.Effect<Pulled, WebSocketError | Cause.Done>) => void
type SendResume = (effect: Effect.Effect<void, WebSocketError>) => void

interface WaitingSend {
  readonly write: () => void
  readonly resume: SendResume
}

/** Outgoing bytes that are not kept for the end of the turn. */
const flushAt = 65_536

/** A transport that does not end is dropped in the end, also where no timeout is wanted. */
export const longestTransportEnd = Duration.seconds(30)

/** Pings and pongs that wait to be read; the oldest are dropped. */
const controlCapacity = 16

export class ChannelCore implements TransportListener, ConnectionEvents {
  readonly transport: Transport
  readonly closed = Deferred.makeUnsafe<CloseEvent>()
  /** Pings are answered by themselves. */
  autoPong = true

  readonly #connection: Connection
  readonly #role: "client" | "server"
  readonly #options: ChannelCoreOptions
  readonly #context: Context.Context<Timeouts>

  #inbox: Array<ReceivedMessage> = []
  #inboxSize = 0
  #pulls: Array<PullResume> = []
  #sends: Array<WaitingSend> = []
  #pings: Queue.Queue<Uint8Array, Cause.Done> | undefined
  #pongs: Queue.Queue<Uint8Array, Cause.Done> | undefined

  // While a chunk is being received the flush comes at its end.
  #receiving = false
  #flushScheduled = false
  #isPaused = false
  #pendingPong: Uint8Array | undefined
  #timer: Fiber.Fiber<void> | undefined
  #timerKind: TimeoutKind | undefined
  // The closing handshake has begun to be driven: the transport is ending.
  #ending = false
  // Why the connection did not end cleanly, where that is known.
  #failure: WebSocketError | undefined
  // What our own Close frame says, once this end has started the closing handshake.
  #localClose: CloseCode.ClosePayload | undefined

  constructor(options: {
    readonly role: "client" | "server"
    readonly transport: Transport
    readonly codec: Codec
    readonly options: ChannelCoreOptions
    readonly context: Context.Context<Timeouts>
  }) {
    this.#role = options.role
    this.transport = options.transport
    this.#options = options.options
    this.#context = options.context
    this.#connection = new Connection(options.codec, options.options, this)
  }

  /** Starts reading. `rest`: bytes that came with the opening handshake. */
  start(rest: Uint8Array): void {
    this.transport.listen(this)
    if (rest.length > 0) this.onData(rest)
    this.transport.resume()
  }

  /** Bytes accepted by `send` that the network has not taken yet. */
  get bufferedAmount(): number {
    return this.#connection.outgoing.length + this.transport.bufferedAmount
  }

  // ---- transport ----------------------------------------------------------

  onData(chunk: Uint8Array): void {
    this.#receiving = true
    this.#connection.receive(chunk)
    if (this.#inbox.length > 0) this.#deliver()
    this.#receiving = false
    this.#afterTurn()
  }

  onEnd(): void {
    // Without both Close frames this is a lost connection (RFC 6455 section 7.1.5):
    // nothing more can come, so this side ends too.
    if (this.#connection.isReceiving) {
      this.#flush()
      this.#connection.transportClosed()
      this.#settleWaiters()
    }
    this.#endTransport()
  }

  onDrain(): void {
    this.#releaseSends()
    this.#flush()
  }

  onClose(cause: unknown): void {
    this.#timer?.interruptUnsafe()
    this.#ending = true
    if (!this.#connection.wasClean && this.#failure === undefined && cause !== undefined) {
      this.#failure = new WebSocketError({ reason: new TransportFailure({ cause }) })
    }
    this.#connection.transportClosed()
    this.#settleWaiters()
    Deferred.doneUnsafe(this.closed, Exit.succeed(this.closeEvent()))
  }

  /** Whether the connection is no longer open. */
  get isClosing(): boolean {
    return this.#connection.state !== "Open"
  }

  /** How the connection ended, or would end now. */
  closeEvent(): CloseEvent {
    const { remoteClose, wasClean } = this.#connection
    return {
      wasClean,
      code: remoteClose?.code ?? CloseCode.abnormalClosure,
      reason: remoteClose?.reason ?? ""
    }
  }

  // ---- connection events --------------------------------------------------

  onMessage(message: ReceivedMessage): void {
    this.#inbox.push(message)
    this.#inboxSize += footprint(message)
  }

  onPing(payload: Uint8Array): void {
    if (this.autoPong) {
      // RFC 6455 section 5.5.3 lets only the latest of several pings be answered:
      // a peer that pings without reading costs one pong.
      if (this.bufferedAmount >= this.#options.maxSendBufferSize) this.#pendingPong = new Uint8Array(payload)
      else this.#connection.sendPong(payload)
    }
    Queue.offerUnsafe(this.pings, new Uint8Array(payload))
  }

  onPong(payload: Uint8Array): void {
    Queue.offerUnsafe(this.pongs, new Uint8Array(payload))
  }

  get pings(): Queue.Queue<Uint8Array, Cause.Done> {
    this.#pings ??= this.#controlQueue()
    return this.#pings
  }

  get pongs(): Queue.Queue<Uint8Array, Cause.Done> {
    this.#pongs ??= this.#controlQueue()
    return this.#pongs
  }

  #controlQueue(): Queue.Queue<Uint8Array, Cause.Done> {
    const queue = Effect.runSync(Queue.sliding<Uint8Array, Cause.Done>(controlCapacity))
    if (!this.#connection.isReceiving) Queue.endUnsafe(queue)
    return queue
  }

  // ---- pulling ------------------------------------------------------------

  /** The next batch of messages; done after a clean close. */
  readonly pull: Effect.Effect<Pulled, WebSocketError | Cause.Done> = Effect.suspend(() => {
    if (this.#inbox.length > 0) return Effect.succeed(this.#takeInbox())
    const end = this.#end()
    return end ?? this.#awaitMessages
  })

  readonly #awaitMessages = Effect.callback<Pulled, WebSocketError | Cause.Done>((resume) => {
    this.#pulls.push(resume)
    return Effect.sync(() => {
      this.#pulls = this.#pulls.filter((waiting) => waiting !== resume)
    })
  })

  /** From now on text is kept as bytes. */
  keepBytes(): void {
    this.#connection.keepBytes = true
  }

  #takeInbox(): Pulled {
    const batch = this.#inbox as unknown as Pulled // not empty: every caller has looked
    this.#inbox = []
    this.#inboxSize = 0
    if (this.#isPaused) {
      this.#isPaused = false
      this.transport.resume()
    }
    return batch
  }

  #deliver(): void {
    const resume = this.#pulls.shift()
    if (resume !== undefined) resume(Effect.succeed(this.#takeInbox()))
  }

  /** What a pull gets when no message is left: nothing yet, the end, or the failure. */
  #end(): Effect.Effect<never, WebSocketError | Cause.Done> | undefined {
    const connection = this.#connection
    if (connection.isReceiving) return undefined
    return connection.wasClean ? Cause.done() : Effect.fail(this.#error())
  }

  #error(): WebSocketError {
    const { state, violation } = this.#connection
    if (this.#failure !== undefined) return this.#failure
    if (violation !== undefined) {
      this.#failure = fromViolation(violation)
      return this.#failure
    }
    const { code, reason, wasClean } =
      state === "CloseSent" && this.#localClose !== undefined
        ? { ...this.#localClose, wasClean: false }
        : this.closeEvent()
    return new WebSocketError({ reason: new ConnectionClosed({ code, closeReason: reason, wasClean }) })
  }

  // ---- sending ------------------------------------------------------------

  send(message: Payload | OutgoingMessage): Effect.Effect<void, WebSocketError> {
    return Effect.suspend(() => {
      if (typeof message === "string") return this.#write(() => this.#connection.sendText(message))
      if (ArrayBuffer.isView(message)) {
        const bytes = toBytes(message)
        return this.#write(() => this.#connection.sendBytes(Opcode.Binary, bytes))
      }
      const { payload } = message
      const isBinary = message.isBinary ?? typeof payload !== "string"
      if (typeof payload === "string") {
        return isBinary ? this.send(Utf8.encode(payload)) : this.send(payload)
      }
      if (isBinary) return this.send(payload)
      const bytes = toBytes(payload)
      if (!Utf8.isValid(bytes)) return Effect.fail(invalidCall("a text message's payload is not valid UTF-8"))
      return this.#write(() => this.#connection.sendBytes(Opcode.Text, bytes))
    })
  }

  sendPing(payload: Uint8Array): Effect.Effect<void, WebSocketError> {
    return this.#sendControl(payload, () => this.#connection.sendPing(payload))
  }

  sendPong(payload: Uint8Array): Effect.Effect<void, WebSocketError> {
    return this.#sendControl(payload, () => this.#connection.sendPong(payload))
  }

  #sendControl(payload: Uint8Array, write: () => void): Effect.Effect<void, WebSocketError> {
    return payload.length > Opcode.maxControlPayload
      ? Effect.fail(
          invalidCall(
            `a control frame carries at most ${Opcode.maxControlPayload} bytes, got ${payload.length}`
          )
        )
      : Effect.suspend(() => this.#write(write))
  }

  /** Writes now, or in turn once the peer has read enough. */
  #write(write: () => void): Effect.Effect<void, WebSocketError> {
    if (this.#connection.state !== "Open") return Effect.fail(this.#error())
    if (this.#sends.length > 0 || this.bufferedAmount >= this.#options.maxSendBufferSize) {
      return this.#awaitSend(write)
    }
    write()
    this.#scheduleFlush()
    return Effect.void
  }

  #awaitSend(write: () => void): Effect.Effect<void, WebSocketError> {
    return Effect.callback<void, WebSocketError>((resume) => {
      const waiting: WaitingSend = { write, resume }
      this.#sends.push(waiting)
      return Effect.sync(() => {
        this.#sends = this.#sends.filter((other) => other !== waiting)
      })
    })
  }

  #releaseSends(): void {
    while (
      this.#sends.length > 0 &&
      this.#connection.state === "Open" &&
      this.bufferedAmount < this.#options.maxSendBufferSize
    ) {
      const { resume, write } = this.#sends.shift()!
      write()
      resume(Effect.void)
    }
    if (this.#pendingPong !== undefined && this.#connection.isReceiving) {
      this.#connection.sendPong(this.#pendingPong)
      this.#pendingPong = undefined
    }
  }

  #scheduleFlush(): void {
    if (this.#connection.outgoing.length >= flushAt) return this.#flush()
    if (this.#receiving || this.#flushScheduled) return
    this.#flushScheduled = true
    queueMicrotask(() => {
      this.#flushScheduled = false
      this.#flush()
    })
  }

  #flush(): void {
    const { outgoing } = this.#connection
    if (outgoing.length === 0) return
    if (this.#connection.state === "Closed") {
      outgoing.take()
      return
    }
    this.transport.write(outgoing.take())
    if (this.#sends.length > 0) {
      this.#releaseSends()
      this.#flush()
    }
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
      return Deferred.await(this.closed)
    })
  }

  /** Starts the closing handshake, unless it has begun. */
  closeUnsafe(code: number | undefined, reason: string): void {
    if (this.#connection.state !== "Open") return
    this.#connection.sendClose(code, reason)
    this.#localClose = { code: code ?? CloseCode.noStatusReceived, reason }
    this.#afterTurn()
  }

  /** Drops the transport without a closing handshake. */
  abort(): void {
    this.#ending = true
    this.transport.abort()
  }

  /** Flushes, and takes the steps that the connection's state asks for. */
  #afterTurn(): void {
    const connection = this.#connection
    if (connection.state === "Open") {
      this.#flush()
      if (!this.#isPaused && this.#inboxSize >= this.#options.maxReceiveBufferSize) {
        this.#isPaused = true
        this.transport.pause()
      }
      return
    }
    this.#readOn()
    if (connection.mustDrop) {
      this.#settleWaiters()
      return this.abort()
    }
    this.#flush()
    if (connection.state === "CloseSent") {
      this.#failSends()
      this.#startTimer("closeHandshake")
    } else if (connection.state !== "Closed") {
      this.#settleWaiters()
      // RFC 6455 section 7.1.1: the server ends the transport first, and the client
      // waits for that, unless it failed the connection itself.
      if (this.#role === "server" || connection.state === "Failed") this.#endTransport()
      else this.#startTimer("transportEnd")
    }
  }

  /**
   * FIN, then discard what comes until the peer's FIN: closing with unread input
   * would reset the connection and lose the Close frame on its way.
   */
  #endTransport(): void {
    if (this.#ending) return
    this.#ending = true
    this.#readOn()
    this.#flush()
    this.transport.end()
    this.#startTimer("transportEnd")
  }

  /** From the closing handshake on, nothing holds back the reading. */
  #readOn(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.transport.resume()
  }

  #startTimer(kind: TimeoutKind): void {
    if (this.#timerKind === kind) return
    this.#timerKind = kind
    this.#timer?.interruptUnsafe()
    const timeouts = Context.get(this.#context, Timeouts)
    const { closeHandshakeTimeout } = this.#options
    const limit =
      kind === "transportEnd" && Duration.isZero(closeHandshakeTimeout)
        ? longestTransportEnd
        : closeHandshakeTimeout
    this.#timer = Effect.runForkWith(this.#context)(
      Effect.andThen(
        timeouts.after(kind, limit),
        Effect.sync(() => {
          this.#timer = undefined
          this.#timeUp(kind)
        })
      )
    )
  }

  #timeUp(kind: TimeoutKind): void {
    if (kind === "closeHandshake") {
      this.#failure = new WebSocketError({
        reason: new CloseTimeout({ message: "the peer did not answer the Close frame in time" })
      })
    }
    this.abort()
  }

  /** Nothing more will be received or sent: everyone who waits is told. */
  #settleWaiters(): void {
    this.#failSends()
    if (this.#pings !== undefined) Queue.endUnsafe(this.#pings)
    if (this.#pongs !== undefined) Queue.endUnsafe(this.#pongs)
    if (this.#inbox.length > 0) this.#deliver()
    const end = this.#end()
    if (end === undefined) return
    const pulls = this.#pulls
    this.#pulls = []
    for (const resume of pulls) resume(end)
  }

  #failSends(): void {
    const sends = this.#sends
    if (sends.length === 0) return
    this.#sends = []
    const failure = Effect.fail(this.#error())
    for (const { resume } of sends) resume(failure)
  }
}
