/**
 * What the processes of the soak tell the one that started them: a line of JSON for each line on stdin.
 */

/** What a process holds, after a garbage collection. */
export interface Held {
  readonly heap: number
  readonly rss: number
  /** What keeps a process alive: sockets, timers. */
  readonly handles: number
}

export interface ServerReport extends Held {
  /** Connections that a drain has dropped. */
  readonly dropped: number
  /** Warnings and errors logged. */
  readonly errors: number
}

export interface ClientReport extends Held {
  readonly connections: number
  readonly attacks: number
  readonly messages: number
  readonly megabytes: number
  readonly errors: number
}

export const held = (): Held => {
  // The second collection frees what the first has finalized.
  for (let turn = 0; turn < 2; turn++) globalThis.gc?.()
  const { external, heapUsed, rss } = process.memoryUsage()
  return { heap: heapUsed + external, rss, handles: process.getActiveResourcesInfo().length }
}

export const tell = (report: object): void => console.log(JSON.stringify(report))

/** Calls `onLine` for each order, and ends this process with its parent. */
export const onOrder = (onLine: () => void): void => {
  process.stdin.on("data", onLine)
  process.stdin.on("end", () => process.exit())
}
