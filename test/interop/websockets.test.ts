import { describe } from "@effect/vitest"
import { interoperates } from "../support/interopCases.ts"
import { arePythonPeersThere, layer } from "../support/interopPython.ts"

describe.skipIf(!arePythonPeersThere)("a Python peer", () => {
  interoperates({
    name: "websockets",
    layer: layer("websockets_peer.py"),
    controlFrames: true,
    fragments: true,
    // Its close() always sends a code.
    closesWithoutStatus: false,
    echoesReason: true,
    unixSockets: true,
    seesOfDenial: ["status", "headers"],
    seesHeaders: true,
    denies: { status: 403, headers: { "x-denied-by": "websockets" }, body: "Not for you\n" }
  })
})
