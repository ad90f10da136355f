/**
 * The thread that `Bzip2Thread` starts: it answers each call with its output.
 */
import { parentPort } from "node:worker_threads"
import { type Call, run } from "./Bzip2Library.ts"

parentPort?.on("message", (call: Call) => {
  const output = run(call)
  parentPort?.postMessage(output, typeof output === "string" ? [] : [output.buffer])
})
