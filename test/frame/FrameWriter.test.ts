import { assert, describe, it } from "@effect/vitest"
import { OutgoingBytes, SlabPool } from "../../src/bytes/OutgoingBytes.ts"
import { FrameWriter } from "../../src/frame/FrameWriter.ts"
import {
  Binary,
  bytesOf,
  Close,
  Continuation,
  concat,
  frame,
  hex,
  type Key,
  keyNumber,
  keyOf,
  Ping,
  Pong,
  parseFrames,
  rfcKey,
  Text,
  toHex,
  utf8
} from "../support/frames.ts"

const make = (key?: Key, options: { readonly applyMask?: boolean; readonly pool?: SlabPool } = {}) => {
  const out = new OutgoingBytes(options.pool ?? new SlabPool())
  const nextMaskingKey = key && (() => keyNumber(key))
  const writer = new FrameWriter(out, { nextMaskingKey, applyMask: options.applyMask ?? true })
  return { out, writer }
}

const written = (key: Key | undefined, write: (writer: FrameWriter) => void): Uint8Array => {
  const { out, writer } = make(key)
  write(writer)
  const { length } = out
  const bytes = concat(...out.take())
  assert.strictEqual(bytes.length, length)
  return bytes
}

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0

describe("FrameWriter: RFC 6455 section 5.7's examples", () => {
  const hello = utf8("Hello")

  it.each([
    ["a single-frame unmasked text message", undefined, "810548656c6c6f"],
    ["a single-frame masked text message", rfcKey, "818537fa213d7f9f4d5158"]
  ])("%s", (_name, key, expected) => {
    assert.strictEqual(toHex(written(key, (writer) => writer.writeText(Text, "Hello"))), expected)
    assert.strictEqual(toHex(written(key, (writer) => writer.write(Text, true, hello))), expected)
  })

  it("a fragmented unmasked text message", () => {
    const bytes = written(undefined, (writer) => {
      writer.write(Text, false, utf8("Hel"))
      writer.write(Continuation, true, utf8("lo"))
    })
    assert.strictEqual(toHex(bytes), "010348656c80026c6f")
  })

  it("an unmasked Ping and a masked Pong", () => {
    assert.strictEqual(toHex(written(undefined, (w) => w.write(Ping, true, hello))), "890548656c6c6f")
    assert.strictEqual(toHex(written(rfcKey, (w) => w.write(Pong, true, hello))), "8a8537fa213d7f9f4d5158")
  })

  it("256 bytes and 64 KiB of binary in a single unmasked frame", () => {
    const small = written(undefined, (writer) => writer.write(Binary, true, bytesOf(256)))
    assert.deepStrictEqual(small, concat(hex("827e0100"), bytesOf(256)))
    const large = written(undefined, (writer) => writer.write(Binary, true, bytesOf(65_536)))
    assert.isTrue(same(large, concat(hex("827f0000000000010000"), bytesOf(65_536))))
  })
})

