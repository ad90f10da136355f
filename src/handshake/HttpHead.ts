/**
 * The head of an HTTP/1.1 message (RFC 7230 section 3): bytes to plain data and back.
 *
 * The reader is stricter than RFC 7230 asks: lines end at CRLF and nowhere else, there is no line folding,
 * and no control character survives. What two parsers could read in two ways is refused instead of
 * interpreted.
 */

import * as Latin1 from "../bytes/Latin1.ts"
import { isToken, isTokenCode } from "../bytes/Token.ts"
import { shared } from "./SharedValues.ts"

/** Header fields in the order of the wire; names as received, values without surrounding SP and HTAB. */
export type Headers = ReadonlyArray<readonly [name: string, value: string]>

/** A request or response head: the first line without its CRLF, and the header fields, decoded as latin1. */
export interface HttpHead {
  readonly startLine: string
  readonly headers: Headers
}

/** Caps while reading: bytes from the start line to the blank line inclusive, and number of header lines. */
export interface HeadLimits {
  readonly maxBytes: number
  readonly maxHeaders: number
}

/** Why a head was refused. `message` quotes nothing of the input. */
export interface HeadError {
  readonly kind: "TooLarge" | "TooManyHeaders" | "Malformed"
  readonly message: string
}

/** The outcome of a `push`. `rest` is a view of the bytes that follow the head in the pushed chunk. */
export type HeadResult =
  | { readonly _tag: "Incomplete" }
  | { readonly _tag: "Complete"; readonly head: HttpHead; readonly rest: Uint8Array }
  | { readonly _tag: "Invalid"; readonly error: HeadError }

const HTAB = 0x09
const LF = 0x0a
const CR = 0x0d
const SP = 0x20
const COLON = 0x3a
const DEL = 0x7f

const isControl = (code: number): boolean => (code < SP && code !== HTAB) || code === DEL

/**
 * Whether `text` can be sent as a header value (RFC 7230 section 3.2): latin1 without control characters but
 * HTAB.
 */
export const isFieldValue = (text: string): boolean => {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (isControl(code) || code > 0xff) return false
  }
  return true
}

/**
 * `text` without leading and trailing SP and HTAB (OWS, RFC 7230 section 3.2.3); other white space is kept.
 */
export const trimWhitespace = (text: string): string => {
  let start = 0
  let end = text.length
  while (start < end && isWhitespace(text.charCodeAt(start))) start++
  while (end > start && isWhitespace(text.charCodeAt(end - 1))) end--
  return text.slice(start, end)
}

const isWhitespace = (code: number): boolean => code === SP || code === HTAB

/** All values of the header `name` (case-insensitive), in the order of the wire. */
export const header = (headers: Headers, name: string): ReadonlyArray<string> => {
  let wanted: string | undefined
  let values: Array<string> | undefined
  // For each request a dozen names are looked for, and most are not there.
  for (let i = 0; i < headers.length; i++) {
    const line = headers[i]!
    if (line[0].length !== name.length) continue
    if (line[0] !== name) {
      wanted ??= name.toLowerCase()
      if (line[0].toLowerCase() !== wanted) continue
    }
    if (values === undefined) values = [line[1]]
    else values.push(line[1])
  }
  return values ?? none
}

const none: ReadonlyArray<never> = []

/**
 * The trimmed elements of a comma-separated list over all values (RFC 7230 section 3.2.2), empty ones
 * included.
 */
export const elements = (values: ReadonlyArray<string>): ReadonlyArray<string> =>
  // One value of one element, or none, is the rule.
  values.length === 0
    ? none
    : values.some((value) => value.includes(","))
      ? values.flatMap((value) => value.split(",")).map(trimWhitespace)
      : values.map(trimWhitespace)

/**
 * The elements of a `#token` list over all values; empty elements are skipped (RFC 7230 section 7).
 * `undefined` when an element is not a token.
 */
