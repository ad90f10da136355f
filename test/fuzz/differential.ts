/**
 * The same bytes for a connection of ours and for the receiver of `ws`, and where the two may differ.
 */
import { setImmediate } from "node:timers/promises"
import { isDeepStrictEqual } from "node:util"
import type { DecompressFailure, MessageDecompressor } from "../../src/extension/MessageCodec.ts"
import * as Violation from "../../src/frame/Violation.ts"
import { makeDecompressor } from "../../src/node/DeflateCodec.ts"
import { type Received, TestConnection } from "../support/connections.ts"
import { tail, takenByZlib } from "../support/deflate.ts"
import { concat } from "../support/frames.ts"
import { type Outcome, type ReceiverSettings, receiveWithWs } from "../support/wsReceiver.ts"

/** What of RFC 7692 a stream makes use of, that hardly anybody does. */
type Rarity = "FinalBlock" | "NoBytes"

interface Ours extends Outcome {
  readonly violation: Violation.Violation | undefined
  /** How much was received before each. */
  readonly rarities: ReadonlyMap<Rarity, number>
}

/** Notes the rarities of the messages that `decompressor` has to do with. */
class Noting implements MessageDecompressor {
  readonly rarities = new Map<Rarity, number>()
  readonly #received: () => number
  readonly #decompressor = makeDecompressor({ windowBits: 15, noContextTakeover: false })
  #plain: Uint8Array = new Uint8Array(0)

  /** `received`: how much was received so far. */
  constructor(received: () => number) {
    this.#received = received
  }

  decompress(
    payload: Uint8Array,
    limit: number,
    done: (message: Uint8Array | DecompressFailure) => void
  ): void {
    if (payload.length === 0) this.#note("NoBytes")
    if (this.#hasFinalBlock(payload)) this.#note("FinalBlock")
    this.#decompressor.decompress(payload, limit, (message) => {
      if (typeof message !== "string") this.#plain = concat(this.#plain, message).slice(-32_768)
      done(message)
    })
  }

  #note(rarity: Rarity): void {
    if (!this.rarities.has(rarity)) this.rarities.set(rarity, this.#received())
  }

  /** zlib leaves the last byte here unread. */
  #hasFinalBlock(payload: Uint8Array): boolean {
    const bytes = concat(payload, tail, Uint8Array.of(0))
    try {
      return takenByZlib(bytes, this.#plain) < bytes.length
    } catch {
      return false
    }
  }

  push(
    piece: Uint8Array,
    isFinal: boolean,
    limit: number,
    done: (pieces: ReadonlyArray<Uint8Array> | DecompressFailure) => void
  ): void {
    this.#decompressor.push(piece, isFinal, limit, done)
  }

  close(): void {
    this.#decompressor.close()
  }
}

const receiveHere = async (
  stream: Uint8Array,
  settings: ReceiverSettings,
  inPieces = false
): Promise<Ours> => {
  const { deflate, ...rest } = settings
  const decompressor = deflate ? new Noting(() => end.received.length) : undefined
  const end: TestConnection = new TestConnection({ ...rest, decompressor })
  const { connection } = end
  connection.inPieces = inPieces
  end.receive(stream)
  while (connection.isBusy) await setImmediate()
  connection.transportClosed()
  return {
    received: end.received,
    violation: connection.violation,
    failsWith: connection.violation && Violation.statusCode(connection.violation),
    closedWith: connection.remoteClose?.code,
    rarities: decompressor?.rarities ?? new Map()
  }
}

interface Comparison {
  readonly stream: Uint8Array
  readonly settings: ReceiverSettings
  readonly ours: Ours
  readonly theirs: Outcome
}

/** Where the two may differ, and why. */
interface Disagreement {
  readonly reason: string
  readonly applies: (comparison: Comparison) => boolean | Promise<boolean>
}

const isControl = ([kind]: Received): boolean => kind === "ping" || kind === "pong"

const receivedSame = ({ ours, theirs }: Comparison): boolean =>
  isDeepStrictEqual(ours.received, theirs.received)

/** What one has received beyond the other; `undefined`: not even the same. */
const beyond = (one: Outcome, other: Outcome): ReadonlyArray<Received> | undefined =>
  isDeepStrictEqual(one.received.slice(0, other.received.length), other.received)
    ? one.received.slice(other.received.length)
    : undefined

/** Whether the stream has the rarity, and no difference before it. */
const isSameUntil = ({ ours, theirs }: Comparison, rarity: Rarity): boolean => {
  const before = ours.rarities.get(rarity)
  return (
    before !== undefined &&
    isDeepStrictEqual(ours.received.slice(0, before), theirs.received.slice(0, before))
  )
}

