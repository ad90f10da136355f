/** The query of a request target, as names and values (the URL Standard's application/x-www-form-urlencoded). */
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"

/** The values of each name, in their order. It has no prototype, so every name it has was given. */
export type Params = Readonly<Record<string, ReadonlyArray<string>>>

// Without a prototype, `__proto__` and `constructor` are names like any other.
const empty = <A>(): Record<string, A> => Object.create(null)

const JsonParams = Schema.Record(Schema.String, Schema.Array(Schema.String))

/** {@link Params}, in JSON an object. */
export const Params = Schema.declare<Params>(Schema.is(JsonParams), {
  expected: "lists of strings by name",
  toCodecJson: () =>
    Schema.link<Params>()(
      JsonParams,
      SchemaTransformation.transform({
        decode: (params) => Object.assign(empty<ReadonlyArray<string>>(), params),
        encode: (params) => params
      })
    )
})

const none: Params = Object.freeze(empty<ReadonlyArray<string>>())

/** Decodes a query, without its `?`: `foo=1&foo=2` is `{ foo: ["1", "2"] }`. What is not UTF-8 becomes U+FFFD. */
export const parseQuery = (query: string): Params => {
  if (query === "") return none
  const params = empty<Array<string>>()
  // With its mark: it is what is dropped, and not another one behind it.
  for (const [name, value] of new URLSearchParams(`?${query}`)) {
    const values = params[name]
    if (values === undefined) {
      params[name] = [value]
    } else {
      values.push(value)
    }
  }
  return params
}
