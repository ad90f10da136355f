import { defineConfig } from "vitest/config"

// Apart from the other tests: it builds, packs and installs from the registry.
export default defineConfig({
  test: { include: ["test/package/*.test.ts"], testTimeout: 240_000, hookTimeout: 240_000 }
})
