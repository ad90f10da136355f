/**
 * A network without sockets: what connects to it reaches the server in the same
 * layer, through the real handshake and framing.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as NetAddress from "effect/net/NetAddress"
import { acceptor } from "../transport/Acceptor.ts"
import * as InMemoryTransport from "../transport/InMemoryTransport.ts"
import { accepted, TransportClient, TransportError, TransportServer } from "../transport/Transport.ts"

/** What a test can do to the network. */
export class InMemoryNetwork extends Context.Service<
  InMemoryNetwork,
  {
    /** The faults of each connection that was made, in order. */
    readonly connections: Effect.Effect<ReadonlyArray<InMemoryTransport.Faults>>
    /** Does this to each connection made from now on, before anything passes. Default: nothing. */
    readonly onConnection: (
      act: (faults: InMemoryTransport.Faults) => Effect.Effect<void>
    ) => Effect.Effect<void>
  }
>()("effect-websocket/testing/InMemoryNetwork") {}

const address = NetAddress.inetAddressUnsafe(NetAddress.ipv4Loopback, 80)

/** A network with one server; every URL leads to it, without a proxy. */
export const layer = (
  options?: InMemoryTransport.InMemoryOptions
): Layer.Layer<InMemoryNetwork | TransportClient | TransportServer> =>
  Layer.effectContext(
    Effect.sync(() => {
      const accepting = acceptor()
      const connections: Array<InMemoryTransport.Faults> = []
      let act: (faults: InMemoryTransport.Faults) => Effect.Effect<void> = () => Effect.void
      let isStopped = false
      const refused = Effect.fail(
        new TransportError({ message: "the in-memory server does not accept connections", cause: undefined })
      )
      const network = InMemoryNetwork.of({
        connections: Effect.sync(() => [...connections]),
        onConnection: (instead) =>
          Effect.sync(() => {
            act = instead
          })
      })
      return Context.make(InMemoryNetwork, network).pipe(
        Context.add(TransportServer, {
          address,
          accept: accepting.accept,
          stop: Effect.sync(() => {
            isStopped = true
          })
        }),
        Context.add(TransportClient, {
          connect: () =>
            Effect.gen(function* () {
              if (isStopped) return yield* refused
              const { client, faults, server } = yield* InMemoryTransport.makePair(options)
              yield* Effect.addFinalizer(() => Effect.sync(() => client.abort()))
              connections.push(faults)
              yield* act(faults)
              accepting.onTransport(accepted(server))
              return client
            })
        })
      )
    })
  )
