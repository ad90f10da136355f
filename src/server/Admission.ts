/**
 * Who may connect, before the application is asked.
 */
import * as NetAddress from "effect/net/NetAddress"
import * as Result from "effect/Result"
import { type Linked, LinkedList } from "../channel/LinkedList.ts"
import { defaultPort, parseAuthority } from "../handshake/Authority.ts"
import { ConnectionDeny } from "../handshake/ConnectionDeny.ts"
import * as Origin from "../handshake/Origin.ts"
import type { HandshakeRequest } from "../handshake/Request.ts"
import type { ServerOptions } from "./ServerOptions.ts"

/** Judges a valid request by `externalPort` (400), and its origin by `allowedOrigins` and `allowNullOrigin` (403). */
export const checkRequest = (
  { host, origin }: HandshakeRequest,
  options: ServerOptions
): Result.Result<void, ConnectionDeny> => {
  const { externalPort, url = "ws://localhost" } = options
  if (externalPort !== undefined) {
    const port = parseAuthority(host)?.port ?? schemePort(url)
    if (port !== externalPort) return badRequest("wrong port in the Host header")
  }
  // Only browsers are bound to send one.
  if (origin === undefined) return Result.void
  const parsed = Origin.parse(origin)
  if (Result.isFailure(parsed)) return badRequest(parsed.failure)
  return Origin.isAllowed(parsed.success, options)
    ? Result.void
    : Result.fail(ConnectionDeny.forbidden({ body: "origin not allowed" }))
}

const badRequest = (body: string) => Result.fail(ConnectionDeny.badRequest({ body }))

const schemePort = (url: string): number => defaultPort(url.toLowerCase().startsWith("wss:"))

/** A connection whose opening handshake goes on, or is refused. */
export interface OpenHandshake extends Linked<OpenHandshake> {
  /** Drops the transport. */
  drop(): void
}

/**
 * Connections without a place, oldest first: their opening request has not come yet, or was refused.
 *
 * Where there are too many, the oldest is dropped. An honest client needs a place here for a round trip or two,
 * so that to push it out one must connect as often as the limit within that time. Were the newest dropped, who
 * connects that often in a whole `openHandshakeTimeout`, and is silent, would keep everybody out.
 */
export class Waiting {
  readonly #waiting = new LinkedList<OpenHandshake>()

  add(handshake: OpenHandshake, { maxOpenHandshakes }: ServerOptions): void {
    this.#waiting.add(handshake)
    while (maxOpenHandshakes !== 0 && this.#waiting.size > maxOpenHandshakes) {
      const oldest = this.#waiting.first
      if (oldest === undefined) return
      this.#waiting.delete(oldest)
      oldest.drop()
    }
  }

  delete(handshake: OpenHandshake): void {
    this.#waiting.delete(handshake)
  }
}

/** The places that connections of one address have taken. One of them is given back once for each that was taken. */
export class Place {
  /** The address; `undefined`: that of peers which have none. */
  readonly address: string | undefined
  taken = 0

  constructor(address: string | undefined) {
    this.address = address
  }
}

/** What the number of a peer's connections is counted by. */
const addressOf = (peer: NetAddress.SocketAddress | undefined): string | undefined =>
  peer !== undefined && NetAddress.isInetAddress(peer) ? NetAddress.formatIp(peer.address) : undefined

/** The places of a server's connections. They are counted also while there is no limit, as options may change. */
export class Places {
  #taken = 0
  // Those of which some are taken.
  readonly #byAddress = new Map<string | undefined, Place>()

  /** Takes a place. */
  take(
    peer: NetAddress.SocketAddress | undefined,
    { maxConnections, maxConnectionsPerPeer }: ServerOptions
  ): Result.Result<Place, ConnectionDeny> {
    if (maxConnections > 0 && this.#taken >= maxConnections) {
      return Result.fail(ConnectionDeny.serviceUnavailable({ body: "too many connections" }))
    }
    const address = addressOf(peer)
    const place = this.#byAddress.get(address) ?? new Place(address)
    if (address !== undefined && maxConnectionsPerPeer > 0 && place.taken >= maxConnectionsPerPeer) {
      return Result.fail(ConnectionDeny.tooManyRequests({ body: "too many connections from this address" }))
    }
    this.#taken++
    if (place.taken++ === 0) this.#byAddress.set(address, place)
    return Result.succeed(place)
  }

  /** Gives a place back that was taken. */
  giveBack(place: Place): void {
    this.#taken--
    if (--place.taken === 0) this.#byAddress.delete(place.address)
  }
}
