/**
 * Values on their way through JSON text, by the codec of their Schema.
 */
import { assert } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

/** The JSON of the value, and the value that comes back from its text. */
export const throughJson = <S extends Schema.Codec<unknown, unknown>>(
  schema: S,
  value: S["Type"]
): { readonly json: unknown; readonly decoded: S["Type"] } => {
  const codec = Schema.toCodecJson(schema)
  const json: unknown = Result.getOrThrow(Schema.encodeResult(codec)(value))
  const text: unknown = JSON.parse(JSON.stringify(json))
  assert.deepStrictEqual(text, json)
  return { json, decoded: Result.getOrThrow(Schema.decodeUnknownResult(codec)(text)) }
}

/** What JSON that is no value of the Schema fails with. */
export const refusedJson = (schema: Schema.Codec<unknown, unknown>, json: unknown): string => {
  const result = Schema.decodeUnknownResult(Schema.toCodecJson(schema))(json)
  if (Result.isSuccess(result)) return assert.fail(`decoded: ${JSON.stringify(result.success)}`)
  assert.instanceOf(result.failure, Schema.SchemaError)
  return result.failure.message
}
