import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import { PerMessageBzip2, PerMessageCompress } from "effect-websocket"
import { combinations, element, failureOf, parametersOf } from "../support/negotiation.ts"

const {
  acceptOffer,
  acceptResponse,
  checkResponse,
  fromOfferAccept,
  fromResponseAccept,
  makeOfferAccept,
  makeResponseAccept,
  PerMessageBzip2Offer,
  PerMessageBzip2OfferAccept,
  PerMessageBzip2Response,
  PerMessageBzip2ResponseAccept
} = PerMessageBzip2

const levels = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]

const responseOf = (header: string) => Result.getOrThrow(PerMessageBzip2Response.parse(parametersOf(header)))

const allOffers = combinations({
  acceptMaxCompressLevel: [false, true],
  requestMaxCompressLevel: levels
}).map((fields) => new PerMessageBzip2Offer(fields))

describe("offers", () => {
  it("have Autobahn's defaults", () => {
    const offer = new PerMessageBzip2Offer({})
    assert.deepInclude(offer, { acceptMaxCompressLevel: true, requestMaxCompressLevel: 0 })
    assert.strictEqual(offer.extensionName, "permessage-bzip2")
    assert.strictEqual(offer.extensionString, "permessage-bzip2; client_max_compress_level")
  })

  it("are read as they are written, each of them", () => {
    for (const offer of allOffers) {
      assert.strictEqual(
        offer.extensionString,
        element(
          "permessage-bzip2",
          offer.acceptMaxCompressLevel && "client_max_compress_level",
          offer.requestMaxCompressLevel !== 0 && `server_max_compress_level=${offer.requestMaxCompressLevel}`
        )
      )
      assert.deepStrictEqual(
        PerMessageBzip2Offer.parse(parametersOf(offer.extensionString)),
        Result.succeed(offer)
      )
    }
  })
})

it("each offer and each setting of a server are declined, or end in what both ends understand", () => {
  const allSettings = combinations<PerMessageBzip2.OfferSettings>({
    requestMaxCompressLevel: levels,
    compressLevel: [undefined, 1, 5, 9]
  })
  const client = acceptResponse()
  const acceptors = allSettings.map((settings) => [settings, acceptOffer(settings)] as const)
  for (const offer of allOffers) {
    for (const [{ compressLevel, requestMaxCompressLevel }, acceptor] of acceptors) {
      const accept = acceptor([offer])
      if (requestMaxCompressLevel !== 0 && !offer.acceptMaxCompressLevel) {
        assert.isUndefined(accept)
        continue
      }
      const asked = offer.requestMaxCompressLevel === 0 ? 9 : offer.requestMaxCompressLevel
      const level = Math.min(asked, compressLevel ?? 9)
      assert.isDefined(accept)
      assert.strictEqual(
        accept.extensionString,
        element(
          "permessage-bzip2",
          (compressLevel !== undefined || offer.requestMaxCompressLevel !== 0) &&
            `server_max_compress_level=${level}`,
          requestMaxCompressLevel !== 0 && `client_max_compress_level=${requestMaxCompressLevel}`
        )
      )
      const response = responseOf(accept.extensionString)
      assert.isTrue(Result.isSuccess(checkResponse([offer], response)))
      const answer = client(response)
      assert.isDefined(answer)
      const server = Result.getOrThrow(fromOfferAccept(accept))
      const peer = Result.getOrThrow(fromResponseAccept(answer))
      assert.deepStrictEqual(server.outgoing, { compressLevel: level })
      assert.deepStrictEqual(server.incoming, {
        compressLevel: requestMaxCompressLevel === 0 ? 9 : requestMaxCompressLevel
      })
      assert.deepStrictEqual([peer.incoming, peer.outgoing], [server.outgoing, server.incoming])
    }
  }
})

describe("responses", () => {
  it.each([
    [0, "permessage-bzip2; client_max_compress_level=9", "client_max_compress_level is in the response"],
    [5, "permessage-bzip2", "server_max_compress_level was requested"],
    [5, "permessage-bzip2; server_max_compress_level=6", "server_max_compress_level is larger"]
  ])("for a request of %i, %s is none", (requestMaxCompressLevel, header, problem) => {
    const offer = new PerMessageBzip2Offer({ acceptMaxCompressLevel: false, requestMaxCompressLevel })
    const failure = failureOf(checkResponse([offer], responseOf(header)))
    assert.include(failure, `permessage-bzip2: ${problem}`)
  })

  it("limit the client's level", () => {
    const response = responseOf("permessage-bzip2; client_max_compress_level=4; server_max_compress_level=3")
    assert.strictEqual(response.extensionName, "permessage-bzip2")
    const settings = [undefined, 1, 9].map((compressLevel) => {
      const accept = acceptResponse({ compressLevel, threshold: 64 })(response)
      assert.isDefined(accept)
      return Result.getOrThrow(fromResponseAccept(accept))
    })
    assert.deepStrictEqual(
      settings.map(({ outgoing }) => outgoing.compressLevel),
      [4, 1, 4]
    )
    for (const negotiated of settings) {
      assert.deepStrictEqual(negotiated.incoming, { compressLevel: 3 })
      assert.deepInclude(negotiated, { extensionName: "permessage-bzip2", threshold: 64 })
    }
  })
})

it("an inconsistent accept is an InvalidAccept, and not constructed", () => {
  const offer = new PerMessageBzip2Offer({ acceptMaxCompressLevel: false, requestMaxCompressLevel: 5 })
  const response = responseOf("permessage-bzip2; client_max_compress_level=4")
  assert.throws(() => new PerMessageBzip2OfferAccept({ offer, compressLevel: 6 }))
  assert.throws(() => new PerMessageBzip2ResponseAccept({ response, compressLevel: 5 }))
  assert.throws(() => acceptOffer({ compressLevel: 10 }), PerMessageCompress.InvalidAccept)
  const errors = [
    failureOf(makeOfferAccept({ offer, compressLevel: 6 })),
    failureOf(makeOfferAccept({ offer, requestMaxCompressLevel: 1 })),
    failureOf(makeOfferAccept({ offer, requestMaxCompressLevel: 10 })),
    failureOf(makeResponseAccept({ response, compressLevel: 5 }))
  ]
  assert.deepStrictEqual(
    errors.map((error) => error.problem.split("\n")[0]),
    [
      "compressLevel is 6, but the peer has asked for at most 5",
      "requestMaxCompressLevel is set, but the client has not offered client_max_compress_level",
      "Expected 0 or a value between 1 and 9",
      "compressLevel is 5, but the peer has asked for at most 4"
    ]
  )
})
