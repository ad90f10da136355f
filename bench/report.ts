import { writeFileSync } from "node:fs"
import { cpus } from "node:os"
import { pinned } from "./processes.ts"
import { figure, type Series, type Settings } from "./rounds.ts"
import type { CpuUsage } from "./sample.ts"
import { median, medianOfKnown } from "./statistics.ts"

/** One figure of one peer. */
export interface Result {
  readonly scenario: string
  readonly title: string
  readonly peer: string
  readonly unit: string
  readonly median: number
  readonly min: number
  readonly max: number
  /** Median of each round's value against that of the baseline in the same round. */
  readonly ratio: number | null
  /** Medians, as in `CpuUsage`. */
  readonly cpu: CpuUsage
  /** The counterpart was busy while the measured process was not: the figure is the counterpart's. */
  readonly isCounterparts: boolean
  readonly rounds: ReadonlyArray<number>
}

const BUSY = 0.95
const CONTENDED = 0.1

const cpuOf = ({ samples }: Series): CpuUsage => {
  const of = (name: keyof CpuUsage) => medianOfKnown(samples.map(({ cpu }) => cpu?.[name] ?? null))
  return {
    measured: of("measured"),
    counterpart: of("counterpart"),
    contention: of("contention"),
    microsEach: of("microsEach")
  }
}

const resultsOf = (series: Series, baseline: Series | undefined): ReadonlyArray<Result> => {
  const { peer, samples, scenario } = series
  const cpu = cpuOf(series)
  return samples[0]!.figures.map(({ name, unit }, index) => {
    const valuesOf = (one: Series) => one.samples.map(({ figures }) => figures[index]?.value)
    const rounds = valuesOf(series).map((value) => value!)
    const ratios =
      baseline && valuesOf(baseline).map((value, round) => (value ? rounds[round]! / value : null))
    return {
      scenario: scenario.id,
      title: name === "" ? scenario.title : `${scenario.title}, ${name}`,
      peer,
      unit,
      median: median(rounds),
      min: Math.min(...rounds),
      max: Math.max(...rounds),
      ratio: medianOfKnown(ratios ?? []),
      cpu,
      isCounterparts: (cpu.counterpart ?? 0) > BUSY && (cpu.measured === null || cpu.measured < BUSY),
      rounds
    }
  })
}

const summarize = (series: ReadonlyArray<Series>, baseline: string): ReadonlyArray<Result> =>
  series.flatMap((one) =>
    resultsOf(
      one,
      series.find(({ peer, scenario }) => scenario.id === one.scenario.id && peer === baseline)
    )
  )

const percent = (value: number): string => `${Math.round(value * 100)} %`
const orDash = (value: number | null, format: (value: number) => string): string =>
  value === null ? "–" : format(value)

const isContended = ({ cpu }: Result): boolean => (cpu.contention ?? 0) > CONTENDED

const row = (result: Result): ReadonlyArray<string> => [
  `${result.scenario}: ${result.title}`,
  result.peer,
  `${figure(result.median)} ${result.unit}${result.isCounterparts ? " *" : ""}${isContended(result) ? " †" : ""}`,
  `${figure(result.min)}..${figure(result.max)}`,
  orDash(result.ratio, (ratio) => ratio.toFixed(2)),
  orDash(result.cpu.measured, percent),
  orDash(result.cpu.counterpart, percent),
  orDash(result.cpu.microsEach, figure)
]

/** Who is compared with whom. */
export interface Contest {
  /** What is measured, and what it works against. */
  readonly measured: string
  readonly counterpart: string
  /** The peer that ratios refer to. */
  readonly baseline: string
}

const markdown = (results: ReadonlyArray<Result>, { baseline, counterpart, measured }: Contest): string => {
  const heading = [
    "scenario",
    "peer",
    "median",
    "min..max",
    `x ${baseline}`,
    `${measured} CPU`,
    `${counterpart} CPU`,
    "CPU us each"
  ]
  const alignment = heading.map((_, index) => (index < 2 ? "---" : "---:"))
  const lines = [heading, alignment, ...results.map(row)].map((cells) => `| ${cells.join(" | ")} |`)
  if (results.some(({ isCounterparts }) => isCounterparts)) {
    lines.push("", `\\* the ${counterpart} was over 95 % busy and the ${measured} was not, which can do more`)
  }
  if (results.some(isContended)) {
    lines.push("", "† other work held a CPU for over 10 % of the time: measure again on an idle machine")
  }
  return lines.join("\n")
}

/** Prints a table, and writes it as JSON to a file if there is to be one. */
export const report = (
  series: ReadonlyArray<Series>,
  settings: Settings,
  contest: Contest,
  jsonFile: string | undefined
): void => {
  const results = summarize(series, contest.baseline)
  const environment = { node: process.version, cpu: cpus()[0]!.model, pinned, ...settings }
  const pinning = pinned
    ? `${contest.measured} on CPU 0, ${contest.counterpart} on CPU 1`
    : "processes not pinned"
  console.log(
    `Node ${process.version}, ${environment.cpu}, ${pinning}, ${settings.rounds} x ${settings.measureMs} ms\n`
  )
  console.log(markdown(results, contest))
  if (jsonFile !== undefined)
    writeFileSync(jsonFile, `${JSON.stringify({ environment, results }, null, 2)}\n`)
}
