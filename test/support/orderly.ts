/**
 * The server of `test/orderly/server.ts`, in a process of its own.
 */
import * as Effect from "effect/Effect"
import { host } from "./node.ts"
import { start } from "./processes.ts"

/** Starts the server, with options in words; it is killed when the scope closes, unless it has ended. */
export const startServer = Effect.fnUntraced(function* (
  options: Readonly<Record<string, string>>,
  listen: { readonly port: number; readonly reusePort?: boolean } = { port: 0 }
) {
  const settings = JSON.stringify({ listen: { host, ...listen }, options })
  const program = yield* Effect.acquireRelease(
    Effect.sync(() =>
      start(process.execPath, ["--conditions=effect-websocket:source", "test/orderly/server.ts", settings])
    ),
    ({ ended, signal }) =>
      Effect.promise(() => {
        signal("SIGKILL")
        return ended
      })
  )
  const [, port] = yield* Effect.promise(() => program.find(/listening on (\d+)/))
  return { program, port: Number(port), url: `ws://${host}:${port}` }
})
