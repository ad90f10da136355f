import { defineConfig } from "vitest/config"

// The package's own name resolves to its sources, as under `node --conditions`.
const conditions = ["effect-websocket:source"]

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: ["test/**/*.test.ts", "scratchpad/**/*.test.ts"],
    exclude: ["test/package/**"],
    maxWorkers: 2,
    // Only a hang should reach these; a busy machine with one core must not.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    coverage: {
      include: ["src/**/*.ts"],
      reporter: ["text"],
      thresholds: { lines: 95 }
    }
  }
})
