/**
 * A server's process that ends in order.
 */
import { constants } from "node:os"
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import * as Runtime from "effect/Runtime"

const signals = ["SIGINT", "SIGTERM"] as const

/** A signal that comes this soon after the first is the same one: npm hands on what its child has got already. */
const sameSignalMillis = 500

/**
 * Runs a program as the process's main one, as `NodeRuntime.runMain` of
 * `@effect/platform-node` does, but for its end. SIGINT or SIGTERM interrupts it,
 * which drains its servers within their option `drainTimeout`; the process then ends with 0.
 * A further signal, from half a second on, ends it at once, with 130 after SIGINT and 143 after SIGTERM.
 *
 *     Echo.pipe(
 *       Layer.provide(NodeWebSocketServer.layer({ port: 9000 }, { drainTimeout: "20 seconds" })),
 *       Layer.launch,
 *       NodeShutdown.runMain
 *     )
 */
export const runMain = Runtime.makeRunMain(({ fiber, teardown }) => {
  let askedAt: number | undefined
  const onSignal = (signal: (typeof signals)[number]) => {
    const now = performance.now()
    if (askedAt === undefined) {
      askedAt = now
      fiber.interruptUnsafe(fiber.id)
    } else if (now - askedAt >= sameSignalMillis) {
      process.exit(128 + constants.signals[signal])
    }
  }
  for (const signal of signals) process.on(signal, onSignal)
  fiber.addObserver((exit) => {
    for (const signal of signals) process.off(signal, onSignal)
    const isAsked = askedAt !== undefined
    const isInOrder = isAsked && Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)
    teardown<unknown, unknown>(isInOrder ? Exit.void : exit, (code) => {
      if (isAsked || code !== 0) process.exit(code)
    })
  })
})
