import { assert, describe, it } from "@effect/vitest"
import * as Utf8 from "../../src/bytes/Utf8.ts"
import { cutAt, toHex, utf8 } from "../support/frames.ts"
import { everyKind, firstWrongByte, isUtf8, mayBecomeUtf8, wellFormed } from "../support/utf8.ts"
import { withGlobal } from "../support/withGlobal.ts"

/** Index of the byte at which the validator gives up, fed byte by byte; the length where it does not. */
const failsAt = (bytes: Uint8Array): number => {
  const validator = new Utf8.Utf8Validator()
  for (let i = 0; i < bytes.length; i++) {
    if (!validator.write(bytes.subarray(i, i + 1))) return i
  }
  return bytes.length
}

const inPieces = (pieces: ReadonlyArray<Uint8Array>): boolean => {
  const validator = new Utf8.Utf8Validator()
  return pieces.every((piece) => validator.write(piece)) && validator.isComplete
}

const agrees = (bytes: Uint8Array): void => {
  const expected = isUtf8(bytes)
  if (inPieces([bytes]) !== expected) assert.fail(`${toHex(bytes)}: the validator says ${!expected}`)
  if (Utf8.isValid(bytes) !== expected) assert.fail(`${toHex(bytes)}: isValid is not ${expected}`)
}

/** All sequences with one of the given bytes at each place. */
const product = (...places: ReadonlyArray<ReadonlyArray<number>>): Array<Uint8Array> =>
  places
    .reduce<Array<Array<number>>>(
      (heads, place) => heads.flatMap((head) => place.map((byte) => [...head, byte])),
      [[]]
    )
    .map((bytes) => Uint8Array.from(bytes))

/** The bounds and their neighbours, where they are bytes. */
const around = (...bounds: ReadonlyArray<number>): Array<number> =>
  [...new Set(bounds.flatMap((bound) => [bound - 1, bound, bound + 1]))].filter((b) => b >= 0 && b <= 0xff)

// [what it is, the bytes, the index of the first byte that cannot be continued]
const invalid: ReadonlyArray<readonly [string, ReadonlyArray<number>, number]> = [
  ["a continuation byte alone", [0x61, 0x80], 1],
  ["a second continuation byte too many", [0xc3, 0xa9, 0xa9], 2],
  ["an overlong U+0000", [0xc0, 0x80], 0],
  ["an overlong U+007F", [0xc1, 0xbf], 0],
  ["an overlong U+07FF", [0xe0, 0x9f, 0xbf], 1],
  ["an overlong U+FFFF", [0xf0, 0x8f, 0xbf, 0xbf], 1],
  ["the first surrogate", [0xed, 0xa0, 0x80], 1],
  ["the last surrogate", [0xed, 0xbf, 0xbf], 1],
  ["a surrogate pair (CESU-8)", [0x61, 0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80], 2],
  ["U+110000", [0xf4, 0x90, 0x80, 0x80], 1],
  ["a lead of five bytes", [0xf8, 0x88, 0x80, 0x80, 0x80], 0],
  ["a lead of six bytes", [0xfc, 0x84, 0x80, 0x80, 0x80, 0x80], 0],
  ["FE", [0x61, 0x62, 0xfe], 2],
  ["FF", [0xff], 0],
  ["ASCII where a continuation is due", [0xe2, 0x82, 0x41], 2],
  ["a lead where a continuation is due", [0xf0, 0x9f, 0x98, 0xc3], 3]
]

