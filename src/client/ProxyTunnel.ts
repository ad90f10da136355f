/**
 * A client's tunnel through an HTTP proxy (RFC 9110 section 9.3.6).
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { Timeouts } from "../channel/Timeouts.ts"
import {
  buildConnect,
  opensTunnel,
  type Proxy,
  ProxyFailure,
  ProxyRefused
} from "../handshake/ProxyConnect.ts"
import type { WebSocketUrl } from "../handshake/WebSocketUrl.ts"
import type { ProxyTunnel } from "../transport/Transport.ts"
import type { ClientOptions } from "./ClientOptions.ts"
import { InvalidRequest } from "./HandshakeError.ts"
import { type ExchangeFailure, exchange } from "./ResponseExchange.ts"

/** The tunnel to where the URL leads, if the proxy can be asked for it. */
export const make = Effect.fnUntraced(function* (
  proxy: Proxy,
  url: WebSocketUrl,
  options: ClientOptions
): Effect.fn.Return<ProxyTunnel, InvalidRequest, Timeouts> {
  const request = buildConnect(proxy, url)
  if (Result.isFailure(request)) return yield* new InvalidRequest({ message: request.failure })
  const timeouts = yield* Effect.map(Effect.context<Timeouts>(), Context.pick(Timeouts))
  return {
    host: proxy.host,
    port: proxy.port,
    open: (transport) =>
      exchange(transport, request.success, opensTunnel, options).pipe(
        Effect.map(({ rest }) => rest),
        Effect.mapError(errorOf),
        Effect.provide(timeouts)
      )
  }
})

const errorOf = (failure: ExchangeFailure): ProxyRefused | ProxyFailure => {
  switch (failure._tag) {
    case "Refused":
      return new ProxyRefused(failure.refusal)
    case "Invalid":
      return new ProxyFailure({ message: `the proxy's answer: ${failure.message}`, cause: undefined })
    case "Ended":
      return new ProxyFailure({
        message: "the proxy ended the connection without an answer",
        cause: failure.cause
      })
  }
}
