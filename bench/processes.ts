import { type ChildProcessByStdio, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import type { Readable, Writable } from "node:stream"
import type { Job, Sample } from "./load/measure.ts"

type Child = ChildProcessByStdio<Writable, Readable, null>

export interface Server {
  readonly port: number
  readonly pid: number
  /** What it uses, collected where this process has --expose-gc, which its children inherit. */
  readonly memory: () => Promise<NodeJS.MemoryUsage>
  readonly end: () => Promise<void>
}

const SERVER_CPU = 0
const LOAD_CPU = 1
const GRACE_MS = 2000

const canPin = (cpu: number): boolean => spawnSync("taskset", ["-c", `${cpu}`, "true"]).status === 0

/** Whether servers and generator have a CPU each. */
export const pinned = canPin(SERVER_CPU) && canPin(LOAD_CPU)

const children = new Set<Child>()
process.on("exit", () => {
  for (const child of children) child.kill("SIGKILL")
})
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1))

/** Runs a module of this directory with this process's Node and its options. */
const start = (cpu: number, module: string, ...args: ReadonlyArray<string>): Child => {
  const command = [process.execPath, ...process.execArgv, `${import.meta.dirname}/${module}`, ...args]
  const [program, ...rest] = pinned ? ["taskset", "-c", `${cpu}`, ...command] : command
  const child = spawn(program!, rest, { stdio: ["pipe", "pipe", "inherit"] })
  children.add(child)
  child.once("exit", () => children.delete(child))
  return child
}

/** Reads the lines of JSON on a child's stdout. */
const reader = (child: Child, name: string): (() => Promise<unknown>) => {
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  return async () => {
    const line = await lines.next()
    if (line.done === true) throw new Error(`${name} ended without an answer`)
    return JSON.parse(line.value)
  }
}

const end = async (child: Child): Promise<void> => {
  if (!children.has(child)) return
  const exited = once(child, "exit")
  const timer = setTimeout(() => child.kill("SIGKILL"), GRACE_MS)
  child.stdin.end()
  await exited
  clearTimeout(timer)
}

export const startServer = async (name: string, compressed: boolean): Promise<Server> => {
  const child = start(SERVER_CPU, `servers/${name}.ts`, ...(compressed ? ["--deflate"] : []))
  const answer = reader(child, `server ${name}`)
  const { port } = (await answer()) as { port: number }
  const memory = async () => {
    child.stdin.write("\n")
    return (await answer()) as NodeJS.MemoryUsage
  }
  return { port, pid: child.pid!, memory, end: () => end(child) }
}

export const runLoad = async (job: Job): Promise<Sample> => {
  const child = start(LOAD_CPU, "load.ts", JSON.stringify(job))
  const sample = (await reader(child, "the load generator")()) as Sample
  await end(child)
  return sample
}
