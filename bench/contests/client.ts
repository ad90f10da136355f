import { cpuOf, nodeCommand, sourceOptions } from "../processes.ts"
import type { Contestant, Settings } from "../rounds.ts"
import type { ClientScenario } from "../scenarios.ts"
import { startServer } from "../server.ts"
import { modesOf, runJob } from "./load.ts"

/** The client of `clients/${client}.ts` in a new process for each round, against a server that all have. */
export const clientContestants = async (
  clients: ReadonlyArray<string>,
  scenario: ClientScenario,
  { measureMs, warmUpMs }: Settings,
  nodeOptions: ReadonlyArray<string> = []
): Promise<ReadonlyArray<Contestant>> => {
  const command = nodeCommand(sourceOptions, "counterpart.ts")
  const server = await startServer("counterpart", command, modesOf(scenario), cpuOf.counterpart)
  const job = {
    scenario: scenario.id,
    port: server.port,
    raw: false,
    serverPid: server.pid,
    measured: "client",
    // The process is new in each round: its code is not compiled yet.
    warmUpMs: 4 * warmUpMs,
    measureMs
  } as const
  return clients.map((peer) => ({
    peer,
    round: () => runJob(cpuOf.measured, `clients/${peer}.ts`, job, nodeOptions),
    end: server.end
  }))
}
