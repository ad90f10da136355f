/**
 * An HTTP proxy that knows CONNECT, on a port of this machine.
 */
import { Buffer } from "node:buffer"
import * as Net from "node:net"
import * as Effect from "effect/Effect"
import { host, rawServer } from "./node.ts"
import { parseHead } from "./RawPeer.ts"

export interface ProxyBehaviour {
  /** Its answer to every CONNECT, instead of a tunnel: anything, or nothing. */
  readonly answer?: string
  /** Answer 407 to who does not send `user name:password`. */
  readonly credentials?: string
  /** Sent with the answer that opens the tunnel, as if the target had sent it. */
  readonly early?: string
}

const opened = "HTTP/1.1 200 Connection established\r\n\r\n"

const demand =
  'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="test"\r\nContent-Length: 4\r\n\r\nwho?'

/** A proxy; whatever the name of a target is, its port is one of this machine. */
export const makeProxy = Effect.fnUntraced(function* (behaviour: ProxyBehaviour = {}) {
  /** The heads of all CONNECT requests. */
  const requests: Array<string> = []
  const { answer, credentials, early = "" } = behaviour

  const onConnect = (socket: Net.Socket, head: string, rest: Uint8Array): void => {
    const { headers, startLine } = parseHead(head)
    const expected = credentials && `Basic ${Buffer.from(credentials).toString("base64")}`
    if (expected !== undefined && headers["proxy-authorization"] !== expected)
      return void socket.write(demand)
    if (answer !== undefined) return void socket.write(answer)
    const upstream = Net.connect({
      host,
      port: Number(/:([0-9]+) /.exec(startLine)?.[1]),
      allowHalfOpen: true
    })
    upstream.on("error", () => socket.destroy())
    socket.on("close", () => upstream.destroy())
    upstream.once("connect", () => {
      socket.write(`${opened}${early}`)
      upstream.write(rest)
      socket.pipe(upstream)
      upstream.pipe(socket)
    })
  }

  const port = yield* rawServer((socket) => {
    let received = Buffer.alloc(0)
    socket.on("error", () => {})
    const onData = (chunk: Buffer): void => {
      received = Buffer.concat([received, chunk])
      const end = received.indexOf("\r\n\r\n") + 4
      if (end < 4) return
      socket.off("data", onData)
      socket.pause()
      const head = received.subarray(0, end).toString("latin1")
      requests.push(head)
      onConnect(socket, head, received.subarray(end))
      if (answer !== undefined) socket.resume()
    }
    socket.on("data", onData)
  })
  return { host, port, requests }
})
