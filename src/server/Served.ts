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
import type { ChannelCore } from "../channel/ChannelCore.ts"
import type { OpenedChannel } from "../channel/OpenedChannel.ts"
import { type Channel, WebSocketChannel } from "../channel/WebSocketChannel.ts"
import { WebSocketError } from "../channel/WebSocketError.ts"
import * as CloseCode from "../frame/CloseCode.ts"
import { toIncomingMessage } from "../message/Message.ts"
import type { Outcome } from "./ServerHandshake.ts"

/** What is the same for all connections that are served alike. */
export interface Service<E, R> {
  /** All that the handler needs, but for the connection's scope and channel. */
  readonly context: Context.Context<never>
  readonly onOpen: (channel: Channel) => Effect.Effect<unknown, E, R>
  /** The connection is open, and about to be served. */
  readonly onOpened: (core: ChannelCore) => void
  /** Nothing is left of the connection. */
  readonly onEnded: (served: AnyServed) => void
}

/** A connection, whatever its handler needs and fails with. */
export type AnyServed = Pick<Served<never, never>, "isRequested" | "core" | "interrupt" | "ended">

const logDeath = (cause: Cause.Cause<never>) =>
  Effect.as(Effect.logError("a connection died", cause), undefined)

const survive = <A, R>(effect: Effect.Effect<A, never, R>) =>
  Effect.catchCauseIf(effect, Cause.hasDies, logDeath)

export class Served<E, R> {
  /** The request has been read. */
  isRequested = false

  readonly #service: Service<E, R>
  readonly #scope = Scope.makeUnsafe()
  #opened: OpenedChannel | undefined
  #fiber: Fiber.Fiber<unknown, unknown> | undefined
  #isInterrupted = false
  #isEnded = false
  // The response that refused the request.
  #refusal: Uint8Array | undefined
  // Called when messages wait; made when first needed.
  #onReady: (() => void) | undefined
  // Those who wait for the end.
  #waiting: ReadonlyArray<() => void> | undefined

  constructor(service: Service<E, R>) {
    this.#service = service
  }

  /** Set once the connection is open. */
  get core(): ChannelCore | undefined {
    return this.#opened?.core
  }

  /** Opens the connection, and serves it. */
  start(opening: Effect.Effect<Outcome, never, R>): void {
    this.#fork(survive(opening), (exit) => {
      const outcome = Exit.isSuccess(exit) ? exit.value : undefined
      if (outcome === undefined || outcome instanceof Uint8Array) {
        this.#refusal = outcome
        return this.#end(Exit.asVoid(exit))
      }
      this.#opened = outcome
      this.#service.onOpened(outcome.core)
      if (this.#isInterrupted) this.#abort()
      else this.#serve(outcome)
    })
  }

  /** Stops what runs, and drops the connection. */
  interrupt(): void {
    if (this.#isInterrupted) return
    this.#isInterrupted = true
    if (this.#fiber !== undefined) this.#fiber.interruptUnsafe()
    else this.#abort()
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
      this.#run(steps.open(channel), (exit) => {
        core.keepBytes()
        this.#goOn(steps, exit)
      })
      return
    }
    const handled = Effect.suspend(() => onOpen(channel))
    this.#run(handled, (exit) => this.#close(exit))
  }

  /** The handler has finished. */
  #close(exit: Exit.Exit<unknown, E>): void {
    if (this.core !== undefined) this.#run(survive(closing(this.core, exit)), () => this.#end(Exit.void))
  }

  #abort(): void {
    this.core?.abort()
    this.#end(Exit.interrupt())
  }

  #end(exit: Exit.Exit<void>): void {
    if (this.#isEnded) return
    this.#fork(
      survive(Scope.close(this.#scope, exit)),
      () => {
        this.#isEnded = true
        this.#service.onEnded(this)
        for (const tell of this.#waiting ?? []) tell()
      },
      { uninterruptible: true }
    )
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
    if (inbox.isEmpty) {
      this.#onReady ??= () => {
        if (!this.#isInterrupted) this.#receive(steps)
      }
      return inbox.wait(this.#onReady)
    }
    const messages = inbox.take().map(toIncomingMessage)
    this.#run(steps.receive(channel, messages), (exit) => this.#goOn(steps, exit))
  }

  #stepDown(steps: Callbacks.Steps<E, R>, served: Exit.Exit<void, E>): void {
    if (this.#opened === undefined) return
    this.#run(steps.close(this.#opened.channel, served), (exit) => this.#close(exit))
  }

  // ---- fibers -------------------------------------------------------------

  /** Runs an effect, and goes on with its exit unless the connection was dropped meanwhile. */
  #run<A, F>(effect: Effect.Effect<A, F, R | Scope.Scope>, onExit: (exit: Exit.Exit<A, F>) => void): void {
    this.#fork(effect, (exit) => (this.#isInterrupted ? this.#abort() : onExit(exit)))
  }

  #fork<A, F>(
    effect: Effect.Effect<A, F, R | Scope.Scope>,
    onExit: (exit: Exit.Exit<A, F>) => void,
    options?: Effect.RunOptions
  ): void {
    const fiber = Effect.runForkWith(this.#context)(effect, options)
    this.#fiber = fiber
    fiber.addObserver((exit) => {
      this.#fiber = undefined
      onExit(exit)
    })
  }

  // The service's context holds all else that `R` stands for: a type cannot say so.
  get #context(): Context.Context<R | Scope.Scope> {
    const context = Context.add(this.#service.context, Scope.Scope, this.#scope)
    if (this.#opened === undefined) return context as Context.Context<R | Scope.Scope>
    const { channel, span } = this.#opened
    const withChannel = Context.add(context, WebSocketChannel, channel)
    return (
      span === undefined ? withChannel : Context.add(withChannel, Tracer.ParentSpan, span)
    ) as Context.Context<R | Scope.Scope>
  }
}

/** Closes the connection when its handler has finished, and waits for that. */
const closing = (core: ChannelCore, exit: Exit.Exit<unknown, unknown>): Effect.Effect<unknown> => {
  if (Exit.isSuccess(exit)) return Effect.ignore(core.close(CloseCode.normalClosure, ""))
  // The end of the connection is what most handlers fail with: no news.
  const error = Cause.squash(exit.cause)
  const expected = error instanceof WebSocketError && core.isClosing
  const log = expected
    ? Effect.logDebug("connection ended", exit.cause)
    : Effect.logError("onOpen failed", exit.cause)
  return Effect.andThen(log, Effect.ignore(core.close(CloseCode.unexpectedCondition, "")))
}
