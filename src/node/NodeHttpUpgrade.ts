/**
 * WebSockets on the port of an HTTP server: transports from the `upgrade` event
 * of `node:http` and `node:https`.
 */

import type { EventEmitter } from "node:events"
import type { IncomingMessage, Server } from "node:http"
import type { Duplex } from "node:stream"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { HttpHead } from "../handshake/HttpHead.ts"
import { acceptor } from "../transport/Acceptor.ts"
import { accepted, TransportServer } from "../transport/Transport.ts"
import { fromSocket } from "./NodeTransport.ts"
import { boundAddress } from "./NodeTransportServer.ts"

export interface UpgradeOptions {
  /**
   * Which upgrade requests are for WebSockets, by path, percent-encoded; the others are left to the server, as are
   * those for which the function throws. Default: all.
   */
  readonly path?: string | ((path: string) => boolean)
}

/**
 * Takes the upgrade requests of `server`, which someone else has listen, until
 * the scope closes. Other `upgrade` listeners, such as that of Effect's
 * `NodeHttpServer`, get the requests for other paths only, whoever came first.
 */
export const make = Effect.fnUntraced(function* (
  server: Server,
  options: UpgradeOptions = {}
): Effect.fn.Return<TransportServer["Service"], never, Scope.Scope> {
  const { path = () => true } = options
  const isOurs = typeof path === "string" ? (requested: string) => requested === path : path
  const accepting = acceptor()
  const run = Effect.runForkWith(yield* Effect.context<never>())
  const isTaken = (requested: string): boolean => {
    try {
      return isOurs(requested)
    } catch (cause) {
      // Within Node's event it would end the process.
      run(Effect.logError("path died", Cause.die(cause)))
      return false
    }
  }

  yield* Effect.addFinalizer(() => Effect.sync(accepting.close))
  yield* mount(server, (request, socket, head) => {
    if (!isTaken(pathOf(request))) return false
    accepting.onTransport(accepted(fromSocket(socket), { head: headOf(request), rest: new Uint8Array(head) }))
    return true
  })
  yield* Effect.callback<void>((resume) => {
    const onListening = () => resume(Effect.void)
    if (server.listening) return onListening()
    server.once("listening", onListening)
    return Effect.sync(() => server.off("listening", onListening))
  })
  return TransportServer.of({
    address: boundAddress(server),
    accept: accepting.accept,
    // The HTTP server goes on accepting. What comes for a server that drains is answered 503.
    stop: Effect.void
  })
})

/** The upgrade requests of an HTTP server as transports. */
export const layer = (server: Server, options?: UpgradeOptions): Layer.Layer<TransportServer> =>
  Layer.effect(TransportServer, make(server, options))

/** Takes an upgrade request with its socket and the bytes that came after its head, or leaves it to the server. */
export type OnUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => boolean

/** Is asked about each upgrade request before any listener is, until the scope closes. */
export const mount = (server: EventEmitter, onUpgrade: OnUpgrade): Effect.Effect<void, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      // Listeners cannot keep an event from one another, so who is asked first decides.
      const { emit } = server
      let isMounted = true
      const emitUnlessTaken = (event: string | symbol, ...args: ReadonlyArray<unknown>): boolean => {
        if (isMounted && event === "upgrade") {
          const [request, socket, head] = args as [IncomingMessage, Duplex, Buffer] // as Node documents the event
          if (onUpgrade(request, socket, head)) return true
        }
        return Reflect.apply(emit, server, [event, ...args])
      }
      server.emit = emitUnlessTaken
      server.on("upgrade", decline)
      return () => {
        isMounted = false
        server.off("upgrade", decline)
        // Another mount may stand on this one: it then passes everything on.
        if (server.emit === emitUnlessTaken) server.emit = emit
      }
    }),
    (unmount) => Effect.sync(unmount)
  )

// Node asks for a listener before it treats a request as an upgrade. This one answers
// what no mount has taken and nobody else listens for.
const decline = function (this: EventEmitter, _request: IncomingMessage, socket: Duplex): void {
  if (socket.writableEnded || this.listeners("upgrade").some((listener) => listener !== decline)) return
  socket.on("error", () => {})
  socket.end("HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
}

const pathOf = (request: IncomingMessage): string => (request.url ?? "").split("?", 1)[0] ?? ""

/** The request line as it came, so that it is judged like any other, and the header lines. */
export const headOf = (
  request: Pick<IncomingMessage, "method" | "url" | "httpVersion" | "rawHeaders">
): HttpHead => ({
  startLine: `${request.method} ${request.url} HTTP/${request.httpVersion}`,
  headers: pairs(request.rawHeaders)
})

const pairs = (rawHeaders: ReadonlyArray<string>): Array<readonly [string, string]> => {
  const headers: Array<readonly [string, string]> = []
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) headers.push([rawHeaders[i]!, rawHeaders[i + 1]!])
  return headers
}