describe("Utf8Validator", () => {
  it("agrees with the platform on every sequence of one byte", () => {
    for (let byte = 0; byte < 256; byte++) {
      agrees(Uint8Array.of(byte))
      assert.strictEqual(failsAt(Uint8Array.of(byte)) === 1, mayBecomeUtf8(Uint8Array.of(byte)))
    }
  })

  it("agrees with the platform on every sequence of two bytes", () => {
    for (let first = 0; first < 256; first++) {
      for (let second = 0; second < 256; second++) agrees(Uint8Array.of(first, second))
    }
  })

  it("fails at the first byte that cannot be continued, for every sequence of two bytes", () => {
    const startable = Array.from({ length: 256 }, (_, byte) => mayBecomeUtf8(Uint8Array.of(byte)))
    for (let first = 0; first < 256; first++) {
      for (let second = 0; second < 256; second++) {
        const bytes = Uint8Array.of(first, second)
        const expected = !startable[first]
          ? 0
          : first < 0x80
            ? Number(startable[second]) + 1
            : Number(mayBecomeUtf8(bytes)) + 1
        if (failsAt(bytes) !== expected) assert.fail(`${toHex(bytes)}: fails at ${failsAt(bytes)}`)
      }
    }
  })

  it("holds the bounds of every row of the Unicode standard's table 3-7", () => {
    for (const row of wellFormed) {
      for (const bytes of product(...row.map((bounds) => bounds))) {
        assert.isTrue(Utf8.isValid(bytes), toHex(bytes))
      }
      for (const bytes of product(...row.map((bounds) => around(...bounds)))) {
        agrees(bytes)
        if (failsAt(bytes) !== firstWrongByte(bytes)) assert.fail(`${toHex(bytes)}: ${failsAt(bytes)}`)
      }
    }
  })

  it("agrees with the platform on sequences of three and four telling bytes", () => {
    const leads = [
      0x00, 0x7f, 0x80, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xed, 0xef, 0xf0, 0xf3, 0xf4, 0xf5
    ]
    const rest = [0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc2, 0xe0, 0xf0, 0xff]
    for (const bytes of product(leads, rest, rest)) agrees(bytes)
    const longLeads = [0xe0, 0xed, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5]
    for (const bytes of product(longLeads, rest, [0x7f, 0x80, 0xbf, 0xc0], [0x41, 0x7f, 0x80, 0xbf, 0xc0])) {
      agrees(bytes)
    }
  })

  it.each(invalid)("fails at the right byte: %s", (_name, content, index) => {
    const bytes = Uint8Array.from(content)
    assert.strictEqual(failsAt(bytes), index)
    assert.strictEqual(firstWrongByte(bytes), index)
    const whole = new Utf8.Utf8Validator()
    assert.isTrue(whole.write(bytes.subarray(0, index)))
    const once = new Utf8.Utf8Validator()
    assert.isFalse(once.write(bytes.subarray(0, index + 1)))
    assert.isFalse(Utf8.isValid(bytes))
    assert.isUndefined(Utf8.decode(bytes))
  })

  it.each(invalid)("fails at the right byte in any two pieces: %s", (_name, content, index) => {
    const bytes = Uint8Array.from(content)
    for (let cut = 0; cut <= bytes.length; cut++) {
      const validator = new Utf8.Utf8Validator()
      assert.strictEqual(validator.write(bytes.subarray(0, cut)), cut <= index)
      if (cut <= index) assert.isFalse(validator.write(bytes.subarray(cut)))
    }
  })

  it("is not complete inside a code point, and complete after it", () => {
    for (const text of ["a", "é", "€", "😀"]) {
      const bytes = utf8(text)
      const validator = new Utf8.Utf8Validator()
      assert.isTrue(validator.isComplete)
      bytes.forEach((_, i) => {
        assert.isTrue(validator.write(bytes.subarray(i, i + 1)))
        assert.strictEqual(validator.isComplete, i === bytes.length - 1)
      })
      for (let end = 1; end < bytes.length; end++) assert.isFalse(Utf8.isValid(bytes.subarray(0, end)))
    }
  })

  it("accepts valid text cut anywhere, into two and three pieces, empty ones too", () => {
    const bytes = utf8(everyKind)
    assert.isTrue(isUtf8(bytes))
    for (let first = 0; first <= bytes.length; first++) {
      for (let second = first; second <= bytes.length; second++) {
        const pieces = [bytes.subarray(0, first), bytes.subarray(first, second), bytes.subarray(second)]
        if (!inPieces(pieces)) assert.fail(`cuts at ${first} and ${second}`)
      }
    }
    assert.isTrue(inPieces(cutAt(bytes, [...bytes.keys()])))
  })
})

const load = () => import("../../src/bytes/Utf8.ts")

const lossyBuffer = {
  prototype: {
    utf8Slice(this: Uint8Array, start: number, end: number) {
      return new TextDecoder().decode(this.subarray(start, end))
    }
  }
}

