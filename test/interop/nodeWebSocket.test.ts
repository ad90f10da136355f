import { interoperates } from "../support/interopCases.ts"
import { layer } from "../support/interopNode.ts"

// The browsers' interface: it hides control frames, fragments and the response.
interoperates({
  name: "Node's WebSocket",
  layer,
  controlFrames: false,
  fragments: false,
  closesWithoutStatus: true,
  echoesReason: false,
  unixSockets: false,
  seesOfDenial: [],
  seesHeaders: false,
  denies: undefined
})
