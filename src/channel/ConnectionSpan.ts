/**
 * A tracing span for each connection, where a tracer is in context that someone
 * reads: with Effect's default tracer there is none.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpTraceContext from "effect/http/HttpTraceContext"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import type { ChannelCore } from "./ChannelCore.ts"
import type { ChannelFacts } from "./WebSocketChannel.ts"

/** Whether a tracer is in context that someone reads. */
export const isTraced = (context: Context.Context<never>): boolean =>
  Context.get(context, Tracer.Tracer) !== Tracer.nativeTracer

/** Starts the span of a connection that has opened; it ends with the connection. */
export const start = Effect.fnUntraced(function* (
  core: Pick<ChannelCore, "closed">,
  facts: ChannelFacts
): Effect.fn.Return<Tracer.Span> {
  const { extensions, request, role, subprotocol } = facts
  const parent = request === undefined ? Option.none() : HttpTraceContext.fromHeaders(request.headers)
  const span = yield* Effect.makeSpan("websocket.connection", {
    kind: role,
    // A server's connections have nothing to do with what built the server.
    ...(Option.isSome(parent) ? { parent: parent.value } : { root: role === "server" }),
    attributes: {
      "websocket.role": role,
      "websocket.subprotocol": subprotocol,
      "websocket.extensions": extensions.join(", "),
      "url.path": request?.path
    }
  })
  yield* Effect.forkDetach(endWith(core, span))
  return span
})

const endWith = Effect.fnUntraced(function* (core: Pick<ChannelCore, "closed">, span: Tracer.Span) {
  const { code, reason, wasClean } = yield* core.closed
  span.attribute("websocket.close.code", code)
  span.attribute("websocket.close.reason", reason)
  span.attribute("websocket.close.clean", wasClean)
  span.end(yield* Clock.currentTimeNanos, Exit.void)
})