describe("FrameWriter.write", () => {
  it("writes opcode, fin and reserved bits where RFC 6455 section 5.2 has them", () => {
    for (const opcode of [Continuation, Text, Binary, Close, Ping, Pong]) {
      for (const fin of [true, false]) {
        for (const reservedBits of [0, 0x10, 0x20, 0x40, 0x70]) {
          const bytes = written(rfcKey, (w) => w.write(opcode, fin, utf8("x"), reservedBits))
          assert.deepStrictEqual(bytes, frame({ opcode, fin, reservedBits, payload: "x", key: rfcKey }))
        }
      }
    }
  })

  it.each([0, 1, 124, 125, 126, 127, 128, 4095, 4096, 4097, 65_535, 65_536, 65_537, 200_000])(
    "writes %d bytes with the shortest length",
    (length) => {
      for (const key of [undefined, rfcKey, [0, 0, 0, 0] as const, [0xff, 0x80, 0x7f, 0x01] as const]) {
        const bytes = written(key, (writer) => writer.write(Binary, true, bytesOf(length)))
        assert.isTrue(same(bytes, frame({ opcode: Binary, payload: bytesOf(length), key })))
      }
    }
  )

  it("passes a large unmasked payload on by reference", () => {
    const { out, writer } = make()
    const payload = bytesOf(5000)
    writer.write(Binary, true, payload)
    assert.strictEqual(out.take()[1], payload)
  })

  it("copies a small payload: it may change once write has returned", () => {
    for (const key of [undefined, rfcKey]) {
      const { out, writer } = make(key)
      const payload = bytesOf(4096)
      writer.write(Binary, true, payload)
      payload.fill(0)
      assert.isTrue(same(parseFrames(concat(...out.take()))[0]!.payload, bytesOf(4096)))
    }
  })

  it.each([0, 5, 125, 4096, 4097, 70_000])("masks %d bytes without changing the caller's", (length) => {
    const around = new Uint8Array(length + 20)
    const views: ReadonlyArray<readonly [string, Uint8Array]> = [
      ["Uint8Array", bytesOf(length)],
      ["a view inside a buffer", around.subarray(7, 7 + length)],
      ["Buffer", Buffer.from(bytesOf(length))],
      ["Buffer of Node's pool", Buffer.allocUnsafe(length)]
    ]
    for (const [name, payload] of views) {
      payload.set(bytesOf(length))
      const bytes = written(rfcKey, (writer) => writer.write(Binary, true, payload))
      assert.isTrue(same(payload, bytesOf(length)), name)
      assert.isTrue(same(bytes, frame({ opcode: Binary, payload: bytesOf(length), key: rfcKey })), name)
    }
    assert.isTrue([...around.subarray(0, 7), ...around.subarray(7 + length)].every((byte) => byte === 0))
  })

  it("asks for a new masking key for each frame and puts it there as it is, up to 2^32 - 1", () => {
    const keys = [0x37fa213d, 0, 1, 0x7fffffff, 0x80000000, 0xffffffff]
    let turn = 0
    const out = new OutgoingBytes(new SlabPool())
    const writer = new FrameWriter(out, { nextMaskingKey: () => keys[turn++]!, applyMask: true })
    keys.forEach((_, i) => {
      if (i % 2 === 0) writer.write(Binary, true, bytesOf(i * 30))
      else writer.writeText(Text, "é".repeat(i * 30))
    })
    const expected = keys.map((key, i) =>
      frame(
        i % 2 === 0
          ? { opcode: Binary, payload: bytesOf(i * 30), key: keyOf(key) }
          : { opcode: Text, payload: "é".repeat(i * 30), key: keyOf(key) }
      )
    )
    assert.strictEqual(turn, keys.length)
    assert.isTrue(same(concat(...out.take()), concat(...expected)))
  })

  it("with applyMask off carries the key but leaves the payload", () => {
    for (const length of [5, 5000]) {
      const { out, writer } = make(rfcKey, { applyMask: false })
      writer.write(Binary, true, bytesOf(length))
      const { length: size } = frame({ opcode: Binary, payload: bytesOf(length), key: rfcKey })
      const bytes = concat(...out.take())
      assert.strictEqual(bytes.length, size)
      assert.strictEqual(toHex(bytes.subarray(size - length - 4, size - length)), "37fa213d")
      assert.isTrue(same(bytes.subarray(size - length), bytesOf(length)))
      writer.writeText(Text, "Hello")
      assert.strictEqual(toHex(concat(...out.take())), `818537fa213d${toHex(utf8("Hello"))}`)
    }
  })
})

