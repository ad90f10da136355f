/**
 * The options of a server, with Autobahn's defaults.
 */
import type * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Options from "../channel/Options.ts"

/** The options of a server; a test can read each default here. */
export const ServerOptions = Schema.Struct({
  ...Options.common,
  /** Protocol versions spoken; another one is answered 400 with these. Default: 13 and 8. */
  versions: Options.someOf([13, 8]),
  /** A GET without Upgrade gets a status page; `false`: 426. Default: `true`. */
  webStatus: Options.flag(true),
  /** Mask the frames sent, against RFC 6455 section 5.1. Default: `false`. */
  maskServerFrames: Options.flag(false),
  /** Fail the connection with 1002 when a client's frame is not masked. Default: `true`. */
  requireMaskedClientFrames: Options.flag(true)
})

/** The options of a server, decoded. */
export interface ServerOptions extends Schema.Schema.Type<typeof ServerOptions> {}

/** The options of a server as an application gives them. */
export type ServerOptionsInput = (typeof ServerOptions)["Encoded"]

/** Fit for the public internet. */
export const hardened: ServerOptionsInput = { ...Options.hardened, webStatus: false }

/** Decodes options, naming the first wrong one. */
export const decode: (input: ServerOptionsInput) => Result.Result<ServerOptions, Options.InvalidOptions> =
  Options.decode(ServerOptions)
