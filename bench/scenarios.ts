/** Messages echoed per second over connections that stay open. */
export interface EchoScenario {
  readonly kind: "echo"
  readonly id: string
  readonly title: string
  readonly connections: number
  /** Messages outstanding on each connection. */
  readonly inFlight: number
  readonly payload: "text" | "binary"
  readonly size: number
  /** Report the payload rate as well. */
  readonly throughput: boolean
  /** The messages are JSON, and permessage-deflate with context takeover is negotiated. */
  readonly compressed: boolean
}

/** Connections per second, each: connect, one echo, closing handshake. */
export interface ConnectScenario {
  readonly kind: "connect"
  readonly id: string
  readonly title: string
  /** Connections open at a time. */
  readonly parallel: number
  readonly payload: "text" | "binary"
  readonly size: number
  readonly compressed: false
}

export type Scenario = EchoScenario | ConnectScenario

const KiB = 1024
const MiB = 1024 * KiB

const echo = (
  id: string,
  title: string,
  options: Omit<EchoScenario, "kind" | "id" | "title" | "compressed"> & { readonly compressed?: true }
): EchoScenario => ({ kind: "echo", id, title, compressed: false, ...options })

/** Every scenario. A new kind needs its runner in `load.ts`. */
export const scenarios: ReadonlyArray<Scenario> = [
  echo("a", "100 conns, 32 B text, 1 in flight", {
    connections: 100,
    inFlight: 1,
    payload: "text",
    size: 32,
    throughput: false
  }),
  echo("b", "100 conns, 32 B text, 16 in flight", {
    connections: 100,
    inFlight: 16,
    payload: "text",
    size: 32,
    throughput: false
  }),
  echo("c", "100 conns, 1 KiB text, 16 in flight", {
    connections: 100,
    inFlight: 16,
    payload: "text",
    size: KiB,
    throughput: false
  }),
  echo("d", "10 conns, 64 KiB binary, 4 in flight", {
    connections: 10,
    inFlight: 4,
    payload: "binary",
    size: 64 * KiB,
    throughput: true
  }),
  echo("e", "2 conns, 1 MiB binary, 2 in flight", {
    connections: 2,
    inFlight: 2,
    payload: "binary",
    size: MiB,
    throughput: true
  }),
  echo("f", "50 conns, 1 KiB JSON deflated, 4 in flight", {
    connections: 50,
    inFlight: 4,
    payload: "text",
    size: KiB,
    throughput: false,
    compressed: true
  }),
  {
    kind: "connect",
    id: "g",
    title: "connect + echo + close, 50 in parallel",
    parallel: 50,
    payload: "text",
    size: 32,
    compressed: false
  }
]

/** What a scenario counts. */
export const unitOf = (scenario: Scenario): string => (scenario.kind === "connect" ? "conn/s" : "msg/s")
