import type { Mode } from "../announce.ts"
import type { Job } from "../load/measure.ts"
import type { Peer } from "../peers.ts"
import { cpuOf, end, nodeCommand, reader, sourceOptions, start } from "../processes.ts"
import type { Contestant, Settings } from "../rounds.ts"
import type { Sample } from "../sample.ts"
import type { LoadScenario, Scenario } from "../scenarios.ts"
import { startServer } from "../server.ts"

/** The modes that a scenario needs of a server. */
export const modesOf = ({ kind, message }: Scenario): ReadonlyArray<Mode> => [
  ...(message.compressed ? (["deflate"] as const) : []),
  ...(kind === "room" ? (["room"] as const) : [])
]

/** Runs a program that does a job, and answers with a line of JSON. */
export const runJob = async (
  cpu: number,
  module: string,
  job: Job,
  nodeOptions: ReadonlyArray<string> = []
): Promise<Sample> => {
  const child = start(cpu, nodeCommand([...sourceOptions, ...nodeOptions], module, JSON.stringify(job)))
  const sample = (await reader(child, `bench/${module}`)()) as Sample
  await end(child)
  return sample
}

/** One server for all rounds, each of which does the job with it. */
export const jobContestant = async (
  peer: Peer,
  scenario: LoadScenario,
  { measureMs, warmUpMs }: Settings,
  round: (job: Job) => Promise<Sample>
): Promise<Contestant | undefined> => {
  const modes = modesOf(scenario)
  const server = await startServer(peer.name, peer.command(), modes)
  if (modes.some((mode) => !server.modes.includes(mode))) {
    await server.end()
    return undefined
  }
  const job: Job = {
    scenario: scenario.id,
    port: server.port,
    raw: server.raw,
    serverPid: server.pid,
    measured: "server",
    warmUpMs,
    measureMs
  }
  return { peer: peer.name, round: () => round(job), end: server.end }
}

/** What the load generator says of a peer. */
export const loadContestant = (
  peer: Peer,
  scenario: LoadScenario,
  settings: Settings
): Promise<Contestant | undefined> =>
  jobContestant(peer, scenario, settings, (job) => runJob(cpuOf.counterpart, "load.ts", job))
