/**
 * A transport directly on a Node socket: TCP, TLS or Unix-domain.
 *
 * `data` events go straight to the listener: measured against a pull-based
 * reader, that is up to half of the echo rate.
 */

import { Socket } from "node:net"
import { networkInterfaces } from "node:os"
import type { Duplex } from "node:stream"
import type { TLSSocket } from "node:tls"
import * as NetAddress from "effect/net/NetAddress"
import type {
  ChannelId,
  ChannelType,
  TlsFacts,
  Transport,
  TransportListener
} from "../transport/Transport.ts"
import { plainViewOf } from "./PlainView.ts"
import * as Turn from "./Turn.ts"

/**
 * The transport on a connected socket, which must have been made with `allowHalfOpen`. Throws where the socket has one.
 * `local`: this end's address, which the socket is asked for where it is not known.
 */
export const fromSocket = (socket: Duplex, local?: NetAddress.SocketAddress): Transport =>
  new NodeTransport(socket, local)

/** An address as Node tells it, of nothing else; `undefined` also where it is of an interface that is gone. */
export const addressOf = (
  address: string | undefined,
  port: number | undefined
): NetAddress.InetAddress | undefined => {
  if (address === undefined || port === undefined) return undefined
  // An address of one link names the interface.
  const scopeIds = address.includes("%")
    ? NetAddress.scopeIdsFromInterfaces(Object.entries(networkInterfaces()))
    : undefined
  try {
    return NetAddress.toCanonical(NetAddress.inetAddressFromNativeUnsafe(address, port, scopeIds))
  } catch {
    return undefined
  }
}

/** An address as Node tells it. */
interface NativeAddress {
  readonly native: string | undefined
  readonly port: number | undefined
}

/** By this property the listeners of a socket find its transport: they are the same functions for all sockets. */
const transportOf = Symbol("effect-websocket/node/NodeTransport")

interface HasTransport {
  [transportOf]?: NodeTransport
}

function onError(this: Duplex & HasTransport, error: Error): void {
  this[transportOf]?.failed(error)
}

function onData(this: Duplex & HasTransport, chunk: Uint8Array): void {
  this[transportOf]?.received(chunk)
}

function onEnd(this: Duplex & HasTransport): void {
  this[transportOf]?.ended()
}

function onClose(this: Duplex & HasTransport): void {
  this[transportOf]?.closed()
}

class NodeTransport implements Transport, Turn.Participant {
  readonly channelType: ChannelType
  readonly tls: TlsFacts | undefined

  readonly #socket: Duplex
  readonly #local: NetAddress.SocketAddress | NativeAddress | undefined
  // Called for each write. Not by a TCP socket, which writes at once most of the time, when a call only costs.
  readonly #onWritten: ((error?: Error | null) => void) | undefined
  #listener: TransportListener | undefined
  #error: Error | undefined
  // What was read and is not handed out yet.
  #chunk: Uint8Array | undefined
  // What is to be written at the end of the turn.
  #answer: ReadonlyArray<Uint8Array> | undefined
  // Bytes were left behind by a write, and nobody was told yet that they are gone.
  #isBehind = false
  #isPaused = false
  // The peer's end came while nobody was to be told.
  #isEndUntold = false
  // Who listens from now on is told at once. Not yet while the socket is closed and has not said so.
  #isClosed: boolean

  constructor(socket: Duplex, local: NetAddress.SocketAddress | undefined) {
    this.#socket = socket
    this.#local = local
    this.#isClosed = socket.closed
    if (socket instanceof Socket) {
      // Node forgets it when the socket closes, but keeps the peer's once it was asked for that.
      this.#local ??= { native: socket.localAddress, port: socket.localPort }
      void socket.remoteAddress
      // An HTTP server may have set one.
      socket.setTimeout(0)
    }
    this.tls = isTls(socket) ? tlsFacts(socket) : undefined
    this.channelType = channelTypeOf(socket)
    if (!writesAtOnce(socket)) this.#onWritten = this.#written.bind(this)
    const owner: Duplex & HasTransport = socket
    if (owner[transportOf] !== undefined) throw new Error("the socket has a transport")
    owner[transportOf] = this
    // Always heard, or a reset before the first `listen` would be thrown.
    this.#on("error", onError)
    // A socket without unread bytes ends also while it is paused, or before it came here.
    this.#isEndUntold = socket.readableEnded
    this.#on("end", onEnd)
    this.#on("close", onClose)
  }

