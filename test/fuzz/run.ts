/**
 * Fuzzes a target in a worker, and finds out what the worker cannot: that an input hangs it or takes it down.
 */
import { Worker } from "node:worker_threads"
import { cpuMs, type Finding, longestTrialMs, type Outcome, type Trial } from "./Fuzzer.ts"
import { minimise } from "./mutate.ts"
import { type Job, Watched } from "./Watched.ts"

/** How a worker came to its end. */
type End =
  | { readonly _tag: "Done"; readonly outcome: Outcome | undefined }
  | { readonly _tag: "Lost"; readonly trial: Trial; readonly input: string; readonly problem: string }

/** A trial that waits for so long waits for ever, however busy the machine is. */
const longestWaitMs = 30_000

const start = (job: Omit<Job, "memory">): Promise<End> => {
  const memory = Watched.memory()
  const watched = new Watched(memory)
  const worker = new Worker(new URL("./worker.ts", import.meta.url), {
    workerData: { ...job, memory },
    resourceLimits: { maxOldGenerationSizeMb: 1024 }
  })
  return new Promise((resolve, reject) => {
    let outcome: Outcome | undefined
    let turn = -1
    let since = { cpu: 0, wall: 0 }
    const lost = (problem: string): void => {
      const { input, trial } = watched
      resolve({ _tag: "Lost", trial, input, problem })
    }
    const watch = setInterval(() => {
      if (watched.turn % 2 === 0 || watched.turn !== turn) {
        turn = watched.turn
        since = { cpu: cpuMs(), wall: performance.now() }
      } else if (cpuMs() - since.cpu > longestTrialMs || performance.now() - since.wall > longestWaitMs) {
        lost("it hangs")
        void worker.terminate()
      }
    }, longestTrialMs / 4)
    worker.on("message", (message: Outcome) => {
      outcome = message
    })
    worker.on("error", (error) => {
      if (watched.turn % 2 === 1)
        lost(error instanceof Error ? (error.stack ?? String(error)) : String(error))
      else reject(error)
    })
    worker.on("exit", () => {
      clearInterval(watch)
      if (watched.turn % 2 === 1) lost("it never calls back")
      resolve({ _tag: "Done", outcome })
    })
  })
}

/** Each try takes a worker, and a second where it hangs. */
const minimisingTries = 40

export interface Result {
  /** `undefined`: it was lost with the worker. */
  readonly outcome: Outcome | undefined
  readonly finding: Finding | undefined
}

/** Fuzzes one of the targets that the module at a URL exports as `targets`. */
export const run = async (
  module: string,
  plan: { readonly target: string; readonly seed: number; readonly seconds: number }
): Promise<Result> => {
  const end = await start({ module, ...plan, replay: undefined })
  if (end._tag === "Done") return { outcome: end.outcome, finding: end.outcome?.finding }
  const { trial } = end
  const problemOf = async (input: string): Promise<string | undefined> => {
    const again = await start({ module, ...plan, replay: { trial, input } })
    return again._tag === "Lost" ? again.problem : undefined
  }
  const fails = async (input: string): Promise<boolean> => (await problemOf(input)) !== undefined
  const input = trial === "check" ? await minimise(end.input, fails, minimisingTries) : end.input
  const problem = (await problemOf(input)) ?? `${end.problem}, and not when it is tried alone`
  return { outcome: undefined, finding: { trial, input, problem } }
}
