import type { Peer } from "./peers.ts"
import type { Sample } from "./sample.ts"
import type { Scenario } from "./scenarios.ts"

/** A peer that is ready for the rounds of a scenario. */
export interface Contestant {
  readonly peer: string
  readonly round: () => Promise<Sample>
  readonly end: () => Promise<void>
}

/** One peer's rounds in one scenario. */
export interface Series {
  readonly scenario: Scenario
  readonly peer: string
  readonly samples: ReadonlyArray<Sample>
}

/** How long, how often, and how much. */
export interface Settings {
  readonly rounds: number
  readonly warmUpMs: number
  readonly measureMs: number
  /** Only to see that everything works. */
  readonly short: boolean
}

/** Formats a figure: all digits before the point, three in any case. */
export const figure = (value: number): string =>
  Math.abs(value) >= 100 ? Math.round(value).toLocaleString("en-US") : value.toPrecision(3)

/** Those peers that have what a scenario needs. */
export const contestantsOf = async (
  peers: ReadonlyArray<Peer>,
  contestantOf: (peer: Peer) => Promise<Contestant | undefined>
): Promise<ReadonlyArray<Contestant>> => {
  const contestants: Array<Contestant> = []
  for (const peer of peers) {
    const contestant = await contestantOf(peer)
    if (contestant === undefined) console.error(`${peer.name} does not have what the next scenario needs`)
    else contestants.push(contestant)
  }
  return contestants
}

/** Rounds of all contestants in turn, each round starting with another one. */
export const compete = async (
  scenario: Scenario,
  contestants: ReadonlyArray<Contestant>,
  rounds: number
): Promise<ReadonlyArray<Series>> => {
  const samples: ReadonlyArray<Array<Sample>> = contestants.map(() => [])
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < contestants.length; turn++) {
      const index = (round + turn) % contestants.length
      const { peer, round: run } = contestants[index]!
      const sample = await run().catch((cause) => {
        throw new Error(`scenario ${scenario.id} failed with ${peer}`, { cause })
      })
      samples[index]!.push(sample)
      const figures = sample.figures.map(({ name, unit, value }) => `${name} ${figure(value)} ${unit}`.trim())
      console.error(`${scenario.id} round ${round + 1}/${rounds} ${peer}: ${figures.join(", ")}`)
    }
  }
  await Promise.all(contestants.map(({ end }) => end()))
  return contestants.map(({ peer }, index) => ({ scenario, peer, samples: samples[index]! }))
}