export const tokens = (values: ReadonlyArray<string>): ReadonlyArray<string> | undefined => {
  const found = elements(values).filter((element) => element.length > 0)
  return found.every(isToken) ? found : undefined
}

/**
 * What keeps `headers` from being added to a head, as text for the caller: a name or value that HTTP does not
 * allow, or a header that is owned by the one who writes the head. `isOwned` gets the name in lower case.
 * `undefined`: nothing.
 */
export const headersProblem = (
  headers: Headers,
  isOwned: (lowerCaseName: string) => boolean
): string | undefined => {
  for (const [name, value] of headers) {
    if (!isToken(name)) return `invalid header name ${JSON.stringify(name)}`
    if (!isFieldValue(value)) return `invalid value of header ${name}`
    if (isOwned(name.toLowerCase())) return `header ${name} is set by the opening handshake`
  }
  return undefined
}

/**
 * A head on the wire: latin1, CRLF, blank line included. Nothing is checked here: the caller has validated
 * the start line and the headers (`isToken`, `isFieldValue`, `headersProblem`).
 */
export const encodeHead = (startLine: string, headers: Headers): Uint8Array => {
  let text = `${startLine}\r\n`
  for (const [name, value] of headers) text += `${name}: ${value}\r\n`
  return Latin1.encode(`${text}\r\n`)
}

/** Bytes of a head on the wire: a line end after each line, a colon and a space in each header, and a blank line. */
export const headSize = ({ headers, startLine }: HttpHead): number =>
  headers.reduce((size, [name, value]) => size + name.length + value.length + 4, startLine.length + 4)

const inStartLine = 0
const afterStartLine = 1
const atLineStart = 2
const inName = 3
const inValue = 4
const afterValue = 5
const atEnd = 6
type State =
  | typeof inStartLine
  | typeof afterStartLine
  | typeof atLineStart
  | typeof inName
  | typeof inValue
  | typeof afterValue
  | typeof atEnd

/** Where a header's name and value stand in the head. */
interface Field {
  readonly nameStart: number
  readonly nameEnd: number
  readonly start: number
  readonly end: number
}

const noBytes = new Uint8Array(0)

const malformed = (message: string): HeadError => ({ kind: "Malformed", message })
const incomplete: HeadResult = { _tag: "Incomplete" }

/**
 * Reads one HTTP head from chunks that may be cut anywhere. Every byte is looked at once, so the work is
 * linear in the bytes however they are cut. It keeps a copy of what has come and no reference to a chunk.
 *
 *     start line -CR-> . -LF-> line start -tchar-> name -":"-> value -CR-> . -LF-> line start
 *                                  \-CR-> . -LF-> complete
 *
 * An outcome other than `Incomplete` is final: after `Complete` a further chunk is all `rest`, after
 * `Invalid` the same error is returned.
 */
export class HeadReader {
  readonly #maxBytes: number
  readonly #maxHeaders: number
  // The head before the chunk at hand: the first `#length` bytes. Grows by doubling.
  #buffer = noBytes
  #length = 0
  #state: State = inStartLine
  #startLineEnd = 0
  #fields: Array<Field> = []
  #nameStart = 0
  #nameEnd = 0
  #start = 0
  #end = 0
  #outcome: HttpHead | HeadError | undefined

  /** A limit that is not a number admits nothing. */
  constructor(limits: HeadLimits) {
    this.#maxBytes = limits.maxBytes >= 0 ? Math.floor(limits.maxBytes) : 0
    this.#maxHeaders = limits.maxHeaders >= 0 ? limits.maxHeaders : 0
  }

