/**
 * The WebSocket protocol (RFC 6455) for Effect.
 */
export * as CloseEvent from "./channel/CloseEvent.ts"
export * as Compression from "./channel/Compression.ts"
export * as ConnectionMetrics from "./channel/ConnectionMetrics.ts"
export * as Framing from "./channel/Framing.ts"
export * as Handshake from "./channel/Handshake.ts"
export * as Options from "./channel/Options.ts"
export * as OptionsRef from "./channel/OptionsRef.ts"
export * as Protocol from "./channel/Protocol.ts"
export * as Statistics from "./channel/Statistics.ts"
export * as Timeouts from "./channel/Timeouts.ts"
export * as WebSocketChannel from "./channel/WebSocketChannel.ts"
export * as WebSocketCrypto from "./channel/WebSocketCrypto.ts"
export * as WebSocketError from "./channel/WebSocketError.ts"
export * as ClientOptions from "./client/ClientOptions.ts"
export * as HandshakeError from "./client/HandshakeError.ts"
export * as WebSocketClient from "./client/WebSocketClient.ts"
export * as PerMessageCompress from "./extension/PerMessageCompress.ts"
export * as PerMessageDeflate from "./extension/PerMessageDeflate.ts"
export * as CloseCode from "./frame/CloseCode.ts"
export * as Violation from "./frame/Violation.ts"
export { ConnectionDeny } from "./handshake/ConnectionDeny.ts"
export type { ConnectingRequest } from "./handshake/ConnectionRequest.ts"
export {
  ConnectionAccept,
  ConnectionRequest,
  ConnectionResponse
} from "./handshake/ConnectionRequest.ts"
export * as WebSocketUrl from "./handshake/WebSocketUrl.ts"
export { IncomingMessage, Message, OutgoingMessage, Payload } from "./message/Message.ts"
export * as PreparedMessage from "./message/PreparedMessage.ts"
export * as ServerOptions from "./server/ServerOptions.ts"
export * as WebSocketServer from "./server/WebSocketServer.ts"
export * as SocketTransport from "./transport/SocketTransport.ts"
export * as Transport from "./transport/Transport.ts"
