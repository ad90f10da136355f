import { describe } from "@effect/vitest"
import { interoperates } from "../support/interopCases.ts"
import { arePythonPeersThere, layer } from "../support/interopPython.ts"

describe.skipIf(!arePythonPeersThere)("a Python peer", () => {
  interoperates({
    name: "autobahn",
    layer: layer("autobahn_peer.py"),
    controlFrames: true,
    fragments: true,
    closesWithoutStatus: true,
    echoesReason: true,
    unixSockets: true,
    seesOfDenial: ["status", "headers"],
    seesHeaders: true,
    // Its ConnectionDeny has neither headers nor a body.
    denies: { status: 403, headers: {}, body: "" }
  })
})
