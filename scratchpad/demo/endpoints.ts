/**
 * The demo's WebSocket endpoints.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import * as NetAddress from "effect/net/NetAddress"
import * as PubSub from "effect/PubSub"
import * as Stream from "effect/Stream"
import { PreparedMessage, type WebSocketChannel } from "effect-websocket"
import { NodeWebSocketRoute } from "effect-websocket/node/route"

type Channel = WebSocketChannel.Channel

// A browser's page cannot send pings or see them. With this subprotocol the server
// tells the page what it negotiated, and pings it on the text "/ping".
const demoProtocol = "demo"

const peerOf = ({ peer }: Channel): string =>
  peer !== undefined && NetAddress.isInetAddress(peer)
    ? `${NetAddress.formatHost(peer)}:${peer.port}`
    : "somebody"

const facts = (channel: Channel): string =>
  JSON.stringify({
    facts: {
      peer: peerOf(channel),
      version: channel.request?.version,
      subprotocol: channel.subprotocol ?? "none",
      extensions: channel.extensions.join(", ") || "none"
    }
  })

/** Sends a ping and tells how long its pong took. */
const measurePing = Effect.fnUntraced(function* (channel: Channel) {
  const start = yield* Clock.monotonicTimeNanos
  yield* channel.sendPing(new TextEncoder().encode(String(start)))
  yield* Stream.runHead(channel.pongs)
  const millis = Number((yield* Clock.monotonicTimeNanos) - start) / 1e6
  yield* channel.send(JSON.stringify({ pong: `${millis.toFixed(2)} ms` }))
})

const echo = (channel: Channel) =>
  Stream.runForEach(channel.messages, (message) =>
    channel.subprotocol === demoProtocol && message === "/ping" ? measurePing(channel) : channel.send(message)
  )

/**
 * A room where everyone hears everyone: what is said is framed once, however many
 * hear it. Who reads too slowly misses the oldest messages.
 */
const makeRoom = Effect.map(PubSub.sliding<PreparedMessage.PreparedMessage>(256), (room) => {
  const say = (text: string) => PubSub.publish(room, PreparedMessage.make(text))
  return Effect.fn(function* (channel: Channel) {
    const said = yield* PubSub.subscribe(room)
    yield* Effect.forkScoped(Stream.runForEach(Stream.fromSubscription(said), channel.send))
    yield* say(`${peerOf(channel)} has come`)
    yield* Stream.runForEach(channel.messages, (message) =>
      typeof message === "string" ? say(message) : Effect.void
    ).pipe(Effect.ensuring(say(`${peerOf(channel)} has gone`)))
  })
})

/** Logs a connection's beginning and end, and tells the demo's page what was negotiated. */
const introduced = <E, R>(handler: (channel: Channel) => Effect.Effect<void, E, R>) =>
  Effect.fn(function* (channel: Channel) {
    const name = `${channel.request?.path} ${peerOf(channel)}`
    yield* Effect.log(`${name} opened`)
    yield* Effect.forkDetach(
      Effect.flatMap(channel.closed, ({ code, reason, wasClean }) =>
        Effect.log(
          `${name} closed ${wasClean ? "cleanly" : "uncleanly"}, code ${code}${reason && `: ${reason}`}`
        )
      )
    )
    if (channel.subprotocol === demoProtocol) yield* channel.send(facts(channel))
    yield* handler(channel)
  })

const endpoint = <E, R>(path: `/${string}`, handler: (channel: Channel) => Effect.Effect<void, E, R>) =>
  HttpRouter.add(
    "GET",
    path,
    NodeWebSocketRoute.handler({
      onConnect: ({ protocols }) =>
        Effect.succeed(protocols.includes(demoProtocol) ? demoProtocol : undefined),
      onOpen: introduced(handler)
    })
  )

/** Both endpoints, as routes. */
export const Endpoints = Layer.merge(
  endpoint("/echo", echo),
  Layer.unwrap(Effect.map(makeRoom, (room) => endpoint("/chat", room)))
)
