/**
 * The server's side of the opening handshake, on an accepted transport (RFC 6455
 * section 4.2): a channel, or an HTTP response and the end of the transport.
 *
 *     Reading -request-> Asking -accepted-> Over: a channel
 *        |                 |
 *        +-----------------+-> Refusing -the transport's end-> Over: the response
 *
 * Whatever the state, it is Over without either once the client is gone, or is dropped.
 * Plain code: a fiber runs only where the transport takes time (TLS), and for the application's `onConnect`.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import { Compression } from "../channel/Compression.ts"
import { Handshake } from "../channel/Handshake.ts"
import * as OpenedChannel from "../channel/OpenedChannel.ts"
import type { Protocol } from "../channel/Protocol.ts"
import type { Timer, Timers } from "../channel/Timers.ts"
import * as ExtensionHeader from "../extension/ExtensionHeader.ts"
import { ConnectionDeny } from "../handshake/ConnectionDeny.ts"
import {
  type ConnectionAccept,
  type ConnectionRequest,
  fromHandshake,
  toLines
} from "../handshake/ConnectionRequest.ts"
import { forwardedFor } from "../handshake/ForwardedFor.ts"
import { type HttpHead, header, headSize } from "../handshake/HttpHead.ts"
import type { HandshakeRequest } from "../handshake/Request.ts"
import type {
  AcceptedTransport,
  ReceivedRequest,
  Transport,
  TransportError,
  TransportListener
} from "../transport/Transport.ts"
import { checkRequest, type OpenHandshake, type Place, type Places, type Waiting } from "./Admission.ts"
import { type Answer, answerTo, withServer } from "./Refusal.ts"
import { judge, RequestReader } from "./RequestReading.ts"
import type { ServerOptions } from "./ServerOptions.ts"

/** What `onConnect` may succeed with: how to accept, a subprotocol, or nothing. */
export type Accepted = ConnectionAccept | string | undefined | void

/** Decides on a request. */
export type OnConnect<R> = (request: ConnectionRequest) => Effect.Effect<Accepted, ConnectionDeny, R>

/** What is the same for the handshakes of all connections that are served alike. */
export interface HandshakeService<R> {
  /** The protocol's services, and what logs and observes. */
  readonly context: Context.Context<Protocol>
  readonly waiting: Waiting
  readonly places: Places
  readonly timers: Timers
  readonly onConnect: OnConnect<R> | undefined
  readonly isDraining: () => boolean
}

/** The connection that is to be opened. */
export interface Opening<R> {
  /** Runs an effect, and goes on with its exit unless the connection was dropped meanwhile: then with `abort`. */
  run<A, E>(effect: Effect.Effect<A, E, R>, onExit: (exit: Exit.Exit<A, E>) => void): void
  /** Interrupts what runs. */
  interruptRun(): void
  /** The handshake is over. `place` is to be given back when the connection has ended. */
  onOpened(opened: OpenedChannel.OpenedChannel, place: Place): void
  /** It is over without a connection. `answer`: the HTTP response that was sent, unless the client was gone. */
  onRefused(answer: Uint8Array | undefined): void
}

export class ServerHandshake<R> implements TransportListener, OpenHandshake {
  // Among those that wait.
  previous: OpenHandshake | undefined
  next: OpenHandshake | undefined
  /** The request has been read, and is one that the application decides on. */
  isRequested = false

  readonly #accepted: AcceptedTransport
  readonly #options: ServerOptions
  readonly #service: HandshakeService<R>
  readonly #connection: Opening<R>
  readonly #startedAt: bigint
  #state: "Reading" | "Asking" | "Refusing" | "Over" = "Reading"
  #transport: Transport | undefined
  #reader: RequestReader | undefined
  #openTimer: Timer | undefined
  #endTimer: Timer | undefined
  // What runs is interrupted for that.
  #isTimeUp = false
  // While it has one.
  #place: Place | undefined
  #answer: Uint8Array | undefined
  // Once the 101 is sent.
  #opened: OpenedChannel.OpenedChannel | undefined

