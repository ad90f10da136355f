import { parseArgs } from "node:util"
import { latencyContestant } from "./contests/latency.ts"
import { commonOptions, listOf, run, settingsOf, wholeNumber } from "./options.ts"
import { baseline, ours, peerOf } from "./peers.ts"
import { report } from "./report.ts"
import { compete, contestantsOf, type Series } from "./rounds.ts"
import { type EchoScenario, scenarioOf } from "./scenarios.ts"

// Latencies of servers at half of the highest rate of each, or at the same rate. Options:
//   --scenarios a,c     those of scenarios.ts that echo
//   --peers ws,tcp      servers of servers/ to compare
//   --rate 40000        messages per second for each of them
//   --rounds 6          rounds per scenario
//   --short             one brief round, to see that everything works
//   --json file         the results as JSON, too
await run(async () => {
  const { values: options } = parseArgs({ options: { ...commonOptions, rate: { type: "string" } } })
  const rate = options.rate === undefined ? undefined : wholeNumber("--rate", options.rate)
  const settings = settingsOf(options)
  const selected = (listOf(options.scenarios) ?? (options.short ? ["a"] : ["a", "c", "d"]))
    .map(scenarioOf)
    .filter((one): one is EchoScenario => one.kind === "echo")
  const peers = (listOf(options.peers) ?? [ours, baseline]).map(peerOf)
  const series: Array<Series> = []
  for (const scenario of selected) {
    const contestants = await contestantsOf(peers, (peer) =>
      latencyContestant(peer, scenario, settings, rate)
    )
    series.push(...(await compete(scenario, contestants, settings.rounds)))
  }
  report(series, settings, { measured: "server", counterpart: "generator", baseline }, options.json)
})