describe.each([
  ["Utf8", Utf8],
  ["Utf8 where there is no Buffer", await withGlobal("Buffer", undefined, load)],
  ["Utf8 where a Buffer takes off byte order marks", await withGlobal("Buffer", lossyBuffer, load)]
])("%s", (_name, Utf8) => {
  it("decodes whole texts", () => {
    for (const text of [
      "",
      "Hello",
      "µ@ßöäüàá-UTF-8!!",
      "€😀\u{10ffff}",
      "\u0000",
      "\ufffd",
      "a\ufffd\ufeff"
    ]) {
      assert.strictEqual(Utf8.decode(utf8(text)), text)
      assert.strictEqual(Utf8.decodeLossy(utf8(text)), text)
    }
  })

  it("decodes what stands between two places", () => {
    const bytes = utf8("aé€😀z")
    assert.strictEqual(Utf8.decode(bytes, 1, 3), "é")
    assert.strictEqual(Utf8.decode(bytes.subarray(1), 2, 9), "€😀")
    assert.strictEqual(Utf8.decode(bytes, 4, 4), "")
    assert.isUndefined(Utf8.decode(bytes, 1, 2))
    assert.isUndefined(Utf8.decode(bytes, 2, 4))
  })

  it("keeps a byte order mark, wherever it stands", () => {
    for (const text of ["\ufeff", "\ufeffa", "\ufeff\ufeff", "a\ufeff"]) {
      assert.strictEqual(Utf8.decode(utf8(text)), text)
      assert.strictEqual(Utf8.decodeLossy(utf8(text)), text)
    }
  })

  it("decode has no text for bytes that are not UTF-8; decodeLossy has U+FFFD there", () => {
    const bytes = Uint8Array.of(0x61, 0xff, 0x62, 0xe2, 0x82)
    assert.isUndefined(Utf8.decode(bytes))
    assert.strictEqual(Utf8.decodeLossy(bytes), "a\ufffdb\ufffd")
  })

  it("does not carry an unfinished sequence from one text into the next", () => {
    assert.isUndefined(Utf8.decode(Uint8Array.of(0xe2, 0x82)))
    assert.isUndefined(Utf8.decode(Uint8Array.of(0xac)))
    assert.strictEqual(Utf8.decode(Uint8Array.of(0x61)), "a")
    assert.strictEqual(Utf8.decodeLossy(Uint8Array.of(0xe2, 0x82)), "\ufffd")
    assert.strictEqual(Utf8.decodeLossy(Uint8Array.of(0x61)), "a")
  })

  // Half a GiB is gone through a few times: slow on a busy machine.
  it("tells text that is longer than a string can be from text that is not UTF-8", () => {
    const bytes = new Uint8Array(0x2000_0000)
    // A character over the border of a MiB, where one might cut such a text.
    bytes.set(utf8("😀"), 0x10_0000 - 2)
    assert.isUndefined(Utf8.decode(bytes))
    assert.isUndefined(Utf8.decodeLossy(bytes))
    assert.isTrue(Utf8.isValid(bytes))
    bytes[bytes.length - 1] = 0xc3
    assert.isFalse(Utf8.isValid(bytes))
    bytes[0x10_0000] = 0x41
    assert.isFalse(Utf8.isValid(bytes))
  }, 60_000)

  it("encodes text, a lone surrogate as U+FFFD", () => {
    const cases: ReadonlyArray<readonly [string, string]> = [
      ["", ""],
      ["Hello", "48656c6c6f"],
      ["é€😀", "c3a9e282acf09f9880"],
      ["\ufeff", "efbbbf"],
      ["a\ud800b", "61efbfbd62"],
      ["\udc00", "efbfbd"],
      ["\ud83d", "efbfbd"],
      ["\ude00\ud83d", "efbfbdefbfbd"]
    ]
    for (const [text, expected] of cases) {
      assert.strictEqual(toHex(Utf8.encode(text)), expected)
      const target = new Uint8Array(text.length * 3)
      assert.strictEqual(Utf8.encodeInto(text, target, 0), expected.length / 2)
      assert.strictEqual(toHex(target.subarray(0, expected.length / 2)), expected)
    }
  })

  it("encodeInto writes at the start it is given and nothing else, short and long, at any first wide character", () => {
    for (const length of [0, 1, 5, 23, 24, 25, 26, 39, 40, 41, 60]) {
      for (let wide = 0; wide <= length; wide++) {
        const text =
          wide < length ? `${"a".repeat(wide)}é${"b".repeat(length - wide - 1)}` : "a".repeat(length)
        const expected = utf8(text)
        const target = new Uint8Array(7 + length * 3 + 1).fill(0xee)
        assert.strictEqual(Utf8.encodeInto(text, target, 7), expected.length)
        assert.deepStrictEqual(target.subarray(7, 7 + expected.length), expected)
        assert.isTrue(target.subarray(0, 7).every((byte) => byte === 0xee))
        assert.strictEqual(target.at(-1), 0xee)
      }
    }
  })

  it("truncates to a limit without cutting a code point", () => {
    const text = "aé€😀z"
    const bytes = utf8(text)
    for (let limit = 0; limit <= bytes.length + 2; limit++) {
      const cut = Utf8.truncate(bytes, limit)
      let expected = ""
      for (const point of text) {
        if (utf8(expected + point).length > limit) break
        expected += point
      }
      assert.deepStrictEqual(cut, utf8(expected), `limit ${limit}`)
    }
  })

  it("truncate hands the bytes back where nothing is to be cut", () => {
    const bytes = utf8("é")
    assert.strictEqual(Utf8.truncate(bytes, 2), bytes)
    assert.strictEqual(Utf8.truncate(bytes, 1).length, 0)
  })
})
