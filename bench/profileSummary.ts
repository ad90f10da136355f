import { readFileSync } from "node:fs"
import { relative } from "node:path"
import { fileURLToPath } from "node:url"

/** A CPU profile as V8 writes it, as far as it is read here. */
interface CpuProfile {
  readonly nodes: ReadonlyArray<{
    readonly id: number
    readonly callFrame: {
      readonly functionName: string
      readonly url: string
      /** From 0. */
      readonly lineNumber: number
    }
  }>
  /** The node that each sample was taken in. */
  readonly samples: ReadonlyArray<number>
  /** Microseconds of the system's monotonic clock. */
  readonly startTime: number
  readonly endTime: number
  /** Microseconds before each sample. */
  readonly timeDeltas: ReadonlyArray<number>
}

type CallFrame = CpuProfile["nodes"][number]["callFrame"]

const root = `${import.meta.dirname}/..`
const modules = "node_modules/"
const mostRows = 30

/** The file as seen from the repository's root, a package's file as seen from the package's folder. */
const fileOf = ({ functionName, url }: CallFrame): string => {
  if (url === "") return functionName.startsWith("(") ? functionName : "V8 and C++"
  if (!url.startsWith("file:")) return url
  const file = relative(root, fileURLToPath(url))
  return file.split(modules).at(-1)!
}

const folderOf = (file: string): string => {
  if (file.startsWith("node:")) return "node:"
  const folders = file.split("/").slice(0, -1)
  return folders.length === 0 ? file : folders.join("/")
}

/** Self time by some name, in microseconds. */
type Times = ReadonlyMap<string, number>

const group = (frames: ReadonlyMap<CallFrame, number>, nameOf: (frame: CallFrame) => string): Times => {
  const times = new Map<string, number>()
  for (const [frame, time] of frames) {
    const name = nameOf(frame)
    times.set(name, (times.get(name) ?? 0) + time)
  }
  return times
}

const table = (title: string, times: Times, total: number): string => {
  const rows = [...times].toSorted(([, a], [, b]) => b - a).slice(0, mostRows)
  const lines = rows.map(([name, time]) => `| ${((time / total) * 100).toFixed(1)} % | ${name} |`)
  return [`| self | ${title} |`, "| ---: | --- |", ...lines].join("\n")
}

/** Microseconds: of the system's monotonic clock, or of the time before the end. */
export type Begin = { readonly at: number } | { readonly beforeEnd: number }

/** Self times of a profile by folder, module and function, from some time on and as far as there was work to do. */
export const summarizeProfile = (path: string, begin: Begin): string => {
  const profile: CpuProfile = JSON.parse(readFileSync(path, "utf8"))
  const frameOf = new Map(profile.nodes.map(({ callFrame, id }) => [id, callFrame]))
  const frames = new Map<CallFrame, number>()
  let total = 0
  const first = "at" in begin ? begin.at : profile.endTime - begin.beforeEnd
  let now = profile.startTime
  for (const [index, id] of profile.samples.entries()) {
    const frame = frameOf.get(id)!
    const time = profile.timeDeltas[index]!
    now += time
    if (now < first || frame.functionName === "(idle)") continue
    frames.set(frame, (frames.get(frame) ?? 0) + time)
    total += time
  }
  const functionOf = (frame: CallFrame): string => {
    const name = frame.functionName === "" ? "(anonymous)" : frame.functionName
    return frame.url === "" ? name : `${name} ${fileOf(frame)}:${frame.lineNumber + 1}`
  }
  return [
    `${(total / 1e6).toFixed(2)} s of work`,
    table(
      "folder",
      group(frames, (frame) => folderOf(fileOf(frame))),
      total
    ),
    table("module", group(frames, fileOf), total),
    table("function", group(frames, functionOf), total)
  ].join("\n\n")
}
