import { createServer, type Socket } from "node:net"
import type { NonEmptyReadonlyArray } from "effect/Array"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { listen } from "../announce.ts"
import { frameAt, Pending, respond, unmask } from "../bareFrames.ts"

// As `bare`, but messages go through a Stream as strings and each is sent by an effect; the sockets of a turn read,
// deliver and write in the same order as those of the library. ASCII of less than 64 KiB only.

type Batch = NonEmptyReadonlyArray<string>

const fin = 0x80
const text = 1
const slabSize = 65_536

/** What is written, by all connections next to one another. */
let slab = Buffer.allocUnsafeSlow(slabSize)
let position = 0

class Connection {
  readonly #socket: Socket
  readonly #pending = new Pending()
  #chunk: Buffer | undefined
  #isOpen = false
  #isClosing = false
  #messages: Array<string> = []
  #resume: ((batch: Effect.Effect<Batch>) => void) | undefined
  // The answer: where it stands in which slab.
  #slab: Buffer | undefined
  #start = 0
  #end = 0

  readonly #pull: Effect.Effect<Batch, Cause.Done> = Effect.callback((resume) => {
    if (this.#messages.length > 0) resume(this.#take())
    else this.#resume = resume
  })

  constructor(socket: Socket) {
    this.#socket = socket
  }

  read(chunk: Buffer): void {
    this.deliver()
    this.#chunk = chunk
    if (due.length === 0) setImmediate(runTurn)
    due.push(this)
  }

  deliver(): void {
    const chunk = this.#chunk
    this.#chunk = undefined
    if (chunk === undefined) return
    if (!this.#isOpen) return this.#open(chunk)
    const bytes = this.#pending.push(chunk)
    if (bytes === undefined) return
    this.#decode(bytes)
    const resume = this.#resume
    if (this.#messages.length === 0 || resume === undefined) return
    this.#resume = undefined
    resume(this.#take())
  }

  #open(request: Buffer): void {
    this.#isOpen = true
    respond(this.#socket, request.toString("latin1"))
    Effect.runFork(Stream.runForEach(Stream.fromPull(Effect.succeed(this.#pull)), this.#send))
  }

  #decode(bytes: Buffer): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    let at = 0
    let frame = frameAt(bytes, 0)
    for (; frame !== undefined && bytes.length - at >= frame.total; frame = frameAt(bytes, at)) {
      const start = at + frame.header
      unmask(bytes, view, start, at + frame.total)
      if ((bytes[at]! & 0x0f) === 8) this.#isClosing = true
      else this.#messages.push(bytes.toString("utf8", start, at + frame.total))
      at += frame.total
    }
    this.#pending.keep(bytes, at, frame?.total ?? 0)
  }

  #take(): Effect.Effect<Batch> {
    const batch = this.#messages as unknown as Batch // there is one
    this.#messages = []
    return Effect.succeed(batch)
  }

  readonly #send = (message: string): Effect.Effect<void> => Effect.sync(() => this.#write(message))

  #write(message: string): void {
    if (this.#slab !== undefined && (this.#slab !== slab || this.#end !== position)) this.#flush()
    const header = message.length < 126 ? 2 : 4
    if (position + header + message.length > slab.length) {
      this.#flush()
      slab = Buffer.allocUnsafeSlow(slabSize)
      position = 0
    }
    if (this.#slab === undefined) {
      this.#slab = slab
      this.#start = position
    }
    slab[position] = fin | text
    if (header === 2) slab[position + 1] = message.length
    else {
      slab[position + 1] = 126
      slab.writeUInt16BE(message.length, position + 2)
    }
    position += header
    position += slab.write(message, position, "utf8")
    this.#end = position
  }

  #flush(): void {
    const answer = this.#slab?.subarray(this.#start, this.#end)
    this.#slab = undefined
    if (answer !== undefined) this.#socket.write(answer)
  }

  writeOut(): void {
    this.#flush()
    if (!this.#isClosing) return
    this.#socket.end(Uint8Array.of(0x88, 2, 0x03, 0xe8))
  }
}

let due: Array<Connection> = []

const runTurn = (): void => {
  const all = due
  due = []
  for (const connection of all) connection.deliver()
  for (const connection of all) connection.writeOut()
}

const serve = (socket: Socket): void => {
  const connection = new Connection(socket)
  socket.on("error", console.error)
  socket.on("data", (chunk: Buffer) => connection.read(chunk))
}

listen(createServer({ noDelay: true, allowHalfOpen: true }, serve), [])
