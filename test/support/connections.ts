/**
 * A connection of the pure core with its codec, and a record of what it hands
 * to its owner.
 */
import { OutgoingBytes, SlabPool } from "../../src/bytes/OutgoingBytes.ts"
import { Connection, type ConnectionOptions } from "../../src/connection/Connection.ts"
import { Decompression } from "../../src/connection/Decompression.ts"
import type { MessageDecompressor } from "../../src/extension/MessageCodec.ts"
import type { FrameDecoderOptions } from "../../src/frame/FrameDecoder.ts"
import { rsv1 } from "../../src/frame/FrameHeader.ts"
import { FrameWriter } from "../../src/frame/FrameWriter.ts"
import { EncodedText, MessagePiece, type ReceivedMessage } from "../../src/message/Message.ts"
import { type MessageAssemblerOptions, messageLimit } from "../../src/message/MessageAssembler.ts"
import { MessageReader } from "../../src/message/MessageReader.ts"
import { joined, type Key, keyNumber, type ParsedFrame, parseFrames, rfcKey } from "./frames.ts"

export interface Settings extends Partial<FrameDecoderOptions & MessageAssemblerOptions & ConnectionOptions> {
  /** Whose end it is. Default: the server's. */
  readonly role?: "server" | "client"
  /** The masking keys of a client, in turn. Default: RFC 6455's example, always. */
  readonly keys?: ReadonlyArray<Key>
  /** Default: one of its own. */
  readonly pool?: SlabPool
  /** Of a per-message compression, which claims a reserved bit then. Default: none is spoken. */
  readonly decompressor?: MessageDecompressor | undefined
}

/** What a connection handed to its owner, messages in pieces joined; bytes are copies. */
export type Received =
  | readonly ["text", string]
  | readonly ["binary" | "encodedText" | "ping" | "pong", Uint8Array]

const received = (message: ReceivedMessage): Received =>
  typeof message === "string"
    ? ["text", message]
    : message instanceof EncodedText
      ? ["encodedText", message.bytes]
      : ["binary", message]

export class TestConnection {
  readonly connection: Connection
  /** All that came, in order. */
  readonly received: Array<Received> = []
  /** How many readers were made, and the last of them. */
  readers = 0
  reader: WeakRef<MessageReader> | undefined
  /** Called with each, where a test acts from inside the callback. */
  onReceived: (event: Received) => void = () => {}
  /** Called when the connection is about to answer a Close, or to fail. */
  onClosing: () => void = () => {}

  constructor(settings: Settings = {}) {
    const server = (settings.role ?? "server") === "server"
    const keys = settings.keys ?? [rfcKey]
    let turn = 0
    const options = {
      masking: server ? ("required" as const) : ("forbidden" as const),
      applyMask: true,
      maxFramePayloadSize: 0,
      maxMessagePayloadSize: 0,
      allowedReservedBits: settings.decompressor === undefined ? 0 : rsv1,
      utf8validateIncoming: true,
      autoFragmentSize: 0,
      failByDrop: false,
      echoCloseCodeReason: false,
      ...settings
    }
    const outgoing = new OutgoingBytes(settings.pool ?? new SlabPool())
    const nextMaskingKey = server ? undefined : () => keyNumber(keys[turn++ % keys.length]!)
    let pieces: Array<Uint8Array> = []
    const record = (event: Received) => {
      this.received.push(event)
      this.onReceived(event)
    }
    this.connection = new Connection(
      {
        makeReader: () => {
          const reader = new MessageReader(options)
          this.readers++
          this.reader = new WeakRef(reader)
          return reader
        },
        outgoing,
        writer: new FrameWriter(outgoing, { nextMaskingKey, applyMask: options.applyMask }),
        compression: undefined,
        decompression:
          settings.decompressor && new Decompression(settings.decompressor, messageLimit(options), 0)
      },
      options,
      {
        onMessage: (message) => {
          if (!(message instanceof MessagePiece)) return record(received(message))
          pieces.push(message.bytes)
          if (!message.isLast) return
          record([message.isBinary ? "binary" : "encodedText", joined(pieces)])
          pieces = []
        },
        onPing: (payload) => record(["ping", payload]),
        onPong: (payload) => record(["pong", payload]),
        onReady: () => this.connection.goOn(),
        onClosing: () => this.onClosing()
      }
    )
  }

  /** Receives copies of the chunks, one after the other, and destroys those that are said to be used up. */
  receive(...chunks: ReadonlyArray<Uint8Array>): this {
    for (const chunk of chunks) {
      const own = new Uint8Array(chunk)
      if (this.connection.receive(own)) own.fill(0xa5)
    }
    return this
  }

  /** The bytes sent since the last call. */
  sentBytes(): Uint8Array {
    return joined(this.connection.outgoing.take())
  }

  /** The frames sent since the last call. */
  sent(): Array<ParsedFrame> {
    return parseFrames(this.sentBytes())
  }
}