describe("FrameWriter.writeText", () => {
  const check = (text: string): void => {
    for (const key of [undefined, rfcKey]) {
      const bytes = written(key, (writer) => writer.writeText(Text, text))
      const expected = frame({ opcode: Text, payload: text, key })
      const size = utf8(text).length
      if (!same(bytes, expected)) assert.fail(`${text.length} units, ${size} bytes, key ${key}`)
    }
  }

  it("writes every length up to 400 of ASCII, and of two-, three- and four-byte characters", () => {
    for (const character of ["a", "é", "€", "😀"]) {
      for (let count = 0; count <= 400; count++) check(character.repeat(count))
    }
  })

  it("writes texts whose bytes need a longer header than their characters would", () => {
    // 125 is the last length of the short header.
    for (let units = 40; units <= 130; units++) {
      for (let wide = 0; wide <= units; wide += 1) check("a".repeat(units - wide) + "é".repeat(wide))
    }
  })

  it.each([
    ["ASCII", 65_535, "a".repeat(65_535)],
    ["ASCII", 65_536, "a".repeat(65_536)],
    ["two-byte characters", 65_535, `${"é".repeat(32_767)}a`],
    ["two-byte characters", 65_536, "é".repeat(32_768)],
    ["three-byte characters", 65_535, "€".repeat(21_845)],
    ["three-byte characters", 65_536, `${"€".repeat(21_845)}a`],
    ["four-byte characters", 65_536, "😀".repeat(16_384)]
  ])("writes %s at the border of the 64-bit length: %d bytes", (_name, size, text) => {
    assert.strictEqual(utf8(text).length, size)
    check(text)
  })

  it("writes texts around the length up to which they are encoded in place", () => {
    for (const count of [4094, 4095, 4096, 4097, 4098]) {
      for (const character of ["a", "é", "€"]) check(character.repeat(count))
      check("😀".repeat(count / 2))
    }
  })

  it("writes a byte order mark as it is, and a lone surrogate as U+FFFD", () => {
    check("\ufeffHello")
    const bytes = written(undefined, (writer) => writer.writeText(Text, "a\ud800"))
    assert.strictEqual(toHex(bytes), "810461efbfbd")
  })
})

describe("FrameWriter and the slab", () => {
  it("frames stay whole and in order wherever a slab ends", () => {
    const contents = [
      "",
      "a",
      "é".repeat(70),
      "b".repeat(500),
      "€".repeat(2000),
      "c".repeat(4096),
      "d".repeat(90_000)
    ]
    for (const key of [undefined, rfcKey]) {
      for (let start = 0; start < 200; start += 7) {
        const pool = new SlabPool()
        pool.reserve(1)
        pool.position = pool.bytes.length - start
        const { out, writer } = make(key, { pool })
        const expected: Array<Uint8Array> = []
        for (const payload of contents) {
          writer.writeText(Text, payload)
          writer.write(Binary, true, utf8(payload))
          expected.push(frame({ opcode: Text, payload, key }), frame({ opcode: Binary, payload, key }))
        }
        assert.isTrue(same(concat(...out.take()), concat(...expected)), `${start} bytes left`)
      }
    }
  })

  it("connections of one pool each write their own frames", () => {
    const pool = new SlabPool()
    const sides = [undefined, rfcKey, undefined].map((key) => ({ ...make(key, { pool }), key }))
    const expected = sides.map((): Array<Uint8Array> => [])
    for (let i = 0; i < 600; i++) {
      const which = (i * i) % sides.length
      const { key, writer } = sides[which]!
      const payload = "é".repeat((i * 37) % 300)
      if (i % 2 === 0) writer.writeText(Text, payload)
      else writer.write(Binary, i % 3 === 0, utf8(payload))
      expected[which]!.push(
        frame(
          i % 2 === 0 ? { opcode: Text, payload, key } : { opcode: Binary, fin: i % 3 === 0, payload, key }
        )
      )
    }
    sides.forEach(({ out }, which) => {
      assert.isTrue(same(concat(...out.take()), concat(...expected[which]!)), `connection ${which}`)
    })
  })

  it("small frames of a turn are one segment", () => {
    const { out, writer } = make(rfcKey)
    for (let i = 0; i < 100; i++) writer.writeText(Text, `message ${i}`)
    assert.strictEqual(out.take().length, 1)
  })
})
