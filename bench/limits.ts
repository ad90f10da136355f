import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"

/** What a process may have open besides connections. */
const SPARE = 200

/** Node has raised the soft limit to the hard one; without procfs nothing is known. */
const mostOpenFiles = (): number => {
  try {
    const limits = readFileSync("/proc/self/limits", "utf8")
    return Number(/^Max open files +(\d+)/m.exec(limits)?.[1] ?? Number.POSITIVE_INFINITY)
  } catch {
    return Number.POSITIVE_INFINITY
  }
}

/**
 * As many connections as this process and its children may have, up to those that are wanted: what
 * may be done about the limit of open files is done.
 */
export const allowedConnections = (wanted: number): number => {
  const files = wanted + SPARE
  if (mostOpenFiles() >= files) return wanted
  spawnSync("prlimit", ["--pid", `${process.pid}`, `--nofile=${files}:${files}`])
  const allowed = Math.min(wanted, mostOpenFiles() - SPARE)
  if (allowed < wanted) console.error(`${allowed} connections in place of ${wanted}: raise ulimit -n`)
  return allowed
}
