/**
 * Masking by 128-bit words, which only WebAssembly has. Its module reaches no memory but its own: bytes are
 * copied there and back, block by block, and that takes less time than JavaScript's 64-bit words from some
 * thousand bytes on.
 */

/** So many bytes are masked in one call: they and their copy stay in the processor's nearest cache. */
const blockSize = 16_384

interface Simd {
  /** The module's memory, where a block begins. */
  readonly block: Uint8Array
  /** XORs `length` bytes of the memory, rounded up to 64, with `word` in the order of the memory. */
  readonly mask: (length: number, word: number) => void
}

/** `bytes[start, end)`, all of it; `false`: not here, where there is no WebAssembly with such words. */
export const maskBySimd = (bytes: Uint8Array, start: number, end: number, word: number): boolean => {
  simd ??= load()
  if (simd === "None") return false
  const { block, mask } = simd
  for (let i = start; i < end; i += blockSize) {
    const count = Math.min(end - i, blockSize)
    block.set(bytes.subarray(i, i + count))
    mask(count, word)
    bytes.set(count === blockSize ? block : block.subarray(0, count), i)
  }
  return true
}

// Made when it is first needed: it takes a quarter of a millisecond.
let simd: Simd | "None" | undefined

const load = (): Simd | "None" => {
  try {
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(binary()))
    const { mask, memory } = exports
    // Its own exports, whose types nobody else can know.
    return {
      block: new Uint8Array((memory as WebAssembly.Memory).buffer, 0, blockSize),
      mask: mask as Simd["mask"]
    }
  } catch {
    // No WebAssembly, none with 128-bit words, or a policy against it.
    return "None"
  }
}

/**
 * The module, in WebAssembly's text format:
 *
 *     (memory (export "memory") 1)
 *     (func (export "mask") (param $length i32) (param $word i32) (local $i i32) (local $words v128)
 *       (local.set $words (i32x4.splat (local.get $word)))
 *       (loop
 *         ;; for 0, 16, 32 and 48:
 *         (v128.store offset=0 (local.get $i) (v128.xor (v128.load offset=0 (local.get $i)) (local.get $words)))
 *         (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 64))) (local.get $length)))))
 */
const binary = (): Uint8Array<ArrayBuffer> => {
  const [length, word, i, words] = [0, 1, 2, 3]
  const [i32, v128, noResult] = [0x7f, 0x7b, 0x40]
  const [get, set, tee, loop, end, branchIf] = [0x20, 0x21, 0x22, 0x03, 0x0b, 0x0d]
  const [i32Const, i32Add, i32LessThan] = [0x41, 0x6a, 0x49]
  const [load, store, splat, xor] = [
    [0xfd, 0x00],
    [0xfd, 0x0b],
    [0xfd, 0x11],
    [0xfd, 0x51]
  ] as const
  const maskAt = (offset: number) => {
    const at = [4, offset] // aligned to 2 to the power of 4, or as well as it goes
    return [get, i, get, i, ...load, ...at, get, words, ...xor, ...store, ...at]
  }
  const code = [
    ...[2, 1, i32, 1, v128], // local variables: one of this type, one of that
    ...[get, word, ...splat, set, words],
    ...[loop, noResult, ...[0, 16, 32, 48].flatMap(maskAt)],
    ...[get, i, i32Const, 0xc0, 0x00, i32Add, tee, i, get, length, i32LessThan, branchIf, 0, end],
    end
  ]
  const counted = (content: ReadonlyArray<number>) => [content.length, ...content]
  const name = (text: string) => counted(Array.from(text, (char) => char.charCodeAt(0)))
  const [ofFunction, ofMemory] = [0, 2]
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0], // "\0asm", version 1
    ...[1, ...counted([1, 0x60, 2, i32, i32, 0])], // types: a function of two, without a result
    ...[3, ...counted([1, 0])], // functions: one of that type
    ...[5, ...counted([1, 0, 1])], // memories: one of a page, 64 KiB
    ...[7, ...counted([2, ...name("memory"), ofMemory, 0, ...name("mask"), ofFunction, 0])], // exports
    ...[10, ...counted([1, ...counted(code)])] // code
  ])
}
