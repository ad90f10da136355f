import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { anyStream, pick } from "../support/arbitraries.ts"
import { hex } from "../support/frames.ts"
import type { ReceiverSettings } from "../support/wsReceiver.ts"
import { compare, disagreements } from "./differential.ts"

const options = { arbitrary: { runs: 300, size: 40 }, timeout: 60_000 }

describe("a connection and the receiver of ws make the same of a stream, but for what is known", () => {
  for (const role of ["server", "client"] as const) {
    it.effect.prop(
      `at a ${role}`,
      { stream: anyStream(role === "server"), maxMessagePayloadSize: pick(0, 0, 100) },
      ({ maxMessagePayloadSize, stream }) =>
        Effect.promise(() => compare(stream.value, { role, maxMessagePayloadSize, deflate: false })),
      options
    )
  }
})

// Each an example of its disagreement, as a server sends it.
const examples: Readonly<Record<string, string>> = {
  LengthNotMinimal: "827e0001 ff",
  LengthSignBit: "827f8000000000000000",
  Utf8AtOnce: "0101ff",
  HeaderNotWhole: "007e",
  TwoRules: "007f0020000000000000",
  PlatformLimit: "027f0000000080000000",
  NotWholeBlocks: "c10102",
  FragmentAtOnce: "4101ff",
  NoBytes: "c100 c107f248cdc9c90700",
  FinalBlock: "c20101 c207f248cdc9c90700"
}

describe("where they differ", () => {
  it("each has a reason, and an example", () => {
    assert.sameMembers(Object.keys(examples), Object.keys(disagreements))
    for (const { reason } of Object.values(disagreements))
      assert.match(reason, /^RFC [67]\d\d\d sections? \d/)
  })

  it.effect.each(Object.entries(examples))("%s", ([name, stream]) =>
    Effect.gen(function* () {
      const settings: ReceiverSettings = { role: "client", maxMessagePayloadSize: 0, deflate: true }
      assert.strictEqual(yield* Effect.promise(() => compare(hex(stream), settings)), name)
    })
  )
})
