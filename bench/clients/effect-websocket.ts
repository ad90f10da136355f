/**
 * The client that a user of effect-websocket would write.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { ClientOptions, PerMessageDeflate, WebSocketClient } from "effect-websocket"
import { NodeWebSocketClient } from "effect-websocket/node"
import { type ClientJob, runClientJob } from "../clientJob.ts"
import { fail } from "../load/fail.ts"

/** Keeps `inFlight` messages outstanding. */
const echo = ({ conversation, url }: ClientJob, inFlight: number) =>
  Effect.gen(function* () {
    const { heard, next } = conversation()
    const channel = yield* WebSocketClient.connect(url)
    for (let index = 0; index < inFlight; index++) yield* channel.send(next())
    yield* Stream.runForEach(channel.messages, (message) => {
      heard(message)
      return channel.send(next())
    })
  }).pipe(Effect.scoped)

/** Connects, has one message echoed, and closes, over and over. */
const connect = ({ conversation, finished, url }: ClientJob) =>
  Effect.gen(function* () {
    const { heard, next } = conversation()
    const channel = yield* WebSocketClient.connect(url)
    yield* channel.send(next())
    heard(yield* channel.receive)
    const { code } = yield* channel.close(1000)
    if (code !== 1000) fail(`connection closed with ${code}`)
    finished()
  }).pipe(Effect.scoped, Effect.forever)

const connections = (job: ClientJob) =>
  job.scenario.kind === "echo"
    ? Effect.replicateEffect(echo(job, job.scenario.inFlight), job.scenario.connections, {
        concurrency: "unbounded",
        discard: true
      })
    : Effect.replicateEffect(connect(job), job.scenario.parallel, { concurrency: "unbounded", discard: true })

await runClientJob((job) => {
  const options: ClientOptions.ClientOptionsInput = job.scenario.message.compressed
    ? {
        ...ClientOptions.hardened,
        perMessageCompressionOffers: [new PerMessageDeflate.PerMessageDeflateOffer()]
      }
    : ClientOptions.hardened
  Effect.runPromise(Effect.provide(connections(job), NodeWebSocketClient.layer(options))).then(
    () => fail("the connections have ended"),
    (error) => fail(String(error))
  )
})
