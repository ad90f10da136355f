import { readFileSync } from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"
import type { Sample } from "../sample.ts"
import { fail } from "./fail.ts"

/** What a load generator or a measured client is told, as JSON in its first argument. */
export interface Job {
  readonly scenario: string
  readonly port: number
  /** The server has no WebSocket: the same bytes without handshakes. */
  readonly raw: boolean
  readonly serverPid: number
  /** Which of the two is to be compared. */
  readonly measured: "server" | "client"
  /** Messages per second, whether or not they are answered. Default: the next one with each answer. */
  readonly rate?: number
  readonly warmUpMs: number
  readonly measureMs: number
}

/** What is counted: `value` for each `count`. */
export interface Unit {
  readonly unit: string
  readonly value: number
}

const STALL_MS = 5000

const readStat = (pid: number, file: string): string | undefined => {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8")
  } catch {
    return undefined
  }
}

/** CPU seconds of all threads, counted in clock ticks of 10 ms. */
const cpuSeconds = (pid: number): number => {
  const stat = readStat(pid, "stat")
  const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ")
  return (Number(fields?.[11]) + Number(fields?.[12])) / 100
}

/** Seconds the main thread waited for its CPU, without those in which its own process's threads had it. */
const contendedSeconds = (pid: number): number => {
  const [running, waiting] = readStat(pid, "schedstat")?.split(" ") ?? []
  const otherThreads = cpuSeconds(pid) - Number(running) / 1e9
  return Number(waiting) / 1e9 - otherThreads
}

const snapshot = (count: () => number, serverPid: number) => ({
  count: count(),
  seconds: performance.now() / 1000,
  client: cpuSeconds(process.pid),
  clientContended: contendedSeconds(process.pid),
  server: cpuSeconds(serverPid),
  serverContended: contendedSeconds(serverPid)
})

const known = (value: number): number | null => (Number.isNaN(value) ? null : value)

/** How fast `count` grows after the warm-up. */
export const measure = async (job: Job, { unit, value }: Unit, count: () => number): Promise<Sample> => {
  await sleep(job.warmUpMs)
  const before = snapshot(count, job.serverPid)
  await sleep(job.measureMs)
  const after = snapshot(count, job.serverPid)
  const seconds = after.seconds - before.seconds
  const perSecond = (name: keyof typeof after): number => (after[name] - before[name]) / seconds
  const measured = perSecond(job.measured)
  return {
    figures: [{ name: "", unit, value: perSecond("count") * value }],
    cpu: {
      measured: known(measured),
      counterpart: known(perSecond(job.measured === "server" ? "client" : "server")),
      contention: known(Math.max(perSecond("clientContended"), perSecond("serverContended"))),
      microsEach: known((measured / perSecond("count")) * 1e6)
    }
  }
}

/** Fails when `progress` stays the same for 5 s. */
export const failOnStall = (progress: () => number): void => {
  let last = progress()
  let since = performance.now()
  const check = () => {
    const now = performance.now()
    if (progress() !== last) {
      last = progress()
      since = now
    } else if (now - since >= STALL_MS) fail(`no progress for ${STALL_MS / 1000} s`)
  }
  setInterval(check, 250).unref()
}