  #on<A>(event: string, listener: (this: Duplex, argument: A) => void): void {
    const socket = this.#socket
    // Another stream may hand its listeners on, to one that is not this.
    socket.on(event, socket instanceof Socket ? listener : listener.bind(socket))
  }

  failed(error: Error): void {
    this.#error = error
  }

  received(chunk: Uint8Array): void {
    this.deliver()
    this.#chunk = plainViewOf(chunk)
    Turn.delivers(this)
  }

  ended(): void {
    this.#isEndUntold = true
    this.#tellEnd()
  }

  closed(): void {
    this.deliver()
    this.#isClosed = true
    const listener = this.#listener
    // Sockets may stay in memory until a full collection: not with the whole connection.
    this.#listener = undefined
    listener?.onClose(this.#error)
  }

  get peer(): NetAddress.SocketAddress | undefined {
    const socket = this.#socket
    return socket instanceof Socket ? addressOf(socket.remoteAddress, socket.remotePort) : undefined
  }

  get local(): NetAddress.SocketAddress | undefined {
    const local = this.#local
    return local !== undefined && "native" in local ? addressOf(local.native, local.port) : local
  }

  get bufferedAmount(): number {
    return this.#socket.writableLength
  }

  listen(listener: TransportListener): void {
    if (this.#isClosed) return this.#tellClosed(listener)
    const isFirst = this.#listener === undefined
    this.#listener = listener
    if (isFirst) this.#on("data", onData)
  }

  #tellClosed(listener: TransportListener): void {
    queueMicrotask(() => listener.onClose(this.#error))
  }

  deliver(): void {
    const chunk = this.#chunk
    if (chunk === undefined || this.#isPaused) return
    this.#chunk = undefined
    if (this.#listener?.onData(chunk) && this.#mayRelease(chunk)) chunk.buffer.transfer(0)
  }

  /**
   * Whether the memory of a chunk that is used up may be freed, where the collector would find it late: the next read
   * gets the same memory, which the processor's cache still holds. With messages of 64 KiB that is a quarter of a server's
   * time. Not where an application listens to its socket, too, and not with another kind of stream, which may use its
   * chunks again.
   */
  #mayRelease(chunk: Uint8Array): chunk is Uint8Array<ArrayBuffer> {
    const { buffer, byteLength } = chunk
    return (
      byteLength >= releaseFrom &&
      buffer.byteLength === byteLength &&
      buffer instanceof ArrayBuffer &&
      this.#socket instanceof Socket &&
      this.#socket.listenerCount("data") === 1
    )
  }

  pause(): void {
    this.#isPaused = true
    this.#socket.pause()
  }

  resume(): void {
    this.#isPaused = false
    this.#socket.resume()
    if (this.#chunk !== undefined) Turn.delivers(this)
    if (this.#isEndUntold) queueMicrotask(() => this.#tellEnd())
  }

  #tellEnd(): void {
    this.deliver()
    if (!this.#isEndUntold || this.#isPaused || this.#listener === undefined) return
    this.#isEndUntold = false
    this.#listener.onEnd()
  }

  write(chunks: ReadonlyArray<Uint8Array>): void {
    if (this.#answer !== undefined) {
      // More than one answer in a turn: did they all wait, `bufferedAmount` would not tell how much there is.
      this.#answer = [...this.#answer, ...chunks]
      this.writeOut()
    } else if (Turn.writesOut(this)) this.#answer = chunks
    else this.#write(chunks)
  }

  writeOut(): void {
    const answer = this.#answer
    if (answer === undefined) return
    this.#answer = undefined
    this.#write(answer)
  }

  #write(chunks: ReadonlyArray<Uint8Array>): void {
    const socket = this.#socket
    if (!socket.writable) return
    if (chunks.length === 1) {
      socket.write(chunks[0], this.#onWritten)
    } else {
      socket.cork()
      for (const chunk of chunks) socket.write(chunk, this.#onWritten)
      socket.uncork()
    }
    if (socket.writableLength > 0) this.#fallBehind()
  }

  #fallBehind(): void {
    if (this.#isBehind) return
    this.#isBehind = true
    // An empty chunk is through when all before it is. Node's "drain" comes only after more than its own high-water mark.
    if (this.#onWritten === undefined) this.#socket.write(noBytes, (error) => this.#written(error))
  }

  #written(error: Error | null | undefined): void {
    // A write that failed has made no room: the socket closes.
    if (error || !this.#isBehind) return
    const isThrough = this.#socket.writableLength === 0
    if (!isThrough && this.#onWritten !== undefined) return
    this.#isBehind = false
    if (isThrough) this.#listener?.onDrain()
    // What was written meanwhile.
    else if (this.#socket.writable) this.#fallBehind()
  }

  end(): void {
    this.writeOut()
    this.#socket.end()
  }

  abort(): void {
    this.#chunk = undefined
    this.writeOut()
    this.#socket.destroy()
  }

  setNoDelay(enabled: boolean): void {
    if (this.#socket instanceof Socket) this.#socket.setNoDelay(enabled)
  }
}

const noBytes = new Uint8Array(0)

const writesAtOnce = (socket: Duplex): boolean => socket instanceof Socket && !isTls(socket)

/** Chunks from this length on are freed, in bytes: for smaller ones it saves nothing. */
const releaseFrom = 4096

// For `instanceof` all of `node:tls` would be loaded. An application may set `encrypted` on a socket of its own.
const isTls = (socket: Duplex): socket is TLSSocket =>
  socket instanceof Socket && "getPeerCertificate" in socket

const channelTypeOf = (socket: Duplex): ChannelType => {
  if (isTls(socket)) return "tls"
  if (!(socket instanceof Socket)) return "socket"
  // A Unix-domain socket has no addresses.
  return socket.remoteAddress === undefined ? "unix" : "tcp"
}

const tlsFacts = (socket: TLSSocket): TlsFacts => {
  const protocol = socket.getProtocol() ?? "unknown"
  let peerCertificate: Uint8Array | undefined
  let channelId: ChannelId | undefined
  return {
    protocol,
    cipher: socket.getCipher()?.name ?? "unknown",
    authorized: socket.authorized,
    get peerCertificate() {
      peerCertificate ??= copyOf(socket.getPeerCertificate()?.raw)
      return peerCertificate
    },
    get channelId() {
      channelId ??= channelIdOf(socket, protocol)
      return channelId
    }
  }
}

const exporterLabel = "EXPORTER-Channel-Binding"

const channelIdOf = (socket: TLSSocket, protocol: string): ChannelId | undefined => {
  if (socket.destroyed) return undefined
  if (protocol === "TLSv1.3") {
    const bytes = new Uint8Array(socket.exportKeyingMaterial(32, exporterLabel, Buffer.alloc(0)))
    return { type: exporterLabel, bytes }
  }
  // As documented, a server's socket has no ephemeral key of its peer.
  const isServer = socket.getEphemeralKeyInfo() === null
  // RFC 5929 section 3: the first Finished is the client's, but the server's when a session is resumed.
  const isOwnFirst = isServer === socket.isSessionReused()
  const bytes = copyOf(isOwnFirst ? socket.getFinished() : socket.getPeerFinished())
  return bytes && { type: "tls-unique", bytes }
}

const copyOf = (bytes: Uint8Array | undefined): Uint8Array | undefined => bytes && new Uint8Array(bytes)
