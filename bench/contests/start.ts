import { build } from "../build.ts"
import { Connection } from "../load/connection.ts"
import { makeExchange } from "../load/exchange.ts"
import type { Peer } from "../peers.ts"
import type { Contestant, Settings } from "../rounds.ts"
import type { StartScenario } from "../scenarios.ts"
import { startServer } from "../server.ts"
import { median } from "../statistics.ts"

/** A process for each launch, of built JavaScript, as an application has it. */
export const startContestant = async (
  peer: Peer,
  scenario: StartScenario,
  { short }: Settings
): Promise<Contestant> => {
  build()
  const launch = async (): Promise<number> => {
    const begun = performance.now()
    const server = await startServer(peer.name, peer.command([], "build"), [])
    const exchange = makeExchange(scenario.message, 1, server.raw)
    let taken = 0
    await new Promise<void>((resolve) => {
      new Connection(server.port, exchange, {
        opened: (connection) => connection.send(1),
        echoed: (connection) => {
          taken = performance.now() - begun
          connection.close()
        },
        closed: resolve
      })
    })
    await server.end()
    return taken
  }
  const round = async () => {
    const times: Array<number> = []
    for (let index = 0; index < (short ? 1 : scenario.launches); index++) times.push(await launch())
    return { figures: [{ name: "", unit: "ms", value: median(times) }], cpu: null }
  }
  return { peer: peer.name, round, end: async () => {} }
}
