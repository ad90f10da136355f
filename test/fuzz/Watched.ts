/**
 * The trial that is under way in a worker, in memory that its parent sees while the worker is stuck.
 */
import type { Observer, Trial } from "./Fuzzer.ts"

/** What a worker is to do. */
export interface Job {
  /** URL of the module that exports all `targets`. */
  readonly module: string
  readonly target: string
  readonly seed: number
  readonly seconds: number
  /** Only this, in place of fuzzing. */
  readonly replay: { readonly trial: Trial; readonly input: string } | undefined
  /** Of a {@link Watched}. */
  readonly memory: SharedArrayBuffer
}

const longestShown = 256 * 1024
const headerLength = 3

export class Watched implements Observer {
  /** How many trials were started and ended; whether the last one is for time; and its input's length. */
  readonly #header: Int32Array
  readonly #input: Uint16Array

  static memory(): SharedArrayBuffer {
    return new SharedArrayBuffer(4 * headerLength + 2 * longestShown)
  }

  constructor(memory: SharedArrayBuffer) {
    this.#header = new Int32Array(memory, 0, headerLength)
    this.#input = new Uint16Array(memory, 4 * headerLength)
  }

  started(trial: Trial, input: string): void {
    const length = Math.min(input.length, longestShown)
    for (let i = 0; i < length; i++) this.#input[i] = input.charCodeAt(i)
    this.#header[1] = trial === "work" ? 1 : 0
    this.#header[2] = length
    Atomics.add(this.#header, 0, 1)
  }

  ended(): void {
    Atomics.add(this.#header, 0, 1)
  }

  /** Odd while a trial is under way; never the same for two of them. */
  get turn(): number {
    return Atomics.load(this.#header, 0)
  }

  get trial(): Trial {
    return this.#header[1] === 1 ? "work" : "check"
  }

  get input(): string {
    let input = ""
    for (let i = 0; i < this.#header[2]!; i++) input += String.fromCharCode(this.#input[i]!)
    return input
  }
}
