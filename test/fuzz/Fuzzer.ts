/**
 * The search: inputs are mutated, and one that makes the sources run code which none before it has run is mutated
 * further. Everything it does follows from the seed and the inputs that are kept.
 */
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import { randomFrom } from "../support/deflate.ts"
import type { Coverage } from "./Coverage.ts"
import { longestInput, minimise, mutate, type Random } from "./mutate.ts"
import type { Target } from "./Target.ts"

/** What an input is tried for. */
export type Trial = "check" | "work"

export interface Finding {
  readonly trial: Trial
  /** Minimised, unless it is about time or memory. */
  readonly input: string
  readonly problem: string
}

export interface Outcome {
  readonly runs: number
  readonly seconds: number
  /** Inputs that are worth keeping: few and short ones that run all the code that the kept ones do not. */
  readonly found: ReadonlyArray<string>
  /** Characters of the sources that were run. */
  readonly covered: number
  readonly finding: Finding | undefined
}

/** Told of each trial: what never returns, or takes the process down, cannot tell it itself. */
export interface Observer {
  readonly started: (trial: Trial, input: string) => void
  readonly ended: () => void
}

export interface Plan {
  readonly seed: number
  readonly seconds: number
  /** Inputs to begin with. */
  readonly kept: ReadonlyArray<string>
  readonly observer: Observer
}

/** A trial that takes more processor time hangs. */
export const longestTrialMs = 1000

const batchSize = 100
/** Arbitraries are far slower than mutations. */
const generatedAtStart = 60
/** One batch in so many is followed by a look at how the time grows. */
const batchesPerGrowth = 3
/** Longer ones are found again when they are needed. */
const longestKept = 1024
const minimisingTries = 3000
const mostMemory = 768 * 1024 * 1024

export const fuzz = (target: Target, coverage: Coverage, plan: Plan): Promise<Outcome> =>
  new Search(target, coverage, plan).run()

class Search {
  readonly #target: Target
  readonly #coverage: Coverage
  readonly #plan: Plan
  readonly #random: Random
  readonly #corpus: Array<string> = []
  readonly #found: Array<string> = []
  readonly #memoryAtStart = process.memoryUsage.rss()
  #runs = 0
  #finding: Finding | undefined

  constructor(target: Target, coverage: Coverage, plan: Plan) {
    this.#target = target
    this.#coverage = coverage
    this.#plan = plan
    this.#random = randomFrom(plan.seed)
  }

  async run(): Promise<Outcome> {
    const start = performance.now()
    const end = start + this.#plan.seconds * 1000
    const { kept, seed } = this.#plan
    for (const input of kept) await this.#begin(input)
    const samples = Arbitrary.sampleEffect(this.#target.generated, {
      count: generatedAtStart,
      size: 30,
      seed
    })
    for (const input of await Effect.runPromise(samples)) {
      if (input.length <= longestInput) await this.#begin(input, true)
    }
    for (let batch = 1; performance.now() < end && this.#finding === undefined; batch++) {
      await this.#mutants()
      if (batch % batchesPerGrowth === 0) await this.#growth()
    }
    const seconds = (performance.now() - start) / 1000
    const covered = this.#coverage.size
    const finding = this.#finding
    return { runs: this.#runs, seconds, covered, finding, found: await this.#distilled() }
  }

