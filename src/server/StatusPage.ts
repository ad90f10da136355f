/**
 * What a browser sees that opens a WebSocket endpoint as a page (Autobahn's
 * `webStatus`).
 */
import * as Utf8 from "../bytes/Utf8.ts"
import { encodeHead } from "../handshake/HttpHead.ts"

const page = Utf8.encode(`<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>WebSocket endpoint</title></head>
<body><h1>WebSocket endpoint</h1><p>This address speaks the WebSocket protocol: connect with a WebSocket client.</p></body>
</html>
`)

const head = encodeHead("HTTP/1.1 200 OK", [
  ["Content-Type", "text/html; charset=utf-8"],
  ["Content-Length", String(page.length)],
  ["Connection", "close"]
])

/** The whole response. */
export const response: Uint8Array = new Uint8Array([...head, ...page])
