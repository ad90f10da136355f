/**
 * What a browser sees that opens a WebSocket endpoint as a page (Autobahn's
 * `webStatus`).
 */
import * as Utf8 from "../bytes/Utf8.ts"
import { ConnectionDeny } from "../handshake/ConnectionDeny.ts"
import { encodeHead } from "../handshake/HttpHead.ts"
import type { HandshakeRequest } from "../handshake/Request.ts"
import { type Answer, withServer } from "./Refusal.ts"
import type { ServerOptions } from "./ServerOptions.ts"

/**
 * The page, or the way to another one that the application allows: `?redirect=` with its URL goes there at
 * once, and with `&after=` seconds from the page.
 */
export const response = (params: HandshakeRequest["params"], options: ServerOptions): Answer => {
  const { after, redirect } = params
  const target = redirect?.[0]
  if (target === undefined || !options.webStatusRedirects.includes(target)) return page("", options)
  const seconds = after?.[0]
  if (seconds === undefined) return new ConnectionDeny({ status: 303, headers: { Location: target } })
  if (!/^[0-9]{1,9}$/.test(seconds)) return page("", options)
  return page(`<meta http-equiv="refresh" content="${seconds}; url=${escape(target)}">`, options)
}

const page = (refresh: string, options: ServerOptions): Uint8Array => {
  const body = Utf8.encode(`<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8">${refresh}<title>WebSocket endpoint</title></head>
<body><h1>WebSocket endpoint</h1><p>This address speaks the WebSocket protocol: connect with a WebSocket client.</p></body>
</html>
`)
  const headers = [
    ["Content-Type", "text/html; charset=utf-8"],
    ["Content-Length", String(body.length)],
    ["Connection", "close"]
  ] as const
  return new Uint8Array([...encodeHead("HTTP/1.1 200 OK", withServer(options, headers)), ...body])
}

const escapes: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;"
}

const escape = (text: string): string => text.replace(/[&<>"']/g, (character) => escapes[character] ?? "")
