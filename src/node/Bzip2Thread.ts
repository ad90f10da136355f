/**
 * libbzip2 in a thread of its own, for calls that would keep the event loop for long.
 * One thread serves all connections, call after call. It starts with the first one,
 * in some 60 ms, holds 35 MiB, more after a long message, and keeps the process alive
 * only while there are calls. Where no thread can be had, a call is made in this one.
 */
import { extname } from "node:path"
import { Worker } from "node:worker_threads"
import { type Call, type Output, run } from "./Bzip2Library.ts"

interface Job {
  readonly owner: object | undefined
  readonly call: Call
  readonly done: (output: Output) => void
}

/** Of TypeScript or of JavaScript, as this file is. */
const file = new URL(`Bzip2Worker${extname(import.meta.url)}`, import.meta.url)

let worker: Worker | undefined
let current: Job | undefined
let waiting: Array<Job> = []

/** Makes a call, after those before it; until `done` is called, the payload must not change. */
export const start = (owner: object | undefined, call: Call, done: (output: Output) => void): void => {
  waiting.push({ owner, call, done })
  if (current === undefined) next()
}

/** What the owner has started is not done any more, and it is not told. */
export const drop = (owner: object): void => {
  waiting = waiting.filter((job) => job.owner !== owner)
  // The thread is left to end what it has begun.
  if (current?.owner === owner) current = { ...current, done: () => {} }
}

const next = (): void => {
  current = waiting.shift()
  if (current === undefined) {
    worker?.unref()
    return
  }
  try {
    worker ??= open()
  } catch {
    return settle(run(current.call))
  }
  worker.ref()
  // A copy goes to the thread, of the payload and not of all that its buffer has.
  const payload = new Uint8Array(current.call.payload)
  worker.postMessage({ ...current.call, payload }, [payload.buffer])
}

const settle = (output: Output): void => {
  const done = current?.done
  next()
  done?.(output)
}

const open = (): Worker =>
  new Worker(file, { name: "bzip2" })
    .on("message", settle)
    // It exits then.
    .on("error", () => {})
    .on("exit", () => {
      worker = undefined
      if (current !== undefined) settle(run(current.call))
    })
