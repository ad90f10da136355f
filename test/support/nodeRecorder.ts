/**
 * A transport's listener that keeps what it is told.
 */
import { Buffer } from "node:buffer"
import * as Effect from "effect/Effect"
import type { Transport } from "effect-websocket"

/** Wakes those who wait for a condition. */
export class Waiting {
  #steps: Array<() => boolean> = []

  protected wake(): void {
    const steps = this.#steps
    this.#steps = []
    for (const step of steps) if (!step()) this.#steps.push(step)
  }

  /** Waits for what is told until `condition` holds. */
  until(condition: () => boolean): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      const step = (): boolean => {
        if (!condition()) return false
        resume(Effect.void)
        return true
      }
      if (!step()) this.#steps.push(step)
      return Effect.sync(() => {
        this.#steps = this.#steps.filter((other) => other !== step)
      })
    })
  }
}

/** What a transport told, beside bytes; `cause` is that of `onClose`. */
export type Told = "end" | "drain" | "close" | "failure"

export class Recorder extends Waiting implements Transport.TransportListener {
  readonly chunks: Array<Uint8Array> = []
  readonly told: Array<Told> = []
  cause: unknown
  received = 0

  onData(chunk: Uint8Array): boolean {
    this.chunks.push(chunk)
    this.received += chunk.length
    this.wake()
    return false
  }

  onEnd(): void {
    this.#tell("end")
  }

  onDrain(): void {
    this.#tell("drain")
  }

  onClose(cause: unknown): void {
    this.cause = cause
    this.#tell(cause === undefined ? "close" : "failure")
  }

  #tell(what: Told): void {
    this.told.push(what)
    this.wake()
  }

  /** Everything received, as latin1. */
  get text(): string {
    return Buffer.concat(this.chunks).toString("latin1")
  }

  /** Waits for this many bytes in all. */
  bytes(count: number): Effect.Effect<void> {
    return this.until(() => this.received >= count)
  }

  /** Waits to be told. */
  hears(what: Told): Effect.Effect<void> {
    return this.until(() => this.told.includes(what))
  }
}

/** Listens to the transport. */
export const record = (transport: Transport.Transport): Recorder => {
  const recorder = new Recorder()
  transport.listen(recorder)
  return recorder
}

export const latin1 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "latin1"))
