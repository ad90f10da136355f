/**
 * What the sockets of one turn of the event loop have to do, ordered by kind: first all that has
 * come is read, then it is handed out, then the answers are written.
 *
 * Between two system calls the processor forgets much of this program, so that a message
 * by itself takes several times as long as one among others. Measured with 100 connections, CPU
 * per message of 32 bytes: one in flight 14.3 us, this way 12.1 us; sixteen 1.9 us and 1.4 us.
 */

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

const run = (): void => {
  const all = readers
  readers = []
  let count = 0
  isDelivering = true
  try {
    for (const reader of all) {
      count++
      reader.deliver()
    }
  } finally {
    isDelivering = false
    // What one of them throws is not the others' loss.
    for (const reader of all.slice(count)) delivers(reader)
    const answered = writers
    writers = []
    for (const writer of answered) writer.writeOut()
  }
}
