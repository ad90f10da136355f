/** Bytes as a Schema, for where text may stand in their place: `{ "base64": "AQID" }` in JSON. */
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"

/** Bytes that JSON tells from text. */
export const Bytes = Schema.Uint8Array.annotate({
  toCodecJson: () =>
    Schema.link<Uint8Array>()(
      Schema.Struct({ base64: Schema.Uint8ArrayFromBase64 }),
      SchemaTransformation.transform({ decode: ({ base64 }) => base64, encode: (base64) => ({ base64 }) })
    )
})
