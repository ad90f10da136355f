/**
 * A request and the response to it: what a client's opening handshake and its
 * CONNECT to a proxy do alike.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { Timeouts } from "../channel/Timeouts.ts"
import { fromLines } from "../handshake/ConnectionRequest.ts"
import { parseStatusLine, ResponseBodyReader } from "../handshake/Response.ts"
import type { Transport } from "../transport/Transport.ts"
import type { ClientOptions } from "./ClientOptions.ts"
import { type ReadHead, readHead, readUntil } from "./HeadExchange.ts"

/** A response with another status than was hoped for. */
export interface Refusal {
  readonly status: number
  readonly statusText: string
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>
  /** As text, at most 64 KiB. */
  readonly body: string
}

/** Why there is no response, or not the one that was hoped for. */
export type ExchangeFailure =
  | { readonly _tag: "Refused"; readonly refusal: Refusal }
  | { readonly _tag: "Invalid"; readonly message: string }
  | { readonly _tag: "Ended"; readonly cause: unknown }

const largestBody = 65_536
/** Informational responses before the one that counts. More come from nobody who means well. */
const mostInformational = 16
const lossy = new TextDecoder()

/** Sends the request and reads the head of its response. The transport is paused afterwards. */
export const exchange = Effect.fnUntraced(function* (
  transport: Transport,
  request: Uint8Array,
  isHopedFor: (status: number) => boolean,
  options: ClientOptions
): Effect.fn.Return<ReadHead, ExchangeFailure, Timeouts> {
  transport.write([request])
  let { head, rest } = yield* readResponseHead(transport, options)
  let line = parseStatusLine(head.startLine)
  // Informational responses may come first (RFC 7231 section 6.2).
  for (let count = 1; Result.isSuccess(line) && isInformational(line.success.status); count++) {
    if (count > mostInformational) {
      return yield* Effect.fail<ExchangeFailure>({
        _tag: "Invalid",
        message: "too many informational responses"
      })
    }
    ;({ head, rest } = yield* readResponseHead(transport, options, rest))
    line = parseStatusLine(head.startLine)
  }
  if (Result.isFailure(line)) {
    return yield* Effect.fail<ExchangeFailure>({ _tag: "Invalid", message: line.failure })
  }
  const { status, statusText } = line.success
  if (isHopedFor(status)) return { head, rest }
  const reader = new ResponseBodyReader(head, largestBody)
  if (!reader.push(rest)) {
    // A body that does not end is cut: its status is what matters.
    const { after } = yield* Timeouts
    yield* Effect.raceFirst(
      readUntil(transport, (chunk) => reader.push(chunk)),
      after("transportEnd", options.serverConnectionDropTimeout)
    )
  }
  const refusal = { status, statusText, headers: fromLines(head.headers), body: lossy.decode(reader.body) }
  return yield* Effect.fail<ExchangeFailure>({ _tag: "Refused", refusal })
})

const isInformational = (status: number): boolean => status < 200 && status !== 101

const readResponseHead = (
  transport: Transport,
  options: ClientOptions,
  rest?: Uint8Array
): Effect.Effect<ReadHead, ExchangeFailure> =>
  Effect.mapError(readHead(transport, options, rest), (failure) =>
    failure._tag === "Invalid" ? { _tag: "Invalid", message: failure.error.message } : failure
  )
