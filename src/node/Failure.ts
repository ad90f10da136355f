/**
 * What could not be done, with Node's reason in words.
 */
import { TransportError } from "../transport/Transport.ts"

/** `cannot("connect to example.com, port 80", error)`. */
export const cannot = (what: string, cause: unknown): TransportError =>
  new TransportError({ message: `cannot ${what}: ${reasonOf(cause)}`, cause })

const reasonOf = (cause: unknown): string => {
  // A host with several addresses: each one's own. The error of all has no message.
  if (cause instanceof AggregateError) return cause.errors.map(reasonOf).join("; ")
  return cause instanceof Error ? cause.message : String(cause)
}
