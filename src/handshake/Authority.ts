/**
 * Host and port, as the Host header, the Origin header and URLs write them (RFC 3986 sections 3.2.2 and
 * 3.2.3), without user information, IPvFuture and zone identifiers.
 */

export interface Authority {
  /** As written: an IPv6 address is in brackets. */
  readonly host: string
  /** 1 to 65535; `undefined` where none is written. */
  readonly port: number | undefined
}

/** `undefined` when `text` is no host with or without a port; an empty port is none either. */
export const parseAuthority = (text: string): Authority | undefined => {
  const bracket = text.startsWith("[") ? text.indexOf("]") : 0
  const colon = text.indexOf(":", bracket)
  const host = colon === -1 ? text : text.slice(0, colon)
  const port = colon === -1 ? undefined : text.slice(colon + 1)
  const isHost = host.startsWith("[") ? isBracketedAddress(host) : isRegName(host)
  if (!isHost || (port !== undefined && !isPort(port))) return undefined
  return { host, port: port === undefined ? undefined : Number(port) }
}

/** Host and port as a URL has them; an IPv6 address is given without brackets, and gets them. */
export const formatAuthority = (host: string, port: number): string => `${bracketed(host)}:${port}`

/** The value of the Host header: the port only when it is not the scheme's default. */
export const formatHostHeader = (host: string, port: number, secure: boolean): string =>
  port === defaultPort(secure) ? bracketed(host) : formatAuthority(host, port)

/** The port of `wss` and `ws` (RFC 6455 section 3). */
export const defaultPort = (secure: boolean): number => (secure ? 443 : 80)

const bracketed = (host: string): string => (host.includes(":") ? `[${host}]` : host)

const isRegName = (text: string): boolean =>
  text.length > 0 && !/[^A-Za-z0-9._~!$&'()*+,;=%-]/.test(text) && !/%(?![0-9A-Fa-f]{2})/.test(text)

const isBracketedAddress = (text: string): boolean =>
  !/[^0-9A-Fa-f:.]/.test(text.slice(1, -1)) && URL.canParse(`http://${text}`)

const isPort = (text: string): boolean =>
  /^[0-9]{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65535
