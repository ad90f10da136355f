import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { builtModule } from "./build.ts"
import { nodeCommand, sourceOptions } from "./processes.ts"

/** A server to compare. */
export interface Peer {
  readonly name: string
  /**
   * Runs it, with options of Node where it runs on Node (or Bun, which has the same); from `build`'s JavaScript, as an
   * application does that has installed it, or from the sources.
   */
  readonly command: (nodeOptions?: ReadonlyArray<string>, from?: "build" | "sources") => ReadonlyArray<string>
}

/** The server, or client, that the bench is about. */
export const ours = "effect-websocket"

/** What ratios refer to. */
export const baseline = "ws"

/** The variant that is compared where the way of receiving matters. */
export const callbacks = `${ours}-handle`

const hasBun = (): boolean => spawnSync("bun", ["--version"]).status === 0

/** Those compared without a word of the caller. */
export const defaultPeers = (): ReadonlyArray<string> => [ours, baseline, "tcp", ...(hasBun() ? ["bun"] : [])]

/** The peer of `servers/${name}.ts`. */
export const peerOf = (name: string): Peer => {
  const module = `servers/${name}.ts`
  const file = `${import.meta.dirname}/${module}`
  if (!existsSync(file)) {
    throw new Error(`bench/${module} does not exist: add that server, or choose others with --peers`)
  }
  if (name === "bun") {
    return { name, command: (options = []) => ["bun", ...options, file] }
  }
  return {
    name,
    command: (nodeOptions = [], from = "sources") =>
      from === "build"
        ? nodeCommand(nodeOptions, builtModule(module))
        : nodeCommand([...sourceOptions, ...nodeOptions], module)
  }
}

/** A peer from `name=command with arguments`, which are separated by spaces. */
export const externalPeer = (definition: string): Peer => {
  const [, name, words] = /^([^=\s]+)=(.*\S.*)$/.exec(definition) ?? []
  if (name === undefined || words === undefined) {
    throw new Error(`--server takes name=command, not ${JSON.stringify(definition)}`)
  }
  return { name, command: () => words.trim().split(/\s+/) }
}
