/**
 * Connections as Effect `Metric`s, for applications that ask for them: without
 * {@link layer} a connection costs nothing for it.
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import type { Traffic } from "../connection/Traffic.ts"
import type { ChannelCore } from "./ChannelCore.ts"
import { type Linked, LinkedList } from "./LinkedList.ts"
import type { Statistics } from "./Statistics.ts"

/** A connection that has opened. */
export interface Opened {
  readonly role: "client" | "server"
  readonly core: Pick<ChannelCore, "closed" | "statistics">
}

/** Is told of every connection that opens where it is in context. Default: nobody is. */
export const ConnectionObserver = Context.Reference<((opened: Opened) => Effect.Effect<void>) | undefined>(
  "effect-websocket/channel/ConnectionObserver",
  { defaultValue: () => undefined }
)

/** Open connections. This and all others have the attribute `role`: `client` or `server`. */
export const open = Metric.gauge("websocket_connections_open", { description: "Open connections" })

/** Time of successful opening handshakes, from the transport's beginning. */
export const handshake = Metric.timer("websocket_handshake", {
  description: "Time of successful opening handshakes"
})

/** Connections that have ended, by `code`, the peer's status code: `"3xxx"` and `"4xxx"` stand for all such codes. */
export const closed = Metric.counter("websocket_connections_closed", {
  description: "Connections that have ended",
  incremental: true
})

/** Round trips of automatic pings, the last one of each connection and interval. */
export const roundTrip = Metric.timer("websocket_round_trip", {
  description: "Round trips of automatic pings"
})

const counter = (name: string, description: string) =>
  Metric.counter(`websocket_${name}`, { description, incremental: true })

const counters = {
  wireOctets: counter("wire_octets", "Octets of all frames"),
  payloadOctets: counter("payload_octets", "Octets of data frames' payloads"),
  messageOctets: counter("message_octets", "Octets of messages"),
  frames: counter("frames", "Data frames"),
  messages: counter("messages", "Messages")
} satisfies Record<keyof Traffic, Metric.Counter<number>>

/** Traffic, by `direction`: `received` or `sent`. */
export const traffic: Readonly<Record<keyof Traffic, Metric.Counter<number>>> = counters

const kinds = Object.keys(counters) as ReadonlyArray<keyof Traffic> // those of the literal above

const none: Traffic = { wireOctets: 0, payloadOctets: 0, messageOctets: 0, frames: 0, messages: 0 }

// Peers choose among a thousand codes: that must not make a thousand series.
const codeLabel = (code: number): string => (code >= 4000 ? "4xxx" : code >= 3000 ? "3xxx" : String(code))

const changeOpen = (role: Opened["role"], change: number) =>
  Metric.modify(Metric.withAttributes(open, { role }), change)

interface Reporter extends Linked<Reporter> {
  /** Updates the metrics of one connection by what is new since the last time. */
  readonly report: Effect.Effect<unknown>
}

/** Adds to the counters what is new since `then`. */
const addTraffic = Effect.fnUntraced(function* (
  attributes: { readonly role: Opened["role"]; readonly direction: "received" | "sent" },
  now: Traffic,
  then: Traffic
) {
  for (const kind of kinds) {
    const increment = now[kind] - then[kind]
    if (increment > 0) yield* Metric.update(Metric.withAttributes(traffic[kind], attributes), increment)
  }
})

const makeReporter = ({ core, role }: Opened): Reporter => {
  let before: Pick<Statistics, "received" | "sent" | "roundTripTime"> = {
    received: none,
    sent: none,
    roundTripTime: undefined
  }
  const report = Effect.suspend(() => {
    const now = core.statistics
    const then = before
    before = now
    return Effect.all([
      addTraffic({ role, direction: "received" }, now.received, then.received),
      addTraffic({ role, direction: "sent" }, now.sent, then.sent),
      now.roundTripTime === undefined || now.roundTripTime === then.roundTripTime
        ? Effect.void
        : Metric.update(Metric.withAttributes(roundTrip, { role }), now.roundTripTime)
    ])
  })
  return { report, previous: undefined, next: undefined }
}

/**
 * Keeps the metrics of all connections that open where it is in context: of
 * servers whose `serve`, and of clients whose `connect` it is provided to. Traffic
 * is added when a connection ends and every `interval`, by default 10 seconds.
 */
export const layer = (options: { readonly interval?: Duration.Input } = {}): Layer.Layer<never> =>
  Layer.effect(
    ConnectionObserver,
    Effect.gen(function* () {
      const reporters = new LinkedList<Reporter>()
      yield* Effect.suspend(() => Effect.all(reporters.all.map(({ report }) => report))).pipe(
        Effect.delay(options.interval ?? "10 seconds"),
        Effect.forever,
        Effect.forkScoped
      )
      const reportEnd = Effect.fnUntraced(function* ({ core, role }: Opened, reporter: Reporter) {
        const { code } = yield* core.closed
        reporters.delete(reporter)
        yield* reporter.report
        yield* changeOpen(role, -1)
        yield* Metric.update(Metric.withAttributes(closed, { role, code: codeLabel(code) }), 1)
      })
      return Effect.fnUntraced(function* (opened: Opened) {
        const { core, role } = opened
        const reporter = makeReporter(opened)
        reporters.add(reporter)
        yield* changeOpen(role, 1)
        yield* Metric.update(Metric.withAttributes(handshake, { role }), core.statistics.handshake.duration)
        yield* Effect.forkDetach(reportEnd(opened, reporter))
      })
    })
  )
