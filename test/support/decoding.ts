/**
 * What a frame decoder steps through, as plain data.
 */
import { FrameDecoder, type FrameDecoderOptions } from "../../src/frame/FrameDecoder.ts"
import type { Violation } from "../../src/frame/Violation.ts"
import { concat, joined, toHex } from "./frames.ts"

/** A decoder without limits that takes masked frames and others, unless the options say so. */
export const makeDecoder = (options: Partial<FrameDecoderOptions> = {}): FrameDecoder =>
  new FrameDecoder({
    masking: "either",
    applyMask: true,
    maxFramePayloadSize: 0,
    allowedReservedBits: 0,
    ...options
  })

/** A "Frame" or "Piece" with the fields that describe it; the payload is the decoder's own view. */
export interface Step {
  readonly event: "Frame" | "Piece"
  readonly opcode: number
  readonly fin: boolean
  readonly reservedBits: number
  readonly length: number
  readonly isFirst: boolean
  readonly isLast: boolean
  readonly payload: Uint8Array
}

export interface Steps {
  readonly steps: ReadonlyArray<Step>
  readonly violation: Violation | undefined
}

/** Pushes the chunks as they are and steps through them, until a violation or their end, which comes again and again. */
export const stepThrough = (decoder: FrameDecoder, ...chunks: ReadonlyArray<Uint8Array>): Steps => {
  const steps: Array<Step> = []
  for (const chunk of chunks) {
    decoder.push(chunk)
    while (true) {
      const event = decoder.next()
      if (event === "NeedMore" && decoder.next() === "NeedMore") break
      if (event === "NeedMore") throw new Error("a step after the end of the chunk")
      if (event === "Violation") return { steps, violation: decoder.violation }
      const { fin, isFirst, isLast, length, opcode, payload, reservedBits } = decoder
      steps.push({ event, opcode, fin, reservedBits, length, isFirst, isLast, payload })
    }
  }
  return { steps, violation: undefined }
}

export interface DecodedFrame {
  readonly opcode: number
  readonly fin: boolean
  readonly reservedBits: number
  readonly payload: Uint8Array
}

/** Frames from steps, pieces joined; throws where the pieces do not fit together. */
export const framesOf = (steps: ReadonlyArray<Step>): Array<DecodedFrame> => {
  const frames: Array<DecodedFrame> = []
  let pieces: Array<Uint8Array> = []
  let first: Step | undefined
  for (const step of steps) {
    if (step.isFirst !== (first === undefined)) throw new Error("isFirst is not where a frame starts")
    if (step.event === "Frame" && !(step.isFirst && step.isLast)) throw new Error("a Frame that is not whole")
    first ??= step
    pieces.push(step.payload)
    if (!step.isLast) continue
    const { fin, length, opcode, reservedBits } = first
    const payload = concat(...pieces)
    if (payload.length !== length) throw new Error(`${payload.length} bytes of ${length}`)
    frames.push({ opcode, fin, reservedBits, payload })
    pieces = []
    first = undefined
  }
  if (first !== undefined) throw new Error("the last frame has no end")
  return frames
}

/** What the steps say, whatever the pieces: each frame's fields and all of its payload that came. */
export const told = (steps: ReadonlyArray<Step>): ReadonlyArray<string> => {
  const frames: Array<{ readonly fields: string; readonly pieces: Array<Uint8Array>; isWhole: boolean }> = []
  for (const { fin, isFirst, isLast, length, opcode, payload, reservedBits } of steps) {
    const last = frames.at(-1)
    if (isFirst !== (last === undefined || last.isWhole))
      throw new Error("isFirst is not where a frame starts")
    const fields = `${opcode} ${fin} ${reservedBits} ${length}`
    if (isFirst) frames.push({ fields, pieces: [payload], isWhole: isLast })
    else {
      if (fields !== last!.fields) throw new Error("a piece has other fields than its frame's first")
      last!.pieces.push(payload)
      last!.isWhole = isLast
    }
  }
  return frames.map(({ fields, isWhole, pieces }) => `${fields} ${isWhole} ${toHex(joined(pieces))}`)
}
