import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import { isToken, isTokenCode } from "../../src/bytes/Token.ts"
import { type Extension, format, parse } from "../../src/extension/ExtensionHeader.ts"

const extension = (name: string, ...parameters: ReadonlyArray<readonly [string, string?]>): Extension => ({
  name,
  parameters: parameters.map(([name, value]) => ({ name, value }))
})

const parsed = (...values: ReadonlyArray<string>): ReadonlyArray<Extension> => {
  const result = parse(values)
  if (Result.isFailure(result)) return assert.fail(result.failure)
  return result.success
}

describe("parse", () => {
  const valid: ReadonlyArray<readonly [ReadonlyArray<string>, ReadonlyArray<Extension>]> = [
    [[], []],
    [[""], []],
    [[" \t"], []],
    [[",, ,"], []],
    [["foo"], [extension("foo")]],
    [[" foo\t"], [extension("foo")]],
    // RFC 6455 section 9.1.
    [["deflate-stream"], [extension("deflate-stream")]],
    [
      ["mux; max-channels=4; flow-control, deflate-stream"],
      [extension("mux", ["max-channels", "4"], ["flow-control"]), extension("deflate-stream")]
    ],
    [["private-extension"], [extension("private-extension")]],
    [
      ["foo", "bar; baz=2"],
      [extension("foo"), extension("bar", ["baz", "2"])]
    ],
    [["foo, bar; baz=2"], [extension("foo"), extension("bar", ["baz", "2"])]],
    // RFC 7692 section 7.1.3.
    [
      [
        "permessage-deflate; client_max_window_bits; server_max_window_bits=10, permessage-deflate; client_max_window_bits"
      ],
      [
        extension("permessage-deflate", ["client_max_window_bits"], ["server_max_window_bits", "10"]),
        extension("permessage-deflate", ["client_max_window_bits"])
      ]
    ],
    [['a;b="10"'], [extension("a", ["b", "10"])]],
    [['a;b="\\1\\0"'], [extension("a", ["b", "10"])]],
    [["a\t;\tb\t=\t1\t,\tc"], [extension("a", ["b", "1"]), extension("c")]],
    [['a ; b = "1" ; c'], [extension("a", ["b", "1"], ["c"])]],
    [[", a,, b,"], [extension("a"), extension("b")]],
    [["", "a", ""], [extension("a")]],
    [["a; b=1; b=2; b"], [extension("a", ["b", "1"], ["b", "2"], ["b"])]],
    [["a; b=015"], [extension("a", ["b", "015"])]],
    [
      ["constructor; __proto__=toString, toString; constructor, __proto__"],
      [
        extension("constructor", ["__proto__", "toString"]),
        extension("toString", ["constructor"]),
        extension("__proto__")
      ]
    ]
  ]
  for (const [values, expected] of valid) {
    it(`reads ${JSON.stringify(values)}`, () => {
      assert.deepStrictEqual(parsed(...values), expected)
    })
  }

  const invalid = [
    "a b",
    "a;",
    "a; ",
    "a;;b",
    "a;,b",
    ";a",
    "a=1",
    "a; =1",
    "a; b=",
    "a; b=,c",
    "a; b= ;c",
    "a; b=1 2",
    'a; b=""',
    'a; b="',
    'a; b="1',
    'a; b="1\\',
    'a; b="1 2"',
    'a; b="1,2"',
    'a; b="1\\"2"',
    'a; b="1"2',
    '"a"',
    'a; "b"=1',
    "a/b",
    "a; b=1=2",
    "a; b='1\"",
    "a\x0b; b",
    "a\r\n; b",
    "\xa0a",
    "\xe9",
    "a; \u212a"
  ]
  for (const value of invalid) {
    it(`refuses ${JSON.stringify(value)}`, () => {
      assert.isTrue(Result.isFailure(parse([value])))
      assert.isTrue(Result.isFailure(parse(["ok", value])))
    })
  }

  it("says where, and quotes nothing", () => {
    assert.deepStrictEqual(
      parse(["foo; <script>"]),
      Result.fail("Sec-WebSocket-Extensions: expected a parameter name at offset 5")
    )
  })

  it("reads long values in one pass", () => {
    const many = 200_000
    assert.deepStrictEqual(parsed(",".repeat(many)), [])
    assert.strictEqual(parsed("a,".repeat(many)).length, many)
    assert.strictEqual(parsed(`a${";b=1".repeat(many)}`)[0]?.parameters.length, many)
    assert.strictEqual(parsed(`a;b="${"\\1".repeat(many)}"`)[0]?.parameters[0]?.value?.length, many)
    for (const unit of [" ", "a ", "\t", 'a;b="\\', '"', "\\", "a;", 'a;b="1" ']) {
      assert.isBoolean(Result.isFailure(parse([`x${unit.repeat(many)}`])))
    }
  })
})

describe("format", () => {
  const cases: ReadonlyArray<readonly [Extension, string]> = [
    [extension("foo"), "foo"],
    [extension("foo", ["bar"]), "foo; bar"],
    [
      extension("permessage-deflate", ["client_max_window_bits", "15"], ["server_no_context_takeover"]),
      "permessage-deflate; client_max_window_bits=15; server_no_context_takeover"
    ],
    [extension("__proto__", ["constructor", "toString"]), "__proto__; constructor=toString"]
  ]
  for (const [value, text] of cases) {
    it(`writes ${text}`, () => {
      assert.strictEqual(format(value), text)
      assert.deepStrictEqual(parsed(format(value)), [value])
    })
  }
})

describe("token characters", () => {
  it("are those of RFC 7230 section 3.2.6", () => {
    assert.isTrue(isTokenCode(0x61))
    assert.isFalse(isTokenCode(0x20))
    assert.isFalse(isTokenCode(-1))
    assert.isFalse(isTokenCode(Number.NaN))
    assert.isTrue(isToken("x-webkit-deflate-frame"))
    assert.isFalse(isToken(""))
  })
})
