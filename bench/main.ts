import { existsSync } from "node:fs"
import { cpus } from "node:os"
import { parseArgs } from "node:util"
import type { Sample } from "./load/measure.ts"
import { pinned, runLoad, startServer } from "./processes.ts"
import { markdown, type Series, summarize } from "./report.ts"
import { type Scenario, scenarios, unitOf } from "./scenarios.ts"

// Echo rates of the servers in servers/, measured side by side. Options:
//   --peers ws,tcp      servers to compare (`tcp` gets the same bytes without the protocol)
//   --scenarios a,b     see scenarios.ts
//   --rounds 6          rounds per scenario
//   --short             one brief round, to see that everything works
//   --json              JSON in place of the table
const { values: options } = parseArgs({
  options: {
    peers: { type: "string", default: "effect-websocket,ws,tcp" },
    scenarios: { type: "string", default: scenarios.map(({ id }) => id).join() },
    rounds: { type: "string" },
    short: { type: "boolean", default: false },
    json: { type: "boolean", default: false }
  }
})

const selectedPeers = options.peers.split(",")
const rounds = Number(options.rounds ?? (options.short ? 1 : 6))
const durations = options.short ? { warmUpMs: 200, measureMs: 300 } : { warmUpMs: 500, measureMs: 2000 }

const scenarioOf = (id: string): Scenario => {
  const scenario = scenarios.find((one) => one.id === id)
  if (scenario === undefined)
    throw new Error(`no scenario ${id}: there are ${scenarios.map((one) => one.id)}`)
  return scenario
}

/** Rounds of all peers in turn, each round starting with another peer. */
const runScenario = async (scenario: Scenario): Promise<ReadonlyArray<Series>> => {
  // Raw TCP has no compression to compare.
  const peers = scenario.compressed ? selectedPeers.filter((peer) => peer !== "tcp") : selectedPeers
  const servers = await Promise.all(peers.map((peer) => startServer(peer, scenario.compressed)))
  const samples: ReadonlyArray<Array<Sample>> = peers.map(() => [])
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < peers.length; turn++) {
      const index = (round + turn) % peers.length
      const peer = peers[index]!
      const { port, pid } = servers[index]!
      const job = { scenario: scenario.id, port, raw: peer === "tcp", serverPid: pid, ...durations }
      const sample = await runLoad(job).catch((cause) => {
        throw new Error(`scenario ${scenario.id} failed against ${peer}`, { cause })
      })
      samples[index]!.push(sample)
      const figure = `${Math.round(sample.rate)} ${unitOf(scenario)}`
      console.error(`${scenario.id} round ${round + 1}/${rounds} ${peer}: ${figure}`)
    }
  }
  await Promise.all(servers.map((server) => server.end()))
  return peers.map((peer, index) => ({ scenario, peer, samples: samples[index]! }))
}

const main = async (): Promise<void> => {
  const selected = options.scenarios.split(",").map(scenarioOf)
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error("--rounds takes a number from 1")
  for (const peer of selectedPeers) {
    const file = `bench/servers/${peer}.ts`
    if (!existsSync(`${import.meta.dirname}/servers/${peer}.ts`)) {
      throw new Error(`${file} does not exist: add that server, or choose other peers with --peers`)
    }
  }
  const series: Array<Series> = []
  for (const scenario of selected) series.push(...(await runScenario(scenario)))
  const results = summarize(series)
  const environment = { node: process.version, cpu: cpus()[0]!.model, pinned, rounds, ...durations }
  if (options.json) {
    console.log(JSON.stringify({ environment, results }, null, 2))
    return
  }
  const pinning = pinned ? "server on CPU 0, generator on CPU 1" : "processes not pinned"
  console.log(
    `Node ${process.version}, ${environment.cpu}, ${pinning}, ${rounds} x ${durations.measureMs} ms\n`
  )
  console.log(markdown(results))
}

try {
  await main()
} catch (error) {
  if (!(error instanceof Error)) throw error
  const cause = error.cause instanceof Error ? ` (${error.cause.message})` : ""
  console.error(`bench: ${error.message}${cause}`)
  process.exit(1)
}
