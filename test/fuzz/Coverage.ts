/**
 * Which of the sources' code was run, as V8's block coverage has it.
 */
import { type Profiler, Session } from "node:inspector"

const sources = new URL("../../src/", import.meta.url).href

export class Coverage {
  readonly #session = new Session()
  // By script, one byte for each character of it: 1 where it was run.
  readonly #known = new Map<string, Uint8Array>()
  // What ran last: pairs of script and place that were not known.
  #news: Array<readonly [seen: Uint8Array, at: number]> = []

  constructor() {
    this.#session.connect()
    this.#session.post("Profiler.enable")
    this.#session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true })
    this.forget()
  }

  /** Starts anew: nothing is known to have run. */
  forget(): void {
    this.#known.clear()
    this.#take(() => {})
  }

  /** Whether code ran since the last measurement that is not known to have run before. */
  hasNews(): boolean {
    this.#news = []
    this.#take((scripts) => {
      for (const script of scripts) if (script.url.startsWith(sources)) this.#compare(script)
    })
    return this.#news.length > 0
  }

  /** What the last measurement has found is known from now on. */
  learn(): void {
    for (const [seen, at] of this.#news) seen[at] = 1
  }

  /** Characters of the sources that are known to have run. */
  get size(): number {
    let size = 0
    for (const seen of this.#known.values()) for (const one of seen) size += one
    return size
  }

  #compare({ functions, url }: Profiler.ScriptCoverage): void {
    const end = Math.max(...functions.flatMap(({ ranges }) => ranges.map(({ endOffset }) => endOffset)))
    const ran = new Uint8Array(end)
    // Inner functions come after outer ones, and inner ranges too.
    for (const { ranges } of functions) {
      for (const { count, endOffset, startOffset } of ranges)
        ran.fill(count > 0 ? 1 : 0, startOffset, endOffset)
    }
    const seen = this.#seenOf(url, end)
    for (let at = 0; at < end; at++) if (ran[at] === 1 && seen[at] === 0) this.#news.push([seen, at])
  }

  #seenOf(url: string, length: number): Uint8Array {
    const before = this.#known.get(url)
    if (before !== undefined && before.length >= length) return before
    const seen = new Uint8Array(length)
    if (before !== undefined) seen.set(before)
    this.#known.set(url, seen)
    return seen
  }

  #take(use: (scripts: ReadonlyArray<Profiler.ScriptCoverage>) => void): void {
    // A session with its own thread answers within the call.
    this.#session.post("Profiler.takePreciseCoverage", (error, taken) => {
      if (error !== null) throw error
      use(taken.result)
    })
  }
}
