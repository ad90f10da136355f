/**
 * The options of a client, with Autobahn's defaults.
 */
import * as Duration from "effect/Duration"
import * as Predicate from "effect/Predicate"
import type * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Options from "../channel/Options.ts"
import type { PerMessageCompressOffer, ResponseAcceptor } from "../extension/PerMessageCompress.ts"

/** The options of a client; a test can read each default here. */
export const ClientOptions = Schema.Struct({
  ...Options.common,
  /**
   * The specification spoken: 18 is RFC 6455, 10 to 17 are the drafts hybi-10 to hybi-17. 13 to 18 are protocol
   * version 13; 10 to 12 are version 8, with Sec-WebSocket-Origin. Default: 18.
   */
  version: Options.oneOf([10, 11, 12, 13, 14, 15, 16, 17, 18], 18),
  /** Accept masked frames from a server; `false`: they fail the connection with 1002. Default: `false`. */
  acceptMaskedServerFrames: Options.flag(false),
  /** Offers of per-message compression, most wanted first. Default: none. */
  perMessageCompressionOffers: Options.option(
    Schema.Array(
      Schema.declare(
        (value): value is PerMessageCompressOffer =>
          Predicate.hasProperty(value, "extensionName") && Predicate.hasProperty(value, "extensionString")
      )
    ),
    [],
    "a list of offers such as new PerMessageDeflateOffer()"
  ),
  /** Has the last word on the server's answer to the offers. Default: it is accepted. */
  perMessageCompressionAccept: Options.callback<ResponseAcceptor>(
    "a function that takes a response and gives an accept or undefined"
  ),
  /** Mask the frames sent, as RFC 6455 section 5.1 wants. Default: `true`. */
  maskClientFrames: Options.flag(true),
  /**
   * Time for the server to end the transport: after the closing handshake, or after its refusal, the body of
   * which is cut then. 0: 30 seconds. Default: 1 second.
   */
  serverConnectionDropTimeout: Options.timeLimit(Duration.seconds(1))
})

/** The options of a client, decoded. */
export interface ClientOptions extends Schema.Schema.Type<typeof ClientOptions> {}

/** The options of a client as an application gives them. */
export type ClientOptionsInput = (typeof ClientOptions)["Encoded"]

/** Fit for the public internet. */
export const hardened: ClientOptionsInput = {
  ...Options.hardened,
  serverConnectionDropTimeout: "5 seconds"
}

/** Decodes options, naming the first wrong one. */
export const decode: (input: ClientOptionsInput) => Result.Result<ClientOptions, Options.InvalidOptions> =
  Options.decode(ClientOptions)
