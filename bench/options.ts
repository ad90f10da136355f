import type { Settings } from "./rounds.ts"
import { briefly, type Scenario, scenarioOf, scenarios } from "./scenarios.ts"

/** The options of every comparison, for `parseArgs`. */
export const commonOptions = {
  scenarios: { type: "string" },
  peers: { type: "string" },
  rounds: { type: "string" },
  short: { type: "boolean", default: false },
  json: { type: "string" }
} as const

/** The elements of a list with commas. */
export const listOf = (list: string | undefined): ReadonlyArray<string> | undefined => list?.split(",")

export const wholeNumber = (option: string, value: string): number => {
  const number = Number(value)
  if (!Number.isInteger(number) || number < 1) throw new Error(`${option} takes a whole number from 1`)
  return number
}

export const settingsOf = (options: { readonly rounds?: string; readonly short: boolean }): Settings => ({
  rounds: wholeNumber("--rounds", options.rounds ?? (options.short ? "1" : "6")),
  ...(options.short ? { warmUpMs: 100, measureMs: 200 } : { warmUpMs: 500, measureMs: 2000 }),
  short: options.short
})

/** The scenarios of `--scenarios`; without it all, or some where it is to be short. */
export const scenariosOf = (options: {
  readonly scenarios?: string
  readonly short: boolean
}): ReadonlyArray<Scenario> =>
  (listOf(options.scenarios) ?? (options.short ? briefly : scenarios.map(({ id }) => id))).map(scenarioOf)

/** Runs a program of the bench, and ends this process with what went wrong. */
export const run = async (main: () => Promise<void>): Promise<void> => {
  try {
    await main()
    process.exit()
  } catch (error) {
    if (!(error instanceof Error)) throw error
    const cause = error.cause instanceof Error ? ` (${error.cause.message})` : ""
    console.error(`bench: ${error.message}${cause}`)
    process.exit(1)
  }
}
