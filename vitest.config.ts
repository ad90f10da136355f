import { defineConfig } from "vitest/config"

export default defineConfig({
  // The package's own name resolves to its sources, as under `node --conditions`.
  resolve: { conditions: ["effect-websocket:source"] },
  ssr: { resolve: { conditions: ["effect-websocket:source"] } },
  test: {
    include: ["test/**/*.test.ts"],
    maxWorkers: 2,
    testTimeout: 20_000,
    coverage: {
      include: ["src/**/*.ts"],
      reporter: ["text-summary", "text"],
      thresholds: { lines: 95 }
    }
  }
})
