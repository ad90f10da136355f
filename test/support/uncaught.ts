/**
 * What is thrown where nobody catches it.
 */
import * as Effect from "effect/Effect"

export const throws = (thrown: unknown): never => {
  throw thrown
}

/** What is thrown that nobody catches, while `effect` runs. */
export const uncaught = <E, R>(effect: Effect.Effect<unknown, E, R>): Effect.Effect<Array<unknown>, E, R> =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      const listeners = process.listeners("uncaughtException")
      const thrown: Array<unknown> = []
      process.removeAllListeners("uncaughtException")
      process.on("uncaughtException", (error) => thrown.push(error))
      return { listeners, thrown }
    }),
    ({ thrown }) => Effect.as(effect, thrown),
    ({ listeners }) =>
      Effect.sync(() => {
        process.removeAllListeners("uncaughtException")
        for (const listener of listeners) process.on("uncaughtException", listener)
      })
  )
