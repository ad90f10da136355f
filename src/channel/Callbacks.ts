/**
 * A channel served by callbacks. In a fiber they wait for messages; a server that has them as its handler has a
 * fiber only while one of them runs.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as CloseCode from "../frame/CloseCode.ts"
import type { IncomingMessage } from "../message/Message.ts"
import type { Channel } from "./WebSocketChannel.ts"

/** A callback: any effect, or nothing to do. */
type Callback<Args extends ReadonlyArray<unknown>, E, R> = (...args: Args) => Effect.Effect<unknown, E, R>

/**
 * A connection served by callbacks, in Autobahn's terms. All are optional.
 *
 * What a callback forks as its child may end with it. What is to go on belongs into the connection's scope, as with
 * `Effect.forkScoped`.
 */
export interface Callbacks<
  EO = never,
  RO = never,
  EM = never,
  RM = never,
  RPing = never,
  RPong = never,
  EC = never,
  RC = never
> {
  /** The connection is open. */
  readonly onOpen?: Callback<[channel: Channel], EO, RO>
  /** A message came: text as its UTF-8. The next one is handed over when this has finished. */
  readonly onMessage?: Callback<[payload: Uint8Array, isBinary: boolean, channel: Channel], EM, RM>
  /** A ping came. Replaces the automatic pong. */
  readonly onPing?: Callback<[payload: Uint8Array], never, RPing>
  /** A pong came. */
  readonly onPong?: Callback<[payload: Uint8Array], never, RPong>
  /**
   * The connection has ended, also because a callback failed. `code` and `reason` are the peer's. Not called where
   * who serves is interrupted, as when a drain drops the connection: finalizers of the connection's scope are.
   */
  readonly onClose?: Callback<[wasClean: boolean, code: number, reason: string], EC, RC>
}

/** What a connection's callbacks do, in the order in which it is done. */
export interface Steps<E, R> {
  /** Before any message is handed over. */
  readonly open: (channel: Channel) => Effect.Effect<void, E, R | Scope.Scope>
  /** For the messages of one read, one after the other. */
  readonly receive: (
    channel: Channel,
    messages: ReadonlyArray<IncomingMessage>
  ) => Effect.Effect<unknown, E, R>
  /** When no message is left and none can come, or a step has failed: the end of all. */
  readonly close: (channel: Channel, served: Exit.Exit<void, E>) => Effect.Effect<void, E, R>
}

/** Serves a channel until it has ended; {@link handle} makes it. */
export interface Handler<E, R> {
  (channel: Channel): Effect.Effect<void, E, Exclude<R, Scope.Scope>>
  /** The same in steps, for who waits for messages without a fiber. */
  readonly steps: Steps<E, R>
}

/** Whether a function that serves channels can do so in steps. */
export const isHandler = <E, R>(
  serve: (channel: Channel) => Effect.Effect<unknown, E, R>
): serve is typeof serve & Handler<E, R> => "steps" in serve

/**
 * Serves a channel by callbacks until it has ended: what a server's `onOpen`
 * takes. Such a connection costs a server the least: while nothing happens there is no fiber for it.
 * An unclean end is told to `onClose` and is no failure. When a callback fails the connection is closed with 1011, and
 * the failure goes on after `onClose`.
 */
export const handle = <
  EO = never,
  RO = never,
  EM = never,
  RM = never,
  RPing = never,
  RPong = never,
  EC = never,
  RC = never
>(
  callbacks: Callbacks<EO, RO, EM, RM, RPing, RPong, EC, RC>
): Handler<EO | EM | EC, RO | RM | RPing | RPong | RC> => {
  const steps = stepsOf(callbacks)
  const serve = (channel: Channel) =>
    steps.open(channel).pipe(
      Effect.andThen(
        channel.incoming.pipe(
          Stream.catchTag("WebSocketError", () => Stream.empty),
          Stream.runForEachArray((messages) => steps.receive(channel, messages))
        )
      ),
      Effect.exit,
      Effect.flatMap((served) => steps.close(channel, served)),
      Effect.scoped
    )
  return Object.assign(serve, { steps })
}

const stepsOf = <EO, RO, EM, RM, RPing, RPong, EC, RC>({
  onClose,
  onMessage,
  onOpen,
  onPing,
  onPong
}: Callbacks<EO, RO, EM, RM, RPing, RPong, EC, RC>): Steps<EO | EM | EC, RO | RM | RPing | RPong | RC> => ({
  open:
    onOpen === undefined && onPing === undefined && onPong === undefined
      ? () => Effect.void
      : Effect.fnUntraced(function* (channel) {
          if (onPing !== undefined) yield* channel.onPing(onPing)
          if (onPong !== undefined) yield* channel.onPong(onPong)
          if (onOpen !== undefined) yield* onOpen(channel)
        }),
  receive: (channel, messages) =>
    onMessage === undefined
      ? Effect.void
      : Effect.forEach(messages, ({ isBinary, payload }) => onMessage(payload, isBinary, channel), {
          discard: true
        }),
  close: Effect.fnUntraced(function* (channel, served) {
    if (Exit.isFailure(served)) yield* Effect.ignore(channel.close(CloseCode.unexpectedCondition))
    const { code, reason, wasClean } = yield* channel.closed
    if (onClose !== undefined) yield* onClose(wasClean, code, reason)
    return yield* served
  })
})
