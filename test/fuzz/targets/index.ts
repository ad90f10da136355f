import type { Target } from "../Target.ts"
import { close } from "./close.ts"
import { codecs } from "./codecs.ts"
import { differentials } from "./differential.ts"
import { extensionHeader } from "./extensions.ts"
import { framesOfClient, framesOfServer } from "./frames.ts"
import { request, response } from "./handshake.ts"
import { url } from "./url.ts"

/** All that is fuzzed. */
export const targets: ReadonlyArray<Target> = [
  request,
  response,
  extensionHeader,
  url,
  framesOfClient,
  framesOfServer,
  close,
  ...codecs,
  ...differentials
]
