/**
 * The package as a user gets it: packed, installed into an empty folder with its
 * peers, and run by plain Node.
 */
import { execFileSync } from "node:child_process"
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join, normalize } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { rolldown } from "rolldown"
import { start } from "../support/processes.ts"

const root = new URL("../../", import.meta.url).pathname
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
const nodes = ["22", "24"]

/** Where the build of each entry point is. */
const entries = ["index", "node/index", "node/bzip2", "node/route", "node/snappy", "testing/index"]

const npm = (cwd: string, ...args: ReadonlyArray<string>): string =>
  execFileSync("npm", args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] })

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      server.close(() => resolve(port))
    })
  })

/** The first message from a server; `undefined` when there is none. */
const firstMessage = (url: string): Promise<string | undefined> =>
  new Promise((resolve) => {
    const socket = new WebSocket(url)
    socket.onmessage = ({ data }) => {
      resolve(String(data))
      socket.close()
    }
    socket.onerror = () => resolve(undefined)
  })

describe("the packed package", () => {
  const folder = mkdtempSync(join(tmpdir(), "effect-websocket-"))
  const app = join(folder, "app")
  let files: ReadonlyArray<string>

  beforeAll(() => {
    const [packed] = JSON.parse(npm(root, "pack", "--json", "--pack-destination", folder))
    files = packed.files.map(({ path }: { path: string }) => path)
    cpSync(join(root, "scratchpad"), app, { recursive: true })
    writeFileSync(join(app, "package.json"), JSON.stringify({ type: "module", private: true }))
    const versions = manifest.devDependencies
    npm(
      app,
      "install",
      join(folder, packed.filename),
      `effect@${versions.effect}`,
      `bzip2-wasm@${versions["bzip2-wasm"]}`,
      `@effect/platform-node@${versions["@effect/platform-node"]}`
    )
    for (const version of nodes) npm(folder, "install", "--prefix", join(folder, version), `node@${version}`)
  })

  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  const nodeBinary = (version: string): string => join(folder, version, "node_modules/.bin/node")

  it("holds the build, its sources and what a package should, and nothing else", () => {
    const top = new Set(files.map((path) => path.split("/")[0]))
    assert.deepStrictEqual([...top].sort(), [
      "CHANGELOG.md",
      "LICENSE",
      "README.md",
      "dist",
      "package.json",
      "src"
    ])
    const outputs = Object.values(manifest.exports).map((output) => Object(output).default)
    assert.sameMembers(
      outputs.filter((path) => path !== undefined),
      entries.map((entry) => `./dist/${entry}.js`)
    )
    for (const entry of entries) {
      for (const suffix of [".js", ".js.map", ".d.ts", ".d.ts.map"]) {
        assert.include(files, `dist/${entry}${suffix}`)
      }
    }
  })

  it("has each module once, so that no tag or class is there twice", async () => {
    const maps = files.filter((path) => path.endsWith(".js.map"))
    const sources = maps.flatMap((path) => {
      const { sources } = JSON.parse(readFileSync(join(app, "node_modules/effect-websocket", path), "utf8"))
      return sources.map((source: string) => normalize(join(path, "..", source)))
    })
    assert.lengthOf(new Set(sources), sources.length)
    assert.includeMembers([...files], sources)
    assert.includeMembers(sources, ["src/transport/Transport.ts", "src/node/Bzip2Library.ts"])
    writeFileSync(
      join(app, "once.mjs"),
      `import * as Effect from "effect/Effect"
      import * as Layer from "effect/Layer"
      import { Options, Transport } from "effect-websocket"
      import { NodeTransportServer } from "effect-websocket/node"
      import { WebSocketTest } from "effect-websocket/testing"
      const listening = Effect.scoped(NodeTransportServer.make({ port: -1 }))
      const configuring = Effect.scoped(Layer.build(WebSocketTest.layer({ client: { applyMask: 1 } })))
      console.log(
        (await Effect.runPromise(Effect.flip(listening))) instanceof Transport.TransportError,
        (await Effect.runPromise(Effect.flip(configuring))) instanceof Options.InvalidOptions
      )`
    )
    const program = start(nodeBinary("22"), ["once.mjs"], app)
    await program.ended
    assert.strictEqual(program.output(), "true true")
  })

  it("has stack traces of its sources", async () => {
    writeFileSync(
      join(app, "trace.mjs"),
      `import { PreparedMessage } from "effect-websocket"
      PreparedMessage.make(undefined)`
    )
    const program = start(nodeBinary("24"), ["--enable-source-maps", "trace.mjs"], app)
    await program.ended
    const frame = /at Module\.make \((.*\/effect-websocket\/src\/message\/PreparedMessage\.ts):(\d+):(\d+)\)/
    const [, file, line, column] = frame.exec(program.output()) ?? []
    assert.isDefined(file, program.output())
    const named = readFileSync(file, "utf8").split("\n")[Number(line) - 1]
    assert.match(named?.slice(Number(column) - 1) ?? "", /^new PreparedMessage\(/)
  })

  it("leaves out of a bundled client what is only a server's", async () => {
    writeFileSync(
      join(app, "bundled.mjs"),
      `import { WebSocketClient } from "effect-websocket"
      import { NodeWebSocketClient } from "effect-websocket/node"
      console.log(WebSocketClient.connect, NodeWebSocketClient.layer)`
    )
    const bundle = await rolldown({
      input: join(app, "bundled.mjs"),
      external: /^(effect\/|node:)/,
      platform: "node"
    })
    const { output } = await bundle.generate()
    const [{ code }] = output
    assert.include(code, "perMessageCompressionOffers")
    assert.notMatch(code, /trustXForwardedFor|websocket_connections_open|createServer/)
  })

  for (const version of nodes) {
    it(`runs the README's server and client under Node ${version}`, async () => {
      const node = nodeBinary(version)
      assert.match(execFileSync(node, ["--version"], { encoding: "utf8" }), new RegExp(`^v${version}\\.`))
      const port = await freePort()
      for (const name of ["server.ts", "client.ts"]) {
        const source = readFileSync(join(root, "scratchpad", name), "utf8")
        assert.include(source, "9001")
        writeFileSync(join(app, name), source.replaceAll("9001", String(port)))
      }
      const server = start(node, ["server.ts"], app)
      try {
        // The client cannot know when the server listens, so it is tried until it does.
        for (let output = ""; !output.includes("hello"); ) {
          const client = start(node, ["client.ts"], app)
          await client.ended
          output = client.output()
          if (output.includes("hello")) {
            assert.match(output, /Uint8Array.*1.*2.*3/s)
            assert.include(output, "true 1000")
          } else {
            assert.include(output, "ECONNREFUSED", `the server says: ${server.output()}`)
          }
        }
      } finally {
        server.signal("SIGINT")
        await server.ended
      }
    })
  }

  it("runs the README's route", async () => {
    const port = await freePort()
    const source = readFileSync(join(root, "scratchpad/rooms.ts"), "utf8")
    assert.include(source, "9002")
    writeFileSync(join(app, "rooms.ts"), source.replaceAll("9002", String(port)))
    const server = start(nodeBinary("24"), ["rooms.ts"], app)
    try {
      // Nobody can know when it listens, so it is tried until it does.
      let answer: string | undefined
      while (answer === undefined) answer = await firstMessage(`ws://127.0.0.1:${port}/rooms/blue`)
      assert.strictEqual(answer, "welcome to blue", server.output())
    } finally {
      server.signal("SIGINT")
      await server.ended
    }
  })

  it("runs the README's compression", async () => {
    const port = await freePort()
    const source = readFileSync(join(root, "scratchpad/deflate.ts"), "utf8")
    assert.include(source, "9003")
    writeFileSync(join(app, "deflate.ts"), source.replaceAll("9003", String(port)))
    const program = start(nodeBinary("24"), ["deflate.ts"], app)
    await program.ended
    assert.match(program.output(), /permessage-deflate.*6000 bytes came as \d\d\b/s)
  })

  it("finds the thread of permessage-bzip2", async () => {
    writeFileSync(
      join(app, "bzip2.mjs"),
      `import { PerMessageBzip2 } from "effect-websocket"
      import { bzip2 } from "effect-websocket/node/bzip2"
      process.on("worker", () => console.log("a thread"))
      const accept = PerMessageBzip2.acceptOffer()([new PerMessageBzip2.PerMessageBzip2Offer()])
      const { compressor, decompressor } = bzip2.fromOfferAccept(accept).success
      compressor.compress(new Uint8Array(100_000), true, (compressed) =>
        decompressor.decompress(compressed, 100_000, (message) => console.log(message.length)))`
    )
    const program = start(nodeBinary("22"), ["bzip2.mjs"], app)
    assert.strictEqual(await program.ended, 0, program.output())
    assert.strictEqual(program.output(), "a thread\n100000")
  })

  it("has types for the README's programs", () => {
    const compiler = join(root, "node_modules/typescript/bin/tsc")
    const options =
      "--noEmit --strict --exactOptionalPropertyTypes --skipLibCheck --allowImportingTsExtensions"
    const args = [
      compiler,
      ...options.split(" "),
      "--module",
      "nodenext",
      "server.ts",
      "client.ts",
      "rooms.ts",
      "deflate.ts"
    ]
    assert.strictEqual(execFileSync(nodeBinary("24"), args, { cwd: app, encoding: "utf8" }), "")
  })

  it("blocks what is internal", () => {
    const tryImport = (specifier: string): string =>
      execFileSync(
        nodeBinary("24"),
        [
          "--input-type=module",
          "-e",
          `import(${JSON.stringify(specifier)}).then(() => console.log("ok"), (e) => console.log(e.code))`
        ],
        { cwd: app, encoding: "utf8" }
      ).trim()
    assert.strictEqual(tryImport("effect-websocket"), "ok")
    assert.strictEqual(tryImport("effect-websocket/node"), "ok")
    assert.strictEqual(tryImport("effect-websocket/testing"), "ok")
    for (const path of ["internal", "dist/index.js", "shared", "channel/ChannelCore", "src/index.ts"]) {
      assert.strictEqual(tryImport(`effect-websocket/${path}`), "ERR_PACKAGE_PATH_NOT_EXPORTED")
    }
  })

  it("imports nothing from Node outside ./node", () => {
    const dist = join(app, "node_modules/effect-websocket/dist")
    const importing = readdirSync(dist, { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(".js") && !path.startsWith("node/"))
      .filter((path) => {
        const source = readFileSync(join(dist, path), "utf8")
        return /from "(node:|@effect\/platform-node)|import\("|require\(|\/node\//.test(source)
      })
    assert.deepStrictEqual(importing, [])
  })
})
