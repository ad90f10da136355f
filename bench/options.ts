import type { Settings } from "./rounds.ts"

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

const wholeNumber = (option: string, value: string): number => {
  const number = Number(value)
  if (!Number.isInteger(number) || number < 1) throw new Error(`${option} takes a whole number from 1`)
  return number
}

export const settingsOf = (options: {
  readonly rounds?: string
  readonly short: boolean
  readonly connections?: string
}): Settings => ({
  rounds: wholeNumber("--rounds", options.rounds ?? (options.short ? "1" : "6")),
  ...(options.short ? { warmUpMs: 200, measureMs: 300 } : { warmUpMs: 500, measureMs: 2000 }),
  connections:
    options.connections === undefined
      ? options.short
        ? 50
        : undefined
      : wholeNumber("--connections", options.connections),
  short: options.short
})

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
