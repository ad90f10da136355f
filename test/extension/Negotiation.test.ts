/**
 * What all per-message compression extensions have in common.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import { PerMessageBrotli, PerMessageBzip2, PerMessageDeflate, PerMessageSnappy } from "effect-websocket"
import type { ExtensionParameter } from "../../src/extension/ExtensionHeader.ts"
import type { PerMessageCompress } from "../../src/extension/PerMessageCompress.ts"
import { throughJson } from "../support/json.ts"
import { failureOf, parametersOf } from "../support/negotiation.ts"

interface Subject {
  readonly name: string
  readonly parse: (parameters: ReadonlyArray<ExtensionParameter>) => Result.Result<unknown, string>
  /** Parameters without a value. */
  readonly flags: ReadonlyArray<string>
  /** Parameters with a value, from the least to the most that it may be. */
  readonly numbers: Readonly<Record<string, readonly [number, number]>>
  /** Parameters with or without one. */
  readonly either?: Readonly<Record<string, readonly [number, number]>>
}

const takeover = ["client_no_context_takeover", "server_no_context_takeover"]

const subjects: ReadonlyArray<Subject> = [
  {
    name: "a permessage-deflate offer",
    parse: PerMessageDeflate.PerMessageDeflateOffer.parse,
    flags: takeover,
    numbers: { server_max_window_bits: [8, 15] },
    either: { client_max_window_bits: [8, 15] }
  },
  {
    name: "a permessage-deflate response",
    parse: PerMessageDeflate.PerMessageDeflateResponse.parse,
    flags: takeover,
    numbers: { server_max_window_bits: [8, 15], client_max_window_bits: [8, 15] }
  },
  {
    name: "a permessage-bzip2 offer",
    parse: PerMessageBzip2.PerMessageBzip2Offer.parse,
    flags: ["client_max_compress_level"],
    numbers: { server_max_compress_level: [1, 9] }
  },
  {
    name: "a permessage-bzip2 response",
    parse: PerMessageBzip2.PerMessageBzip2Response.parse,
    flags: [],
    numbers: { server_max_compress_level: [1, 9], client_max_compress_level: [1, 9] }
  },
  ...[PerMessageBrotli.PerMessageBrotliOffer, PerMessageSnappy.PerMessageSnappyOffer].map((Offer) => ({
    name: `a ${new Offer({}).extensionName} offer`,
    parse: Offer.parse,
    flags: takeover,
    numbers: {}
  })),
  ...[PerMessageBrotli.PerMessageBrotliResponse, PerMessageSnappy.PerMessageSnappyResponse].map(
    (Response) => ({
      name: `a ${Response.identifier}`,
      parse: Response.parse,
      flags: takeover,
      numbers: {}
    })
  )
]

describe.each(subjects)("$name", ({ parse, flags, numbers, either = {} }) => {
  const accepts = (parameters: string) => Result.isSuccess(parse(parametersOf(`x; ${parameters}`)))
  const withNumber = Object.entries({ ...numbers, ...either })

  it("reads what is defined, in any order", () => {
    const all = [
      ...flags,
      ...Object.keys(either),
      ...Object.entries(numbers).map(([name, [least]]) => `${name}=${least}`)
    ]
    assert.isTrue(accepts(all.join("; ")))
    assert.isTrue(accepts(all.toReversed().join("; ")))
    assert.isTrue(Result.isSuccess(parse([])))
  })

  it("reads numbers within their range only, without leading zeros", () => {
    for (const [name, [least, most]] of withNumber) {
      for (let value = 0; value <= 100; value++) {
        assert.strictEqual(accepts(`${name}=${value}`), value >= least && value <= most)
        assert.strictEqual(accepts(`${name}="${value}"`), value >= least && value <= most)
        assert.isFalse(accepts(`${name}=0${value}`))
      }
      for (const value of [
        "015",
        "+9",
        "-9",
        "9.0",
        "9e0",
        "0x9",
        "1e1",
        "9_",
        "true",
        "NaN",
        "9".repeat(400)
      ]) {
        assert.isFalse(accepts(`${name}=${value}`), value)
      }
      for (const value of ["", " 9", "9\n", "\u0669", "10\0"]) {
        assert.isTrue(Result.isFailure(parse([{ name, value }])), JSON.stringify(value))
      }
    }
  })

  it("knows which parameters have a value", () => {
    for (const name of flags) {
      assert.isTrue(accepts(name))
      for (const value of ["1", "true", "10"]) assert.isFalse(accepts(`${name}=${value}`))
      assert.isTrue(Result.isFailure(parse([{ name, value: "" }])))
    }
    for (const name of Object.keys(numbers)) assert.isFalse(accepts(name))
    for (const name of Object.keys(either)) assert.isTrue(accepts(name))
  })

  it("refuses a parameter that comes twice, or is unknown", () => {
    for (const name of flags) assert.isFalse(accepts(`${name}; ${name}`))
    for (const [name, [least, most]] of withNumber) {
      assert.isFalse(accepts(`${name}=${least}; ${name}=${least}`))
      assert.isFalse(accepts(`${name}=${least}; ${name}=${most}`))
      assert.isFalse(accepts(`${name}=${least}; ${name}`))
      assert.isFalse(accepts(`${name}; ${name}=${least}`))
    }
    for (const name of ["constructor", "__proto__", "toString", "hasOwnProperty", "x", "size", "0"]) {
      for (const parameter of [name, `${name}=10`, `${name}=true`, `${name}; ${name}`]) {
        assert.isFalse(accepts(parameter), parameter)
        for (const known of flags) assert.isFalse(accepts(`${known}; ${parameter}`), parameter)
      }
    }
  })

  it("says what is wrong, and quotes nothing of it", () => {
    const hostile = "<script>"
    const wrong: ReadonlyArray<ReadonlyArray<ExtensionParameter>> = [
      [{ name: hostile, value: hostile }],
      ...[...flags, ...withNumber.map(([name]) => name)].map((name) => [{ name, value: hostile }])
    ]
    for (const parameters of wrong) {
      const failure = failureOf(parse(parameters))
      assert.match(failure, /^permessage-(?:deflate|bzip2|brotli|snappy): \w/)
      assert.notInclude(failure, hostile)
    }
  })
})

