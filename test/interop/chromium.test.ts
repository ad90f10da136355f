/**
 * Chromium, which always offers permessage-deflate, on a page of no origin.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { PerMessageDeflate, type WebSocketChannel, WebSocketServer } from "effect-websocket"
import { NodeWebSocketServer } from "effect-websocket/node"
import { isChromiumThere, launchChromium } from "../support/chromium.ts"
import { anyPort, echo, urlOf } from "../support/node.ts"

const launched = Effect.acquireRelease(Effect.promise(launchChromium), (browser) =>
  Effect.promise(() => browser.close())
)

/** Runs in the page: sends each text as such and as bytes, and gives what comes back. */
const exchangeInPage = ([url, texts]: readonly [string, ReadonlyArray<string>]) =>
  new Promise<{ extensions: string; echoes: ReadonlyArray<string> }>((resolve, reject) => {
    const socket = new WebSocket(url)
    const echoes: Array<string> = []
    socket.binaryType = "arraybuffer"
    socket.onopen = () => {
      for (const text of texts) {
        socket.send(text)
        socket.send(new TextEncoder().encode(text))
      }
    }
    socket.onmessage = ({ data }) => {
      echoes.push(typeof data === "string" ? data : new TextDecoder().decode(data))
      if (echoes.length === 2 * texts.length) socket.close(1000)
    }
    socket.onclose = ({ code, wasClean }) =>
      wasClean ? resolve({ extensions: socket.extensions, echoes }) : reject(new Error(`closed with ${code}`))
  })

describe.skipIf(!isChromiumThere)("Chromium", () => {
  it.effect.each([
    { settings: {}, extensions: "permessage-deflate" },
    {
      settings: {
        windowBits: 9,
        noContextTakeover: true,
        requestMaxWindowBits: 9,
        requestNoContextTakeover: true
      },
      extensions:
        "permessage-deflate; server_no_context_takeover; server_max_window_bits=9; client_no_context_takeover; client_max_window_bits=9"
    }
  ])("exchanges compressed messages: $extensions", ({ extensions, settings }) =>
    Effect.gen(function* () {
      const opened = yield* Deferred.make<WebSocketChannel.Channel>()
      const server = yield* WebSocketServer.WebSocketServer
      yield* server.serve({
        onOpen: (channel) => Effect.andThen(Deferred.succeed(opened, channel), echo(channel))
      })
      const page = yield* Effect.flatMap(launched, (browser) => Effect.promise(() => browser.newPage()))
      const texts = ["", "a", "Grüße, 世界 😀! ".repeat(5), "Grüße, 世界 😀! ".repeat(20_000)]
      const seen = yield* Effect.promise(() => page.evaluate(exchangeInPage, [urlOf(server), texts] as const))
      assert.strictEqual(seen.extensions, extensions)
      assert.isTrue(seen.echoes.every((echo, i) => echo === texts[i >> 1]))
      assert.lengthOf(seen.echoes, 2 * texts.length)
      const channel = yield* Deferred.await(opened)
      assert.deepStrictEqual(channel.extensions, [extensions])
      const { received, sent } = yield* channel.statistics
      for (const { messageOctets, payloadOctets } of [received, sent]) {
        assert.isBelow(payloadOctets, messageOctets / 10)
      }
    }).pipe(
      Effect.provide(
        NodeWebSocketServer.layer(anyPort, {
          allowNullOrigin: true,
          perMessageCompressionAccept: PerMessageDeflate.acceptOffer(settings)
        })
      )
    )
  )
})
