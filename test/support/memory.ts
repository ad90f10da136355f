/**
 * Memory in array buffers, after a garbage collection.
 */
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

setFlagsFromString("--expose-gc")
const collect: unknown = runInNewContext("gc")

/** Bytes of all array buffers that are still reachable. */
export const arrayBufferBytes = (): number => {
  if (typeof collect !== "function") throw new Error("this JavaScript engine has no gc()")
  // The second collection waits until the first has given its buffers back.
  collect()
  collect()
  return process.memoryUsage().arrayBuffers
}
