/**
 * Arbitrary texts, payloads, frames, streams of them, and cuts.
 */
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import {
  Binary,
  bytesOf,
  Close,
  Continuation,
  closePayload,
  concat,
  cutAt,
  type FrameFields,
  frame,
  type Key,
  Ping,
  Pong,
  piecesOf,
  Text,
  toHex,
  utf8
} from "./frames.ts"

export const int = (minimum: number, maximum: number): Arbitrary.Arbitrary<number> =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

export const boolean: Arbitrary.Arbitrary<boolean> = Arbitrary.schema(Schema.Boolean)

/** One of the arbitraries, each as likely; a failure shrinks towards the first. */
export const oneOf = <A>(...choices: ReadonlyArray<Arbitrary.Arbitrary<A>>): Arbitrary.Arbitrary<A> =>
  Arbitrary.flatMap(int(0, choices.length - 1), (i) => choices[i]!)

/** One of the values, each as likely; a failure shrinks towards the first. */
export const pick = <const A>(...values: ReadonlyArray<A>): Arbitrary.Arbitrary<A> =>
  Arbitrary.map(int(0, values.length - 1), (i) => values[i]!)

/** A value that stands in a failure's report in a few words; the report's replay token gives it back whole. */
export class Described<A> {
  readonly value: A
  readonly #words: string

  constructor(value: A, words: string) {
    this.value = value
    this.#words = words
  }

  toString(): string {
    return this.#words.length > 4000 ? `${this.#words.slice(0, 4000)}…` : this.#words
  }
}

// Around the borders of a length's three forms, of what is copied, and of a slab.
const telling = [0, 1, 2, 124, 125, 126, 127, 128, 255, 4095, 4096, 4097, 65_535, 65_536, 65_537]

const codePoint = oneOf(
  int(0x20, 0x7e),
  pick(0xfeff, 0, 0x7f, 0x80, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xfffd, 0xffff, 0x10000, 0x10ffff),
  int(0x80, 0xd7ff),
  int(0x10000, 0x10ffff)
)

const points = Arbitrary.map(Arbitrary.array(codePoint, { maxLength: 100 }), (points) =>
  String.fromCodePoint(...points)
)

/** Any text without lone surrogates: byte order marks and astral characters too, now and then a long one. */
export const text: Arbitrary.Arbitrary<string> = oneOf(
  points,
  points,
  Arbitrary.map(Arbitrary.all([pick("a", "é", "€", "😀"), pick(...telling)]), ([unit, length]) =>
    unit.repeat(Math.ceil(length / utf8(unit).length))
  )
)

const shortBytes = (maxLength: number): Arbitrary.Arbitrary<Uint8Array> =>
  Arbitrary.map(Arbitrary.array(int(0, 255), { maxLength }), (bytes) => Uint8Array.from(bytes))

export const bytes: Arbitrary.Arbitrary<Uint8Array> = oneOf(
  shortBytes(100),
  Arbitrary.map(Arbitrary.all([pick(...telling), int(0, 1000)]), ([length, start]) => bytesOf(length, start))
)

export const controlPayload: Arbitrary.Arbitrary<Uint8Array> = oneOf(
  shortBytes(125),
  Arbitrary.map(pick(0, 1, 124, 125), (length) => bytesOf(length))
)

export const key: Arbitrary.Arbitrary<Key> = oneOf<Key>(
  Arbitrary.map(
    Arbitrary.all([int(0, 255), int(0, 255), int(0, 255), int(0, 255)]),
    ([a, b, c, d]): Key => [a, b, c, d]
  ),
  pick([0, 0, 0, 0], [0xff, 0xff, 0xff, 0xff], [0x80, 0, 0, 0])
)

/** A way to cut a stream into chunks. */
export type Cut = (stream: Uint8Array) => Array<Uint8Array>

export const cut: Arbitrary.Arbitrary<Described<Cut>> = oneOf(
  Arbitrary.map(Arbitrary.array(int(0, 0xff_ffff), { maxLength: 20 }), (places) => {
    const cut: Cut = (stream) =>
      cutAt(
        stream,
        places.map((place) => place % Math.max(1, stream.length))
      )
    return new Described(cut, `cut at ${places}, modulo the length`)
  }),
  // In small pieces near the start, where the headers of short streams are.
  Arbitrary.map(Arbitrary.array(int(0, 300), { maxLength: 30 }), (places) => {
    const cut: Cut = (stream) => cutAt(stream, places)
    return new Described(cut, `cut at ${places}`)
  }),
  Arbitrary.map(pick(1, 2, 3, 5, 13, 126, 4096), (size) => {
    const cut: Cut = (stream) => piecesOf(stream, stream.length > 20_000 ? size * 100 : size)
    return new Described(cut, `cut into pieces of ${size}, a hundred times that if long`)
  })
)

/** What is sent: a message, or a control frame between messages. */
export type Sent =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "binary" | "ping" | "pong"; readonly payload: Uint8Array }

const sentBytes = (
  kind: "binary" | "ping" | "pong",
  payload: Arbitrary.Arbitrary<Uint8Array>
): Arbitrary.Arbitrary<Described<Sent>> =>
  Arbitrary.map(payload, (payload) => new Described<Sent>({ kind, payload }, `${kind} ${toHex(payload)}`))

