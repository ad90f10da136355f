/**
 * The grammar of Sec-WebSocket-Extensions (RFC 6455 section 9.1). What an extension or a parameter means is
 * judged by the extension.
 */
import * as Result from "effect/Result"
import { isToken, isTokenCode } from "../bytes/Token.ts"

/** `name` or `name=value`; a quoted value is given without its quotes. Both are tokens as received. */
export interface ExtensionParameter {
  readonly name: string
  readonly value: string | undefined
}

/** One element of the header. Parameters are in the order of the wire, duplicates included. */
export interface Extension {
  readonly name: string
  readonly parameters: ReadonlyArray<ExtensionParameter>
}

const none: Result.Result<ReadonlyArray<never>> = Result.succeed([])

/**
 * Parses all values of the header as one list (RFC 6455 section 11.3.2). Strict, in one pass over each value;
 * empty list elements are skipped (RFC 7230 section 7). The failure says what is wrong and where, and quotes
 * nothing.
 */
export const parse = (values: ReadonlyArray<string>): Result.Result<ReadonlyArray<Extension>, string> => {
  if (values.length === 0) return none
  const extensions: Array<Extension> = []
  for (const value of values) {
    const failure = new ValueParser(value).parse(extensions)
    if (failure !== undefined) return Result.fail(failure)
  }
  return Result.succeed(extensions)
}

/** The inverse of `parse` for one extension whose names and values are tokens. */
export const format = (extension: Extension): string => {
  let text = extension.name
  for (const { name, value } of extension.parameters)
    text += value === undefined ? `; ${name}` : `; ${name}=${value}`
  return text
}

/** The header's value for extensions as text, in order; `undefined` for none: there is no header then. */
export const join = (extensions: ReadonlyArray<string>): string | undefined =>
  extensions.length === 0 ? undefined : extensions.join(", ")

class ValueParser {
  readonly #text: string
  #position = 0

  constructor(text: string) {
    this.#text = text
  }

  /** Appends the extensions to `extensions`; returns what is wrong with the value, if anything. */
  parse(extensions: Array<Extension>): string | undefined {
    for (;;) {
      this.#skipWhitespace()
      if (this.#take(",")) continue
      if (this.#position === this.#text.length) return undefined
      const name = this.#token()
      if (name === undefined) return this.#expected("an extension name")
      const parameters: Array<ExtensionParameter> = []
      extensions.push({ name, parameters })
      this.#skipWhitespace()
      while (this.#take(";")) {
        const failure = this.#parameter(parameters)
        if (failure !== undefined) return failure
      }
      if (this.#position < this.#text.length && !this.#take(",")) return this.#expected('";" or ","')
    }
  }

  #parameter(parameters: Array<ExtensionParameter>): string | undefined {
    this.#skipWhitespace()
    const name = this.#token()
    if (name === undefined) return this.#expected("a parameter name")
    this.#skipWhitespace()
    let value: string | undefined
    if (this.#take("=")) {
      this.#skipWhitespace()
      value = this.#take('"') ? this.#quoted() : this.#token()
      if (value === undefined) return this.#expected("a parameter value")
      this.#skipWhitespace()
    }
    parameters.push({ name, value })
    return undefined
  }

  #token(): string | undefined {
    const start = this.#position
    while (isTokenCode(this.#text.charCodeAt(this.#position))) this.#position++
    return this.#position > start ? this.#text.slice(start, this.#position) : undefined
  }

  // RFC 6455 section 9.1: after unescaping, a quoted value must be a token too.
  #quoted(): string | undefined {
    let value = ""
    while (!this.#take('"')) {
      this.#take("\\")
      const char = this.#text.charAt(this.#position)
      if (!isToken(char)) return undefined
      value += char
      this.#position++
    }
    return value.length > 0 ? value : undefined
  }

  #take(char: string): boolean {
    if (this.#text.charAt(this.#position) !== char) return false
    this.#position++
    return true
  }

  #skipWhitespace(): void {
    let char = this.#text.charAt(this.#position)
    while (char === " " || char === "\t") char = this.#text.charAt(++this.#position)
  }

  #expected(what: string): string {
    return `Sec-WebSocket-Extensions: expected ${what} at offset ${this.#position}`
  }
}
