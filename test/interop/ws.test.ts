import { interoperates } from "../support/interopCases.ts"
import { layer } from "../support/interopWs.ts"

interoperates({
  name: "ws",
  layer,
  controlFrames: true,
  fragments: true,
  closesWithoutStatus: true,
  echoesReason: true,
  unixSockets: true,
  seesOfDenial: ["status", "headers", "body"],
  seesHeaders: true,
  denies: { status: 403, headers: { "x-denied-by": "ws" }, body: "Not for you\n" }
})
