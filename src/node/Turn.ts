/**
 * What the sockets of one turn of the event loop have to do, ordered by kind: first all that has
 * come is read, then it is handed out, then the answers are written.
 *
 * Between two system calls the processor forgets much of this program, so that a message
 * by itself takes several times as long as one among others. Measured with 100 connections, CPU
 * per message of 32 bytes: one in flight 14.3 us, this way 12.1 us; sixteen 1.9 us and 1.4 us.
 */

import { inOrder } from "../transport/inOrder.ts"

/** A socket that takes part in a turn. */
export interface Participant {
  /** Hands out what was read. */
  deliver(): void
  /** Writes what was answered. */
  writeOut(): void
}

let readers: Array<Participant> = []
let writers: Array<Participant> = []
let isDelivering = false

/** `participant` has read something, and is to deliver it in this turn. */
export const delivers = (participant: Participant): void => {
  if (readers.length === 0) setImmediate(run)
  readers.push(participant)
}

/** Whether `participant` may write out at the end of this turn; otherwise it must do so itself. */
export const writesOut = (participant: Participant): boolean => {
  if (isDelivering) writers.push(participant)
  return isDelivering
}

const run = (): void =>
  inOrder(
    [deliver, writeOut],
    (step) => step(),
    (rest) => {
      for (const step of rest) setImmediate(step)
    }
  )

const deliver = (): void => {
  const all = readers
  readers = []
  isDelivering = true
  try {
    inOrder(
      all,
      (reader) => reader.deliver(),
      (rest) => rest.forEach(delivers)
    )
  } finally {
    isDelivering = false
  }
}

const writeOut = (): void => {
  const answered = writers
  writers = []
  inOrder(
    answered,
    (writer) => writer.writeOut(),
    (rest) => {
      writers = [...rest, ...writers]
      setImmediate(writeOut)
    }
  )
}
