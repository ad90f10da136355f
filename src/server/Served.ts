/**
 * A connection of a server, from its accepted transport to the end of what it holds: plain code around the
 * fibers that run for it. There is one at a time, and none while its handler has nothing to do.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import * as Callbacks from "../channel/Callbacks.ts"
import type { ChannelCore, Holder } from "../channel/ChannelCore.ts"
import type { Reader } from "../channel/Inbox.ts"
import type { Linked } from "../channel/LinkedList.ts"
import type { OpenedChannel } from "../channel/OpenedChannel.ts"
import { type Channel, WebSocketChannel } from "../channel/WebSocketChannel.ts"
import { WebSocketError } from "../channel/WebSocketError.ts"
import * as CloseCode from "../frame/CloseCode.ts"
import { toIncomingMessage } from "../message/Message.ts"
import type { AcceptedTransport } from "../transport/Transport.ts"
import type { Place } from "./Admission.ts"
import { type HandshakeService, type Opening, ServerHandshake } from "./ServerHandshake.ts"
import type { ServerOptions } from "./ServerOptions.ts"

/** What is the same for all connections that are served alike. */
export interface Service<E, R> extends HandshakeService<R> {
  readonly onOpen: (channel: Channel) => Effect.Effect<unknown, E, R>
  /** Nothing is left of the connection. */
  readonly onEnded: (served: AnyServed) => void
}

/** A connection, whatever its handler needs and fails with. */
export interface AnyServed
  extends Linked<AnyServed>,
    Pick<Served<never, never>, "isRequested" | "core" | "interrupt" | "ended"> {}

const logDeath = (cause: Cause.Cause<never>) =>
  Effect.as(Effect.logError("a connection died", cause), undefined)

export class Served<E, R> implements Opening<R | Scope.Scope>, Holder, Reader, AnyServed {
  // Among the server's connections.
  previous: AnyServed | undefined
  next: AnyServed | undefined

  readonly #service: Service<E, R>
  // Made when something is to run that may need it.
  #scope: Scope.Closeable | undefined
  // Until it is over.
  #handshake: ServerHandshake<R | Scope.Scope> | undefined
  #opened: OpenedChannel | undefined
  #place: Place | undefined
  #contextWithChannel: Context.Context<R | Scope.Scope> | undefined
  #fiber: Fiber.Fiber<unknown, unknown> | undefined
  #isInterrupted = false
  // The handler has finished.
  #isHandled = false
  #isEnding = false
  #isEnded = false
  // The response that refused the request.
  #refusal: Uint8Array | undefined
  // Those who wait for the end.
  #waiting: ReadonlyArray<() => void> | undefined

  constructor(service: Service<E, R>) {
    this.#service = service
  }

  /** The request has been read, or refused before that. */
  get isRequested(): boolean {
    return this.#handshake?.isRequested ?? true
  }

  /** Set once the connection is open. */
  get core(): ChannelCore | undefined {
    return this.#opened?.core
  }

