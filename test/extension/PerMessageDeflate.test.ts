import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import { PerMessageCompress, PerMessageDeflate } from "effect-websocket"
import { combinations, element, failureOf, parametersOf } from "../support/negotiation.ts"

const {
  acceptOffer,
  acceptResponse,
  checkResponse,
  fromOfferAccept,
  fromResponseAccept,
  makeOfferAccept,
  makeResponseAccept,
  PerMessageDeflateOffer,
  PerMessageDeflateOfferAccept,
  PerMessageDeflateResponse,
  PerMessageDeflateResponseAccept
} = PerMessageDeflate

const windows = [0, 8, 9, 10, 11, 12, 13, 14, 15]

const offerOf = (header: string) => Result.getOrThrow(PerMessageDeflateOffer.parse(parametersOf(header)))
const responseOf = (header: string) =>
  Result.getOrThrow(PerMessageDeflateResponse.parse(parametersOf(header)))

const allOffers = combinations({
  acceptNoContextTakeover: [false, true],
  acceptMaxWindowBits: [false, true],
  requestNoContextTakeover: [false, true],
  requestMaxWindowBits: windows
}).map((fields) => new PerMessageDeflateOffer(fields))

const allResponses = combinations({
  clientMaxWindowBits: windows,
  clientNoContextTakeover: [false, true],
  serverMaxWindowBits: windows,
  serverNoContextTakeover: [false, true]
}).map((fields) => new PerMessageDeflateResponse(fields))

describe("offers", () => {
  it("have Autobahn's defaults", () => {
    const offer = new PerMessageDeflateOffer({})
    assert.deepInclude(offer, {
      acceptNoContextTakeover: true,
      acceptMaxWindowBits: true,
      requestNoContextTakeover: false,
      requestMaxWindowBits: 0
    })
    assert.strictEqual(offer.extensionName, "permessage-deflate")
    assert.strictEqual(
      offer.extensionString,
      "permessage-deflate; client_no_context_takeover; client_max_window_bits"
    )
  })

  it("are read as they are written, each of them", () => {
    assert.lengthOf(allOffers, 2 * 2 * 2 * 9)
    for (const offer of allOffers) {
      const { acceptMaxWindowBits, acceptNoContextTakeover, requestMaxWindowBits, requestNoContextTakeover } =
        offer
      assert.strictEqual(
        offer.extensionString,
        element(
          "permessage-deflate",
          acceptNoContextTakeover && "client_no_context_takeover",
          acceptMaxWindowBits && "client_max_window_bits",
          requestNoContextTakeover && "server_no_context_takeover",
          requestMaxWindowBits !== 0 && `server_max_window_bits=${requestMaxWindowBits}`
        )
      )
      assert.deepStrictEqual(offerOf(offer.extensionString), offer)
    }
  })

  it.each(["8", "15", '"10"'])("may hint at a window of %s", (hint) => {
    const offer = offerOf(`permessage-deflate; client_max_window_bits=${hint}`)
    assert.strictEqual(offer.extensionString, "permessage-deflate; client_max_window_bits")
  })

  it.each([
    { requestMaxWindowBits: 7 },
    { requestMaxWindowBits: 16 },
    { requestMaxWindowBits: 8.5 },
    { requestMaxWindowBits: -8 }
  ])("are not made of %o", (fields) => {
    assert.throws(() => new PerMessageDeflateOffer(fields))
  })
})

describe("RFC 7692 section 7.1.3", () => {
  const simple = offerOf("permessage-deflate")
  const limited = offerOf("permessage-deflate; client_max_window_bits; server_max_window_bits=10")
  const fallback = offerOf("permessage-deflate; client_max_window_bits")

  it("an offer without client_max_window_bits gets a response without it", () => {
    assert.strictEqual(acceptOffer()([simple])?.extensionString, "permessage-deflate")
    assert.isUndefined(acceptOffer({ requestMaxWindowBits: 10 })([simple]))
    const response = responseOf("permessage-deflate; client_max_window_bits=10")
    assert.include(failureOf(checkResponse([simple], response)), "client_max_window_bits")
  })

  it("the server picks one of several offers", () => {
    const responses = acceptOffer({ requestMaxWindowBits: 12 })([simple, limited, fallback])
    assert.strictEqual(responses?.offer, limited)
    assert.strictEqual(
      responses?.extensionString,
      "permessage-deflate; server_max_window_bits=10; client_max_window_bits=12"
    )
    assert.strictEqual(acceptOffer({ noContextTakeover: false })([limited, fallback])?.offer, limited)
    const takeover = offerOf("permessage-deflate; server_no_context_takeover")
    assert.strictEqual(acceptOffer({ noContextTakeover: false })([takeover, fallback])?.offer, fallback)
  })

  it.each(["permessage-deflate; server_max_window_bits=10", "permessage-deflate"])(
    "the client takes the response %s to a list of offers",
    (header) => {
      const response = responseOf(header)
      assert.deepStrictEqual(checkResponse([limited, fallback], response), Result.succeed(response))
    }
  )

  it("a response must fit an offer that was made", () => {
    const offers = [limited]
    assert.strictEqual(
      failureOf(checkResponse(offers, responseOf("permessage-deflate"))),
      "permessage-deflate: server_max_window_bits was requested, but is not in the response"
    )
    assert.strictEqual(
      failureOf(checkResponse(offers, responseOf("permessage-deflate; server_max_window_bits=11"))),
      "permessage-deflate: server_max_window_bits is larger than requested"
    )
    assert.strictEqual(
      failureOf(checkResponse([], responseOf("permessage-deflate"))),
      "permessage-deflate: it was not offered"
    )
  })
})

