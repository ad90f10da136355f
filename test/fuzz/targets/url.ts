import * as Result from "effect/Result"
import { createUrl, parseUrl } from "../../../src/handshake/WebSocketUrl.ts"
import { anyUrl, checkUrl } from "../../support/urls.ts"
import { splitAfter, type Target } from "../Target.ts"

/** A URL that an application was given. */
export const url: Target = {
  name: "url",
  isText: true,
  generated: anyUrl,
  dictionary: [
    ...[
      "ws://",
      "wss://",
      "unix:",
      "unix:/",
      "://",
      "/",
      ":",
      "?",
      "#",
      "@",
      "&",
      "=",
      "+",
      "[",
      "]",
      "[::1]",
      "."
    ],
    ...[
      "..",
      "%2e",
      "%2F",
      "%00",
      "%ff",
      "%C3%A4",
      "%",
      ":0",
      ":65536",
      ":80",
      "ä",
      "ß",
      "\u2028",
      "\ud800",
      "xn--"
    ],
    ...["0x7f.1", "1.2.3", "\\", "\t", "\u3000", "\u00ad", "a".repeat(64)]
  ],
  split: splitAfter(/[/?&=:]/),
  check: checkUrl,
  work: (input) => {
    const parsed = parseUrl(input)
    if (Result.isSuccess(parsed)) createUrl(parsed.success)
  }
}