  /** What of the inputs found is worth keeping. */
  async #distilled(): Promise<ReadonlyArray<string>> {
    const distilled: Array<string> = []
    const short = this.#found.filter(({ length }) => length <= longestKept)
    this.#coverage.forget()
    for (const input of [...this.#plan.kept, ...short.sort((a, b) => a.length - b.length)]) {
      if (!(await this.#passes(input)) || !this.#coverage.hasNews()) continue
      this.#coverage.learn()
      if (!this.#plan.kept.includes(input)) distilled.push(input)
    }
    return distilled
  }

  /** What the search begins with is mutated whatever it runs. */
  async #begin(input: string, isNew = false): Promise<void> {
    this.#corpus.push(input)
    if (!(await this.#passes(input))) return
    if (this.#coverage.hasNews() && isNew) this.#found.push(input)
    this.#coverage.learn()
  }

  async #mutants(): Promise<void> {
    const parents = this.#corpus
    const any = (): string => parents[this.#random(parents.length)] ?? ""
    const batch = Array.from({ length: batchSize }, () => mutate(any(), any(), this.#target, this.#random))
    if (await this.#allPass(batch)) await this.#findNews(batch)
    const memory = process.memoryUsage.rss() - this.#memoryAtStart
    if (memory > mostMemory) this.#fail("check", batch.at(-1)!, `${memory} bytes of memory were taken`)
  }

  /** Of a batch that has just run. */
  async #findNews(batch: ReadonlyArray<string>): Promise<void> {
    if (!this.#coverage.hasNews()) return
    if (batch.length === 1) {
      this.#coverage.learn()
      this.#corpus.push(batch[0]!)
      this.#found.push(batch[0]!)
      return
    }
    const middle = batch.length >> 1
    for (const half of [batch.slice(0, middle), batch.slice(middle)]) {
      if (await this.#allPass(half)) await this.#findNews(half)
    }
  }

  async #allPass(batch: ReadonlyArray<string>): Promise<boolean> {
    for (const input of batch) if (!(await this.#passes(input))) return false
    return true
  }

  async #passes(input: string): Promise<boolean> {
    if (this.#finding !== undefined) return false
    const problem = await this.#problemOf(input)
    if (problem === undefined) return true
    const fails = async (shorter: string): Promise<boolean> => (await this.#problemOf(shorter)) !== undefined
    const shortest = await minimise(input, fails, minimisingTries)
    this.#fail("check", shortest, (await this.#problemOf(shortest)) ?? problem)
    return false
  }

  async #problemOf(input: string): Promise<string | undefined> {
    this.#runs++
    try {
      const ms = await this.#time("check", input)
      return ms > longestTrialMs ? `it takes ${ms} ms` : undefined
    } catch (error) {
      return error instanceof Error ? (error.stack ?? error.message) : String(error)
    }
  }

  /** How long a trial takes, in milliseconds of {@link cpuMs}. */
  async #time(trial: Trial, input: string): Promise<number> {
    const { observer } = this.#plan
    observer.started(trial, input)
    const start = cpuMs()
    try {
      const result = this.#target[trial](input)
      if (result !== undefined) await result
      return cpuMs() - start
    } finally {
      observer.ended()
    }
  }

  /** Four times the input may take four times as long, not sixteen times. */
  async #growth(): Promise<void> {
    const random = this.#random
    const input = this.#corpus[random(this.#corpus.length)] ?? ""
    const parts = this.#target.split(input)
    const at = random(input.length + 1)
    const unit = random(2) === 0 ? parts[random(parts.length)] : input.slice(at, at + 1 + random(32))
    if (unit === undefined || unit === "") return
    const grown = (length: number): string =>
      input.slice(0, at) + unit.repeat(Math.ceil(length / unit.length)) + input.slice(at)
    const [short, long] = [grown(16_384), grown(65_536)]
    const ratio = async (): Promise<number> => {
      const before = await this.#time("work", short)
      const after = await this.#time("work", long)
      // What takes so little is within the clock's error.
      return after < 30 ? 0 : after / before
    }
    try {
      for (let turn = 0; turn < 3; turn++) if ((await ratio()) < 10) return
      this.#fail("work", long, `four times ${JSON.stringify(unit)} takes ten times as long, or more`)
    } catch (error) {
      this.#fail("work", long, String(error))
    }
  }

  #fail(trial: Trial, input: string, problem: string): void {
    this.#finding = { trial, input, problem }
  }
}

/** Processor time of all threads, as some codecs work in Node's thread pool: other processes do not count. */
export const cpuMs = (): number => {
  const { system, user } = process.cpuUsage()
  return (system + user) / 1000
}