  constructor(
    accepted: AcceptedTransport,
    options: ServerOptions,
    service: HandshakeService<R>,
    connection: Opening<R>
  ) {
    this.#accepted = accepted
    this.#options = options
    this.#service = service
    this.#connection = connection
    this.#startedAt = service.timers.clock.monotonicTimeNanosUnsafe()
  }

  start(): void {
    const { timers, waiting } = this.#service
    waiting.add(this, this.#options)
    this.#connection.run(this.#accepted.transport, (exit) => this.#guard(() => this.#begin(exit)))
    if (!this.#isUndecided()) return
    this.#openTimer = timers.start("openHandshake", this.#options.openHandshakeTimeout, () =>
      this.#guard(() => this.#timeUp())
    )
  }

  #isUndecided(): boolean {
    return this.#state === "Reading" || this.#state === "Asking"
  }

  /** Drops the connection, and lets go of what the handshake holds. */
  abort(): void {
    this.#state = "Over"
    this.#openTimer?.stop()
    this.#endTimer?.stop()
    this.#giveBack()
    this.#service.waiting.delete(this)
    if (this.#transport === undefined) this.drop()
    else this.#transport.abort()
  }

  drop(): void {
    this.#accepted.abort()
  }

  #giveBack(): void {
    if (this.#place !== undefined) this.#service.places.giveBack(this.#place)
    this.#place = undefined
  }

  #end(answer: Uint8Array | undefined): void {
    if (this.#state === "Over") return
    this.abort()
    this.#connection.onRefused(answer)
  }

  // ---- transport ----------------------------------------------------------

  onData(chunk: Uint8Array): boolean {
    if (this.#state !== "Reading") return true
    this.#guard(() => this.#read(chunk))
    return false
  }

  onEnd(): void {
    if (this.#state === "Reading") this.#end(undefined)
  }

  onDrain(): void {}

  onClose(): void {
    // Whoever listens next is told, too.
    if (this.#state !== "Asking") this.#end(this.#answer)
  }

  // ---- request ------------------------------------------------------------

  #begin(exit: Exit.Exit<Transport, TransportError>): void {
    if (Exit.isFailure(exit)) {
      const failed = Cause.findError(exit.cause)
      if (Cause.hasDies(exit.cause)) this.#log(Effect.logError("a connection died", exit.cause))
      else if (Result.isSuccess(failed)) {
        this.#log(Effect.logDebug("a transport was not accepted", failed.success))
      }
      // While TLS is unfinished, nothing can be answered.
      return this.#end(undefined)
    }
    const transport = exit.value
    this.#transport = transport
    transport.setNoDelay(this.#options.tcpNoDelay)
    if (this.#accepted.request !== undefined) return this.#judge(transport, this.#accepted.request)
    this.#reader = new RequestReader(this.#options)
    transport.listen(this)
    transport.resume()
  }

  #read(chunk: Uint8Array): void {
    const received = this.#reader?.push(chunk)
    if (received === undefined || this.#transport === undefined) return
    if (Result.isFailure(received)) this.#refuse(received.failure)
    else this.#judge(this.#transport, received.success)
  }

  #judge(transport: Transport, received: ReceivedRequest): void {
    const options = this.#options
    const { context, places, waiting } = this.#service
    const judged = judge(Context.get(context, Handshake), received.head, options)
    if (Result.isFailure(judged)) return this.#refuse(judged.failure)
    const request = judged.success
    const allowed = checkRequest(request, options)
    if (Result.isFailure(allowed)) return this.#refuse(allowed.failure)
    const forwarded = forwardedFor(header(request.headers, "X-Forwarded-For"), options.trustXForwardedFor)
    const connectionRequest = fromHandshake(request, forwarded ?? transport.peer)
    waiting.delete(this)
    // Taken before the application is asked, so that nobody takes it in between.
    const place = places.take(connectionRequest.peer, options)
    if (Result.isFailure(place)) return this.#refuse(place.failure)
    this.#place = place.success
    this.#ask({ transport, received, request, connectionRequest })
  }

  // ---- decision -----------------------------------------------------------

  #ask(asked: Asked): void {
    this.#state = "Asking"
    this.isRequested = true
    if (this.#service.isDraining()) return this.#refuse(ConnectionDeny.serviceUnavailable())
    const asking = decision(asked.connectionRequest, this.#service.onConnect)
    const decided = (exit: Exit.Exit<Accepted, ConnectionDeny>) =>
      this.#guard(() => this.#decided(asked, exit))
    if (Exit.isExit(asking)) {
      decided(asking as Exit.Exit<Accepted, ConnectionDeny>)
      return this.#asked()
    }
    // Answered before the fiber ends: that waits for the fibers which the application has forked in it.
    const answering = Effect.onExit(asking, (exit) => Effect.sync(() => decided(exit)))
    this.#connection.run(answering, () => this.#guard(() => this.#asked()))
    // Nothing is to be lost before the next listener is there.
    if (this.#state === "Asking") asked.transport.pause()
  }

  #asked(): void {
    const place = this.#place
    if (this.#opened !== undefined && place !== undefined) {
      this.#place = undefined
      this.#connection.onOpened(this.#opened, place)
    }
    // What was to decide was interrupted.
    else if (this.#state === "Asking") this.#end(undefined)
  }

  #decided(asked: Asked, exit: Exit.Exit<Accepted, ConnectionDeny>): void {
    if (this.#isTimeUp) return this.#refuse(ConnectionDeny.requestTimeout())
    if (Exit.isSuccess(exit)) {
      if (this.#service.isDraining()) return this.#refuse(ConnectionDeny.serviceUnavailable())
      const { value } = exit
      return this.#accept(asked, typeof value === "string" ? { subprotocol: value } : (value ?? {}))
    }
    if (Cause.hasDies(exit.cause)) return this.#refuseDefect("onConnect died", exit.cause)
    const denied = Cause.findError(exit.cause)
    if (Result.isSuccess(denied)) this.#refuse(denied.success)
  }

  /** Sends the 101. What has been sent cannot be taken back, so the time cannot be up any more. */
  #accept(asked: Asked, acceptance: ConnectionAccept): void {
    this.#openTimer?.stop()
    let opened: Result.Result<OpenedChannel.OpenedChannel, string>
    try {
      opened = this.#open(asked, acceptance)
    } catch (cause) {
      // The application's headers may be anything at run time, and services can be replaced.
      return this.#refuseDefect("accepting the connection died", Cause.die(cause))
    }
    if (Result.isFailure(opened)) return this.#refuseDefect(opened.failure)
    this.#state = "Over"
    this.#opened = opened.success
  }

  /** Makes the channel and sends the 101, or tells what is wrong with the application's choice. */
  #open(
    { connectionRequest, received, request, transport }: Asked,
    { headers, subprotocol: chosen }: ConnectionAccept
  ): Result.Result<OpenedChannel.OpenedChannel, string> {
    const options = this.#options
    const { context, timers } = this.#service
    if (chosen !== undefined && !request.protocols.includes(chosen)) {
      return Result.fail(`onConnect chose the subprotocol ${chosen}, which the client did not announce`)
    }
    const subprotocol = chosen ?? request.protocols.find((protocol) => options.protocols.includes(protocol))
    const { perMessageCompressionAccept } = options
    const compression = Context.get(context, Compression).accept(
      request.extensions,
      perMessageCompressionAccept
    )
    if (Result.isFailure(compression)) {
      return Result.fail(`perMessageCompressionAccept: ${compression.failure}`)
    }
    const negotiated = compression.success
    const response = Context.get(context, Handshake).accept({
      key: request.key,
      subprotocol,
      extensions: ExtensionHeader.join(negotiated.extensions),
      headers: withServer(options, [...toLines(options.headers), ...toLines(headers)])
    })
    if (Result.isFailure(response)) return Result.fail(`onConnect's acceptance: ${response.failure}`)
    const opened = OpenedChannel.start(
      {
        role: "server",
        transport,
        options,
        timers,
        transportEndTimeout: options.closeHandshakeTimeout,
        negotiated,
        masking: options.requireMaskedClientFrames ? "required" : "either",
        maskOutgoing: options.maskServerFrames,
        subprotocol,
        request: connectionRequest,
        response: undefined,
        answer: response.success,
        rest: received.rest,
        handshake: {
          receivedOctets: headSize(received.head),
          sentOctets: response.success.length,
          nanos: Number(timers.clock.monotonicTimeNanosUnsafe() - this.#startedAt)
        }
      },
      context
    )
    return Result.succeed(opened)
  }

  // ---- refusal ------------------------------------------------------------

  #refuseDefect(message: string, cause: Cause.Cause<unknown> = Cause.empty): void {
    this.#log(Effect.logError(message, cause))
    this.#refuse(ConnectionDeny.internalServerError())
  }

  /**
   * Sends a last answer and ends the transport: FIN, then discard what comes until
   * the peer's FIN. Closing with unread input would reset the connection and lose
   * the answer on its way.
   */
  #refuse(answer: Answer): void {
    const options = this.#options
    const { context, timers, waiting } = this.#service
    const transport = this.#transport
    if (transport === undefined) return this.#end(undefined)
    this.#state = "Refusing"
    this.#openTimer?.stop()
    this.#giveBack()
    waiting.add(this, options)
    const log = (problem: string) => this.#log(Effect.logError(problem))
    this.#answer = answerTo(answer, options, Context.get(context, Handshake), log)
    transport.listen(this)
    transport.write([this.#answer])
    transport.end()
    transport.resume()
    this.#endTimer = timers.start("transportEnd", options.closeHandshakeTimeout, () =>
      this.#end(this.#answer)
    )
  }

  #timeUp(): void {
    if (!this.#isUndecided()) return
    if (this.#transport !== undefined && this.#state === "Reading") {
      return this.#refuse(ConnectionDeny.requestTimeout())
    }
    // Goes on when what runs has ended.
    this.#isTimeUp = true
    this.#connection.interruptRun()
  }

  // ---- what may die -------------------------------------------------------

  /** Services can be replaced: what dies in one is the end of this connection, and of no other. */
  #guard(step: () => void): void {
    try {
      step()
    } catch (cause) {
      this.#log(Effect.logError("a connection died", Cause.die(cause)))
      this.#end(undefined)
    }
  }

  #log(log: Effect.Effect<void>): void {
    Effect.runForkWith(this.#service.context)(log)
  }
}

/** A request that the application decides on. */
interface Asked {
  readonly transport: Transport
  readonly received: ReceivedRequest
  readonly request: HandshakeRequest
  readonly connectionRequest: ConnectionRequest
}

/** The application's answer to a request: without a fiber, where it needs none. */
const decision = <R>(
  request: ConnectionRequest,
  onConnect: OnConnect<R> | undefined
): Effect.Effect<Accepted, ConnectionDeny, R> => {
  try {
    return onConnect?.(request) ?? Exit.void
  } catch (cause) {
    return Exit.die(cause)
  }
}

/** The HTTP response to a request that cannot become a connection, whatever it asks for. */
export const refusalOf = (
  head: HttpHead,
  options: ServerOptions
): Effect.Effect<Uint8Array, never, Handshake> =>
  Effect.contextWith((context: Context.Context<Handshake>) => {
    const handshake = Context.get(context, Handshake)
    const judged = judge(handshake, head, options)
    const answer = Result.isFailure(judged)
      ? judged.failure
      : ConnectionDeny.notImplemented({ body: "the HTTP server does not hand over its connections" })
    const log = (problem: string) => void Effect.runForkWith(context)(Effect.logError(problem))
    return Effect.sync(() => answerTo(answer, options, handshake, log))
  })
