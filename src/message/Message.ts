/**
 * Messages as an application sees them (RFC 6455 section 5.6). Those that can be logged or sent on have a Schema
 * of the same name: `Schema.toCodecJson` makes JSON of it.
 */
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import { Bytes } from "../bytes/Bytes.ts"
import * as Utf8 from "../bytes/Utf8.ts"

/** A received message: text as a string, binary as bytes. */
export type Message = string | Uint8Array

/** {@link Message}; in JSON, text is a string and binary is `{ "base64": "AQID" }`. */
export const Message = Schema.Union([Schema.String, Bytes]) satisfies Schema.Codec<Message>

/** A received message as bytes: text is its UTF-8 (Autobahn's `IncomingMessage`). */
export interface IncomingMessage {
  readonly payload: Uint8Array
  readonly isBinary: boolean
}

/** {@link IncomingMessage}; in JSON, the payload is base64. */
export const IncomingMessage = Schema.Struct({
  payload: Schema.Uint8Array,
  isBinary: Schema.Boolean
}) satisfies Schema.Codec<IncomingMessage>

/** What can be sent: a string as text, bytes in any view of them as binary. */
export type Payload = string | ArrayBufferView

/** {@link Payload}; JSON is that of {@link Message}, and gives bytes back as a `Uint8Array`. */
export const Payload = Schema.Union([
  Schema.String,
  Schema.declare(ArrayBuffer.isView, {
    expected: "ArrayBufferView",
    toCodecJson: () =>
      Schema.link<ArrayBufferView>()(
        Bytes,
        SchemaTransformation.transform({ decode: (bytes): ArrayBufferView => bytes, encode: toBytes })
      )
  })
]) satisfies Schema.Codec<Payload>

/** A message to send, where its type does not follow from the payload's (Autobahn's `OutgoingMessage`). */
export interface OutgoingMessage {
  /** Text may be given as UTF-8 bytes. */
  readonly payload: Payload
  /** Defaults to whether the payload is bytes. */
  readonly isBinary?: boolean | undefined
  /** Never compress this message, where compression is negotiated. Default: `false`. */
  readonly skipCompress?: boolean | undefined
}

/** {@link OutgoingMessage}; in JSON, the payload is that of {@link Payload}. */
export const OutgoingMessage = Schema.Struct({
  payload: Payload,
  isBinary: Schema.optional(Schema.Boolean),
  skipCompress: Schema.optional(Schema.Boolean)
}) satisfies Schema.Codec<OutgoingMessage>

/**
 * A received text whose bytes were kept: because nobody validates it, or
 * because the application asked for bytes.
 */
export class EncodedText {
  readonly bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }
}

/** A part of a received message, for an application that reads messages as streams. */
export class MessagePiece {
  readonly bytes: Uint8Array
  readonly isBinary: boolean
  /** The message ends with this piece. */
  readonly isLast: boolean

  constructor(bytes: Uint8Array, isBinary: boolean, isLast: boolean) {
    this.bytes = bytes
    this.isBinary = isBinary
    this.isLast = isLast
  }
}

/** A received message as a connection holds it until it is asked for. */
export type ReceivedMessage = Message | EncodedText

/**
 * The message as a string or bytes; `undefined` when it is a text too long for a
 * string. Text that nobody validated gets U+FFFD where it is not UTF-8.
 */
export const toMessage = (received: ReceivedMessage): Message | undefined =>
  received instanceof EncodedText ? Utf8.decodeLossy(received.bytes) : received

/** The message as bytes. */
export const toIncomingMessage = (received: ReceivedMessage): IncomingMessage =>
  typeof received === "string"
    ? { payload: Utf8.encode(received), isBinary: false }
    : received instanceof EncodedText
      ? { payload: received.bytes, isBinary: false }
      : { payload: received, isBinary: true }

/** The bytes that a view shows, without a copy. */
export const toBytes = (view: ArrayBufferView): Uint8Array =>
  view instanceof Uint8Array ? view : new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
