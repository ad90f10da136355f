/**
 * The options that both roles have, as schemas with Autobahn's defaults, and the
 * decoding of options in general.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import * as Opcode from "../frame/Opcode.ts"

/** An option has a value it cannot have. */
export class InvalidOptions extends Schema.TaggedError<InvalidOptions>()("InvalidOptions", {
  /** The option's name. */
  option: Schema.String,
  /** What was given. */
  value: Schema.Unknown,
  /** What is allowed. */
  allowed: Schema.String
}) {
  override get message() {
    return `invalid option ${this.option}: expected ${this.allowed}, got ${show(this.value)}`
  }
}

const show = (value: unknown): string => {
  if (typeof value === "string") return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map(show).join(", ")}]`
  if (!Predicate.isObject(value) || Object.getPrototypeOf(value) !== Object.prototype) return String(value)
  return `{ ${Object.entries(value)
    .map(([name, inner]) => `${JSON.stringify(name)}: ${show(inner)}`)
    .join(", ")} }`
}

/** One option: what is allowed, what it is without a word, and both in words. */
export const option = <S extends Schema.Top>(schema: S, fallback: S["Type"], allowed: string) =>
  schema.pipe(Schema.withDecodingDefaultType(Effect.succeed(fallback))).annotate({ description: allowed })

const NonNegative = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const Positive = Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))

const TimeLimit = Schema.Union([
  Schema.Duration,
  Schema.DurationFromString,
  Schema.Literal(0).pipe(
    Schema.decodeTo(
      Schema.Duration,
      SchemaTransformation.transform({ decode: () => Duration.zero, encode: () => 0 as const })
    )
  )
]).check(Schema.makeFilter((limit) => Duration.isFinite(limit) && !Duration.isNegative(limit)))

/** `true` or `false`. */
export const flag = (fallback: boolean) => option(Schema.Boolean, fallback, "true or false")

/** A number of bytes; 0 for no limit. */
export const sizeLimit = (fallback: number) =>
  option(NonNegative, fallback, "a whole number of bytes, 0 for no limit")

/** A number of things; 0 for no limit. */
export const countLimit = (fallback: number) =>
  option(NonNegative, fallback, "a whole number, 0 for no limit")

/** A number of things, at least 1. */
export const count = (fallback: number) => option(Positive, fallback, "a whole number from 1")

/** A duration; 0 for no limit. A bare number is refused: Autobahn's are seconds, Effect's milliseconds. */
export const timeLimit = (fallback: Duration.Duration) =>
  option(
    TimeLimit,
    fallback,
    'a finite duration such as "5 seconds" or Duration.seconds(5), or 0 for no limit'
  )

/** A function, or nothing. */
export const callback = <F>(allowed: string) =>
  option(
    Schema.UndefinedOr(Schema.declare((value): value is F => typeof value === "function")),
    undefined,
    allowed
  )

/** A number of bytes within bounds. */
export const sizeWithin = (minimum: number, maximum: number, fallback: number) =>
  option(
    Schema.Int.check(Schema.isBetween({ minimum, maximum })),
    fallback,
    `a whole number of bytes from ${minimum} to ${maximum}`
  )

/** One of a few values. */
export const oneOf = <const L extends ReadonlyArray<number>>(all: L, fallback: L[number]) =>
  option(Schema.Literals(all), fallback, `one of ${all.join(", ")}`)

/** One of a few values, several times. */
export const someOf = <const L extends ReadonlyArray<number>>(all: L) =>
  option(
    Schema.Array(Schema.Literals(all)).check(Schema.isMinLength(1), Schema.isUnique()),
    all,
    `a list of different values from ${all.join(", ")}, at least one`
  )

const kibibyte = 1024
const mebibyte = 1024 * kibibyte

/** The options of both roles. */
export const common = {
  /** Received text must be valid UTF-8, or the connection fails with 1007. Default: `true`. */
  utf8validateIncoming: flag(true),
  /** Masks are applied to payloads, both ways; without, the key is sent and the payload left as it is. Default: `true`. */
  applyMask: flag(true),
  /** Largest payload of a received frame, in bytes; a larger one fails the connection with 1009. Default: 0, no limit. */
  maxFramePayloadSize: sizeLimit(0),
  /** Largest received message, in bytes; a larger one fails the connection with 1009. Default: 0, no limit. */
  maxMessagePayloadSize: sizeLimit(0),
  /**
   * How many times its compressed payload a received message may be, once it has more than 64 KiB; one that
   * grows more fails the connection with 1009 while it is decompressed. A message that is read in pieces is
   * measured by what has come of it so far. Default: 0, no limit.
   */
  maxDecompressionRatio: countLimit(0),
  /** Outgoing messages are cut into frames of at most this payload, in bytes. Default: 0, never. */
  autoFragmentSize: sizeLimit(0),
  /** A violation drops the transport at once; `false`: a Close frame with the right code goes first. Default: `true`. */
  failByDrop: flag(true),
  /** A Close is answered with its own code and reason; `false`: with 1000. Default: `false`. */
  echoCloseCodeReason: flag(false),
  /**
   * Time for the opening handshake. A server's begins when the connection is accepted, so a TLS handshake is
   * part of it. Default: 0, no limit.
   */
  openHandshakeTimeout: timeLimit(Duration.zero),
  /**
   * Time for the peer to answer a Close frame, from when it is queued; 0: no limit. A server gives the transport
   * as long again to end after that; 0: 30 seconds. Default: 1 second.
   */
  closeHandshakeTimeout: timeLimit(Duration.seconds(1)),
  /** Time from a sign of life to the next automatic ping. Default: 0, no pings. */
  autoPingInterval: timeLimit(Duration.zero),
  /** Time for the pong to an automatic ping, then the transport is dropped. Default: 0, no limit. */
  autoPingTimeout: timeLimit(Duration.zero),
  /**
   * Payload of automatic pings, in bytes from 4 to 125: a sequence number of 4 bytes,
   * from 12 on after the send time in nanoseconds since 1970, and zeros. Default: 4.
   */
  autoPingSize: sizeWithin(4, Opcode.maxControlPayload, 4),
  /** Whatever is received is a sign of life; `false`: only pongs are. Default: `true`. */
  autoPingRestartOnAnyTraffic: flag(true),
  /**
   * Pings that the peer may send per second, and with them pongs to no ping; more fail the connection with 1008.
   * What it does not use adds up, to ten seconds' worth at least, and never to more than twice that. Default: 0, no
   * limit.
   */
  maxControlFramesPerSecond: countLimit(0),
  /** Send small packets without delay (TCP_NODELAY). Default: `true`. */
  tcpNoDelay: flag(true),
  /** Bytes that may wait to be sent before `send` suspends. Default: 1 MiB. */
  maxSendBufferSize: count(mebibyte),
  /** Bytes of received messages that may wait to be pulled before reading pauses. Default: 1 MiB. */
  maxReceiveBufferSize: count(mebibyte),
  /** Largest head of the peer's opening handshake, in bytes. Default: 16 KiB. */
  maxHandshakeSize: count(16 * kibibyte),
  /** Most header lines in the peer's opening handshake. Default: 100. */
  maxHandshakeHeaders: count(100)
}

/** What both presets for the public internet share. */
export const hardened = {
  failByDrop: false,
  maxFramePayloadSize: 16 * mebibyte,
  maxMessagePayloadSize: 16 * mebibyte,
  maxDecompressionRatio: 500,
  maxControlFramesPerSecond: 100,
  openHandshakeTimeout: "10 seconds",
  closeHandshakeTimeout: "5 seconds",
  echoCloseCodeReason: true,
  autoPingInterval: "30 seconds",
  autoPingTimeout: "30 seconds"
} as const

/** The decoded options of both roles. */
export type CommonOptions = Schema.Struct<typeof common>["Type"]

/** Decodes options, naming the first wrong one. */
export const decode = <S extends Schema.Struct<Schema.Struct.Fields>>(schema: S) => {
  const fields = Object.entries(schema.fields).map(
    ([name, field]) =>
      [name, field, Schema.decodeUnknownResult(field as Schema.ConstraintDecoder<unknown>)] as const
  )
  return (input: S["Encoded"]): Result.Result<S["Type"], InvalidOptions> => {
    const given = new Map(Object.entries(input))
    const decoded: Array<readonly [string, unknown]> = []
    for (const [name, field, decodeField] of fields) {
      const value = given.get(name)
      const result = decodeField(value)
      if (Result.isFailure(result)) {
        return Result.fail(
          new InvalidOptions({
            option: name,
            value,
            allowed: String(Schema.resolveAnnotations(field)?.description)
          })
        )
      }
      decoded.push([name, result.success])
      given.delete(name)
    }
    for (const [name, value] of given) {
      return Result.fail(new InvalidOptions({ option: name, value, allowed: "no option of this name" }))
    }
    // Made at once: of an object that grows name by name V8 makes a hash table.
    return Result.succeed(Object.fromEntries(decoded) as S["Type"])
  }
}
