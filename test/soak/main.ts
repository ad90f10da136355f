/**
 * A server under everything that happens to one, for as long as is asked: clients that come and go with messages
 * of all kinds, peers that do wrong, and drains. Every echo is checked. Prints what the processes hold over time, and
 * ends with 1 when something went wrong or a heap has grown. Options:
 *
 *   --minutes 10   how long
 */
import { spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { setTimeout as sleep } from "node:timers/promises"
import { parseArgs } from "node:util"
import type { ClientReport, ServerReport } from "./report.ts"

const { values } = parseArgs({ options: { minutes: { type: "string", default: "10" } } })
const duration = Number(values.minutes) * 60_000
const quarters = 4
/** Drains, at equal distances; those at the quarters are in the table. */
const drainsPerQuarter = Math.max(1, Math.floor(duration / quarters / 15_000))

const mebibyte = 1_048_576
/** A heap may grow by that much after the first quarter: code is still compiled, caches are filled. */
const tolerance = (heap: number): number => heap * 0.1 + 3 * mebibyte

const start = (module: string, ...args: ReadonlyArray<string>) => {
  const options = ["--expose-gc", ...process.execArgv]
  const child = spawn(process.execPath, [...options, `${import.meta.dirname}/${module}`, ...args], {
    stdio: ["pipe", "pipe", "inherit"]
  })
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  const read = async (): Promise<unknown> => {
    const line = await lines.next()
    if (line.done === true) throw new Error(`${module} ended`)
    return JSON.parse(line.value)
  }
  const order = () => {
    child.stdin.write("\n")
    return read()
  }
  return { read, order, end: () => child.stdin.end() }
}

const server = start("server.ts")
const { port } = (await server.read()) as { port: number }
const client = start("client.ts", String(port))

const rows: Array<{ readonly server: ServerReport; readonly client: ClientReport }> = []
let dropped = 0
const startedAt = performance.now()
for (let drain = 1; drain <= quarters * drainsPerQuarter; drain++) {
  await sleep(startedAt + (duration * drain) / (quarters * drainsPerQuarter) - performance.now())
  const report = {
    server: (await server.order()) as ServerReport,
    client: (await client.order()) as ClientReport
  }
  dropped += report.server.dropped
  if (drain % drainsPerQuarter === 0) rows.push(report)
}
client.end()
server.end()

const row = (cells: ReadonlyArray<string | number>) => console.log(`| ${cells.join(" | ")} |`)
const mib = (bytes: number) => (bytes / mebibyte).toFixed(1)
row([
  "at",
  "connections",
  "messages",
  "MB",
  "attacks",
  "server's heap",
  "RSS",
  "handles",
  "clients' heap",
  "RSS",
  "handles",
  "errors"
])
row(["---", ...Array(11).fill("---:")])
for (const [index, { client, server }] of rows.entries()) {
  const done = [client.connections, client.messages, client.megabytes, client.attacks].map(Math.round)
  const ofServer = [mib(server.heap), mib(server.rss), server.handles]
  const ofClient = [mib(client.heap), mib(client.rss), client.handles]
  row([
    `${((index + 1) * 100) / quarters} %`,
    ...done,
    ...ofServer,
    ...ofClient,
    server.errors + client.errors
  ])
}
console.log(
  `\nheap and RSS in MiB; the server's without a connection, at one of ${quarters * drainsPerQuarter} drains, which dropped ${dropped}`
)

const problems: Array<string> = []
const first = rows[0]!
const last = rows.at(-1)!
const errors = last.server.errors + last.client.errors
if (errors > 0) problems.push(`errors: ${errors}`)
for (const side of ["server", "client"] as const) {
  const growth = last[side].heap - first[side].heap
  if (growth > tolerance(first[side].heap))
    problems.push(`the ${side}'s heap has grown by ${mib(growth)} MiB`)
}
if (last.server.handles > first.server.handles) problems.push("the server has more handles than before")
console.log(problems.length === 0 ? "errors: 0, heaps flat" : problems.join("\n"))
process.exit(problems.length === 0 ? 0 : 1)
