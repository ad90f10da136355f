import { assert, describe, it } from "@effect/vitest"
import { crc32c } from "../../src/bytes/Crc32c.ts"
import { utf8 } from "../support/frames.ts"

describe("crc32c", () => {
  // RFC 3720 appendix B.4, whose bytes are in the order of the wire; the last is the one that CRCs are told apart by.
  it.each([
    [new Uint8Array(32), 0x8a9136aa],
    [new Uint8Array(32).fill(0xff), 0x62a8ab43],
    [Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
    [Uint8Array.from({ length: 32 }, (_, i) => 31 - i), 0x113fdb5c],
    [new Uint8Array(0), 0],
    [utf8("123456789"), 0xe3069283]
  ])("gives RFC 3720's checksum %#", (bytes, checksum) => {
    assert.strictEqual(crc32c(bytes), checksum)
  })
})
