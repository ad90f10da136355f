import { makeExchange } from "../load/exchange.ts"
import type { Peer } from "../peers.ts"
import type { Contestant } from "../rounds.ts"
import type { MemoryScenario } from "../scenarios.ts"
import { type Memory, type Server, startServer } from "../server.ts"
import { Crowd } from "./crowd.ts"
import { modesOf } from "./load.ts"

/** The server's code is loaded, compiled and run before the first measurement. */
const warmUp = { connections: 100, messages: 20 }

const KiB = 1024

const usageOf = async (server: Server): Promise<Memory> => {
  // The first collection frees what the second can give back.
  await server.memory()
  return server.memory()
}

/** A new server in each round: what one has had once it does not give back. */
export const memoryContestant = async (
  peer: Peer,
  scenario: MemoryScenario
): Promise<Contestant | undefined> => {
  const { connections } = scenario
  const modes = modesOf(scenario)
  const begin = () => startServer(peer.name, peer.command(["--expose-gc"]), modes)
  let begun: Server | undefined = await begin()
  if (modes.some((mode) => !begun?.modes.includes(mode))) {
    await begun.end()
    return undefined
  }

  const round = async () => {
    const server = begun ?? (await begin())
    begun = undefined
    const exchange = makeExchange(scenario.message, 1, server.raw)
    const warming = new Crowd(server.port, exchange)
    await warming.open(warmUp.connections)
    for (let message = 0; message < warmUp.messages; message++) await warming.echo()
    await warming.close()
    const before = await usageOf(server)
    const crowd = new Crowd(server.port, exchange)
    await crowd.open(connections)
    for (let message = 0; message < scenario.messages; message++) await crowd.echo()
    const after = await usageOf(server)
    await crowd.close()
    await server.end()
    const figureOf = (name: string, from: number, to: number) => ({
      name,
      unit: "KiB",
      value: (to - from) / connections / KiB
    })
    const figures = [figureOf("RSS", before.rss, after.rss)]
    if (before.known !== undefined && after.known !== undefined) {
      figures.push(figureOf("heap + external", before.known, after.known))
    }
    return { figures, cpu: null }
  }
  return { peer: peer.name, round, end: async () => {} }
}
