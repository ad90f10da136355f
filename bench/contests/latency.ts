import type { Peer } from "../peers.ts"
import { cpuOf } from "../processes.ts"
import type { Contestant, Settings } from "../rounds.ts"
import { type EchoScenario, unitOf } from "../scenarios.ts"
import { jobContestant, runJob } from "./load.ts"

/**
 * Latencies at `rate` messages per second, or without it at half of the server's highest rate, which is then measured
 * first in each round.
 */
export const latencyContestant = (
  peer: Peer,
  scenario: EchoScenario,
  settings: Settings,
  rate: number | undefined
): Promise<Contestant | undefined> =>
  jobContestant(peer, scenario, settings, async (job) => {
    const highest = async () => {
      const { figures } = await runJob(cpuOf.counterpart, "load.ts", job)
      return figures[0]!.value / unitOf(scenario).value
    }
    return runJob(cpuOf.counterpart, "load.ts", { ...job, rate: rate ?? (await highest()) / 2 })
  })
