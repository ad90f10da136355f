import type { Peer } from "../peers.ts"
import { cpuOf } from "../processes.ts"
import type { Contestant, Settings } from "../rounds.ts"
import { type EchoScenario, unitOf } from "../scenarios.ts"
import { jobContestant, runJob } from "./load.ts"

/** In each round the highest rate first, then latencies at half of it. */
export const latencyContestant = (
  peer: Peer,
  scenario: EchoScenario,
  settings: Settings
): Promise<Contestant | undefined> =>
  jobContestant(peer, scenario, settings, async (job) => {
    const { figures } = await runJob(cpuOf.counterpart, "load.ts", job)
    const highest = figures[0]!.value / unitOf(scenario).value
    return runJob(cpuOf.counterpart, "load.ts", { ...job, rate: highest / 2 })
  })
