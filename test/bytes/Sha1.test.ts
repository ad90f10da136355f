import { createHash } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { sha1 } from "../../src/bytes/Sha1.ts"
import { bytesOf, toHex, utf8 } from "../support/frames.ts"

describe("sha1", () => {
  // RFC 3174 section 7.3.
  it.each([
    ["abc", 1, "a9993e364706816aba3e25717850c26c9cd0d89d"],
    [
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      1,
      "84983e441c3bd26ebaae4aa1f95129e5e54670f1"
    ],
    ["a", 1_000_000, "34aa973cd4c4daa4f61eeb2bdbad27316534016f"],
    [
      "0123456701234567012345670123456701234567012345670123456701234567",
      10,
      "dea356a2cddd90c7a7ecedc5ebb563934f460452"
    ]
  ])("digests RFC 3174's test %#", (text, times, digest) => {
    assert.strictEqual(toHex(sha1(utf8(text.repeat(times)))), digest)
  })

  it("accepts RFC 6455 section 1.3's key", () => {
    const digest = sha1(utf8("dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
    assert.strictEqual(Buffer.from(digest).toString("base64"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
  })

  it("agrees with node:crypto at every length around the block borders", () => {
    for (let length = 0; length <= 200; length++) {
      for (const bytes of [bytesOf(length), new Uint8Array(length).fill(0xff), new Uint8Array(length)]) {
        assert.strictEqual(toHex(sha1(bytes)), createHash("sha1").update(bytes).digest("hex"))
      }
    }
  })

  it("leaves its input alone, also where it is a view", () => {
    const buffer = bytesOf(100)
    const view = buffer.subarray(10, 73)
    assert.strictEqual(toHex(sha1(view)), createHash("sha1").update(view).digest("hex"))
    assert.deepStrictEqual(buffer, bytesOf(100))
  })
})