describe("an extension", () => {
  const unused = (): never => assert.fail("nothing is compressed here")
  const codecOf = (extensionName: string): PerMessageCompress => ({
    extensionName,
    compressor: {
      compress: unused,
      compressAlone: unused,
      aloneKey: "",
      sentAlone: unused,
      close: unused
    },
    decompressor: { decompress: unused, push: unused, close: unused },
    threshold: 0,
    maxMessageSize: undefined
  })

  it("has a codec for what was negotiated on either side", () => {
    const seen: Array<PerMessageDeflate.PerMessageDeflate> = []
    const codec = codecOf("permessage-deflate")
    const { fromOfferAccept, fromResponseAccept, name, parseOffer, parseResponse } =
      PerMessageDeflate.extension((negotiated) => {
        seen.push(negotiated)
        return codec
      })
    assert.strictEqual(name, "permessage-deflate")
    const offer = Result.getOrThrow(parseOffer(parametersOf("x; server_max_window_bits=9")))
    const accept = PerMessageDeflate.acceptOffer({ level: 1 })([offer])
    assert.isDefined(accept)
    const response = Result.getOrThrow(parseResponse(parametersOf(accept.extensionString), [offer]))
    const answer = PerMessageDeflate.acceptResponse({ level: 2 })(response)
    assert.isDefined(answer)
    assert.strictEqual(Result.getOrThrow(fromOfferAccept(accept)), codec)
    assert.strictEqual(Result.getOrThrow(fromResponseAccept(answer)), codec)
    assert.deepStrictEqual(
      seen.map(({ isServer, level, serverMaxWindowBits }) => ({ isServer, level, serverMaxWindowBits })),
      [
        { isServer: true, level: 1, serverMaxWindowBits: 9 },
        { isServer: false, level: 2, serverMaxWindowBits: 9 }
      ]
    )
    assert.include(
      failureOf(parseResponse(parametersOf("permessage-deflate"), [offer])),
      "server_max_window_bits"
    )
    assert.include(failureOf(parseResponse(parametersOf("x; y"), [offer])), "unknown")
  })

  it("takes no accept of another one", () => {
    const offer = new PerMessageSnappy.PerMessageSnappyOffer({})
    const accept = new PerMessageSnappy.PerMessageSnappyOfferAccept({ offer })
    const response = new PerMessageSnappy.PerMessageSnappyResponse({
      clientNoContextTakeover: false,
      serverNoContextTakeover: false
    })
    const answer = new PerMessageSnappy.PerMessageSnappyResponseAccept({ response })
    for (const { extensionName, fromOfferAccept, fromResponseAccept } of [
      PerMessageDeflate,
      PerMessageBzip2,
      PerMessageBrotli
    ]) {
      assert.strictEqual(failureOf(fromOfferAccept(accept)), `the accept is none of ${extensionName}`)
      assert.strictEqual(failureOf(fromResponseAccept(answer)), `the accept is none of ${extensionName}`)
    }
    const deflate = new PerMessageDeflate.PerMessageDeflateResponse({
      ...response,
      clientMaxWindowBits: 0,
      serverMaxWindowBits: 0
    })
    assert.include(failureOf(PerMessageDeflate.checkResponse([offer], deflate)), "it was not offered")
    assert.isUndefined(PerMessageDeflate.acceptOffer()([offer]))
    assert.isUndefined(PerMessageDeflate.acceptResponse()(response))
  })
})

it("each value is JSON, and comes back", () => {
  const offer = new PerMessageDeflate.PerMessageDeflateOffer({ requestMaxWindowBits: 10 })
  const accept = new PerMessageDeflate.PerMessageDeflateOfferAccept({ offer, windowBits: 9, level: 1 })
  const { decoded, json } = throughJson(PerMessageDeflate.PerMessageDeflateOfferAccept, accept)
  assert.deepStrictEqual(decoded, accept)
  assert.strictEqual(decoded.extensionString, "permessage-deflate; server_max_window_bits=9")
  assert.deepInclude(json, { windowBits: 9, level: 1, memLevel: 8 })
  const negotiated = Result.getOrThrow(PerMessageDeflate.fromOfferAccept(accept))
  assert.deepStrictEqual(throughJson(PerMessageDeflate.PerMessageDeflate, negotiated).decoded, negotiated)
})