describe("each offer and each setting of a server", () => {
  const allSettings = combinations<PerMessageDeflate.OfferSettings>({
    requestNoContextTakeover: [false, true],
    requestMaxWindowBits: [0, 8, 11, 15],
    noContextTakeover: [undefined, false, true],
    windowBits: [undefined, 8, 12, 15]
  })

  it("are declined, or end in what both ends understand", () => {
    const client = acceptResponse()
    const acceptors = allSettings.map((settings) => [settings, acceptOffer(settings)] as const)
    let accepted = 0
    for (const offer of allOffers) {
      for (const [settings, acceptor] of acceptors) {
        const { noContextTakeover, requestMaxWindowBits, requestNoContextTakeover, windowBits } = settings
        const accept = acceptor([offer])
        if (
          (requestMaxWindowBits !== 0 && !offer.acceptMaxWindowBits) ||
          (offer.requestNoContextTakeover && noContextTakeover === false)
        ) {
          assert.isUndefined(accept)
          continue
        }
        accepted++
        const asked = offer.requestMaxWindowBits === 0 ? 15 : offer.requestMaxWindowBits
        const window = Math.min(asked, windowBits ?? 15)
        assert.isDefined(accept)
        assert.strictEqual(
          accept.extensionString,
          element(
            "permessage-deflate",
            (noContextTakeover === true || offer.requestNoContextTakeover) && "server_no_context_takeover",
            (windowBits !== undefined || offer.requestMaxWindowBits !== 0) &&
              `server_max_window_bits=${window}`,
            requestNoContextTakeover === true && "client_no_context_takeover",
            requestMaxWindowBits !== 0 && `client_max_window_bits=${requestMaxWindowBits}`
          )
        )
        const response = responseOf(accept.extensionString)
        assert.isTrue(Result.isSuccess(checkResponse([offer], response)))
        const answer = client(response)
        assert.isDefined(answer)
        const server = Result.getOrThrow(fromOfferAccept(accept))
        const peer = Result.getOrThrow(fromResponseAccept(answer))
        assert.deepStrictEqual(server.outgoing, {
          noContextTakeover: offer.requestNoContextTakeover || noContextTakeover === true,
          windowBits: window
        })
        assert.deepStrictEqual(server.incoming, {
          noContextTakeover: requestNoContextTakeover === true,
          windowBits: requestMaxWindowBits === 0 ? 15 : requestMaxWindowBits
        })
        assert.deepStrictEqual([peer.incoming, peer.outgoing], [server.outgoing, server.incoming])
        assert.deepStrictEqual([server.isServer, peer.isServer], [true, false])
      }
    }
    // Half of the offers have client_max_window_bits, half leave the server its context takeover.
    assert.strictEqual(accepted, (36 * 96 + 36 * 24) * (5 / 6))
  })
})

describe("each response and each setting of a client", () => {
  const allSettings = combinations<PerMessageDeflate.ResponseSettings>({
    noContextTakeover: [undefined, false, true],
    windowBits: [undefined, 8, 12, 15]
  })

  it("the client refuses, or keeps to what it is told", () => {
    const acceptors = allSettings.map((settings) => [settings, acceptResponse(settings)] as const)
    for (const response of allResponses) {
      const { clientMaxWindowBits, clientNoContextTakeover } = response
      for (const [{ noContextTakeover, windowBits }, acceptor] of acceptors) {
        const accept = acceptor(response)
        if (clientNoContextTakeover && noContextTakeover === false) {
          assert.isUndefined(accept)
          continue
        }
        assert.isDefined(accept)
        const { incoming, outgoing } = Result.getOrThrow(fromResponseAccept(accept))
        assert.deepStrictEqual(outgoing, {
          noContextTakeover: clientNoContextTakeover || noContextTakeover === true,
          windowBits: Math.min(clientMaxWindowBits === 0 ? 15 : clientMaxWindowBits, windowBits ?? 15)
        })
        assert.deepStrictEqual(incoming, {
          noContextTakeover: response.serverNoContextTakeover,
          windowBits: response.serverMaxWindowBits === 0 ? 15 : response.serverMaxWindowBits
        })
      }
    }
  })

  it("the client knows which responses fit its offer", () => {
    for (const offer of allOffers) {
      for (const response of allResponses) {
        const keepsTakeover = offer.requestNoContextTakeover && !response.serverNoContextTakeover
        const keepsWindow =
          offer.requestMaxWindowBits !== 0 &&
          (response.serverMaxWindowBits === 0 || response.serverMaxWindowBits > offer.requestMaxWindowBits)
        const limitsClient = response.clientMaxWindowBits !== 0 && !offer.acceptMaxWindowBits
        assert.strictEqual(
          Result.isSuccess(checkResponse([offer], response)),
          !keepsTakeover && !keepsWindow && !limitsClient
        )
      }
    }
  })
})

