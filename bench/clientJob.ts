import { endWithStdin } from "./announce.ts"
import { fail } from "./load/fail.ts"
import { failOnStall, type Job, measure } from "./load/measure.ts"
import { payloadsOf } from "./load/payloads.ts"
import { type ClientScenario, isForClients, scenarioOf, unitOf } from "./scenarios.ts"

/** What one connection says and has to hear. */
export interface Conversation {
  /** The next message: text as a string. */
  readonly next: () => string | Buffer
  /** The next echo came: text as a string, or as its UTF-8. */
  readonly heard: (message: string | Uint8Array) => void
}

/** What a measured client has to do until its process ends. */
export interface ClientJob {
  readonly url: string
  readonly scenario: ClientScenario
  readonly conversation: () => Conversation
  /** A connection has ended as it should, after an echo. */
  readonly finished: () => void
}

/** Has a client do its job, and answers with a line of JSON. */
export const runClientJob = async (begin: (job: ClientJob) => void): Promise<void> => {
  endWithStdin()
  const job: Job = JSON.parse(process.argv[2]!)
  const scenario = scenarioOf(job.scenario)
  if (!isForClients(scenario)) return fail(`clients do not run ${scenario.id}`)
  const { message } = scenario
  const expected = payloadsOf(message, scenario.kind === "echo" ? scenario.inFlight : 1)
  const payloads = message.payload === "text" ? expected.map(String) : expected
  let echoes = 0
  let ended = 0

  const conversation = (): Conversation => {
    let said = 0
    let heard = 0
    return {
      next: () => payloads[said++ % payloads.length]!,
      heard: (message) => {
        const turn = heard++ % payloads.length
        const isRight =
          typeof message === "string" ? message === payloads[turn] : expected[turn]!.equals(message)
        if (!isRight || heard > said) fail(`echo mismatch in message ${heard - 1}`)
        echoes++
      }
    }
  }
  begin({ url: `ws://127.0.0.1:${job.port}/`, scenario, conversation, finished: () => ended++ })
  failOnStall(() => echoes)
  const sample = await measure(job, unitOf(scenario), () => (scenario.kind === "echo" ? echoes : ended))
  console.log(JSON.stringify(sample))
  process.exit()
}
