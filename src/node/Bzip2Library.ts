/**
 * libbzip2 1.0.8, which the package `bzip2-wasm` has as WebAssembly, synchronously.
 *
 * Its memory is one for all calls: 16 MiB, more while a long message needs it. The
 * package's own script is not used: it sets `globalThis.require`, and fails when the
 * memory grows.
 */
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import type { DecompressFailure } from "../extension/MessageCodec.ts"

/** So many bytes at most does libbzip2 make of `length` bytes, as its manual says. */
export const longest = (length: number): number => Math.ceil(length * 1.01) + 600

/** What is asked of the library. */
export type Call = Compress | Decompress

/** Makes a bzip2 stream. */
export interface Compress {
  readonly payload: Uint8Array
  /** Its blocks have up to that many times 100,000 bytes: 1 to 9. */
  readonly level: number
}

/** Gives what a bzip2 stream holds. Bytes after its end are not looked at, as Autobahn does not. */
export interface Decompress {
  readonly payload: Uint8Array
  /** So many bytes may come out. */
  readonly limit: number
}

/** What comes of a call; compressing fails with "TooBig" alone, for want of memory. */
export type Output = Uint8Array<ArrayBuffer> | DecompressFailure

export const run = (call: Call): Output => ("level" in call ? compress(call) : decompress(call))

const compress = ({ level, payload }: Compress): Output => {
  const output = invoke(payload, longest(payload.length), ({ BZ2_bzBuffToBuffCompress }, to, length, from) =>
    BZ2_bzBuffToBuffCompress(to, length, from, payload.length, level, 0, 0)
  )
  return typeof output === "number" ? "TooBig" : output
}

const decompress = ({ limit, payload }: Decompress): Output => {
  // Room for most messages at first, then four times more until it is enough.
  for (let room = 65_536; ; room *= 4) {
    const output = invoke(
      payload,
      Math.min(room, limit),
      ({ BZ2_bzBuffToBuffDecompress }, to, length, from) =>
        BZ2_bzBuffToBuffDecompress(to, length, from, payload.length, 0, 0)
    )
    if (typeof output !== "number") return output
    if (output === noMemory) return "TooBig"
    if (output !== outputFull) return "Corrupt"
    if (room >= limit) return "TooBig"
  }
}

// The library's numbers, and one that it does not have.
const noMemory = -3
const outputFull = -8
const stopped = -100

/** What of the library is used. Pointers are numbers, lengths are 32-bit integers in memory. */
interface Library {
  readonly memory: WebAssembly.Memory
  readonly __wasm_call_ctors: () => void
  readonly malloc: (size: number) => number
  readonly free: (pointer: number) => void
  readonly BZ2_bzBuffToBuffCompress: (
    to: number,
    length: number,
    from: number,
    fromLength: number,
    level: number,
    verbosity: number,
    workFactor: number
  ) => number
  readonly BZ2_bzBuffToBuffDecompress: (
    to: number,
    length: number,
    from: number,
    fromLength: number,
    small: number,
    verbosity: number
  ) => number
}

const wasm = new WebAssembly.Module(
  readFileSync(createRequire(import.meta.url).resolve("bzip2-wasm/bzip2-1.0.8/bzip2.wasm"))
)

const load = (): Library => {
  const { exports } = new WebAssembly.Instance(wasm, {
    env: {
      exit: () => {
        throw new Error("libbzip2 has found an error in itself")
      },
      emscripten_memcpy_big: (to: number, from: number, length: number) => {
        new Uint8Array(library.memory.buffer).copyWithin(to, from, from + length)
      },
      emscripten_resize_heap: (size: number) => {
        // From 2 GiB on a size comes as a negative number.
        const missing = (size >>> 0) - library.memory.buffer.byteLength
        try {
          library.memory.grow(Math.ceil(missing / 65_536))
          return 1
        } catch {
          return 0
        }
      }
    },
    // Only for what it prints before it exits.
    wasi_snapshot_preview1: { fd_close: () => 0, fd_seek: () => 0, fd_write: () => 0 }
  })
  const library = exports as unknown as Library // as the package's file has them
  library.__wasm_call_ctors()
  return library
}

let loaded: Library | undefined

/** Calls the library with `payload` and `room` for what it makes of it. Gives that, or an error's number. */
const invoke = (
  payload: Uint8Array,
  room: number,
  run: (library: Library, to: number, length: number, from: number) => number
): Uint8Array<ArrayBuffer> | number => {
  try {
    loaded ??= load()
  } catch {
    // WebAssembly has no memory for it.
    return noMemory
  }
  const library = loaded
  const { free, malloc, memory } = library
  const to = malloc(room)
  const length = malloc(4)
  const from = malloc(payload.length)
  let error = noMemory
  if (to !== 0 && length !== 0 && from !== 0) {
    new Uint8Array(memory.buffer).set(payload, from)
    new DataView(memory.buffer).setUint32(length, room, true)
    try {
      error = run(library, to, length, from)
    } catch {
      // It stopped halfway, so its memory is not used again.
      loaded = undefined
      return stopped
    }
  }
  // Views made before are over when the memory has grown.
  const made = new DataView(memory.buffer).getUint32(length, true)
  const output = error < 0 ? error : new Uint8Array(memory.buffer).slice(to, to + made)
  for (const pointer of [to, length, from]) free(pointer)
  // Memory never shrinks: what a long message needed is let go with all of it.
  if (memory.buffer.byteLength > 33_554_432) loaded = undefined
  return output
}
