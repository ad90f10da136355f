import { parseArgs } from "node:util"
import { clientContestants } from "./contests/client.ts"
import { commonOptions, listOf, run, scenariosOf, settingsOf } from "./options.ts"
import { baseline, ours } from "./peers.ts"
import { report } from "./report.ts"
import { compete, type Series } from "./rounds.ts"
import { isForClients } from "./scenarios.ts"

// Clients side by side, against one server that does next to nothing. Options:
//   --scenarios a,b     those of scenarios.ts that echo or connect
//   --peers ws          clients of clients/ to compare
//   --rounds 6          rounds per scenario
//   --short             one brief round, to see that everything works
//   --json file         the results as JSON, too
await run(async () => {
  const { values: options } = parseArgs({ options: commonOptions })
  const settings = settingsOf(options)
  const selected = scenariosOf(options).filter(isForClients)
  const peers = listOf(options.peers) ?? [ours, baseline]
  const series: Array<Series> = []
  for (const scenario of selected) {
    const contestants = await clientContestants(peers, scenario, settings)
    series.push(...(await compete(scenario, contestants, settings.rounds)))
  }
  report(series, settings, { measured: "client", counterpart: "server", baseline }, options.json)
})
