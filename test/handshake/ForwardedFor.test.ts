import { assert, describe, it } from "@effect/vitest"
import * as NetAddress from "effect/net/NetAddress"
import { forwardedFor } from "../../src/handshake/ForwardedFor.ts"

const found = (values: ReadonlyArray<string>, trusted: number): string | undefined => {
  const address = forwardedFor(values, trusted)
  return address === undefined ? undefined : NetAddress.formatInet(address)
}

describe("forwardedFor", () => {
  const three = "198.51.100.1, 198.51.100.2, 198.51.100.3"
  it.each([
    ["nobody is trusted", [three], 0, undefined],
    ["one proxy: the last address", [three], 1, "198.51.100.3:0"],
    ["two proxies", [three], 2, "198.51.100.2:0"],
    ["all of them", [three], 3, "198.51.100.1:0"],
    ["fewer addresses than proxies: the leftmost", [three], 7, "198.51.100.1:0"],
    [
      "the lines of several headers are one list",
      ["198.51.100.1", "198.51.100.2,198.51.100.3"],
      2,
      "198.51.100.2:0"
    ],
    ["empty elements do not count", ["198.51.100.1,, 198.51.100.2 ,", ""], 2, "198.51.100.1:0"],
    ["no header", [], 1, undefined],
    ["an empty header", [""], 1, undefined],
    ["a port", ["198.51.100.1:4711"], 1, "198.51.100.1:4711"],
    ["IPv6", ["2001:DB8::1"], 1, "[2001:db8::1]:0"],
    ["IPv6 in brackets", ["[2001:db8::1]"], 1, "[2001:db8::1]:0"],
    ["IPv6 with a port", ["[2001:db8::1]:4711"], 1, "[2001:db8::1]:4711"],
    ["IPv4 in IPv6 is IPv4", ["::ffff:198.51.100.1"], 1, "198.51.100.1:0"],
    ["what the client wrote further left does not matter", ["<script>, 198.51.100.2"], 1, "198.51.100.2:0"],
    ["a name", ["198.51.100.1, example.com"], 1, undefined],
    ["unknown", ["198.51.100.1, unknown"], 1, undefined],
    ["an obfuscated one", ["_hidden"], 1, undefined],
    ["too large numbers", ["198.51.100.256"], 1, undefined],
    ["too large a port", ["198.51.100.1:65536"], 1, undefined],
    ["an open bracket", ["[2001:db8::1"], 1, undefined]
  ] as const)("%s", (_, values, trusted, address) => {
    assert.strictEqual(found(values, trusted), address)
  })
})
