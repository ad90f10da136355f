import type { Sample } from "../sample.ts"
import { type EchoScenario, unitOf } from "../scenarios.ts"
import { Connection } from "./connection.ts"
import { countdown } from "./countdown.ts"
import { makeExchange } from "./exchange.ts"
import { failOnStall, type Job, measure } from "./measure.ts"

/** Keeps `inFlight` messages outstanding on every connection, then waits for the last replies. */
export const runEcho = async (job: Job, scenario: EchoScenario): Promise<Sample> => {
  const exchange = makeExchange(scenario.message, scenario.inFlight, job.raw)
  const opening = countdown(scenario.connections)
  const closing = countdown(scenario.connections)
  let running = true
  let echoes = 0
  failOnStall(() => echoes)

  const events = {
    opened: opening.tick,
    echoed: (connection: Connection, count: number) => {
      echoes += count
      if (running) connection.send(count)
      else if (connection.outstanding === 0) connection.close()
    },
    closed: closing.tick
  }
  const connections = Array.from(
    { length: scenario.connections },
    () => new Connection(job.port, exchange, events)
  )
  await opening.done
  for (const connection of connections) connection.send(scenario.inFlight)
  const sample = await measure(job, unitOf(scenario), () => echoes)
  running = false
  await closing.done
  return sample
}
