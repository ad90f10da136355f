/**
 * WebSockets without a network, for tests.
 */
export * as InMemoryTransport from "../transport/InMemoryTransport.ts"
export * as InMemoryNetwork from "./InMemoryNetwork.ts"
export * as WebSocketTest from "./WebSocketTest.ts"
