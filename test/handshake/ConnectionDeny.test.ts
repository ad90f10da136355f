import { assert, describe, it } from "@effect/vitest"
import { ConnectionDeny } from "effect-websocket"
import type { DenyOptions } from "../../src/handshake/ConnectionDeny.ts"
import { refusedJson, throughJson } from "../support/json.ts"

describe("ConnectionDeny", () => {
  const statuses: ReadonlyArray<
    readonly [status: number, constant: number, make: (options?: DenyOptions) => ConnectionDeny]
  > = [
    [400, ConnectionDeny.BAD_REQUEST, ConnectionDeny.badRequest],
    [401, ConnectionDeny.UNAUTHORIZED, ConnectionDeny.unauthorized],
    [403, ConnectionDeny.FORBIDDEN, ConnectionDeny.forbidden],
    [404, ConnectionDeny.NOT_FOUND, ConnectionDeny.notFound],
    [406, ConnectionDeny.NOT_ACCEPTABLE, ConnectionDeny.notAcceptable],
    [408, ConnectionDeny.REQUEST_TIMEOUT, ConnectionDeny.requestTimeout],
    [429, ConnectionDeny.TOO_MANY_REQUESTS, ConnectionDeny.tooManyRequests],
    [500, ConnectionDeny.INTERNAL_SERVER_ERROR, ConnectionDeny.internalServerError],
    [501, ConnectionDeny.NOT_IMPLEMENTED, ConnectionDeny.notImplemented],
    [503, ConnectionDeny.SERVICE_UNAVAILABLE, ConnectionDeny.serviceUnavailable]
  ]
  it.each(statuses)("has a constant and a constructor for %i", (status, constant, make) => {
    assert.strictEqual(constant, status)
    const options = { reason: "No", headers: { "X-A": ["1", "2"] }, body: "why" }
    assert.deepInclude(make(options), { _tag: "ConnectionDeny", status, ...options })
    assert.strictEqual(make().status, status)
    assert.strictEqual(make(options).message, `connection denied: ${status} No`)
  })

  it.each<ConnectionDeny>([
    ConnectionDeny.notFound(),
    ConnectionDeny.forbidden({ reason: "No", headers: { "X-A": ["1", "2"], "X-B": "3" }, body: "AQID" }),
    ConnectionDeny.forbidden({ body: Uint8Array.of(1, 2, 3) })
  ])("%s is JSON, and comes back", (deny) => {
    const { decoded, json } = throughJson(ConnectionDeny, deny)
    assert.instanceOf(decoded, ConnectionDeny)
    const { stack: _, ...fields } = deny
    assert.deepInclude(decoded, fields)
    if (deny.body instanceof Uint8Array) assert.deepInclude(json, { body: { base64: "AQID" } })
  })

  it("other JSON is none", () => {
    const json = { _tag: "ConnectionDeny", status: 403 }
    assert.include(refusedJson(ConnectionDeny, { ...json, status: "403" }), '"status"')
    assert.include(refusedJson(ConnectionDeny, { ...json, body: { base64: "?" } }), "Base64")
    assert.include(refusedJson(ConnectionDeny, { ...json, headers: { a: 1 } }), '"headers"')
  })
})
