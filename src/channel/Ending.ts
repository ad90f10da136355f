/**
 * How a channel ends: who ends it and why, and the time that a step of it may take. Made when the end begins, or
 * someone asks or waits for it.
 */
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { CloseEvent, CloseFacts } from "./CloseEvent.ts"
import type { Timer, Timers } from "./Timers.ts"
import type { WebSocketError } from "./WebSocketError.ts"

/** A step of the end that has its time. */
export type EndingStep = "closeHandshake" | "transportEnd"

export class Ending {
  /** This end began the closing handshake. */
  closedByMe = false
  /** The Close that is to be sent at the end of a frame. */
  pendingClose: { readonly code: number | undefined; readonly reason: string } | undefined
  /** This end dropped the transport. */
  droppedByMe = false
  /** The peer ended the transport before the closing handshake was through. */
  endedByPeer = false
  /** This end of the transport is ending, or gone. */
  isTransportEnding = false
  /** Why the connection did not end cleanly, where that is known. */
  failure: WebSocketError | undefined
  /** The timeout for which this end dropped the transport. */
  timeout: CloseFacts["timeout"]

  #timer: Timer | undefined
  #step: EndingStep | undefined
  // Made when someone waits for the end.
  #closed: Deferred.Deferred<CloseEvent> | undefined

  /** From now on `step` may take so long, and no other has its time. Does nothing where this step has begun. */
  begin(step: EndingStep, limit: Duration.Duration, timers: Timers, onTimeUp: () => void): void {
    if (this.#step === step) return
    this.#step = step
    this.#timer?.stop()
    this.#timer = timers.start(step, limit, onTimeUp)
  }

  /** Waits for `close`. */
  get closed(): Effect.Effect<CloseEvent> {
    this.#closed ??= Deferred.makeUnsafe()
    return Deferred.await(this.#closed)
  }

  /** The transport is gone. */
  close(event: CloseEvent): void {
    this.#timer?.stop()
    if (this.#closed !== undefined) Deferred.doneUnsafe(this.#closed, Exit.succeed(event))
  }
}