const mostHeader = 14

/** The stream with the last frame's header completed, where a connection fails then. */
const withWholeHeader = async ({ settings, stream }: Comparison): Promise<Uint8Array | undefined> => {
  for (let missing = 1; missing < mostHeader; missing++) {
    const longer = concat(stream, new Uint8Array(missing))
    if ((await receiveHere(longer, settings)).failsWith !== undefined) return longer
  }
  return undefined
}

export const disagreements: Readonly<Record<string, Disagreement>> = {
  LengthNotMinimal: {
    reason: "RFC 6455 section 5.2: the minimal number of bytes MUST be used for a length; `ws` takes any.",
    applies: ({ ours, theirs }) => ours.violation === "LengthNotMinimal" && beyond(theirs, ours) !== undefined
  },
  LengthSignBit: {
    reason:
      "RFC 6455 section 5.2: the most significant bit MUST be 0. That is 1002; to `ws` it is too long, 1009.",
    applies: (comparison) =>
      comparison.ours.violation === "LengthSignBit" &&
      comparison.theirs.failsWith === 1009 &&
      receivedSame(comparison)
  },
  Utf8AtOnce: {
    reason:
      "RFC 6455 section 8.1: what is found not to be UTF-8 fails. `ws` looks when the message is complete.",
    applies: ({ ours, theirs }) =>
      ours.violation === "TextNotUtf8" && beyond(theirs, ours)?.every(isControl) === true
  },
  HeaderNotWhole: {
    reason:
      "RFC 6455 section 5.4: the frame breaks a rule. `ws` fails before its header is complete, ours when it is.",
    applies: async (comparison) => {
      const { ours, settings } = comparison
      const isOpen = ours.failsWith === undefined && ours.closedWith === undefined
      if (!isOpen || !receivedSame(comparison)) return false
      const longer = await withWholeHeader(comparison)
      if (longer === undefined) return false
      await compare(longer, settings)
      return true
    }
  },
  TwoRules: {
    reason: "RFC 6455 sections 5.4 and 7.4.1: the frame is stray (1002) and too long (1009), in no order.",
    applies: (comparison) =>
      comparison.ours.violation === "FrameTooBig" &&
      comparison.theirs.failsWith === 1002 &&
      receivedSame(comparison)
  },
  PlatformLimit: {
    reason: "RFC 6455 section 10.4: a message of 2 GiB is more than a buffer holds. `ws` waits for it.",
    applies: (comparison) =>
      comparison.ours.violation === "MessageTooBig" &&
      comparison.settings.maxMessagePayloadSize === 0 &&
      receivedSame(comparison)
  },
  NotWholeBlocks: {
    reason: "RFC 7692 section 7.2.2: a message ends with a block. `ws` takes what has come out until then.",
    applies: ({ ours, theirs }) =>
      ours.violation === "CompressedDataCorrupt" && beyond(theirs, ours) !== undefined
  },
  FragmentAtOnce: {
    reason:
      "RFC 7692 section 7.2.2: the message is decompressed. `ws` does it fragment by fragment, and fails early.",
    applies: async ({ ours, settings, stream, theirs }) =>
      theirs.failsWith === 1007 &&
      beyond(ours, theirs)?.every(isControl) === true &&
      (await receiveHere(stream, settings, true)).failsWith === 1007
  },
  NoBytes: {
    reason:
      "RFC 7692 section 7.2.3.6: an empty message is a block. Ours takes no bytes for one; `ws` goes astray.",
    applies: (comparison) => isSameUntil(comparison, "NoBytes")
  },
  FinalBlock: {
    reason: "RFC 7692 section 7.2.3.4: BFINAL may be set, and blocks follow. `ws` drops what follows.",
    applies: (comparison) => isSameUntil(comparison, "FinalBlock")
  }
}

/** The name of the disagreement about a stream; `undefined`: there is none. Throws for one that is not known. */
export const compare = async (
  stream: Uint8Array,
  settings: ReceiverSettings
): Promise<string | undefined> => {
  const [ours, theirs] = await Promise.all([receiveHere(stream, settings), receiveWithWs(stream, settings)])
  const comparison: Comparison = { stream, settings, ours, theirs }
  const isSame = ours.failsWith === theirs.failsWith && ours.closedWith === theirs.closedWith
  if (isSame && receivedSame(comparison)) return undefined
  for (const [name, { applies }] of Object.entries(disagreements)) if (await applies(comparison)) return name
  throw new Error(`no known disagreement: ${JSON.stringify({ ours, theirs })}`)
}
