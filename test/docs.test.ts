/**
 * docs/autobahn.md names every name of Autobahn's API, and what it says is there is there.
 */
import { readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Package from "effect-websocket"
import { type WebSocketChannel, WebSocketClient, WebSocketServer } from "effect-websocket"
import { WebSocketTest } from "effect-websocket/testing"
import { autobahnNames } from "./support/autobahnNames.ts"

interface Row {
  readonly group: string
  readonly name: string
  /** What stands in backticks in the second column. */
  readonly here: ReadonlyArray<string>
}

const page = readFileSync(new URL("../docs/autobahn.md", import.meta.url), "utf8")

const codes = (cell: string): ReadonlyArray<string> =>
  [...cell.matchAll(/`([^`]+)`/g)].map(([, code]) => code ?? "")

const rows = page.split(/^## /m).flatMap((section): ReadonlyArray<Row> => {
  const [group = "", ...lines] = section.split("\n")
  return lines
    .filter((line) => line.startsWith("| `"))
    .map((line) => {
      const [, name = "", here = ""] = line.split("|")
      return { group, name: codes(name)[0] ?? "", here: codes(here) }
    })
})

// The compiler keeps these complete.
const handlers = { onConnect: 0, onOpen: 0 } satisfies Record<keyof WebSocketServer.Handlers, 0>
const callbacks = { onOpen: 0, onMessage: 0, onPing: 0, onPong: 0, onClose: 0 } satisfies Record<
  keyof WebSocketChannel.Callbacks,
  0
>
const session = {
  protocols: 0,
  origin: 0,
  userAgent: 0,
  headers: 0,
  proxy: 0,
  onConnecting: 0,
  onConnect: 0
} satisfies Record<keyof WebSocketClient.SessionParameters, 0>

const has = (value: unknown, name: string): boolean =>
  value !== null && (typeof value === "object" || typeof value === "function") && name in value

const fieldsOf = (value: unknown): unknown =>
  has(value, "fields") ? (value as { readonly fields: unknown }).fields : undefined

/** Whether the package exports `path`: a namespace's member, or a schema's field. */
const isExported = (path: string): boolean => {
  const [name = "", member] = path.split(".")
  const exported: unknown = Reflect.get(Package, name)
  if (exported === undefined || member === undefined) return exported !== undefined
  const schema: unknown = has(exported, name) ? Reflect.get(Object(exported), name) : exported
  return has(exported, member) || has(fieldsOf(schema), member)
}

describe("docs/autobahn.md", () => {
  it("names every name of Autobahn's API once, and no other", () => {
    const named = Object.entries(autobahnNames).flatMap(([group, names]) =>
      (names.length === 0 ? [group] : names).map((name) => `${group} ${name}`)
    )
    assert.sameMembers(
      rows.map(({ group, name }) => `${group} ${name}`),
      named
    )
  })

  it.effect("names what is there", () =>
    Effect.gen(function* () {
      const server = yield* WebSocketServer.WebSocketServer
      const client = yield* WebSocketClient.WebSocketClient
      const channel = yield* client.connect("ws://test/")
      const members: Record<string, object> = { server, client, channel }
      const keys: Record<string, object> = {
        "serve(": handlers,
        "handle(": callbacks,
        "connect(url, ": session
      }
      for (const { here, name } of rows) {
        assert.isNotEmpty(here, name)
        for (const code of here) {
          const [, call = "", key = ""] = /^(.*?\(.*?)\{ (\w+) \}\)$/.exec(code) ?? []
          const [owner = "", member = ""] = code.split(".")
          const found = call === "" ? has(members[owner], member) || isExported(code) : has(keys[call], key)
          assert.isTrue(found, `${name}: ${code}`)
        }
      }
    }).pipe(
      Effect.provide(
        Layer.provideMerge(
          WebSocketServer.serve({ onOpen: (channel) => channel.closed }),
          WebSocketTest.layer()
        )
      )
    )
  )
})
