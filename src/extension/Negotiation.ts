/**
 * What the negotiations of the per-message compression extensions have in common: reading and writing
 * parameters, the fields of their values, and the rules that an accept and a response are held to.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as ExtensionHeader from "./ExtensionHeader.ts"
import {
  type CompressionExtension,
  InvalidAccept,
  type PerMessageCompress,
  type PerMessageCompressOffer,
  type PerMessageCompressOfferAccept,
  type PerMessageCompressResponse,
  type PerMessageCompressResponseAccept,
  type ResponseAcceptor
} from "./PerMessageCompress.ts"

/** Both ends are included. */
export interface Range {
  readonly minimum: number
  readonly maximum: number
}

/**
 * Reads the parameters of one extension, each once, by the names that may be there. What is wrong with them comes
 * out at the end.
 */
export class ParameterReader {
  readonly #extensionName: string
  readonly #left = new Map<string, string | undefined>()
  #problem: string | undefined

  constructor(extensionName: string, parameters: ReadonlyArray<ExtensionHeader.ExtensionParameter>) {
    this.#extensionName = extensionName
    for (const { name, value } of parameters) {
      if (this.#left.has(name)) this.#problem ??= "a parameter appears more than once"
      this.#left.set(name, value)
    }
  }

  /** Whether the parameter is there; it has no value. */
  flag(name: string): boolean {
    const isThere = this.#left.has(name)
    if (this.#take(name) !== undefined) this.#problem ??= `${name} has a value`
    return isThere
  }

  /** The parameter's value, a whole number without leading zeros; 0 when the parameter is not there. */
  number(name: string, { maximum, minimum }: Range): number {
    if (!this.#left.has(name)) return 0
    const value = this.#take(name) ?? ""
    const number = /^[1-9][0-9]?$/.test(value) ? Number(value) : 0
    if (number >= minimum && number <= maximum) return number
    this.#problem ??= `${name} is not a whole number from ${minimum} to ${maximum}`
    return 0
  }

  /** Whether the parameter is there, with a number or without. */
  flagOrNumber(name: string, range: Range): boolean {
    return this.#left.get(name) === undefined ? this.flag(name) : this.number(name, range) !== 0
  }

  /** Makes a value of what was read, if nothing is wrong with it and nothing is left. */
  finish<A>(make: () => A): Result.Result<A, string> {
    if (this.#left.size > 0) this.#problem ??= "there is an unknown parameter"
    return this.#problem === undefined
      ? Result.succeed(make())
      : Result.fail(`${this.#extensionName}: ${this.#problem}`)
  }

  #take(name: string): string | undefined {
    const value = this.#left.get(name)
    this.#left.delete(name)
    return value
  }
}

/** An element of Sec-WebSocket-Extensions. A parameter that is `false` or 0 is left out, `true` has no value. */
export const format = (
  name: string,
  parameters: ReadonlyArray<readonly [name: string, value: boolean | number]>
): string =>
  ExtensionHeader.format({
    name,
    parameters: parameters
      .filter(([, value]) => value !== false && value !== 0)
      .map(([name, value]) => ({ name, value: value === true ? undefined : String(value) }))
  })

/** A field that may be left out where a value is constructed. */
export const field = <S extends Schema.Constraint & Schema.WithoutConstructorDefault>(
  schema: S,
  fallback: S["~type.make.in"]
) => Schema.withConstructorDefault<S>(Effect.succeed(fallback))(schema)

export const flag = (fallback: boolean) => field(Schema.Boolean, fallback)

export const numberIn = (range: Range) => Schema.Int.check(Schema.isBetween(range))

/** A number that a parameter has; 0: there is no such parameter. */
export const numberOrNone = ({ maximum, minimum }: Range) =>
  Schema.Int.check(
    Schema.makeFilter((value) => value === 0 || (value >= minimum && value <= maximum), {
      expected: `0 or a value between ${minimum} and ${maximum}`
    })
  )

/** What every accept has. */
export const common = {
  /**
   * Messages shorter than this many bytes go uncompressed. Default: 0, all are compressed, as in Autobahn: with
   * context takeover it is the small ones, much like those before them, that shrink most.
   */
  threshold: field(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)), 0)
}

interface Constructs<Input, A> {
  makeEffect(input: Input, options?: Schema.MakeOptions): Effect.Effect<A, SchemaIssue.Issue>
  makeOption(input: Input): Option.Option<A>
}

type Class<A> = abstract new (...input: never) => A

const showIssue = SchemaIssue.makeFormatterDefault()

const construct = <Input, A>(
  extensionName: string,
  schema: Constructs<Input, A>,
  input: Input
): Result.Result<A, InvalidAccept> =>
  Result.mapError(
    Effect.runSync(Effect.result(schema.makeEffect(input, { parseOptions: { onExcessProperty: "error" } }))),
    (issue) => new InvalidAccept({ extensionName, problem: showIssue(issue) })
  )

/** How one end accepts what the other has sent: offers as a server, a response as a client. */
export const accepting = <Source, Settings, SettingsInput, Accept, AcceptInput, Negotiated>(
  extensionName: string,
  parts: {
    readonly Source: Class<Source>
    readonly Settings: Constructs<SettingsInput, Settings>
    readonly Accept: Class<Accept> & Constructs<AcceptInput, Accept>
    readonly input: (settings: Settings, source: Source) => AcceptInput
    readonly negotiated: (accept: Accept) => Negotiated
  }
) => ({
  /** An accept, where what is inconsistent is a value and not a defect. */
  make: (input: AcceptInput): Result.Result<Accept, InvalidAccept> =>
    construct(extensionName, parts.Accept, input),

  /** The accept by the settings, where they are consistent with what is accepted. Throws for settings that never are. */
  acceptor: (settings: SettingsInput): ((source: object) => Accept | undefined) => {
    const checked = Result.getOrThrow(construct(extensionName, parts.Settings, settings))
    return (source) =>
      source instanceof parts.Source
        ? Option.getOrUndefined(parts.Accept.makeOption(parts.input(checked, source)))
        : undefined
  },

  /** What an accept amounts to. Fails when it is none of the extension's. */
  negotiated: (accept: object): Result.Result<Negotiated, string> =>
    accept instanceof parts.Accept
      ? Result.succeed(parts.negotiated(accept))
      : Result.fail(`the accept is none of ${extensionName}`)
})

/** The extension of what a module knows of it, and a codec for what was negotiated. */
export const extension =
  <Response extends PerMessageCompressResponse, Negotiated>(parts: {
    readonly name: string
    readonly parseOffer: CompressionExtension["parseOffer"]
    readonly parseResponse: (
      parameters: ReadonlyArray<ExtensionHeader.ExtensionParameter>
    ) => Result.Result<Response, string>
    readonly checkResponse: (
      offers: ReadonlyArray<PerMessageCompressOffer>,
      response: Response
    ) => Result.Result<Response, string>
    readonly fromOfferAccept: (accept: PerMessageCompressOfferAccept) => Result.Result<Negotiated, string>
    readonly fromResponseAccept: (
      accept: PerMessageCompressResponseAccept
    ) => Result.Result<Negotiated, string>
    readonly acceptResponse: () => ResponseAcceptor
  }) =>
  (codec: (negotiated: Negotiated) => PerMessageCompress): CompressionExtension => ({
    name: parts.name,
    parseOffer: parts.parseOffer,
    parseResponse: (parameters, offers) =>
      Result.flatMap(parts.parseResponse(parameters), (response) => parts.checkResponse(offers, response)),
    acceptResponse: parts.acceptResponse(),
    fromOfferAccept: (accept) => Result.map(parts.fromOfferAccept(accept), codec),
    fromResponseAccept: (accept) => Result.map(parts.fromResponseAccept(accept), codec)
  })

/** What an end sets for itself, where the other end may have asked for at most `limit`; 0: it has not. */
export const within = (limit: number, own: number | undefined): number | undefined =>
  own === undefined || limit === 0 ? own : Math.min(own, limit)

/** What is wrong; `undefined`: nothing. */
export type Problem = string | undefined

/** An accept may ask for what the offer allows it to ask for only. */
export const requestProblem = (
  name: string,
  requested: boolean | number,
  accepted: boolean,
  parameter: string
): Problem =>
  requested !== false && requested !== 0 && !accepted
    ? `${name} is set, but the client has not offered ${parameter}`
    : undefined

/** An end keeps to the no context takeover that the other end has asked for. */
export const takeoverProblem = (requested: boolean, own: boolean | undefined): Problem =>
  requested && own === false ? "noContextTakeover is false, but the peer has asked for it" : undefined

/** An end keeps to the maximum that the other end has asked for; 0: it has not. */
export const limitProblem = (name: string, limit: number, own: number | undefined): Problem =>
  limit !== 0 && own !== undefined && own > limit
    ? `${name} is ${own}, but the peer has asked for at most ${limit}`
    : undefined

/** A response has the flag that the offer asks for. */
export const flagMisfit = (parameter: string, requested: boolean, given: boolean): Problem =>
  requested && !given ? `${parameter} was requested, but is not in the response` : undefined

/** A response has at most the maximum that the offer asks for, and says so. */
export const limitMisfit = (parameter: string, requested: number, given: number): Problem => {
  if (requested === 0 || (given !== 0 && given <= requested)) return undefined
  return given === 0
    ? `${parameter} was requested, but is not in the response`
    : `${parameter} is larger than requested`
}

/** A response has what the offer says that the client accepts only. */
export const acceptMisfit = (parameter: string, accepted: boolean, given: boolean | number): Problem =>
  given !== false && given !== 0 && !accepted
    ? `${parameter} is in the response, but was not offered`
    : undefined

/** The response, if it fits one of the extension's offers. Otherwise it is said why it does not fit the first one. */
export const fitting = <O, R>(
  extensionName: string,
  offers: ReadonlyArray<PerMessageCompressOffer>,
  Offer: Class<O>,
  response: R,
  misfit: (offer: O) => Problem
): Result.Result<R, string> => {
  let problem: Problem
  for (const offer of offers) {
    if (!(offer instanceof Offer)) continue
    const misfits = misfit(offer)
    if (misfits === undefined) return Result.succeed(response)
    problem ??= misfits
  }
  return Result.fail(`${extensionName}: ${problem ?? "it was not offered"}`)
}
