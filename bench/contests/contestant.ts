import type { Peer } from "../peers.ts"
import type { Contestant, Settings } from "../rounds.ts"
import type { Scenario } from "../scenarios.ts"
import { loadContestant } from "./load.ts"
import { memoryContestant } from "./memory.ts"
import { startContestant } from "./start.ts"

/** A server in a scenario; `undefined` where it has not what that needs. */
export const contestantOf = (
  peer: Peer,
  scenario: Scenario,
  settings: Settings
): Promise<Contestant | undefined> => {
  switch (scenario.kind) {
    case "memory":
      return memoryContestant(peer, scenario)
    case "start":
      return startContestant(peer, scenario, settings)
    default:
      return loadContestant(peer, scenario, settings)
  }
}
