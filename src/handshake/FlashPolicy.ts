/**
 * The cross-domain policy that Flash players ask a socket for before they use it.
 */
import * as Utf8 from "../bytes/Utf8.ts"

const request = Utf8.encode("<policy-file-request/>\0")

/** Whether `bytes`, the first of a connection, ask for the policy; `undefined`: more must come to tell. */
export const isPolicyRequest = (bytes: Uint8Array): boolean | undefined => {
  const length = Math.min(bytes.length, request.length)
  for (let i = 0; i < length; i++) if (bytes[i] !== request[i]) return false
  return length === request.length ? true : undefined
}

/** Lets every page connect to every port. */
export const allowAll =
  '<cross-domain-policy><allow-access-from domain="*" to-ports="*" /></cross-domain-policy>\0'
