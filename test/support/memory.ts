/**
 * Memory after a garbage collection.
 */
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

setFlagsFromString("--expose-gc")
const collect: unknown = runInNewContext("gc")

/** Collects all garbage. */
export const collectGarbage = (): void => {
  if (typeof collect !== "function") throw new Error("this JavaScript engine has no gc()")
  // The second collection waits until the first has given its buffers back.
  collect()
  collect()
}

/** Bytes of everything that is still reachable. */
export const heapBytes = (): number => {
  collectGarbage()
  const { external, heapUsed } = process.memoryUsage()
  return heapUsed + external
}

/** Bytes of everything that young collections leave. */
export const youngHeapBytes = (): number => {
  if (typeof collect !== "function") throw new Error("this JavaScript engine has no gc()")
  // What has survived two is old.
  collect({ type: "minor" })
  collect({ type: "minor" })
  return process.memoryUsage().heapUsed
}

/** Bytes of all array buffers that are still reachable. */
export const arrayBufferBytes = (): number => {
  collectGarbage()
  return process.memoryUsage().arrayBuffers
}
