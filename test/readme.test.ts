/**
 * What the README says is what the project does.
 */
import { readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"

const read = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), "utf8")

describe("README", () => {
  const readme = read("README.md")
  const programs = [...readme.matchAll(/^`scratchpad\/(\S+)`.*\n\n```ts\n([\s\S]*?)```$/gm)]

  it("shows the programs of scratchpad, which are run by other tests", () => {
    assert.deepStrictEqual(
      programs.map(([, name]) => name),
      ["echo.ts", "server.ts", "client.ts", "rooms.ts", "deflate.ts", "echo.test.ts"]
    )
    assert.lengthOf([...readme.matchAll(/^```ts$/gm)], programs.length)
    for (const [, name, code] of programs) assert.strictEqual(code, read(`scratchpad/${name}`), name)
  })

  it("links only to files that exist", () => {
    for (const [, target] of readme.matchAll(/\]\((?!https?:)([^)#]+)\)/g))
      assert.doesNotThrow(() => read(target ?? ""))
  })
})
