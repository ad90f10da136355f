import { spawnSync } from "node:child_process"

const root = `${import.meta.dirname}/..`

const run = (program: string, ...args: ReadonlyArray<string>): void => {
  const { status, stdout } = spawnSync(program, args, { cwd: root, encoding: "utf8" })
  if (status !== 0) throw new Error(`${program} ${args.join(" ")} failed:\n${stdout}`)
}

let isBuilt = false

/** Builds the package into `dist`, and the servers, which then run on it. */
export const build = (): void => {
  if (isBuilt) return
  run("npm", "run", "build")
  run("npx", "tsc", "-p", "bench/tsconfig.servers.json")
  isBuilt = true
}

/** Where the build of a module of this directory is. */
export const builtModule = (module: string): string => `.built/${module.replace(/\.ts$/, ".js")}`
