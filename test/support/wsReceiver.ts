/**
 * The receiving half of the npm package `ws`, without a socket.
 */
import type { Writable } from "node:stream"
import * as ws from "ws"
import type { Received } from "./connections.ts"

/** What a receiver makes of a stream. */
export interface Outcome {
  readonly received: ReadonlyArray<Received>
  /** The status code that it fails with. */
  readonly failsWith: number | undefined
  /** The code of the peer's Close frame; 1005 where it had none. */
  readonly closedWith: number | undefined
}

export interface ReceiverSettings {
  readonly role: "server" | "client"
  /** 0: no limit. */
  readonly maxMessagePayloadSize: number
  /** Whether permessage-deflate is spoken, with its defaults. */
  readonly deflate: boolean
}

// Exported by the package, and missing in its types.
const { PerMessageDeflate, Receiver } = ws as unknown as {
  readonly PerMessageDeflate: new (
    options: object
  ) => { accept(offers: ReadonlyArray<object>): void; cleanup(): void }
  readonly Receiver: new (options: object) => Writable
}

const strict = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true })

const copyOf = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes)

/** The package keeps the status code of a failure under a symbol of its own. */
const statusCodeOf = (error: Error): number => {
  const key = Object.getOwnPropertySymbols(error).find(({ description }) => description === "status-code")
  const code: unknown = key && Reflect.get(error, key)
  if (typeof code !== "number") throw error
  return code
}

export const receiveWithWs = (stream: Uint8Array, settings: ReceiverSettings): Promise<Outcome> => {
  const { deflate, maxMessagePayloadSize: maxPayload, role } = settings
  const isServer = role === "server"
  const extension = deflate ? new PerMessageDeflate({ isServer, maxPayload }) : undefined
  extension?.accept([{}])
  const receiver = new Receiver({ isServer, maxPayload, extensions: { "permessage-deflate": extension } })
  const received: Array<Received> = []
  return new Promise((resolve, reject) => {
    const end = (failsWith?: number, closedWith?: number): void => {
      extension?.cleanup()
      resolve({ received, failsWith, closedWith })
    }
    receiver
      .on("message", (data: Uint8Array, isBinary: boolean) =>
        received.push(isBinary ? ["binary", copyOf(data)] : ["text", strict.decode(data)])
      )
      .on("ping", (payload: Uint8Array) => received.push(["ping", copyOf(payload)]))
      .on("pong", (payload: Uint8Array) => received.push(["pong", copyOf(payload)]))
      .on("conclude", (code: number) => end(undefined, code))
      .on("error", (error: Error) => {
        try {
          end(statusCodeOf(error))
        } catch (unknown) {
          reject(unknown)
        }
      })
    receiver.write(Buffer.from(stream), (error) => {
      if (!error) end()
    })
  })
}
