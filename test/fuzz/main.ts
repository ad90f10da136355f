import { parseArgs } from "node:util"
import * as Corpus from "./Corpus.ts"
import { run } from "./run.ts"
import { targetNamed } from "./Target.ts"
import { targets } from "./targets/index.ts"

// Looks for inputs that the sources cannot cope with. Options:
//   --seconds 60        in all
//   --target a,b        see targets/
//   --seed 1            the same seed, and the same corpus, tries the same inputs; by default another one each time
//   --keep              new inputs that run further code join the corpus; one that fails always does
const { values: options } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    target: { type: "string", default: targets.map(({ name }) => name).join() },
    seed: { type: "string" },
    keep: { type: "boolean", default: false }
  }
})

const numberOf = (name: string, text: string): number => {
  const number = Number(text)
  if (text === "" || !(number >= 0)) throw new Error(`--${name} takes a number from 0`)
  return number
}

const module = new URL("./targets/index.ts", import.meta.url).href

const main = async (): Promise<void> => {
  const selected = options.target.split(",").map((name) => targetNamed(targets, name))
  const seconds = numberOf("seconds", options.seconds) / selected.length
  const seed = Math.floor(
    options.seed === undefined ? Math.random() * 2 ** 31 : numberOf("seed", options.seed)
  )
  console.log(`seed ${seed}, ${seconds.toFixed(1)} s each`)
  for (const target of selected) {
    const { finding, outcome } = await run(module, { target: target.name, seed, seconds })
    if (outcome !== undefined) {
      const { covered, found, runs } = outcome
      const rate = Math.round(runs / outcome.seconds)
      console.log(
        `${target.name}: ${runs} runs, ${rate}/s, ${found.length} new inputs, ${covered} characters run`
      )
      if (options.keep) {
        for (const input of found) Corpus.keep(input, target)
      }
    }
    if (finding === undefined) continue
    process.exitCode = 1
    const file = Corpus.keep(finding.input, target)
    console.log(`${target.name} FAILS with seed ${seed}; the ${finding.trial} of the input kept in ${file}:`)
    console.log(`${Corpus.encode(finding.input, target).slice(0, 2000)}\n${finding.problem}\n`)
  }
}

await main()
