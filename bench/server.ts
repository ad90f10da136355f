import { readFileSync } from "node:fs"
import type { Announcement, Mode } from "./announce.ts"
import { cpuOf, end, reader, start } from "./processes.ts"

/** Memory in bytes. */
export interface Memory {
  /** Resident set: also what was freed, and the allocator has not given back. */
  readonly rss: number
  /** What V8 knows of: its heap, buffers, and zlib's state. Unknown of servers that do not say. */
  readonly known: number | undefined
}

/** A server's process. */
export interface Server {
  readonly port: number
  readonly raw: boolean
  readonly pid: number
  /** It has no mode beyond these. */
  readonly modes: ReadonlyArray<Mode>
  /** What it uses, after a collection where it is run with --expose-gc. */
  readonly memory: () => Promise<Memory>
  readonly end: () => Promise<void>
}

const residentSet = (pid: number): number => {
  const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]
  return Number(kibibytes) * 1024
}

/** Starts a server in these modes, until it has announced where it listens. */
export const startServer = async (
  name: string,
  command: ReadonlyArray<string>,
  modes: ReadonlyArray<Mode>,
  cpu = cpuOf.measured
): Promise<Server> => {
  const child = start(cpu, [...command, ...modes.map((mode) => `--${mode}`)])
  const pid = child.pid!
  const answer = reader(child, `server ${name}`)
  const announced = (await answer()) as Announcement
  const ask = async (): Promise<Memory> => {
    child.stdin.write("\n")
    const { external, heapUsed, rss } = (await answer()) as NodeJS.MemoryUsage
    return { rss, known: heapUsed + external }
  }
  return {
    port: announced.port,
    raw: announced.raw ?? false,
    modes: announced.modes ?? [],
    pid,
    memory: announced.memory ? ask : async () => ({ rss: residentSet(pid), known: undefined }),
    end: () => end(child)
  }
}
