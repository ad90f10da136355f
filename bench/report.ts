import type { Sample } from "./load/measure.ts"
import { type Scenario, unitOf } from "./scenarios.ts"

/** One peer's rounds in one scenario. */
export interface Series {
  readonly scenario: Scenario
  readonly peer: string
  readonly samples: ReadonlyArray<Sample>
}

export interface Result {
  readonly scenario: string
  readonly title: string
  readonly peer: string
  readonly unit: string
  readonly median: number
  readonly min: number
  readonly max: number
  /** Payload echoed per second in one direction, in 10^6 bytes. */
  readonly megabytesPerSecond: number | null
  /** Median of each round's rate against that of `ws` in the same round. */
  readonly ratio: number | null
  readonly serverCpu: number | null
  readonly loadCpu: number
  /** The generator was busy while the server was not: the figure is the generator's. */
  readonly loadBound: boolean
  readonly contention: number | null
  readonly rounds: ReadonlyArray<number>
}

const BASELINE = "ws"
const BUSY = 0.9
const CONTENDED = 0.1

const median = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

const medianOfKnown = (values: ReadonlyArray<number | null>): number | null => {
  const known = values.filter((value) => value !== null)
  return known.length > 0 ? median(known) : null
}

const resultOf = (series: Series, baseline: Series | undefined): Result => {
  const { scenario, peer, samples } = series
  const rounds = samples.map(({ rate }) => rate)
  const rate = median(rounds)
  const loadCpu = median(samples.map((sample) => sample.loadCpu))
  const serverCpu = medianOfKnown(samples.map((sample) => sample.serverCpu))
  return {
    scenario: scenario.id,
    title: scenario.title,
    peer,
    unit: unitOf(scenario),
    median: rate,
    min: Math.min(...rounds),
    max: Math.max(...rounds),
    megabytesPerSecond: scenario.kind === "echo" && scenario.throughput ? (rate * scenario.size) / 1e6 : null,
    ratio:
      baseline === undefined ? null : median(rounds.map((one, round) => one / baseline.samples[round]!.rate)),
    serverCpu,
    loadCpu,
    loadBound: loadCpu > BUSY && (serverCpu === null || serverCpu < BUSY),
    contention: medianOfKnown(samples.map((sample) => sample.contention)),
    rounds
  }
}

export const summarize = (series: ReadonlyArray<Series>): ReadonlyArray<Result> =>
  series.map((one) =>
    resultOf(
      one,
      series.find(({ scenario, peer }) => scenario.id === one.scenario.id && peer === BASELINE)
    )
  )

const integer = (value: number): string => Math.round(value).toLocaleString("en-US")
const percent = (value: number): string => `${Math.round(value * 100)} %`
const orDash = (value: number | null, format: (value: number) => string): string =>
  value === null ? "–" : format(value)

const isContended = ({ contention }: Result): boolean => contention !== null && contention > CONTENDED

const row = (result: Result): ReadonlyArray<string> => [
  `${result.scenario}: ${result.title}`,
  result.peer,
  `${integer(result.median)} ${result.unit}${result.loadBound ? " *" : ""}${isContended(result) ? " †" : ""}`,
  `${integer(result.min)}..${integer(result.max)}`,
  orDash(result.megabytesPerSecond, integer),
  orDash(result.ratio, (ratio) => ratio.toFixed(2)),
  orDash(result.serverCpu, percent),
  percent(result.loadCpu)
]

const heading = [
  "scenario",
  "peer",
  "median",
  "min..max",
  "MB/s",
  `x ${BASELINE}`,
  "server CPU",
  "generator CPU"
]
const alignment = ["---", "---", "---:", "---:", "---:", "---:", "---:", "---:"]

export const markdown = (results: ReadonlyArray<Result>): string => {
  const lines = [heading, alignment, ...results.map(row)].map((cells) => `| ${cells.join(" | ")} |`)
  if (results.some(({ loadBound }) => loadBound)) {
    lines.push("", "\\* the generator was over 90 % busy and the server was not: the server can do more")
  }
  if (results.some(isContended)) {
    lines.push("", "† other work held a CPU for over 10 % of the time: measure again on an idle machine")
  }
  return lines.join("\n")
}