describe("an inconsistent accept", () => {
  const offer = new PerMessageDeflateOffer({
    acceptMaxWindowBits: false,
    requestNoContextTakeover: true,
    requestMaxWindowBits: 10
  })
  const response = responseOf("permessage-deflate; client_no_context_takeover; client_max_window_bits=10")

  const misspelt = { level: 1, windowbits: 10 }

  it.each<readonly [PerMessageDeflate.OfferSettings, string]>([
    [{ windowBits: 11 }, "windowBits is 11, but the peer has asked for at most 10"],
    [{ noContextTakeover: false }, "noContextTakeover is false, but the peer has asked for it"],
    [
      { requestMaxWindowBits: 15 },
      "requestMaxWindowBits is set, but the client has not offered client_max_window_bits"
    ],
    [{ requestMaxWindowBits: 16 }, "Expected 0 or a value between 8 and 15"],
    [{ windowBits: 0 }, "Expected a value between 8 and 15"],
    [{ windowBits: 7 }, "Expected a value between 8 and 15"],
    [{ memLevel: 0 }, "Expected a value between 1 and 9"],
    [{ memLevel: 10 }, "Expected a value between 1 and 9"],
    [{ level: -2 }, "Expected a value between -1 and 9"],
    [{ threshold: -1 }, "Expected a value greater than or equal to 0"],
    [{ maxMessageSize: 0 }, "Expected a value greater than or equal to 1"],
    [misspelt, "windowbits"]
  ])("of an offer, %o, is an InvalidAccept", (settings, problem) => {
    const error = failureOf(makeOfferAccept({ offer, ...settings }))
    assert.instanceOf(error, PerMessageCompress.InvalidAccept)
    assert.strictEqual(error.extensionName, "permessage-deflate")
    assert.include(error.message, "permessage-deflate: invalid accept: ")
    assert.include(error.problem, problem)
  })

  it.each<readonly [PerMessageDeflate.ResponseSettings, string]>([
    [{ windowBits: 11 }, "windowBits is 11, but the peer has asked for at most 10"],
    [{ noContextTakeover: false }, "noContextTakeover is false, but the peer has asked for it"],
    [{ level: 10 }, "Expected a value between -1 and 9"]
  ])("of a response, %o, is an InvalidAccept", (settings, problem) => {
    const error = failureOf(makeResponseAccept({ response, ...settings }))
    assert.instanceOf(error, PerMessageCompress.InvalidAccept)
    assert.include(error.problem, problem)
  })

  it("is not constructed", () => {
    assert.throws(() => new PerMessageDeflateOfferAccept({ offer, windowBits: 11 }))
    assert.throws(() => new PerMessageDeflateOfferAccept({ offer, noContextTakeover: false }))
    assert.throws(() => new PerMessageDeflateResponseAccept({ response, windowBits: 11 }))
    assert.throws(() => new PerMessageDeflateResponseAccept({ response, noContextTakeover: false }))
  })

  it("throws where no offer and no response could fit", () => {
    assert.throws(() => acceptOffer({ windowBits: 16 }), PerMessageCompress.InvalidAccept)
    assert.throws(() => acceptResponse({ memLevel: 0 }), PerMessageCompress.InvalidAccept)
  })
})

it("accepts have Autobahn's defaults, and what they set is negotiated", () => {
  const offer = new PerMessageDeflateOffer({})
  const plain = Result.getOrThrow(makeOfferAccept({ offer }))
  assert.deepInclude(plain, { requestNoContextTakeover: false, requestMaxWindowBits: 0 })
  const defaults = { memLevel: 8, level: -1, threshold: 0, maxMessageSize: undefined }
  const server = Result.getOrThrow(fromOfferAccept(plain))
  assert.deepInclude(server, defaults)
  assert.strictEqual(server.extensionName, "permessage-deflate")
  const response = responseOf(plain.extensionString)
  assert.strictEqual(response.extensionName, "permessage-deflate")
  const answer = Result.getOrThrow(makeResponseAccept({ response }))
  assert.deepInclude(Result.getOrThrow(fromResponseAccept(answer)), defaults)

  const settings = { memLevel: 1, level: 9, threshold: 1024, maxMessageSize: 65_536 }
  const accept = acceptOffer(settings)([offer])
  assert.isDefined(accept)
  assert.deepInclude(Result.getOrThrow(fromOfferAccept(accept)), settings)
  const accepted = acceptResponse(settings)(response)
  assert.isDefined(accepted)
  assert.deepInclude(Result.getOrThrow(fromResponseAccept(accepted)), settings)
})

it("a client's no context takeover needs no word in the offer", () => {
  const accept = acceptOffer({ requestNoContextTakeover: true })([offerOf("permessage-deflate")])
  assert.strictEqual(accept?.extensionString, "permessage-deflate; client_no_context_takeover")
})
