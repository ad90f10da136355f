/**
 * A transport on any `effect/socket` `Socket`, such as one of another runtime.
 *
 * A `Socket` is pulled, and tells neither addresses nor a half-close: facts are
 * absent, its end is the end of both directions, and aborting closes its scope.
 */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import type { Transport, TransportListener } from "./Transport.ts"

/** Opens the socket and stands on it until the scope closes. */
export const fromSocket = Effect.fnUntraced(function* (
  socket: Socket.Socket
): Effect.fn.Return<Transport, Socket.SocketError, Scope.Scope> {
  const outer = yield* Effect.scope
  const scope = yield* Scope.fork(outer)
  const writeScope = yield* Scope.fork(scope)
  const pull = yield* Scope.provide(Socket.readerBytes(socket), scope)
  const writer = yield* Scope.provide(socket.writer, writeScope)
  const context = yield* Effect.context<never>()
  const run = Effect.runForkWith(context)
  const reading = Latch.makeUnsafe(false)

  let listener: TransportListener | undefined
  let queued: Array<Uint8Array> = []
  let bufferedAmount = 0
  let isPaused = true
  let isWriting = false
  let isEnding = false
  let isReadEnd = false
  let isWriteEnd = false
  let isClosed = false
  let closeCause: unknown

  const close = (cause: unknown): void => {
    if (isClosed) return
    isClosed = true
    closeCause = cause
    reader.interruptUnsafe()
    queued = []
    run(Scope.close(scope, Exit.void))
    queueMicrotask(() => listener?.onClose(closeCause))
  }

  const hand = (chunk: Uint8Array) =>
    reading.whenOpen(Effect.sync(() => listener?.onData(new Uint8Array(chunk))))

  const endReading = (): void => {
    isReadEnd = true
    listener?.onEnd()
    if (isWriteEnd) close(undefined)
  }

  const reader: Fiber.Fiber<void> = run(
    reading.whenOpen(pull).pipe(
      Effect.flatMap((chunks) => Effect.forEach(chunks, hand, { discard: true })),
      Effect.forever,
      Effect.catch(({ reason }) =>
        reason._tag === "SocketCloseError" && reason.code === 1000
          ? reading.whenOpen(Effect.sync(endReading))
          : Effect.sync(() => close(reason))
      )
    )
  )

  const endWriting = Effect.andThen(
    Scope.close(writeScope, Exit.void),
    Effect.sync(() => {
      isWriteEnd = true
      if (isReadEnd) close(undefined)
    })
  )

  const writeQueued: Effect.Effect<void, Socket.SocketError> = Effect.suspend(() => {
    const chunks = queued
    if (!isClosed && Arr.isReadonlyArrayNonEmpty(chunks)) {
      queued = []
      const written = () => {
        for (const chunk of chunks) bufferedAmount -= chunk.length
        return writeQueued
      }
      return Effect.flatMap(writer.writeAll(chunks), written)
    }
    isWriting = false
    if (isEnding) return endWriting
    if (!isClosed) listener?.onDrain()
    return Effect.void
  })
  const writing = Effect.catch(writeQueued, (error) => Effect.sync(() => close(error)))

  const startWriting = (): void => {
    if (isWriting || isClosed) return
    isWriting = true
    // A writer that takes everything at once must not be told of within this call.
    queueMicrotask(() => run(writing))
  }

  yield* Effect.addFinalizer(() => Effect.sync(() => close(undefined)))

  return {
    channelType: "socket",
    peer: undefined,
    local: undefined,
    tls: undefined,
    get bufferedAmount() {
      return bufferedAmount
    },
    listen: (next) => {
      listener = next
      if (isClosed) queueMicrotask(() => next.onClose(closeCause))
    },
    pause: () => {
      isPaused = true
      reading.closeUnsafe()
    },
    resume: () => {
      isPaused = false
      // What waits must not be handed over within this call.
      queueMicrotask(() => {
        if (!isPaused) reading.openUnsafe()
      })
    },
    write: (chunks) => {
      if (isClosed || isEnding) return
      for (const chunk of chunks) {
        queued.push(chunk)
        bufferedAmount += chunk.length
      }
      startWriting()
    },
    end: () => {
      isEnding = true
      startWriting()
    },
    abort: () => close(undefined),
    setNoDelay: () => {}
  }
})
