/**
 * A server as an application writes it, whose handlers are always in the middle of something. Its argument is
 * where to listen and the server's options, in JSON. On stdout it tells its port, and of each connection what it
 * has received, and how many messages `send` has accepted.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as NetAddress from "effect/net/NetAddress"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { type WebSocketChannel, type WebSocketError, WebSocketServer } from "effect-websocket"
import { NodeShutdown, NodeWebSocketServer } from "effect-websocket/node"

const Settings = Schema.fromJsonString(
  Schema.Struct({
    listen: Schema.Struct({
      host: Schema.String,
      port: Schema.Number,
      reusePort: Schema.optionalKey(Schema.Boolean)
    }),
    options: Schema.Record(Schema.String, Schema.String)
  })
)

const { listen, options } = Schema.decodeSync(Settings)(process.argv[2] ?? "")

const pause = Effect.sleep("50 millis")

/** A connection, its number in the test, and what `send` has accepted on it. */
interface Served {
  readonly channel: WebSocketChannel.Channel
  readonly number: string
  sent: number
}

type Handler = (served: Served) => Effect.Effect<unknown, WebSocketError.WebSocketError>

/** A text that begins with the message's number. */
const text = ({ sent }: Served, length: number): string => `${sent} `.padEnd(length, "x")

const sendOne = (served: Served, length: number) =>
  Effect.andThen(
    Effect.suspend(() => served.channel.send(text(served, length))),
    Effect.sync(() => served.sent++)
  )

const handlers: Readonly<Record<string, Handler>> = {
  messages: (served) => Effect.forever(Effect.andThen(sendOne(served, 100), pause)),

  // More than the peer reads: what `send` accepts waits here.
  burst: (served) =>
    Effect.gen(function* () {
      while ((yield* served.channel.bufferedAmount) < 500_000) yield* sendOne(served, 10_000)
      console.log(`full ${served.number}`)
      yield* Effect.forever(sendOne(served, 10_000))
    }),

  // A message that never ends, after some that have.
  fragments: (served) =>
    Effect.andThen(
      Effect.repeat(sendOne(served, 100), { times: 4 }),
      served.channel.sendStream(Stream.forever(Stream.tap(Stream.make("y"), () => pause)), {
        isBinary: false
      })
    ),

  // Always within a frame, which takes a while.
  frames: (served) =>
    Effect.suspend(() => {
      const bytes = new TextEncoder().encode(text(served, 100))
      const pieces = Stream.tap(Stream.make(bytes.subarray(0, 50), bytes.subarray(50)), () => pause)
      return Effect.andThen(
        served.channel.sendFragmented({ isBinary: false }, ({ sendFrame }) =>
          sendFrame(bytes.length, pieces)
        ),
        Effect.sync(() => served.sent++)
      )
    }).pipe(Effect.forever),

  echo: ({ channel }) =>
    Stream.runForEach(channel.messages, (message) => {
      console.log(`received ${message}`)
      return channel.send(message)
    })
}

const Server = WebSocketServer.serve({
  onOpen: (channel) => {
    const [, kind = "", number = ""] = channel.request?.path.split("/") ?? []
    const served: Served = { channel, number, sent: 0 }
    return Effect.ensuring(
      handlers[kind]?.(served) ?? Effect.void,
      Effect.sync(() => console.log(`sent ${number} ${served.sent}`))
    )
  }
})

const Listening = Layer.effectDiscard(
  Effect.gen(function* () {
    const { address } = yield* WebSocketServer.WebSocketServer
    if (NetAddress.isInetAddress(address)) console.log(`listening on ${address.port}`)
  })
)

Layer.mergeAll(Server, Listening).pipe(
  Layer.provide(NodeWebSocketServer.layer(listen, options)),
  Layer.launch,
  NodeShutdown.runMain
)
