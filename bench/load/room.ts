import type { Sample } from "../sample.ts"
import { type RoomScenario, unitOf } from "../scenarios.ts"
import { Connection } from "./connection.ts"
import { countdown } from "./countdown.ts"
import { makeExchange } from "./exchange.ts"
import { failOnStall, type Job, measure } from "./measure.ts"

/** Connections that are opened at a time: all together are more than a server's backlog. */
const OPENING = 100

/** One member says something as often as everyone has heard it, then all go when they have heard the last. */
export const runRoom = async (job: Job, scenario: RoomScenario): Promise<Sample> => {
  const { inFlight, members, message } = scenario
  const exchange = makeExchange(message, 1, job.raw)
  const opening = countdown(members)
  const closing = countdown(members)
  let running = true
  let said = 0
  let delivered = 0
  const connections: Array<Connection> = []
  failOnStall(() => delivered + connections.length)

  const say = () => {
    said++
    for (const connection of connections) connection.outstanding++
    connections[0]!.write(1)
  }
  const events = {
    opened: () => {
      opening.tick()
      if (connections.length < members) open()
    },
    echoed: (connection: Connection, count: number) => {
      delivered += count
      if (running) while (said * members - delivered <= (inFlight - 1) * members) say()
      else if (connection.outstanding === 0) connection.close()
    },
    closed: closing.tick
  }
  const open = () => connections.push(new Connection(job.port, exchange, events))
  while (connections.length < Math.min(members, OPENING)) open()
  await opening.done
  for (let index = 0; index < inFlight; index++) say()
  const sample = await measure(job, unitOf(scenario), () => delivered)
  running = false
  for (const connection of connections) if (connection.outstanding === 0) connection.close()
  await closing.done
  return sample
}
