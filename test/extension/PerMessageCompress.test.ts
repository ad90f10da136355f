import { assert, describe, it } from "@effect/vitest"
import { PerMessageBrotli, PerMessageCompress, PerMessageDeflate, PerMessageSnappy } from "effect-websocket"

const deflate = new PerMessageDeflate.PerMessageDeflateOffer({})
const brotli = new PerMessageBrotli.PerMessageBrotliOffer({})
const snappy = new PerMessageSnappy.PerMessageSnappyOffer({})

describe("acceptAnyOffer", () => {
  const accept = PerMessageCompress.acceptAnyOffer(
    PerMessageBrotli.acceptOffer(),
    PerMessageDeflate.acceptOffer({ windowBits: 12 })
  )

  it.each([
    [[deflate, brotli], deflate],
    [[brotli, deflate], brotli],
    [[snappy, deflate], deflate],
    [[snappy], undefined],
    [[], undefined]
  ])("takes the first of the client's that an acceptor takes", (offers, expected) => {
    assert.strictEqual(accept(offers)?.offer, expected)
  })
})

describe("acceptAnyResponse", () => {
  const accept = PerMessageCompress.acceptAnyResponse(
    PerMessageBrotli.acceptResponse(),
    PerMessageDeflate.acceptResponse({ noContextTakeover: false })
  )
  const takeovers = { clientNoContextTakeover: true, serverNoContextTakeover: false }

  it("takes what an acceptor takes", () => {
    const response = new PerMessageBrotli.PerMessageBrotliResponse(takeovers)
    assert.strictEqual(accept(response)?.response, response)
    assert.isUndefined(accept(new PerMessageSnappy.PerMessageSnappyResponse(takeovers)))
    const windows = { clientMaxWindowBits: 0, serverMaxWindowBits: 0 }
    assert.isUndefined(accept(new PerMessageDeflate.PerMessageDeflateResponse({ ...takeovers, ...windows })))
  })
})
