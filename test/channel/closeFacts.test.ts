/**
 * What a channel knows of its connection's end.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import type { CloseEvent } from "effect-websocket"
import { type CommonOptions, open, roles, type Session, settle } from "../support/apiSession.ts"
import { hex } from "../support/rawFrames.ts"

const noFacts: CloseEvent.CloseFacts = {
  wasClean: false,
  wasNotCleanReason: undefined,
  localClose: undefined,
  remoteClose: undefined,
  closedByMe: false,
  violation: undefined,
  droppedByMe: false,
  timeout: undefined
}

const end = ({ peer }: Session) =>
  Effect.andThen(
    settle,
    Effect.sync(() => peer.finish())
  )

const sendNotUtf8 = (session: Session) => Effect.sync(() => session.peer.send(session.peer.text(hex("ff"))))

const notUtf8 = "a text message that is not valid UTF-8 (8.1)"

const said = (code: number, reason = "") => ({ code, reason })

const ends: ReadonlyArray<
  readonly [
    what: string,
    options: CommonOptions,
    happens: (session: Session) => Effect.Effect<unknown>,
    facts: Partial<CloseEvent.CloseFacts>
  ]
> = [
  [
    "our close, which the peer answers",
    {},
    (session) =>
      Effect.gen(function* () {
        const { channel, peer } = session
        yield* Effect.forkChild(channel.close(4000, "bye"))
        yield* settle
        assert.deepStrictEqual(
          yield* channel.closeFacts,
          { ...noFacts, localClose: said(4000, "bye"), closedByMe: true },
          "while it is not answered"
        )
        peer.send(peer.close(4001, "see you"))
        yield* end(session)
      }),
    { wasClean: true, localClose: said(4000, "bye"), remoteClose: said(4001, "see you"), closedByMe: true }
  ],
  [
    "the peer's close",
    {},
    (session) =>
      Effect.andThen(
        Effect.sync(() => session.peer.send(session.peer.close(4001, "over"))),
        end(session)
      ),
    { wasClean: true, localClose: said(1000), remoteClose: said(4001, "over") }
  ],
  [
    "the peer's close, echoed",
    { echoCloseCodeReason: true },
    (session) =>
      Effect.andThen(
        Effect.sync(() => session.peer.send(session.peer.close(4001, "over"))),
        end(session)
      ),
    { wasClean: true, localClose: said(4001, "over"), remoteClose: said(4001, "over") }
  ],
  [
    "the peer's close without a code, echoed",
    { echoCloseCodeReason: true },
    (session) =>
      Effect.andThen(
        Effect.sync(() => session.peer.send(session.peer.close())),
        end(session)
      ),
    { wasClean: true, localClose: said(1005), remoteClose: said(1005) }
  ],
  [
    "a violation with failByDrop",
    {},
    sendNotUtf8,
    {
      wasNotCleanReason: notUtf8,
      violation: "TextNotUtf8",
      droppedByMe: true
    }
  ],
  [
    "a violation without failByDrop",
    { failByDrop: false },
    (session) => Effect.andThen(sendNotUtf8(session), end(session)),
    {
      wasNotCleanReason: notUtf8,
      localClose: said(1007, notUtf8),
      violation: "TextNotUtf8"
    }
  ],
  [
    "our close, which the peer does not answer",
    {},
    ({ channel }) =>
      Effect.forkChild(channel.close()).pipe(
        Effect.andThen(settle),
        Effect.andThen(TestClock.adjust("1 second"))
      ),
    {
      wasNotCleanReason: "the peer did not answer the Close frame in time",
      localClose: said(1005),
      closedByMe: true,
      droppedByMe: true,
      timeout: "closeHandshake"
    }
  ],
  [
    "a transport that the peer does not end",
    {},
    ({ peer }) =>
      Effect.sync(() => peer.send(peer.close(1001))).pipe(
        Effect.andThen(settle),
        Effect.andThen(TestClock.adjust("1 second"))
      ),
    {
      wasClean: true,
      localClose: said(1000),
      remoteClose: said(1001),
      droppedByMe: true,
      timeout: "transportEnd"
    }
  ],
  [
    "a peer that ends the transport without a close",
    {},
    end,
    { wasNotCleanReason: "the peer ended the transport without a closing handshake" }
  ],
  [
    "a peer that drops the transport",
    {},
    ({ peer }) => Effect.sync(() => peer.drop()),
    { wasNotCleanReason: "the transport failed: connection reset by peer" }
  ],
  [
    "a network that fails",
    {},
    ({ faults }) => faults.reset,
    { wasNotCleanReason: "the transport failed: connection reset (in-memory fault)" }
  ],
  [
    "a network that fails after the closing handshake",
    {},
    ({ faults, peer }) =>
      Effect.sync(() => peer.send(peer.close(1000))).pipe(
        Effect.andThen(settle),
        Effect.andThen(faults.reset)
      ),
    { wasClean: true, localClose: said(1000), remoteClose: said(1000) }
  ]
]

describe.each(roles)("the facts of the end of a %s's connection", (role) => {
  it.effect.each(ends)("%s", ([, options, happens, facts]) =>
    Effect.gen(function* () {
      const session = yield* open(role, options)
      const { channel } = session
      assert.deepStrictEqual(yield* channel.closeFacts, noFacts, "while it is open")
      yield* happens(session)
      const { wasClean } = yield* channel.closed
      assert.deepStrictEqual(yield* channel.closeFacts, { ...noFacts, ...facts })
      assert.strictEqual(wasClean, facts.wasClean ?? false)
    })
  )
})
