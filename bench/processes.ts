import { type ChildProcessByStdio, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import type { Readable, Writable } from "node:stream"

export type Child = ChildProcessByStdio<Writable, Readable, null>

/** Which CPU a process runs on: what is measured has one for itself. */
export const cpuOf = { measured: 0, counterpart: 1 }

const GRACE_MS = 5000

const pin = (cpu: number, ...args: ReadonlyArray<string>): boolean =>
  spawnSync("taskset", [...args.slice(0, -1), `${cpu}`, ...args.slice(-1)]).status === 0

/** Whether the two have a CPU each. This process is the counterpart's, or idle. */
export const pinned = pin(cpuOf.measured, "-c", "true") && pin(cpuOf.counterpart, "-pc", `${process.pid}`)

/** The options with which this process's Node runs the sources. */
export const sourceOptions: ReadonlyArray<string> = process.execArgv

/** A command that runs a module of this directory with this process's Node. */
export const nodeCommand = (
  nodeOptions: ReadonlyArray<string>,
  module: string,
  ...args: ReadonlyArray<string>
): ReadonlyArray<string> => [process.execPath, ...nodeOptions, `${import.meta.dirname}/${module}`, ...args]

const children = new Set<Child>()
process.on("exit", () => {
  for (const child of children) child.kill("SIGKILL")
})
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1))

export const start = (cpu: number, command: ReadonlyArray<string>): Child => {
  const [program, ...args] = pinned ? ["taskset", "-c", `${cpu}`, ...command] : command
  const child = spawn(program!, args, { stdio: ["pipe", "pipe", "inherit"] })
  children.add(child)
  child.once("exit", () => children.delete(child))
  child.once("error", (error) => {
    throw error
  })
  return child
}

/** Reads the lines of JSON on a child's stdout. */
export const reader = (child: Child, name: string): (() => Promise<unknown>) => {
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  return async () => {
    const line = await lines.next()
    if (line.done === true) throw new Error(`${name} ended without an answer`)
    return JSON.parse(line.value)
  }
}

/** Ends a child by the end of its stdin. */
export const end = async (child: Child): Promise<void> => {
  if (!children.has(child)) return
  const exited = once(child, "exit")
  const timer = setTimeout(() => child.kill("SIGKILL"), GRACE_MS)
  child.stdin.end()
  await exited
  clearTimeout(timer)
}
