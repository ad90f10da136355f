/**
 * Modules as they are where there is another Buffer, or none.
 */
import { vi } from "@effect/vitest"

/** What `load` imports, loaded anew. */
export const withBuffer = async <A>(buffer: unknown, load: () => Promise<A>): Promise<A> => {
  vi.stubGlobal("Buffer", buffer)
  vi.resetModules()
  try {
    return await load()
  } finally {
    vi.unstubAllGlobals()
  }
}
