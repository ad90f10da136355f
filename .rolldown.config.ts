import { defineConfig, type Plugin, RolldownMagicString } from "rolldown"
import { parseSync, Visitor, type VisitorObject } from "rolldown/utils"

/** The entry points of package.json, and the file of a thread. */
const input = {
  index: "src/index.ts",
  "testing/index": "src/testing/index.ts",
  "node/index": "src/node/index.ts",
  "node/route": "src/node/route.ts",
  "node/bzip2": "src/node/bzip2.ts",
  "node/Bzip2Worker": "src/node/Bzip2Worker.ts",
  "node/snappy": "src/node/snappy.ts"
}

/**
 * Marks what a module computes while it is loaded as free of side effects, so that a bundler leaves out of one file
 * most of what a program does not use. Statements are not marked: their effect is what they are for.
 */
const annotatePureCalls: Plugin = {
  name: "annotate-pure-calls",
  transform: {
    filter: { id: /\/src\/.*\.ts$/ },
    handler: (source, id) => {
      const code = new RolldownMagicString(source)
      let notMarked = 0
      const skipped: VisitorObject = {}
      for (const type of [
        "FunctionDeclaration",
        "FunctionExpression",
        "ArrowFunctionExpression",
        "ExpressionStatement"
      ] as const) {
        skipped[type] = () => notMarked++
        skipped[`${type}:exit`] = () => notMarked--
      }
      const mark = ({ start }: { readonly start: number }) => {
        if (notMarked === 0) code.appendLeft(start, "/* @__PURE__ */ ")
      }
      new Visitor({ ...skipped, CallExpression: mark, NewExpression: mark }).visit(
        parseSync(id, source).program
      )
      return { code: code.toString(), map: code.generateMap({ hires: "boundary" }).toString() }
    }
  }
}

/**
 * `dist`, but for the declarations, which `tsc` writes. Of a module that Node loads, most of the cost is finding it:
 * what several entry points share is therefore one file, and another one for what of it imports Node.
 */
export default defineConfig({
  input,
  external: /^(effect|bzip2-wasm|snappy)(\/|$)|^node:/,
  plugins: [annotatePureCalls],
  output: {
    dir: "dist",
    sourcemap: true,
    sourcemapExcludeSources: true,
    codeSplitting: {
      minShareCount: 2,
      groups: [
        { name: "shared", test: /\/src\/(?!node\/)/ },
        { name: "node/Bzip2Library", test: /Bzip2Library/ },
        { name: "node/shared", test: /\/src\/node\// }
      ]
    },
    chunkFileNames: "[name].js"
  }
})
