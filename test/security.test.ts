/**
 * SECURITY.md's table of limits has the values of the options.
 */
import { readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Result } from "effect"
import { ClientOptions, ServerOptions } from "effect-websocket"

const page = readFileSync(new URL("../SECURITY.md", import.meta.url), "utf8")

const rows = [...page.matchAll(/^\| `(\w+)`(?: \((server|client)\))? \| ([^|]+) \| ([^|]+) \|/gm)].map(
  ([, name = "", role, fallback = "", hardened = ""]) => ({ name, role, fallback, hardened })
)

const sides = [
  {
    role: "server",
    defaults: Result.getOrThrow(ServerOptions.decode({})),
    preset: Result.getOrThrow(ServerOptions.decode(ServerOptions.hardened))
  },
  {
    role: "client",
    defaults: Result.getOrThrow(ClientOptions.decode({})),
    preset: Result.getOrThrow(ClientOptions.decode(ClientOptions.hardened))
  }
]

/** As the table writes it. */
const show = (value: unknown): string => {
  if (!Duration.isDuration(value)) return String(value)
  const seconds = Duration.toSeconds(value)
  return seconds === 0 ? "0" : `${seconds} second${seconds === 1 ? "" : "s"}`
}

const isLimit = (value: unknown): boolean => typeof value === "number" || Duration.isDuration(value)

describe("SECURITY.md", () => {
  it.each(sides)("says what the limits of a $role are", ({ defaults, preset, role }) => {
    for (const row of rows.filter((row) => row.role === undefined || row.role === role)) {
      assert.property(defaults, row.name)
      assert.strictEqual(show(Reflect.get(defaults, row.name)), row.fallback, row.name)
      assert.strictEqual(show(Reflect.get(preset, row.name)), row.hardened, row.name)
    }
  })

  it.each(sides)("names every limit that the preset of a $role changes", ({ defaults, preset, role }) => {
    const named = rows.filter((row) => row.role === undefined || row.role === role).map(({ name }) => name)
    const changed = Object.entries(preset)
      .filter(([name, value]) => isLimit(value) && show(value) !== show(Reflect.get(defaults, name)))
      .map(([name]) => name)
    assert.includeMembers(named, changed)
  })
})