export const sent: Arbitrary.Arbitrary<Described<Sent>> = oneOf(
  Arbitrary.map(text, (text) => new Described<Sent>({ kind: "text", text }, `text ${JSON.stringify(text)}`)),
  sentBytes("binary", bytes),
  sentBytes("ping", controlPayload),
  sentBytes("pong", controlPayload)
)

/** A message's frames, with control frames among them. */
const messageFrames: Arbitrary.Arbitrary<ReadonlyArray<FrameFields>> = Arbitrary.map(
  Arbitrary.all([
    oneOf<readonly [number, Uint8Array]>(
      Arbitrary.map(text, (value) => [Text, utf8(value)] as const),
      Arbitrary.map(bytes, (payload) => [Binary, payload] as const)
    ),
    Arbitrary.array(int(0, 0xff_ffff), { maxLength: 6 }),
    Arbitrary.array(Arbitrary.all([int(0, 6), pick(Ping, Pong), controlPayload]), { maxLength: 3 })
  ]),
  ([[opcode, payload], places, controls]) => {
    const parts =
      places.length === 0
        ? [payload]
        : cutAt(
            payload,
            places.map((place) => place % (payload.length + 1))
          )
    const frames = parts.map(
      (part, i): FrameFields => ({
        opcode: i === 0 ? opcode : Continuation,
        fin: i === parts.length - 1,
        payload: part
      })
    )
    for (const [place, control, content] of controls) {
      frames.splice(place % (frames.length + 1), 0, { opcode: control, payload: content })
    }
    return frames
  }
)

const closeFrame: Arbitrary.Arbitrary<ReadonlyArray<FrameFields>> = Arbitrary.map(
  oneOf(
    Arbitrary.map(
      Arbitrary.all([pick(1000, 1001, 3000, 4999, 1005, 2999, 0), shortBytes(5)]),
      ([code, reason]) => concat(closePayload(code), reason)
    ),
    shortBytes(3)
  ),
  (payload) => [{ opcode: Close, payload }]
)

/** Any frame at all, most of them against some rule. */
const strayFrame: Arbitrary.Arbitrary<ReadonlyArray<FrameFields>> = Arbitrary.map(
  Arbitrary.all([
    int(0, 15),
    boolean,
    pick(0, 0, 0, 0x10, 0x40),
    shortBytes(40),
    pick<7 | 16 | 64>(7, 7, 16, 64)
  ]),
  ([opcode, fin, reservedBits, payload, lengthForm]) => [{ opcode, fin, reservedBits, payload, lengthForm }]
)

const encode = (groups: ReadonlyArray<ReadonlyArray<FrameFields>>, keys: ReadonlyArray<Key>): Uint8Array =>
  concat(...groups.flat().map((fields, i) => frame({ ...fields, key: keys[i % keys.length] })))

const described = (stream: Arbitrary.Arbitrary<Uint8Array>): Arbitrary.Arbitrary<Described<Uint8Array>> =>
  Arbitrary.map(stream, (bytes) => new Described(bytes, `${bytes.length} bytes ${toHex(bytes)}`))

/** The frames of messages as a server (without keys) or a client sends them: nothing in them is wrong. */
export const messageStream = (masked: boolean): Arbitrary.Arbitrary<Described<Uint8Array>> =>
  described(
    Arbitrary.map(
      Arbitrary.all([
        Arbitrary.array(messageFrames, { minLength: 1, maxLength: 8 }),
        Arbitrary.array(key, { minLength: 1, maxLength: 4 })
      ]),
      ([messages, keys]) => encode(messages, masked ? keys : [])
    )
  )

/** Messages and Close frames, now and then a frame against the rules. */
const nearlyRight = (masked: boolean): Arbitrary.Arbitrary<Uint8Array> =>
  Arbitrary.map(
    Arbitrary.all([
      Arbitrary.array(
        oneOf(messageFrames, messageFrames, messageFrames, messageFrames, strayFrame, closeFrame),
        {
          minLength: 2,
          maxLength: 8
        }
      ),
      Arbitrary.array(key, { minLength: 1, maxLength: 4 })
    ]),
    ([groups, keys]) => encode(groups, masked ? keys : [])
  )

type Edit = readonly ["flip" | "drop" | "add" | "end", number, number]

const edit: Arbitrary.Arbitrary<Edit> = Arbitrary.all([
  pick("flip", "flip", "drop", "add", "end"),
  oneOf(int(0, 40), int(0, 0xff_ffff)),
  int(0, 255)
])

const apply = (stream: Uint8Array, [kind, place, value]: Edit): Uint8Array => {
  const at = place % (stream.length + 1)
  const [before, after] = [stream.slice(0, at), stream.slice(at)]
  if (kind === "end") return before
  if (kind === "add") return concat(before, Uint8Array.of(value), after)
  if (kind === "drop") return concat(before, after.slice(1))
  return concat(
    before,
    after.slice(0, 1).map((byte) => byte ^ (1 << (value % 8))),
    after.slice(1)
  )
}

/** Bytes that a peer, broken or hostile, might send. */
export const anyStream = (masked: boolean): Arbitrary.Arbitrary<Described<Uint8Array>> => {
  const mutated = Arbitrary.map(
    Arbitrary.all([nearlyRight(masked), Arbitrary.array(edit, { minLength: 1, maxLength: 3 })]),
    ([stream, edits]) => edits.reduce(apply, stream)
  )
  return described(
    oneOf(nearlyRight(masked), nearlyRight(masked), mutated, mutated, mutated, shortBytes(200))
  )
}
