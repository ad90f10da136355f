import type { Sample } from "../sample.ts"
import { type ConnectScenario, unitOf } from "../scenarios.ts"
import { Connection } from "./connection.ts"
import { countdown } from "./countdown.ts"
import { makeExchange } from "./exchange.ts"
import { failOnStall, type Job, measure } from "./measure.ts"

/** Keeps `parallel` connections going through their short life, then waits for the last to close. */
export const runConnect = async (job: Job, scenario: ConnectScenario): Promise<Sample> => {
  const exchange = makeExchange(scenario.message, 1, job.raw)
  const closing = countdown(scenario.parallel)
  let running = true
  let finished = 0
  failOnStall(() => finished)

  const start = () => new Connection(job.port, exchange, events)
  const events = {
    opened: (connection: Connection) => connection.send(1),
    echoed: (connection: Connection) => connection.close(),
    closed: () => {
      finished++
      if (running) start()
      else closing.tick()
    }
  }
  for (let index = 0; index < scenario.parallel; index++) start()
  const sample = await measure(job, unitOf(scenario), () => finished)
  running = false
  await closing.done
  return sample
}
