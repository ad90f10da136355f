/**
 * The thread that a target is fuzzed in: whoever started it may end it, whatever it does.
 */
import { parentPort, workerData } from "node:worker_threads"
import * as Corpus from "./Corpus.ts"
import { Coverage } from "./Coverage.ts"
import { fuzz } from "./Fuzzer.ts"
import { type Target, targetNamed } from "./Target.ts"
import { type Job, Watched } from "./Watched.ts"

const job: Job = workerData
const watched = new Watched(job.memory)

const run = async (): Promise<void> => {
  const { targets }: { readonly targets: ReadonlyArray<Target> } = await import(job.module)
  const target = targetNamed(targets, job.target)
  if (job.replay !== undefined) {
    const { input, trial } = job.replay
    watched.started(trial, input)
    await target[trial](input)
    watched.ended()
    return
  }
  const kept = Corpus.read(target).map(({ input }) => input)
  const { seconds, seed } = job
  parentPort?.postMessage(await fuzz(target, new Coverage(), { seed, seconds, kept, observer: watched }))
}

await run()
