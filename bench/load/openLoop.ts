import { createHistogram } from "node:perf_hooks"
import type { Sample } from "../sample.ts"
import { type EchoScenario, unitOf } from "../scenarios.ts"
import { Connection } from "./connection.ts"
import { countdown } from "./countdown.ts"
import { makeExchange } from "./exchange.ts"
import { failOnStall, type Job, measure } from "./measure.ts"

/** Milliseconds as a histogram has them: whole nanoseconds from 1. */
const nanos = (millis: number): number => Math.max(1, Math.round(millis * 1e6))
const micros = (nanoseconds: number): number => nanoseconds / 1000

/**
 * Sends messages at even intervals, on the connections in turn, however late the echoes are. An
 * echo's latency counts from when its message was to be sent, so that nothing that delays messages
 * is left out.
 */
export const runOpenLoop = async (job: Job, rate: number, scenario: EchoScenario): Promise<Sample> => {
  const exchange = makeExchange(scenario.message, scenario.inFlight, job.raw)
  const opening = countdown(scenario.connections)
  const closing = countdown(scenario.connections)
  const latencies = createHistogram()
  const delays = createHistogram()
  const indexes = new Map<Connection, number>()
  const answered = new Uint32Array(scenario.connections)
  const toSend = new Uint32Array(scenario.connections)
  let running = true
  let echoes = 0
  let sent = 0
  let beginning = 0
  failOnStall(() => echoes)

  const intended = (message: number): number => beginning + (message / rate) * 1000
  const isMeasured = (time: number): boolean => {
    const since = time - beginning - job.warmUpMs
    return since >= 0 && since < job.measureMs
  }
  const events = {
    opened: opening.tick,
    echoed: (connection: Connection, count: number) => {
      const now = performance.now()
      const index = indexes.get(connection)!
      echoes += count
      for (let echo = 0; echo < count; echo++) {
        const time = intended(index + scenario.connections * answered[index]!++)
        if (isMeasured(time)) latencies.record(nanos(now - time))
      }
      if (!running && connection.outstanding === 0) connection.close()
    },
    closed: closing.tick
  }
  const connections = Array.from(
    { length: scenario.connections },
    () => new Connection(job.port, exchange, events)
  )
  for (const [index, connection] of connections.entries()) indexes.set(connection, index)
  await opening.done

  const sendTo = (index: number) => {
    while (toSend[index]! > 0) {
      const count = Math.min(toSend[index]!, scenario.inFlight)
      connections[index]!.send(count)
      toSend[index]! -= count
    }
  }
  const sendDue = () => {
    const now = performance.now()
    const first = sent
    for (; intended(sent) <= now; sent++) {
      toSend[sent % connections.length]!++
      if (isMeasured(now)) delays.record(nanos(now - intended(sent)))
    }
    const last = Math.min(sent, first + connections.length)
    for (let message = first; message < last; message++) sendTo(message % connections.length)
  }
  const keepSending = () => {
    if (!running) return
    sendDue()
    setImmediate(keepSending)
  }
  beginning = performance.now()
  keepSending()
  const { cpu, figures } = await measure(job, unitOf(scenario), () => echoes)
  // What belongs to the measured time and is late.
  sendDue()
  running = false
  for (const connection of connections) if (connection.outstanding === 0) connection.close()
  await closing.done

  const percentile = (rank: number) => ({
    name: `p${rank}`,
    unit: "us",
    value: micros(latencies.percentile(rank))
  })
  return {
    figures: [
      { ...figures[0]!, name: "rate" },
      percentile(50),
      percentile(99),
      percentile(99.9),
      { name: "p99 of the generator's delay in it", unit: "us", value: micros(delays.percentile(99)) }
    ],
    // The generator looks at the clock all the time.
    cpu: cpu && { ...cpu, counterpart: null }
  }
}
