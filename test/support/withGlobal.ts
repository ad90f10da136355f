/**
 * Modules as they are where a global is another, or is not there.
 */
import { vi } from "@effect/vitest"

/** What `run` imports is loaded anew. */
export const withGlobal = async <A>(
  name: "Buffer" | "WebAssembly",
  value: unknown,
  run: () => Promise<A>
): Promise<A> => {
  vi.stubGlobal(name, value)
  vi.resetModules()
  try {
    return await run()
  } finally {
    vi.unstubAllGlobals()
  }
}
