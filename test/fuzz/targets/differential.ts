import * as Arbitrary from "effect/Arbitrary"
import { makeCompressor } from "../../../src/node/DeflateCodec.ts"
import { anyStream, boolean, int, key, pick } from "../../support/arbitraries.ts"
import { Binary, Continuation, cutAt, frame, joined, Text, utf8 } from "../../support/frames.ts"
import { compare } from "../differential.ts"
import { bytesOfInput, hashOf, inputOfBytes, type Target } from "../Target.ts"
import { atOnce } from "./atOnce.ts"
import { splitFrames, words } from "./frames.ts"

/** Messages that a client sends with permessage-deflate and context takeover, some of them as they are. */
const compressedStream: Arbitrary.Arbitrary<Uint8Array> = Arbitrary.map(
  Arbitrary.all([
    Arbitrary.array(
      Arbitrary.all([
        pick("", "hello, ", '{"id":1,"name":"user"}', "é€😀", "\xff"),
        int(0, 40),
        boolean,
        Arbitrary.array(int(0, 60), { maxLength: 3 })
      ]),
      { minLength: 1, maxLength: 4 }
    ),
    key
  ]),
  ([messages, key]) => {
    const parameters = { windowBits: 15, noContextTakeover: false, memLevel: 8, level: 6 }
    const compress = atOnce(makeCompressor(parameters))
    const frames = messages.flatMap(([text, times, isCompressed, places], i) => {
      const payload = utf8(text.repeat(times))
      const sent = isCompressed ? compress(payload) : payload
      const parts = sent.length === 0 ? [sent] : cutAt(sent, places)
      return parts.map((part, at) =>
        frame({
          opcode: at > 0 ? Continuation : i % 2 === 0 ? Text : Binary,
          reservedBits: isCompressed && at === 0 ? 0x40 : 0,
          fin: at === parts.length - 1,
          payload: part,
          key
        })
      )
    })
    return joined(frames)
  }
)

const differential = (name: string, role: "server" | "client", deflate: boolean): Target => {
  const compared = async (input: string): Promise<void> => {
    // `ws` applies its limit to the compressed length too.
    const maxMessagePayloadSize = deflate ? 0 : [0, 100, 70_000][hashOf(input) % 3]!
    await compare(bytesOfInput(input), { role, maxMessagePayloadSize, deflate })
  }
  return {
    name,
    isText: false,
    generated: deflate
      ? Arbitrary.map(compressedStream, inputOfBytes)
      : Arbitrary.map(anyStream(role === "server"), ({ value }) => inputOfBytes(value)),
    dictionary: deflate
      ? [...words, "\xc1\x80\0\0\0\0", "\xc1\x81\0\0\0\0\0", "\x03\0", "\0\0\0\xff\xff"]
      : words,
    split: splitFrames,
    check: compared,
    // Ours has its own: theirs may take as long as it likes.
    work: () => {}
  }
}

/** A connection against the receiver of `ws`. */
export const differentials: ReadonlyArray<Target> = [
  differential("differential-server", "server", false),
  differential("differential-client", "client", false),
  differential("differential-deflate", "server", true)
]