  /** Takes the next bytes of the connection. */
  push(chunk: Uint8Array): HeadResult {
    if (this.#outcome !== undefined) return this.#result(this.#outcome, chunk)
    const base = this.#length
    const taken = chunk.subarray(0, this.#maxBytes - base)
    for (let i = 0; i < taken.length; i++) {
      const outcome = this.#step(taken[i]!, base + i)
      if (outcome === undefined) continue
      return this.#finish(outcome === "Complete" ? this.#read(taken) : outcome, chunk.subarray(i + 1))
    }
    if (taken.length === chunk.length) {
      this.#store(taken)
      return incomplete
    }
    const message = `HTTP head is larger than ${this.#maxBytes} bytes`
    return this.#finish({ kind: "TooLarge", message }, chunk)
  }

  #finish(outcome: HttpHead | HeadError, rest: Uint8Array): HeadResult {
    this.#outcome = outcome
    this.#buffer = noBytes
    return this.#result(outcome, rest)
  }

  #result(outcome: HttpHead | HeadError, rest: Uint8Array): HeadResult {
    return "kind" in outcome ? { _tag: "Invalid", error: outcome } : { _tag: "Complete", head: outcome, rest }
  }

  /** The head, whose last bytes are among `taken`. */
  #read(taken: Uint8Array): HttpHead {
    if (this.#length > 0) this.#store(taken)
    const bytes = this.#length > 0 ? this.#buffer : taken
    // Decoded one by one: a slice of a long string keeps all of it, for as long as a connection keeps its request.
    return {
      startLine: Latin1.decode(bytes, 0, this.#startLineEnd),
      headers: this.#fields.map(({ end, nameEnd, nameStart, start }) => {
        const name = Latin1.decode(bytes, nameStart, nameEnd)
        return [name, shared(name, Latin1.decode(bytes, start, end))]
      })
    }
  }

  #store(bytes: Uint8Array): void {
    const needed = this.#length + bytes.length
    if (needed > this.#buffer.length) {
      const grown = new Uint8Array(Math.max(needed, Math.min(2 * this.#buffer.length, this.#maxBytes)))
      grown.set(this.#buffer.subarray(0, this.#length))
      this.#buffer = grown
    }
    this.#buffer.set(bytes, this.#length)
    this.#length = needed
  }

  #step(byte: number, at: number): HeadError | "Complete" | undefined {
    switch (this.#state) {
      case inStartLine:
        if (byte === CR && at > 0) {
          this.#startLineEnd = at
          this.#state = afterStartLine
          return undefined
        }
        // A reason phrase may hold bytes from 0x80 on (RFC 7230 section 3.1.2); a request line may not.
        return byte < SP || byte === DEL ? malformed("invalid character in the start line") : undefined
      case atLineStart:
        if (byte === CR) {
          this.#state = atEnd
          return undefined
        }
        if (isWhitespace(byte)) return malformed("header line starts with white space")
        if (this.#fields.length >= this.#maxHeaders) {
          return {
            kind: "TooManyHeaders",
            message: `HTTP head has more than ${this.#maxHeaders} header lines`
          }
        }
        this.#nameStart = at
        this.#state = inName
        return isTokenCode(byte) ? undefined : malformed("invalid header name")
      case inName:
        if (byte !== COLON) return isTokenCode(byte) ? undefined : malformed("invalid header name")
        this.#nameEnd = at
        this.#start = this.#end = at + 1
        this.#state = inValue
        return undefined
      case inValue:
        if (byte === CR) {
          this.#fields.push({
            nameStart: this.#nameStart,
            nameEnd: this.#nameEnd,
            start: this.#start,
            end: this.#end
          })
          this.#state = afterValue
          return undefined
        }
        if (isControl(byte)) return malformed("invalid character in a header value")
        if (!isWhitespace(byte)) {
          this.#end = at + 1
        } else if (this.#end === this.#start) {
          this.#start = this.#end = at + 1
        }
        return undefined
      case afterStartLine:
      case afterValue:
      case atEnd:
        if (byte !== LF) return malformed("CR without LF")
        if (this.#state === atEnd) return "Complete"
        this.#state = atLineStart
        return undefined
    }
  }
}
