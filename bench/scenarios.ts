/** What every message of a scenario is. */
export interface MessageKind {
  readonly payload: "text" | "binary"
  /** Bytes. */
  readonly size: number
  /** The messages are JSON, and permessage-deflate with context takeover is negotiated. */
  readonly compressed: boolean
}

interface Titled {
  readonly id: string
  readonly title: string
  readonly message: MessageKind
}

/** Messages echoed per second over connections that stay open. */
export interface EchoScenario extends Titled {
  readonly kind: "echo"
  readonly connections: number
  /** Messages outstanding on each connection. */
  readonly inFlight: number
  /** What is counted: messages, or the 10^6 bytes of their payloads in one direction. */
  readonly unit: "msg/s" | "MB/s"
}

/** Connections per second, each: connect, one echo, closing handshake. */
export interface ConnectScenario extends Titled {
  readonly kind: "connect"
  /** Connections open at a time. */
  readonly parallel: number
}

/** Messages delivered per second by a server that sends each message to everyone. */
export interface RoomScenario extends Titled {
  readonly kind: "room"
  readonly members: number
  /** Messages on their way to everyone. */
  readonly inFlight: number
}

/** Memory of a server for each connection, garbage collected. */
export interface MemoryScenario extends Titled {
  readonly kind: "memory"
  /** What a connection has done. */
  readonly state: string
  readonly connections: number
  /** How many messages each connection has echoed before the measurement. */
  readonly messages: number
}

/** Time from the start of a server's process to its first echo. */
export interface StartScenario extends Titled {
  readonly kind: "start"
  /** Processes in a round. */
  readonly launches: number
}

/** Those that the load generator runs. */
export type LoadScenario = EchoScenario | ConnectScenario | RoomScenario

/** Those that clients are compared in as well. */
export type ClientScenario = EchoScenario | ConnectScenario

export type Scenario = LoadScenario | MemoryScenario | StartScenario

const KiB = 1024
const MiB = 1024 * KiB

const text = (size: number): MessageKind => ({ payload: "text", size, compressed: false })
const binary = (size: number): MessageKind => ({ payload: "binary", size, compressed: false })
const deflated = (size: number): MessageKind => ({ payload: "text", size, compressed: true })

const echo = (
  id: string,
  connections: number,
  title: string,
  inFlight: number,
  message: MessageKind,
  unit: EchoScenario["unit"] = "msg/s"
): EchoScenario => ({
  kind: "echo",
  id,
  title: `${connections} conns, ${title}, ${inFlight} in flight`,
  connections,
  inFlight,
  message,
  unit
})

const memory = (
  id: string,
  connections: number,
  state: string,
  messages: number,
  message: MessageKind
): MemoryScenario => ({
  kind: "memory",
  id,
  state,
  connections,
  title: `each of ${connections} conns, ${state}`,
  messages,
  message
})

const room = (id: string, members: number, inFlight: number): RoomScenario => ({
  kind: "room",
  id,
  title: `${members} members, 32 B text to all, ${inFlight} in flight`,
  members,
  inFlight,
  message: text(32)
})

export const withConnections = (scenario: MemoryScenario, connections: number): MemoryScenario =>
  memory(scenario.id, connections, scenario.state, scenario.messages, scenario.message)

/** Every scenario. */
export const scenarios: ReadonlyArray<Scenario> = [
  echo("a", 100, "32 B text", 1, text(32)),
  echo("b", 100, "32 B text", 16, text(32)),
  echo("c", 100, "1 KiB text", 16, text(KiB)),
  echo("d", 10, "64 KiB binary", 4, binary(64 * KiB), "MB/s"),
  echo("d2", 10, "64 KiB JSON deflated", 4, deflated(64 * KiB), "MB/s"),
  echo("e", 2, "1 MiB binary", 2, binary(MiB), "MB/s"),
  echo("f", 50, "1 KiB JSON deflated", 4, deflated(KiB)),
  {
    kind: "connect",
    id: "g",
    title: "connect + echo + close, 50 in parallel",
    parallel: 50,
    message: text(32)
  },
  memory("h", 5000, "idle", 0, text(32)),
  memory("h1", 5000, "1 KiB each way", 1, text(KiB)),
  memory("h2", 5000, "deflate, 1 KiB each way", 1, deflated(KiB)),
  memory("h2-64", 500, "deflate, 64 x 1 KiB each way", 64, deflated(KiB)),
  { kind: "start", id: "i", title: "process start to first echo", launches: 5, message: text(32) },
  room("j", 1000, 1),
  room("j16", 1000, 16)
]

/** Some of each kind, to see that everything works. */
export const briefly: ReadonlyArray<string> = ["a", "d", "f", "g", "h", "i", "j"]

/** The scenario of that name. */
export const scenarioOf = (id: string): Scenario => {
  const scenario = scenarios.find((one) => one.id === id)
  if (scenario === undefined) {
    throw new Error(`no scenario ${id}: there are ${scenarios.map((one) => one.id).join(", ")}`)
  }
  return scenario
}

export const isForClients = (scenario: Scenario): scenario is ClientScenario =>
  scenario.kind === "echo" || scenario.kind === "connect"

/** What a load scenario counts, and how much of it one message or connection is. */
export const unitOf = (scenario: LoadScenario): { readonly unit: string; readonly value: number } => {
  if (scenario.kind === "connect") return { unit: "conn/s", value: 1 }
  if (scenario.kind === "room" || scenario.unit === "msg/s") return { unit: "msg/s", value: 1 }
  return { unit: scenario.unit, value: scenario.message.size / 1e6 }
}
