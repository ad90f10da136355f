/**
 * WebSockets on Node's sockets.
 */
export * as NodeCompression from "./NodeCompression.ts"
export * as NodeHttpUpgrade from "./NodeHttpUpgrade.ts"
export * as NodeProtocol from "./NodeProtocol.ts"
export * as NodeShutdown from "./NodeShutdown.ts"
export * as NodeTransport from "./NodeTransport.ts"
export * as NodeTransportClient from "./NodeTransportClient.ts"
export * as NodeTransportServer from "./NodeTransportServer.ts"
export * as NodeWebSocketClient from "./NodeWebSocketClient.ts"
export * as NodeWebSocketServer from "./NodeWebSocketServer.ts"
