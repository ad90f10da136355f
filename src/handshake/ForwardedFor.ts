/**
 * The client's address as the proxies in front of a server tell it.
 */
import * as NetAddress from "effect/net/NetAddress"
import * as Result from "effect/Result"
import { elements } from "./HttpHead.ts"

/**
 * The `trusted`-th address from the right over all values of X-Forwarded-For: each proxy appends the address
 * it was reached from, and what stands further left is whatever the client wrote. Where there are fewer, the
 * leftmost. `undefined` when no proxy is trusted, or there is no address there. The port is 0 where none is
 * written.
 */
export const forwardedFor = (
  values: ReadonlyArray<string>,
  trusted: number
): NetAddress.InetAddress | undefined => {
  if (trusted === 0) return undefined
  const addresses = elements(values).filter((element) => element.length > 0)
  return parseAddress(addresses[Math.max(0, addresses.length - trusted)] ?? "")
}

// An address alone, or with the port it was reached from; IPv6 in brackets or without.
const parseAddress = (text: string): NetAddress.InetAddress | undefined => {
  const alone = NetAddress.inetAddressFromIpString(/^\[(.*)\]$/.exec(text)?.[1] ?? text, 0)
  const parsed = Result.isSuccess(alone) ? alone : NetAddress.inetAddressFromString(text)
  return Result.isSuccess(parsed) ? NetAddress.toCanonical(parsed.success) : undefined
}
