import { mkdirSync } from "node:fs"
import { parseArgs } from "node:util"
import { clientContestants } from "./contests/client.ts"
import { contestantOf } from "./contests/contestant.ts"
import { run, settingsOf } from "./options.ts"
import { ours, type Peer, peerOf } from "./peers.ts"
import { summarizeProfile } from "./profileSummary.ts"
import { compete, contestantsOf } from "./rounds.ts"
import { isForClients, scenarioOf } from "./scenarios.ts"

// Where the time of one scenario goes, as a CPU profile and its summary. `profile.ts a`, with the options:
//   --client            of the client, instead of the server
//   --peer ws           of another one of servers/ or clients/ that runs on Node
//   --short             a brief round, to see that everything works
await run(async () => {
  const { positionals, values: options } = parseArgs({
    allowPositionals: true,
    options: {
      client: { type: "boolean", default: false },
      peer: { type: "string", default: ours },
      short: { type: "boolean", default: false }
    }
  })
  if (positionals.length !== 1) throw new Error("name one scenario of scenarios.ts")
  const scenario = scenarioOf(positionals[0]!)
  const settings = {
    ...settingsOf({ short: options.short, rounds: "1" }),
    ...(options.short ? {} : { measureMs: 5000 })
  }
  const directory = `${import.meta.dirname}/.profiles`
  const file = `${scenario.id}-${options.peer}${options.client ? "-client" : ""}.cpuprofile`
  const path = `${directory}/${file}`
  mkdirSync(directory, { recursive: true })
  const profiling = [
    "--cpu-prof",
    "--cpu-prof-interval=250",
    `--cpu-prof-dir=${directory}`,
    `--cpu-prof-name=${file}`
  ]

  const contestants = async () => {
    if (options.client) {
      if (!isForClients(scenario)) throw new Error(`clients do not run ${scenario.id}`)
      return clientContestants([options.peer], scenario, settings, profiling)
    }
    const { command, name } = peerOf(options.peer)
    const profiled: Peer = {
      name,
      command: (nodeOptions = [], from) => command([...profiling, ...nodeOptions], from)
    }
    return contestantsOf([profiled], (peer) => contestantOf(peer, scenario, settings))
  }
  const ready = await contestants()
  if (ready.length === 0) throw new Error(`${options.peer} does not have what ${scenario.id} needs`)
  // What a server does until it listens is of interest only in the scenario that measures it, where it follows.
  const serverBegin = Number(process.hrtime.bigint() / 1000n)
  await compete(scenario, ready, settings.rounds)
  const begin = options.client ? { beforeEnd: settings.measureMs * 1000 } : { at: serverBegin }
  console.log(`${path}: ${summarizeProfile(path, begin)}`)
})
