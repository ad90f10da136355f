/**
 * The options of a client, with Autobahn's defaults.
 */
import type * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Options from "../channel/Options.ts"

/** The options of a client; a test can read each default here. */
export const ClientOptions = Schema.Struct({
  ...Options.common,
  /** Accept masked frames from a server; `false`: they fail the connection with 1002. Default: `false`. */
  acceptMaskedServerFrames: Options.flag(false),
  /** Mask the frames sent, as RFC 6455 section 5.1 wants. Default: `true`. */
  maskClientFrames: Options.flag(true)
})

/** The options of a client, decoded. */
export interface ClientOptions extends Schema.Schema.Type<typeof ClientOptions> {}

/** The options of a client as an application gives them. */
export type ClientOptionsInput = (typeof ClientOptions)["Encoded"]

/** Fit for the public internet. */
export const hardened: ClientOptionsInput = Options.hardened

/** Decodes options, naming the first wrong one. */
export const decode: (input: ClientOptionsInput) => Result.Result<ClientOptions, Options.InvalidOptions> =
  Options.decode(ClientOptions)