  /** Opens the connection, and serves it. */
  start(accepted: AcceptedTransport, options: ServerOptions): void {
    const handshake = new ServerHandshake<R | Scope.Scope>(accepted, options, this.#service, this)
    this.#handshake = handshake
    handshake.start()
  }

  onOpened(opened: OpenedChannel, place: Place): void {
    const { core } = opened
    this.#handshake = undefined
    this.#opened = opened
    this.#place = place
    core.holder = this
    if (core.isClosed) this.#giveBack()
    // The drain found no connection to close.
    if (this.#service.isDraining()) core.closeUnsafe(CloseCode.goingAway, "")
    this.#serve(opened)
  }

  onGone(): void {
    this.#giveBack()
    if (this.#isHandled) this.#end(Exit.void)
  }

  #giveBack(): void {
    if (this.#place !== undefined) this.#service.places.giveBack(this.#place)
    this.#place = undefined
  }

  onRefused(answer: Uint8Array | undefined): void {
    this.#handshake = undefined
    this.#refusal = answer
    this.#end(Exit.void)
  }

  /** Stops what runs, and drops the connection. */
  interrupt(): void {
    if (this.#isInterrupted) return
    this.#isInterrupted = true
    if (this.#fiber !== undefined) this.interruptRun()
    else this.#abort()
  }

  interruptRun(): void {
    this.#fiber?.interruptUnsafe()
  }

  /** Succeeds when nothing is left of the connection, with the response that refused it where there is one. */
  get ended(): Effect.Effect<Uint8Array | undefined> {
    return Effect.callback((resume) => {
      const tell = () => resume(Effect.succeed(this.#refusal))
      if (this.#isEnded) return tell()
      this.#waiting = [...(this.#waiting ?? []), tell]
      return Effect.sync(() => {
        this.#waiting = this.#waiting?.filter((other) => other !== tell)
      })
    })
  }

  #serve({ channel, core }: OpenedChannel): void {
    const { onOpen } = this.#service
    if (Callbacks.isHandler(onOpen)) {
      const { steps } = onOpen
      this.run(steps.open(channel), (exit) => {
        core.keepBytes()
        this.#goOn(steps, exit)
      })
      return
    }
    const handled = Effect.suspend(() => onOpen(channel))
    this.run(handled, (exit) => this.#close(exit))
  }

  /** The handler has finished: closes the connection, and goes on when that is done. */
  #close(exit: Exit.Exit<unknown, E>): void {
    const { core } = this
    if (core === undefined) return
    this.#isHandled = true
    if (Exit.isFailure(exit)) this.#logFailure(core, exit.cause)
    core.closeUnsafe(Exit.isSuccess(exit) ? CloseCode.normalClosure : CloseCode.unexpectedCondition, "")
    if (core.isClosed) this.#end(Exit.void)
  }

  #logFailure(core: ChannelCore, cause: Cause.Cause<E>): void {
    // The end of the connection is what most handlers fail with: no news.
    const error = Cause.squash(cause)
    const log =
      error instanceof WebSocketError && core.isClosing
        ? Effect.logDebug("connection ended", cause)
        : Effect.logError("onOpen failed", cause)
    Effect.runForkWith(this.#context())(log)
  }

  #abort(): void {
    this.#handshake?.abort()
    this.core?.abort()
    this.#end(Exit.interrupt())
  }

  #end(exit: Exit.Exit<void>): void {
    if (this.#isEnding) return
    this.#isEnding = true
    const release = this.#scope && Scope.closeUnsafe(this.#scope, exit)
    if (release === undefined) return this.#tellEnd()
    const surviving = Effect.catchCauseIf(release, Cause.hasDies, logDeath)
    this.#fork(surviving, { uninterruptible: true }).addObserver(() => this.#tellEnd())
  }

  #tellEnd(): void {
    this.#isEnded = true
    this.#service.onEnded(this)
    for (const tell of this.#waiting ?? []) tell()
  }

  // ---- callbacks ----------------------------------------------------------

  #goOn(steps: Callbacks.Steps<E, R>, exit: Exit.Exit<unknown, E>): void {
    if (Exit.isFailure(exit)) this.#stepDown(steps, exit)
    else this.#receive(steps)
  }

  /** Hands over what waits, or waits for it. */
  #receive(steps: Callbacks.Steps<E, R>): void {
    if (this.#opened === undefined) return
    const { channel, core } = this.#opened
    const { inbox } = core
    if (inbox.ending !== undefined) return this.#stepDown(steps, Exit.void)
    if (inbox.isEmpty) return inbox.wait(this)
    const messages = inbox.take().map(toIncomingMessage)
    this.run(steps.receive(channel, messages), (exit) => this.#goOn(steps, exit))
  }

  get hasLeft(): boolean {
    return this.#isInterrupted
  }

  wake(): void {
    const { onOpen } = this.#service
    if (Callbacks.isHandler(onOpen) && !this.#isInterrupted) this.#receive(onOpen.steps)
  }

  #stepDown(steps: Callbacks.Steps<E, R>, served: Exit.Exit<void, E>): void {
    if (this.#opened === undefined) return
    this.run(steps.close(this.#opened.channel, served), (exit) => this.#close(exit))
  }

  // ---- fibers -------------------------------------------------------------

  /** Runs an effect, and goes on with its exit unless the connection was dropped meanwhile. */
  run<A, F>(effect: Effect.Effect<A, F, R | Scope.Scope>, onExit: (exit: Exit.Exit<A, F>) => void): void {
    // What needs no fiber has none.
    if (Exit.isExit(effect)) return this.#ran(effect as Exit.Exit<A, F>, onExit)
    const fiber = this.#fork(effect)
    this.#fiber = fiber
    fiber.addObserver((exit) => {
      this.#fiber = undefined
      this.#ran(exit, onExit)
    })
  }

  #ran<A, F>(exit: Exit.Exit<A, F>, onExit: (exit: Exit.Exit<A, F>) => void): void {
    if (this.#isInterrupted) this.#abort()
    else onExit(exit)
  }

  #fork<A, F>(effect: Effect.Effect<A, F, R | Scope.Scope>, options?: Effect.RunOptions): Fiber.Fiber<A, F> {
    return Effect.runForkWith(this.#context())(effect, options)
  }

  // The service's context holds all else that `R` stands for: a type cannot say so.
  #context(): Context.Context<R | Scope.Scope> {
    if (this.#contextWithChannel !== undefined) return this.#contextWithChannel
    this.#scope ??= Scope.makeUnsafe()
    const context = Context.add(this.#service.context, Scope.Scope, this.#scope)
    if (this.#opened === undefined) return context as unknown as Context.Context<R | Scope.Scope>
    const { channel, span } = this.#opened
    const withChannel = Context.add(context, WebSocketChannel, channel)
    this.#contextWithChannel = (span === undefined
      ? withChannel
      : Context.add(withChannel, Tracer.ParentSpan, span)) as unknown as Context.Context<R | Scope.Scope>
    return this.#contextWithChannel
  }
}
