/**
 * Programs that a test starts, reads and ends.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { createInterface } from "node:readline"

/** A running program: its output so far, line by line, and its end. */
export interface Program {
  /** The first match in the output so far or to come; fails when the program ends without one. */
  readonly find: (pattern: RegExp) => Promise<RegExpMatchArray>
  /** The exit code, or the signal's name. */
  readonly ended: Promise<number | string>
  readonly signal: (signal: NodeJS.Signals) => void
  readonly output: () => string
}

const root = new URL("../../", import.meta.url).pathname

/** Starts a program in the project's folder, or in another one. */
export const start = (command: string, args: ReadonlyArray<string>, cwd = root): Program => {
  const child: ChildProcess = spawn(command, args, { cwd, stdio: ["ignore", "pipe", "pipe"] })
  const lines: Array<string> = []
  const waiting = new Set<() => void>()
  let isOver = false
  const tell = () => {
    for (const look of waiting) look()
  }
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue
    createInterface({ input: stream }).on("line", (line) => {
      lines.push(line)
      tell()
    })
  }
  const ended = new Promise<number | string>((resolve) => {
    child.on("error", (error) => {
      lines.push(String(error))
      isOver = true
      resolve(-1)
      tell()
    })
    child.on("close", (code, signal) => {
      isOver = true
      resolve(code ?? signal ?? -1)
      tell()
    })
  })
  const output = () => lines.join("\n")
  return {
    ended,
    output,
    signal: (signal) => void child.kill(signal),
    find: (pattern) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const match = output().match(pattern)
          if (match === null && !isOver) return
          waiting.delete(look)
          if (match !== null) resolve(match)
          else reject(new Error(`${command} ended without ${pattern}:\n${output()}`))
        }
        waiting.add(look)
        look()
      })
  }
}
