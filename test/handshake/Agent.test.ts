import * as Fs from "node:fs"
import { assert, it } from "@effect/vitest"
import { agent } from "../../src/handshake/Agent.ts"

it("agent is the package's name and version", () => {
  const { name, version } = JSON.parse(
    Fs.readFileSync(new URL("../../package.json", import.meta.url), "utf8")
  )
  assert.strictEqual(agent, `${name}/${version}`)
})
