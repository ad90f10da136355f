/**
 * Rules as tests: one that both roles keep to, and one whose breach fails the connection (RFC 6455 section
 * 7.1.7).
 */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { Violation } from "effect-websocket"
import type { RawPeer } from "./RawPeer.ts"
import {
  type CommonOptions,
  open,
  type Received,
  type Role,
  received,
  roles,
  type Session
} from "./rawSession.ts"

/** One test for each role of the library. */
export const itBothRoles = <A, E>(
  rule: string,
  test: (role: Role) => Effect.Effect<A, E, Scope.Scope>
): void => {
  for (const role of roles) it.effect(`${role}: ${rule}`, () => test(role))
}

/** A way for a peer to break a rule. */
export interface Case {
  /** The rule. */
  readonly rule: string
  readonly violation: Violation.Violation
  readonly code: 1002 | 1007 | 1009
  /** The bytes that break it. */
  readonly bytes: (peer: RawPeer) => ReadonlyArray<Uint8Array>
  /** Options beside `failByDrop`. */
  readonly options?: CommonOptions
  /** The library's roles that the rule is for. Default: both. */
  readonly roles?: ReadonlyArray<Role>
}

const reasons = { 1002: "ProtocolViolation", 1007: "InvalidPayload", 1009: "MessageTooBig" } as const

/** As written, and in the smallest pieces: a rule holds wherever the network cuts. */
const cuts = [undefined, { chunkSize: 1 }]

/** Two tests for each case and role: `failByDrop` off, and on. */
export const itFailsTheConnection = (cases: ReadonlyArray<Case>): void => {
  for (const one of cases) {
    for (const role of one.roles ?? roles) {
      it.effect(`${role}: ${one.rule} -> Close ${one.code}`, () => onEachCut(failsByClose, role, one))
      it.effect(`${role}: ${one.rule} -> dropped with failByDrop`, () => onEachCut(failsByDrop, role, one))
    }
  }
}

type Check = (role: Role, one: Case, session: Session, reading: Fiber.Fiber<Received>) => Effect.Effect<void>

const onEachCut = (check: Check, role: Role, one: Case) =>
  Effect.forEach(
    cuts,
    (network) =>
      Effect.gen(function* () {
        const options = { ...one.options, failByDrop: check === failsByDrop }
        const session = yield* open(role, options, { network })
        const reading = yield* Effect.forkChild(received(session.channel))
        yield* check(role, one, session, reading)
      }).pipe(Effect.scoped),
    { discard: true }
  )

/** Before the violation everything counts, after it nothing, not even a Close frame. */
const violate = (peer: RawPeer, one: Case): void =>
  peer.send(
    peer.text("before"),
    peer.binary(Uint8Array.of(1, 2)),
    ...one.bytes(peer),
    peer.text("after"),
    peer.ping("after"),
    peer.close(1000, "after")
  )

const failsByClose: Check = Effect.fnUntraced(function* (role, one, { peer }, reading) {
  violate(peer, one)
  const { end, frames } = yield* peer.rest
  assert.lengthOf(frames, 1, `one Close frame and nothing else (${frames})`)
  assert.match(frames[0] ?? "", new RegExp(`^close ${one.code}( "[^"]+")?$`))
  assert.strictEqual(end, "fin", `the ${role} ends the transport with a FIN`)
  peer.send(peer.text("late"), peer.close(1001, "late"))
  peer.finish()
  assertFailed(one, yield* Fiber.join(reading))
  assert.deepStrictEqual(yield* peer.rest, { frames: [], end: "fin" })
})

const failsByDrop: Check = Effect.fnUntraced(function* (_role, one, { peer }, reading) {
  violate(peer, one)
  assert.deepStrictEqual(yield* peer.rest, { frames: [], end: "drop" })
  assertFailed(one, yield* Fiber.join(reading))
})

const assertFailed = ({ code, violation }: Case, { closed, failure, messages }: Received): void => {
  assert.deepStrictEqual(messages, ["before", Uint8Array.of(1, 2)])
  if (failure === undefined || !("violation" in failure)) return assert.fail(`failed with ${failure?._tag}`)
  assert.strictEqual(failure._tag, reasons[code])
  assert.strictEqual(failure.code, code)
  assert.strictEqual(failure.violation, violation)
  assert.strictEqual(failure.message, Violation.description(violation))
  assert.deepStrictEqual(closed, { wasClean: false, code: 1006, reason: "" })
}
