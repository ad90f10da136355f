/**
 * permessage-brotli and permessage-snappy, whose parameters are the same.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import { PerMessageBrotli, PerMessageCompress, PerMessageSnappy } from "effect-websocket"
import { combinations, element, failureOf, parametersOf } from "../support/negotiation.ts"

const flags = [false, true]

describe.each([
  {
    ...PerMessageBrotli,
    name: "permessage-brotli",
    Offer: PerMessageBrotli.PerMessageBrotliOffer,
    OfferAccept: PerMessageBrotli.PerMessageBrotliOfferAccept
  },
  {
    ...PerMessageSnappy,
    name: "permessage-snappy",
    Offer: PerMessageSnappy.PerMessageSnappyOffer,
    OfferAccept: PerMessageSnappy.PerMessageSnappyOfferAccept
  }
])("$name", ({ name, Offer, OfferAccept, acceptOffer, acceptResponse, extension, ...module }) => {
  const { parseOffer, parseResponse } = extension(() => assert.fail("a codec is asked for"))
  const offers = combinations({
    acceptNoContextTakeover: flags,
    requestNoContextTakeover: flags
  }).map((fields) => new Offer(fields))

  it("offers have Autobahn's defaults, and are read as they are written", () => {
    const plain = new Offer({})
    assert.deepInclude(plain, { acceptNoContextTakeover: true, requestNoContextTakeover: false })
    assert.strictEqual(plain.extensionName, name)
    for (const offer of offers) {
      assert.strictEqual(
        offer.extensionString,
        element(
          name,
          offer.acceptNoContextTakeover && "client_no_context_takeover",
          offer.requestNoContextTakeover && "server_no_context_takeover"
        )
      )
      assert.deepStrictEqual(parseOffer(parametersOf(offer.extensionString)), Result.succeed(offer))
    }
  })

  it("each offer and each setting of both ends are declined, or end in what both understand", () => {
    const client = acceptResponse({ threshold: 9 })
    for (const offer of offers) {
      for (const settings of combinations({
        requestNoContextTakeover: flags,
        noContextTakeover: [undefined, false, true]
      })) {
        const accept = acceptOffer({ ...settings, threshold: 7 })([offer])
        const { noContextTakeover, requestNoContextTakeover } = settings
        if (
          (requestNoContextTakeover && !offer.acceptNoContextTakeover) ||
          (offer.requestNoContextTakeover && noContextTakeover === false)
        ) {
          assert.isUndefined(accept)
          continue
        }
        const serverResets = offer.requestNoContextTakeover || noContextTakeover === true
        assert.isDefined(accept)
        assert.strictEqual(
          accept.extensionString,
          element(
            name,
            serverResets && "server_no_context_takeover",
            requestNoContextTakeover && "client_no_context_takeover"
          )
        )
        const response = Result.getOrThrow(parseResponse(parametersOf(accept.extensionString), [offer]))
        assert.strictEqual(response.extensionName, name)
        const answer = client(response)
        assert.isDefined(answer)
        const server = Result.getOrThrow(module.fromOfferAccept(accept))
        const peer = Result.getOrThrow(module.fromResponseAccept(answer))
        assert.deepStrictEqual(server.outgoing, { noContextTakeover: serverResets })
        assert.deepStrictEqual(server.incoming, { noContextTakeover: requestNoContextTakeover })
        assert.deepStrictEqual([peer.incoming, peer.outgoing], [server.outgoing, server.incoming])
        assert.deepInclude(server, { extensionName: name, isServer: true, threshold: 7 })
        assert.deepInclude(peer, { extensionName: name, isServer: false, threshold: 9 })
      }
    }
  })

  it("a client can do without takeover, and must when it is told to", () => {
    const offer = new Offer({})
    const [free, bound] = [name, `${name}; client_no_context_takeover`].map((header) =>
      Result.getOrThrow(parseResponse(parametersOf(header), [offer]))
    )
    const takeovers = [free, bound].map((response) =>
      [undefined, false, true].map((noContextTakeover) => {
        assert.isDefined(response)
        const accept = acceptResponse({ noContextTakeover })(response)
        return accept && Result.getOrThrow(module.fromResponseAccept(accept)).outgoing.noContextTakeover
      })
    )
    assert.deepStrictEqual(takeovers, [
      [false, false, true],
      [true, undefined, true]
    ])
  })

  it("a response must fit an offer that was made", () => {
    const offer = new Offer({ acceptNoContextTakeover: false, requestNoContextTakeover: true })
    const failures = [
      parseResponse(parametersOf(name), [offer]),
      parseResponse(parametersOf(`${name}; server_no_context_takeover; client_no_context_takeover`), [offer]),
      parseResponse(parametersOf(name), [])
    ].map(failureOf)
    assert.deepStrictEqual(failures, [
      `${name}: server_no_context_takeover was requested, but is not in the response`,
      `${name}: client_no_context_takeover is in the response, but was not offered`,
      `${name}: it was not offered`
    ])
  })

  it("an inconsistent accept is not constructed", () => {
    const offer = new Offer({ acceptNoContextTakeover: false, requestNoContextTakeover: true })
    assert.throws(() => new OfferAccept({ offer, requestNoContextTakeover: true }))
    assert.throws(() => new OfferAccept({ offer, noContextTakeover: false }))
    assert.throws(() => acceptOffer({ threshold: -1 }), PerMessageCompress.InvalidAccept)
  })
})

describe("makeOfferAccept and makeResponseAccept", () => {
  const takeover = "noContextTakeover is false, but the peer has asked for it"

  it("of brotli fail with what is wrong", () => {
    const offer = new PerMessageBrotli.PerMessageBrotliOffer({ requestNoContextTakeover: true })
    const response = new PerMessageBrotli.PerMessageBrotliResponse({
      clientNoContextTakeover: true,
      serverNoContextTakeover: true
    })
    const errors = [
      PerMessageBrotli.makeOfferAccept({ offer, noContextTakeover: false }),
      PerMessageBrotli.makeOfferAccept({ offer, quality: 12 }),
      PerMessageBrotli.makeResponseAccept({ response, noContextTakeover: false }),
      PerMessageBrotli.makeResponseAccept({ response, quality: -1 })
    ].map(failureOf)
    const quality = "Expected a value between 0 and 11"
    assert.deepStrictEqual(
      errors.map(({ problem }) => problem.split("\n")[0]?.split(",")[0]),
      [takeover.split(",")[0], quality, takeover.split(",")[0], quality]
    )
  })

  it("of snappy fail with what is wrong", () => {
    const offer = new PerMessageSnappy.PerMessageSnappyOffer({ acceptNoContextTakeover: false })
    const response = new PerMessageSnappy.PerMessageSnappyResponse({
      clientNoContextTakeover: true,
      serverNoContextTakeover: true
    })
    const errors = [
      PerMessageSnappy.makeOfferAccept({ offer, requestNoContextTakeover: true }),
      PerMessageSnappy.makeResponseAccept({ response, noContextTakeover: false })
    ].map(failureOf)
    assert.deepStrictEqual(
      errors.map(({ problem }) => problem),
      ["requestNoContextTakeover is set, but the client has not offered client_no_context_takeover", takeover]
    )
  })
})

it("brotli's quality is 3 unless it is set", () => {
  const offers = [new PerMessageBrotli.PerMessageBrotliOffer({})]
  const qualities = [{}, { quality: 11 }].map((settings) => {
    const accept = PerMessageBrotli.acceptOffer(settings)(offers)
    assert.isDefined(accept)
    return Result.getOrThrow(PerMessageBrotli.fromOfferAccept(accept)).quality
  })
  assert.deepStrictEqual(qualities, [3, 11])
})
