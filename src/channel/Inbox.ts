/**
 * Messages that were received and wait to be pulled.
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import { footprint, type ReceivedMessage } from "../message/Message.ts"
import type { WebSocketError } from "./WebSocketError.ts"

/** All messages that waited. */
export type Batch = NonEmptyReadonlyArray<ReceivedMessage>

/** What a pull gets when no message is left and none can come. */
export type End = Effect.Effect<never, WebSocketError | Cause.Done>

type Resume = (effect: Effect.Effect<Batch, WebSocketError | Cause.Done>) => void

export class Inbox {
  /** Bytes that the waiting messages keep in memory, roughly. */
  size = 0

  #messages: Array<ReceivedMessage> = []
  #pulls: Array<Resume> = []
  #end: End | undefined
  readonly #onTake: () => void

  /** `onTake` is called whenever the waiting messages were taken. */
  constructor(onTake: () => void) {
    this.#onTake = onTake
  }

  /** The next batch of messages, once there is one. */
  readonly pull: Effect.Effect<Batch, WebSocketError | Cause.Done> = Effect.suspend(() =>
    this.#messages.length > 0 ? Effect.succeed(this.#take()) : (this.#end ?? this.#await)
  )

  readonly #await = Effect.callback<Batch, WebSocketError | Cause.Done>((resume) => {
    this.#pulls.push(resume)
    return Effect.sync(() => {
      this.#pulls = this.#pulls.filter((waiting) => waiting !== resume)
    })
  })

  push(message: ReceivedMessage): void {
    this.#messages.push(message)
    this.size += footprint(message)
  }

  /** Hands the waiting messages to a waiting pull, if there are both. */
  deliver(): void {
    if (this.#messages.length === 0) return
    const resume = this.#pulls.shift()
    if (resume !== undefined) resume(Effect.succeed(this.#take()))
  }

  /** No message will come any more: what waits is still delivered, then the end. The first call counts. */
  end(makeEnd: () => End): void {
    if (this.#end !== undefined) return
    const end = makeEnd()
    this.#end = end
    this.deliver()
    const pulls = this.#pulls
    this.#pulls = []
    for (const resume of pulls) resume(end)
  }

  #take(): Batch {
    const batch = this.#messages as unknown as Batch // not empty: every caller has looked
    this.#messages = []
    this.size = 0
    this.#onTake()
    return batch
  }
}
