/**
 * Every name of Autobahn|Python's WebSocket API reference, by the class or
 * function it belongs to.
 */
const channelHooks = ["onClose", "onConnect", "onConnecting", "onMessage", "onOpen", "onPing", "onPong"]

const sharedOptions = [
  "utf8validateIncoming",
  "applyMask",
  "maxFramePayloadSize",
  "maxMessagePayloadSize",
  "autoFragmentSize",
  "failByDrop",
  "echoCloseCodeReason",
  "openHandshakeTimeout",
  "closeHandshakeTimeout",
  "tcpNoDelay",
  "perMessageCompressionAccept",
  "autoPingInterval",
  "autoPingTimeout",
  "autoPingSize"
]

const factoryMethods = ["setSessionParameters", "setProtocolOptions", "resetProtocolOptions"]

const peerFacts = ["peer", "headers", "version", "extensions"]

export const autobahnNames: Readonly<Record<string, ReadonlyArray<string>>> = {
  IWebSocketChannel: [...channelHooks, "sendClose", "sendMessage", "sendPing", "sendPong"],
  IWebSocketServerChannelFactory: [
    ...factoryMethods,
    "url",
    "protocols",
    "server",
    "headers",
    "externalPort",
    ...sharedOptions,
    "versions",
    "webStatus",
    "maskServerFrames",
    "requireMaskedClientFrames",
    "serveFlashSocketPolicy",
    "flashSocketPolicy",
    "allowedOrigins",
    "allowNullOrigin",
    "maxConnections",
    "trustXForwardedFor"
  ],
  IWebSocketClientChannelFactory: [
    ...factoryMethods,
    "url",
    "origin",
    "protocols",
    "useragent",
    "headers",
    "proxy",
    ...sharedOptions,
    "version",
    "acceptMaskedServerFrames",
    "maskClientFrames",
    "serverConnectionDropTimeout",
    "perMessageCompressionOffers"
  ],
  ConnectionRequest: [...peerFacts, "host", "path", "params", "origin", "protocols"],
  ConnectionResponse: [...peerFacts, "protocol"],
  ConnectionAccept: ["subprotocol", "headers"],
  ConnectionDeny: [
    "code",
    "reason",
    "BAD_REQUEST",
    "FORBIDDEN",
    "INTERNAL_SERVER_ERROR",
    "NOT_ACCEPTABLE",
    "NOT_FOUND",
    "NOT_IMPLEMENTED",
    "REQUEST_TIMEOUT",
    "SERVICE_UNAVAILABLE"
  ],
  Message: [],
  IncomingMessage: ["payload", "is_binary"],
  OutgoingMessage: ["payload", "is_binary", "skip_compress"],
  "autobahn.websocket.util": ["create_url", "parse_url"],
  "autobahn.websocket.compress": [
    "PerMessageCompressOffer",
    "PerMessageCompressOfferAccept",
    "PerMessageCompressResponse",
    "PerMessageCompressResponseAccept",
    "PerMessageCompress",
    "PerMessageDeflateOffer",
    "PerMessageDeflateOfferAccept",
    "PerMessageDeflateResponse",
    "PerMessageDeflateResponseAccept",
    "PerMessageDeflate",
    "PerMessageBzip2Offer",
    "PerMessageBzip2OfferAccept",
    "PerMessageBzip2Response",
    "PerMessageBzip2ResponseAccept",
    "PerMessageBzip2"
  ]
}
