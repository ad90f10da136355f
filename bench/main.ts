import { parseArgs } from "node:util"
import { contestantOf } from "./contests/contestant.ts"
import { allowedConnections } from "./limits.ts"
import { commonOptions, listOf, run, scenariosOf, settingsOf, wholeNumber } from "./options.ts"
import { baseline, callbacks, defaultPeers, externalPeer, type Peer, peerOf } from "./peers.ts"
import { report } from "./report.ts"
import { compete, contestantsOf, type Series } from "./rounds.ts"
import { type Scenario, withConnections } from "./scenarios.ts"

// Servers side by side. Options:
//   --scenarios a,b     see scenarios.ts
//   --peers ws,tcp      servers of servers/ to compare (`tcp` gets the same bytes without the protocol, `bare` checks nothing,
//                       `bare-effect` the same with a Stream, `ws-effect` is `ws` beside Effect)
//   --server name=cmd   a further server, which announces itself as `Announcement` says; may be repeated
//   --rounds 6          rounds per scenario
//   --connections 5000  connections in the scenarios of memory
//   --short             one brief round, to see that everything works
//   --json file         the results as JSON, too
await run(async () => {
  const { values: options } = parseArgs({
    options: {
      ...commonOptions,
      server: { type: "string", multiple: true, default: [] },
      connections: { type: "string" }
    }
  })
  const settings = settingsOf(options)
  const wanted = options.connections && wholeNumber("--connections", options.connections)
  const selected = scenariosOf(options).map((scenario) =>
    scenario.kind === "memory"
      ? withConnections(scenario, allowedConnections(wanted || (options.short ? 50 : scenario.connections)))
      : scenario
  )
  const external = options.server.map(externalPeer)
  const usual = defaultPeers()

  const peersOf = ({ kind }: Scenario): ReadonlyArray<Peer> => {
    const names = listOf(options.peers) ?? (kind === "memory" ? [callbacks, ...usual] : usual)
    return [...names.map(peerOf), ...external]
  }

  const series: Array<Series> = []
  for (const scenario of selected) {
    const contestants = await contestantsOf(peersOf(scenario), (peer) =>
      contestantOf(peer, scenario, settings)
    )
    series.push(...(await compete(scenario, contestants, settings.rounds)))
  }
  report(series, settings, { measured: "server", counterpart: "generator", baseline }, options.json)
})
