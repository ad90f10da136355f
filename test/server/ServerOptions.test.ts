/**
 * The options of a server: each one's default, what it does on the wire, and what it cannot be.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { ConnectionDeny, type Options, ServerOptions, WebSocketServer } from "effect-websocket"
import { WebSocketTest } from "effect-websocket/testing"
import { open, settle } from "../support/apiSession.ts"
import { layer, openRawClient, untilClosed } from "../support/bothEnds.ts"
import { heartbeats, pongs, texts } from "../support/heartbeat.ts"
import { flooded, grown } from "../support/limitProbes.ts"
import {
  answersTo,
  answerTo,
  bytesAfter,
  crowd,
  extensions,
  headsOf,
  noDelay,
  type Probe,
  secondsToEnd
} from "../support/optionProbes.ts"
import { exampleAccept, type RawPeer, requestHead } from "../support/RawPeer.ts"
import { closePayload, encodeFrame, hex, toHex } from "../support/rawFrames.ts"
import { serveRaw } from "../support/rawHttp.ts"
import { acceptFirst } from "../support/xorExtension.ts"

type Input = ServerOptions.ServerOptionsInput

interface Row {
  readonly fallback: unknown
  /** What is allowed, in words. */
  readonly allowed: string
  /** What is not, beside what no option of its kind allows. */
  readonly wrong?: ReadonlyArray<unknown>
  readonly probe: Probe
  /** What the probe sees with no options, and with some. */
  readonly seen: ReadonlyArray<readonly [options: Input, seen: unknown]>
}

const MiB = 1024 * 1024

const flag = "true or false"
const size = "a whole number of bytes, 0 for no limit"
const limit = "a whole number, 0 for no limit"
const count = "a whole number from 1"
const duration = 'a finite duration such as "5 seconds" or Duration.seconds(5), or 0 for no limit'

const wrongOf: Record<string, ReadonlyArray<unknown>> = {
  [flag]: [0, "true", null],
  [size]: [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, "1024", null],
  [limit]: [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, "1024", null],
  [count]: [0, -1, 1.5, "1", null],
  [duration]: [5, 1000, -1, "5", "soon", "-1 seconds", Duration.infinity, Duration.seconds(-1), null, true]
}

// ---- what is sent, and what comes back ------------------------------------------

const ping = (peer: RawPeer) => peer.ping("p")
const pong = "8a0170"
const dropped = ["", "failure"]
const closeFrame = (code: number, reason = "") =>
  toHex(encodeFrame({ opcode: 8, masked: false, payload: closePayload(code, reason) }))

const accept101 = (...lines: ReadonlyArray<string>) =>
  [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Accept: ${exampleAccept}`,
    ...lines,
    "\r\n"
  ].join("\r\n")

const to = (path: string, lines: Parameters<typeof requestHead>[0] = {}) =>
  requestHead(lines, `GET ${path} HTTP/1.1`)
const forHost = (host: string) => requestHead({ Host: host })
const fromOrigin = (origin: string | ReadonlyArray<string>) => requestHead({ Origin: origin })

/** A request of this many bytes. */
const ofSize = (bytes: number) =>
  requestHead({ "X-A": "a".repeat(bytes - requestHead({ "X-A": "" }).length) })
/** A request with this many header lines. */
const ofLines = (lines: number) => requestHead({ "X-A": Array.from({ length: lines - 5 }, () => "a") })

const wrongPort = "400 wrong port in the Host header"
const forbidden = "403 origin not allowed"
const malformed = "400 invalid Origin header"

/** How pages are answered: status, target, refresh. */
const pages =
  (...queries: ReadonlyArray<string>): Probe =>
  (options) =>
    Effect.gen(function* () {
      const server = yield* serveRaw(options)
      return yield* Effect.forEach(queries, (query) =>
        Effect.map(server.refusal(to(`/${query}`, { Upgrade: undefined })), ({ body, headers, status }) =>
          [status, headers["location"], /<meta http-equiv.*?>/.exec(body)?.[0]].filter(Boolean).join(" ")
        )
      )
    })

const target = `https://a.example/?b="><'&`
const redirect = `?redirect=${encodeURIComponent(target).replace("'", "%27")}`
const refresh = (seconds: number) =>
  `200 <meta http-equiv="refresh" content="${seconds}; url=https://a.example/?b=&quot;&gt;&lt;&#39;&amp;">`

const policyRequest = "<policy-file-request/>\0"
const allowAll = '<cross-domain-policy><allow-access-from domain="*" to-ports="*" /></cross-domain-policy>\0'

/** What requests for the policy get, whole, byte by byte, and with more behind them. */
const policies: Probe = (options) =>
  Effect.gen(function* () {
    const server = yield* serveRaw(options)
    const cuts = [[policyRequest], [...policyRequest], [policyRequest.slice(0, -1), "\0more"]]
    return yield* Effect.forEach(cuts, (chunks) =>
      Effect.gen(function* () {
        const peer = yield* server.connect
        for (const chunk of chunks) {
          peer.send(chunk)
          yield* settle
        }
        const answer = yield* peer.readBody
        peer.finish()
        return /^HTTP\/1\.1 ([0-9]+)/.exec(answer)?.[1] ?? answer
      })
    )
  })

const table: Record<string, Row> = {
  utf8validateIncoming: {
    fallback: true,
    allowed: flag,
    probe: answerTo((peer) => peer.text(hex("ff")), ping),
    seen: [
      [{}, dropped],
      [{ failByDrop: false }, [closeFrame(1007, "a text message that is not valid UTF-8 (8.1)"), "end"]],
      [{ utf8validateIncoming: false }, [pong]]
    ]
  },
  applyMask: {
    fallback: true,
    allowed: flag,
    probe: bytesAfter(({ channel, peer }) =>
      Effect.gen(function* () {
        peer.send(peer.binary(hex("48656c6c6f"), { maskingKey: hex("37fa213d") }))
        yield* channel.send(yield* channel.receive)
      })
    ),
    seen: [
      [{}, ["820548656c6c6f"]],
      [{ maskServerFrames: true }, ["828537fa213d7f9f4d5158"]],
      [{ applyMask: false }, ["82057f9f4d5158"]],
      [{ applyMask: false, maskServerFrames: true }, ["828537fa213d7f9f4d5158"]]
    ]
  },
  maxFramePayloadSize: {
    fallback: 0,
    allowed: size,
    // The head of a frame is enough.
    probe: answerTo(ping, (peer) => peer.text("12345").subarray(0, 6)),
    seen: [
      [{}, [pong]],
      [{ maxFramePayloadSize: 5 }, [pong]],
      [{ maxFramePayloadSize: 4 }, dropped],
      [
        { maxFramePayloadSize: 4, failByDrop: false },
        [`${pong}${closeFrame(1009, "a frame's payload is larger than allowed")}`, "end"]
      ]
    ]
  },
  maxMessagePayloadSize: {
    fallback: 0,
    allowed: size,
    probe: answerTo(
      (peer) => peer.text("123", { fin: false }),
      ping,
      (peer) => peer.continuation("45").subarray(0, 6)
    ),
    seen: [
      [{}, [pong]],
      [{ maxMessagePayloadSize: 5 }, [pong]],
      [{ maxMessagePayloadSize: 4 }, dropped],
      [
        { maxMessagePayloadSize: 4, failByDrop: false },
        [`${pong}${closeFrame(1009, "a message is larger than allowed")}`, "end"]
      ]
    ]
  },
  maxDecompressionRatio: {
    fallback: 0,
    allowed: limit,
    probe: (options) => grown("server", options),
    seen: [
      [{}, [1000, 1000]],
      [{ maxDecompressionRatio: 200 }, [1000, 1000]],
      [{ maxDecompressionRatio: 199 }, [1000, 1009]]
    ]
  },
  maxControlFramesPerSecond: {
    fallback: 0,
    allowed: limit,
    probe: (options) => flooded("server", options),
    seen: [
      [{}, [1000, 1000]],
      [{ maxControlFramesPerSecond: 4 }, [1000, 1000]],
      [{ maxControlFramesPerSecond: 3 }, [1000, 1008]],
      [{ maxControlFramesPerSecond: 2 }, [1008, 1008]]
    ]
  },
  autoFragmentSize: {
    fallback: 0,
    allowed: size,
    probe: bytesAfter(({ channel }) => channel.send("Hello!")),
    seen: [
      [{}, ["810648656c6c6f21"]],
      [{ autoFragmentSize: 3 }, ["010348656c80036c6f21"]],
      [{ autoFragmentSize: 4 }, ["010448656c6c80026f21"]]
    ]
  },
  failByDrop: {
    fallback: true,
    allowed: flag,
    probe: answerTo((peer) => peer.frame({ opcode: 3, payload: "" })),
    seen: [
      [{}, dropped],
      [{ failByDrop: false }, [closeFrame(1002, "the opcode is reserved (5.2)"), "end"]]
    ]
  },
  echoCloseCodeReason: {
    fallback: false,
    allowed: flag,
    probe: answerTo((peer) => peer.close(3000, "bye")),
    seen: [
      [{}, [closeFrame(1000), "end"]],
      [{ echoCloseCodeReason: true }, [closeFrame(3000, "bye"), "end"]]
    ]
  },
  openHandshakeTimeout: {
    fallback: Duration.zero,
    allowed: duration,
    probe: secondsToEnd((options) => Effect.flatMap(serveRaw(options), ({ connect }) => connect)),
    seen: [
      [{}, undefined],
      [{ openHandshakeTimeout: "3 seconds" }, 3]
    ]
  },
  closeHandshakeTimeout: {
    fallback: Duration.seconds(1),
    allowed: duration,
    probe: secondsToEnd((options) =>
      Effect.gen(function* () {
        const { channel, peer } = yield* open("server", options)
        yield* Effect.forkChild(channel.close(1000))
        return peer
      })
    ),
    seen: [
      [{}, 1],
      [{ closeHandshakeTimeout: Duration.seconds(3) }, 3],
      [{ closeHandshakeTimeout: 0 }, undefined]
    ]
  },
  drainTimeout: {
    fallback: Duration.seconds(10),
    allowed: duration,
    probe: secondsToEnd((options) =>
      Effect.flatMap(Layer.build(layer({ server: { closeHandshakeTimeout: 0, ...options } })), (context) =>
        Effect.gen(function* () {
          const server = yield* WebSocketServer.WebSocketServer
          yield* server.serve({ onOpen: untilClosed })
          const peer = yield* openRawClient
          yield* Effect.forkChild(server.drain())
          return peer
        }).pipe(Effect.provideContext(context))
      )
    ),
    seen: [
      [{}, 10],
      [{ drainTimeout: "3 seconds" }, 3],
      [{ drainTimeout: 0 }, undefined]
    ]
  },
  perMessageCompressionAccept: {
    fallback: undefined,
    allowed: "a function that takes a list of offers and gives an accept or undefined",
    wrong: [true, "permessage-xor", {}, null],
    probe: extensions,
    seen: [
      [{}, []],
      [{ perMessageCompressionAccept: acceptFirst }, ["permessage-xor"]],
      [{ perMessageCompressionAccept: () => undefined }, []]
    ]
  },
  autoPingInterval: {
    fallback: Duration.zero,
    allowed: duration,
    probe: (options) => heartbeats("server", options, pongs),
    seen: [
      [{}, []],
      [{ autoPingInterval: "4 seconds" }, ["4 00000001", "8 00000002"]],
      [{ autoPingInterval: Duration.seconds(6) }, ["6 00000001"]]
    ]
  },
  autoPingTimeout: {
    fallback: Duration.zero,
    allowed: duration,
    probe: (options) => heartbeats("server", { autoPingInterval: "4 seconds", ...options }),
    seen: [
      [{}, ["4 00000001", "8 00000002"]],
      [{ autoPingTimeout: "2 seconds" }, ["4 00000001", "6 drop"]],
      [{ autoPingTimeout: "5 seconds" }, ["4 00000001", "9 drop"]]
    ]
  },
  autoPingSize: {
    fallback: 4,
    allowed: "a whole number of bytes from 4 to 125",
    wrong: [0, 3, 126, 4.5, "4", null],
    probe: (options) => heartbeats("server", { autoPingInterval: "6 seconds", ...options }),
    seen: [
      [{}, ["6 00000001"]],
      [{ autoPingSize: 11 }, [`6 00000001${"00".repeat(7)}`]],
      // From 12 on the send time stands first: 6 seconds after 1970 began.
      [{ autoPingSize: 12 }, ["6 0000000165a0bc0000000001"]],
      [{ autoPingSize: 125 }, [`6 0000000165a0bc0000000001${"00".repeat(113)}`]]
    ]
  },
  autoPingRestartOnAnyTraffic: {
    fallback: true,
    allowed: flag,
    probe: (options) =>
      heartbeats(
        "server",
        { autoPingInterval: "4 seconds", autoPingTimeout: "3 seconds", ...options },
        texts
      ),
    seen: [
      [{}, ["4 00000001", "8 00000002"]],
      [{ autoPingRestartOnAnyTraffic: false }, ["4 00000001", "7 drop"]]
    ]
  },
  tcpNoDelay: {
    fallback: true,
    allowed: flag,
    probe: noDelay,
    seen: [
      [{}, [true]],
      [{ tcpNoDelay: false }, [false]]
    ]
  },
  maxSendBufferSize: {
    fallback: MiB,
    allowed: count,
    // How many of ten messages of 16 KiB go out of hand while the peer does not read.
    probe: (options) =>
      Effect.gen(function* () {
        const { channel, peerEnd } = yield* open("server", options, { network: { capacity: 0 } })
        peerEnd.pause()
        let sent = 0
        const send = Effect.tap(channel.send(new Uint8Array(16_384)), () => Effect.sync(() => sent++))
        yield* Effect.forkChild(Effect.forEach(Array.from({ length: 10 }), () => send))
        yield* settle
        return sent
      }),
    seen: [
      [{}, 10],
      [{ maxSendBufferSize: 40_000 }, 3]
    ]
  },
  maxReceiveBufferSize: {
    fallback: MiB,
    allowed: count,
    // How many bytes of ten frames of 1008 stay in the network while nobody pulls.
    probe: (options) =>
      Effect.gen(function* () {
        const { peer, peerEnd } = yield* open("server", options, { network: { capacity: 0 } })
        for (let i = 0; i < 10; i++) peer.send(peer.binary(new Uint8Array(1000)))
        yield* settle
        return peerEnd.bufferedAmount
      }),
    seen: [
      [{}, 0],
      [{ maxReceiveBufferSize: 3000 }, 7 * 1008]
    ]
  },
  maxHandshakeSize: {
    fallback: 16_384,
    allowed: count,
    probe: answersTo(ofSize(200), ofSize(201), ofSize(16_384), ofSize(16_385)),
    seen: [
      [{}, ["101", "101", "101", "431 HTTP head is larger than 16384 bytes"]],
      [{ maxHandshakeSize: 200 }, ["101", ...Array(3).fill("431 HTTP head is larger than 200 bytes")]]
    ]
  },
  maxHandshakeHeaders: {
    fallback: 100,
    allowed: count,
    probe: answersTo(ofLines(6), ofLines(7), ofLines(100), ofLines(101)),
    seen: [
      [{}, ["101", "101", "101", "431 HTTP head has more than 100 header lines"]],
      [{ maxHandshakeHeaders: 6 }, ["101", ...Array(3).fill("431 HTTP head has more than 6 header lines")]]
    ]
  },
  url: {
    fallback: undefined,
    allowed: 'a WebSocket URL without a query, such as "wss://example.com"',
    wrong: ["", "example.com", "http://example.com", "ws://", "ws://a/?x=1", "ws://a#b", 1, null],
    probe: (options) => answersTo(forHost("a"), forHost("a:443"))({ externalPort: 443, ...options }),
    seen: [
      [{}, [wrongPort, "101"]],
      [{ url: "ws://a" }, [wrongPort, "101"]],
      [{ url: "WSS://a/path" }, ["101", "101"]]
    ]
  },
  protocols: {
    fallback: [],
    allowed: "a list of different tokens",
    wrong: ["chat", ["a", "a"], ["a b"], [""], [1], null],
    probe: (options) =>
      Effect.gen(function* () {
        const server = yield* serveRaw(options, ({ path }) => {
          if (path === "/own") return Effect.succeed("c")
          return path === "/headers" ? Effect.succeed({ headers: { "X-A": "1" } }) : Effect.void
        })
        return yield* Effect.forEach(["/", "/headers", "/own"], (path) =>
          Effect.map(
            server.acceptance(to(path, { "Sec-WebSocket-Protocol": "a, b, c" })),
            ({ channel, headers }) => {
              assert.strictEqual(headers["sec-websocket-protocol"], channel.subprotocol)
              return channel.subprotocol
            }
          )
        )
      }),
    seen: [
      [{}, [undefined, undefined, "c"]],
      [{ protocols: ["d", "c", "b"] }, ["b", "b", "c"]],
      [{ protocols: ["d"] }, [undefined, undefined, "c"]]
    ]
  },
  server: {
    fallback: "effect-websocket/0.1.0",
    allowed: 'the value of a header, "" for none',
    wrong: ["a\r\nX-B: 1", "\0", "\u20ac", 1, null],
    // A 101, a denial, the application's own header on both, a page, and a request that is none.
    probe: (options) =>
      Effect.gen(function* () {
        const headers = { Server: "own" }
        const server = yield* serveRaw(options, ({ path }) => {
          if (path === "/denied") return Effect.fail(ConnectionDeny.notFound())
          if (path === "/denied/own") return Effect.fail(ConnectionDeny.notFound({ headers }))
          return path === "/own" ? Effect.succeed({ headers }) : Effect.void
        })
        const requests = [
          to("/"),
          to("/denied"),
          to("/own"),
          to("/denied/own"),
          to("/", { Upgrade: undefined })
        ]
        return yield* Effect.forEach([...requests, "nonsense\r\n\r\n"], (request) =>
          Effect.gen(function* () {
            const peer = yield* server.connect
            peer.send(request)
            const lines = (yield* peer.readHead).split("\r\n").filter((line) => /^server:/i.test(line))
            peer.drop()
            return lines.map((line) => line.slice("Server: ".length)).join()
          })
        )
      }),
    seen: [
      [
        {},
        ["effect-websocket/0.1.0", "effect-websocket/0.1.0", "own", "own"].concat(
          Array(2).fill("effect-websocket/0.1.0")
        )
      ],
      [{ server: "x" }, ["x", "x", "own", "own", "x", "x"]],
      [{ server: "" }, ["", "", "own", "own", "", ""]]
    ]
  },
  headers: {
    fallback: {},
    allowed: "valid headers that are not set by the opening handshake or by the option server",
    wrong: [
      { "X A": "1" },
      { "": "1" },
      { "X-A": "1\r\nX-B: 2" },
      { "X-A": ["1", "\0"] },
      { "X-A": 1 },
      { upgrade: "x" },
      { Connection: "x" },
      { "Content-Length": "0" },
      { "Sec-WebSocket-Protocol": "x" },
      { server: "x" },
      "X-A: 1",
      null
    ],
    probe: headsOf(requestHead()),
    seen: [
      [{}, [accept101("Server: effect-websocket/0.1.0")]],
      [
        { server: "", headers: { "X-A": "caf\xe9", "Set-Cookie": ["a=1", "b=2"], "X-None": [] } },
        [accept101("X-A: caf\xe9", "Set-Cookie: a=1", "Set-Cookie: b=2")]
      ]
    ]
  },
  externalPort: {
    fallback: undefined,
    allowed: "a port from 1 to 65535",
    wrong: [0, -1, 65_536, 80.5, "80", null],
    probe: answersTo(forHost("a"), forHost("a:80"), forHost("[::1]:8080")),
    seen: [
      [{}, ["101", "101", "101"]],
      [{ externalPort: 80 }, ["101", "101", wrongPort]],
      [{ externalPort: 8080 }, [wrongPort, wrongPort, "101"]]
    ]
  },
  versions: {
    fallback: [13, 8],
    allowed: "a list of different values from 13, 8, at least one",
    wrong: [[], [13, 13], [7], 13, "13", null],
    probe: (options) =>
      Effect.gen(function* () {
        const server = yield* serveRaw(options)
        return yield* Effect.forEach(["13", "8", "7"], (version) =>
          Effect.gen(function* () {
            const peer = yield* server.connect
            peer.send(requestHead({ "Sec-WebSocket-Version": version }))
            const head = yield* peer.readHead
            return head.slice(9, 12) + (/\r\nSec-WebSocket-Version: (.*)\r\n/.exec(head)?.[1] ?? "")
          })
        )
      }),
    seen: [
      [{}, ["101", "101", "40013, 8"]],
      [{ versions: [13] }, ["101", "40013", "40013"]]
    ]
  },
  webStatus: {
    fallback: true,
    allowed: flag,
    probe: pages(""),
    seen: [
      [{}, ["200"]],
      [{ webStatus: false }, ["426"]]
    ]
  },
  webStatusRedirects: {
    fallback: [],
    allowed: "a list of URLs in visible ASCII",
    wrong: ["https://a", [""], ["https://a\r\nX: 1"], ["https://a b"], ["https://\xe9"], [1], null],
    probe: pages(
      redirect,
      `${redirect}&after=5`,
      `${redirect}&after=0&after=x`,
      `${redirect}&after=-1`,
      `${redirect}&after=`,
      `${redirect}x`,
      "?redirect=",
      "?redirect=//a.example/"
    ),
    seen: [
      [{}, Array(8).fill("200")],
      [
        { webStatusRedirects: ["/other", target] },
        [`303 ${target}`, refresh(5), refresh(0), "200", "200", "200", "200", "200"]
      ],
      [{ webStatusRedirects: [target], webStatus: false }, Array(8).fill("426")]
    ]
  },
  maskServerFrames: {
    fallback: false,
    allowed: flag,
    probe: bytesAfter(({ channel }) => channel.send("Hello")),
    seen: [
      [{}, ["810548656c6c6f"]],
      [{ maskServerFrames: true }, ["818537fa213d7f9f4d5158"]]
    ]
  },
  requireMaskedClientFrames: {
    fallback: true,
    allowed: flag,
    probe: answerTo((peer) => peer.frame({ opcode: 9, payload: "p", masked: false })),
    seen: [
      [{}, dropped],
      [{ failByDrop: false }, [closeFrame(1002, "a client's frame is not masked (5.1)"), "end"]],
      [{ requireMaskedClientFrames: false }, [pong]]
    ]
  },
  allowedOrigins: {
    fallback: ["*"],
    allowed: 'a list of patterns such as "https://*.example.com"',
    wrong: [
      "*",
      [""],
      [1],
      null,
      ...[
        "https://a.test/",
        "https://a.test/b",
        "https://a.test?b",
        "https://a@b.test",
        "https://ü.test"
      ].map((pattern) => ["*", pattern])
    ],
    probe: answersTo(
      requestHead(),
      fromOrigin("https://a.example.com"),
      fromOrigin("https://a.example.com:8443"),
      fromOrigin("http://evil.test"),
      fromOrigin("no origin"),
      requestHead({ "Sec-WebSocket-Version": "8", "Sec-WebSocket-Origin": "http://evil.test" }),
      requestHead({ "Sec-WebSocket-Version": "8", Origin: "http://evil.test" })
    ),
    seen: [
      [{}, ["101", "101", "101", "101", malformed, "101", "101"]],
      [
        { allowedOrigins: ["http://b.test", "https://*.example.com"] },
        ["101", "101", forbidden, forbidden, malformed, forbidden, forbidden]
      ],
      [{ allowedOrigins: [] }, ["101", forbidden, forbidden, forbidden, malformed, forbidden, forbidden]]
    ]
  },
  allowNullOrigin: {
    fallback: false,
    allowed: flag,
    probe: answersTo(fromOrigin("null"), fromOrigin("file:///a.html"), fromOrigin("http://a.test")),
    seen: [
      [{}, [forbidden, forbidden, "101"]],
      [{ allowNullOrigin: true }, ["101", "101", "101"]],
      [{ allowNullOrigin: true, allowedOrigins: [] }, ["101", "101", forbidden]]
    ]
  },
  maxConnections: {
    fallback: 0,
    allowed: limit,
    probe: crowd(undefined, undefined, undefined),
    seen: [
      [{}, "404 101 101 101 101"],
      [{ maxConnections: 3 }, "404 101 101 101 101"],
      [{ maxConnections: 2 }, "404 101 101 503 101"]
    ]
  },
  maxConnectionsPerPeer: {
    fallback: 0,
    allowed: limit,
    probe: crowd("198.51.100.1", "198.51.100.1:99", "198.51.100.2", "::ffff:198.51.100.1", "2001:db8::1"),
    seen: [
      [{ trustXForwardedFor: 1 }, "404 101 101 101 101 101 101"],
      [{ trustXForwardedFor: 1, maxConnectionsPerPeer: 2 }, "404 101 101 101 429 101 101"],
      [{ trustXForwardedFor: 1, maxConnectionsPerPeer: 1 }, "404 101 429 101 429 101 101"],
      [{ maxConnectionsPerPeer: 2 }, "404 101 101 429 429 429 101"]
    ]
  },
  maxOpenHandshakes: {
    fallback: 0,
    allowed: limit,
    // Which of five silent connections are still there after the last came.
    probe: (options) =>
      Effect.gen(function* () {
        const { connect } = yield* serveRaw(options)
        const peers = yield* Effect.forEach([1, 2, 3, 4, 5], () => Effect.tap(connect, () => settle))
        return peers.map(({ end }) => end)
      }),
    seen: [
      [{}, Array(5).fill(undefined)],
      [{ maxOpenHandshakes: 5 }, Array(5).fill(undefined)],
      [{ maxOpenHandshakes: 3 }, ["drop", "drop", undefined, undefined, undefined]]
    ]
  },
  trustXForwardedFor: {
    fallback: 0,
    allowed: "a number of proxies, 0 for none",
    wrong: [-1, 0.5, true, "1", null],
    probe: (options) =>
      Effect.gen(function* () {
        const server = yield* serveRaw(options)
        const forwarded = [["198.51.100.1, 198.51.100.2", "198.51.100.3"], "unknown", undefined]
        return yield* Effect.forEach(forwarded, (value) =>
          Effect.map(server.acceptance(requestHead({ "X-Forwarded-For": value })), ({ channel }) => {
            assert.strictEqual(String(channel.peer), "127.0.0.1:49152")
            return String(channel.request?.peer)
          })
        )
      }),
    seen: [
      [{}, ["127.0.0.1:49152", "127.0.0.1:49152", "127.0.0.1:49152"]],
      [{ trustXForwardedFor: 1 }, ["198.51.100.3:0", "127.0.0.1:49152", "127.0.0.1:49152"]],
      [{ trustXForwardedFor: 2 }, ["198.51.100.2:0", "127.0.0.1:49152", "127.0.0.1:49152"]],
      [{ trustXForwardedFor: 9 }, ["198.51.100.1:0", "127.0.0.1:49152", "127.0.0.1:49152"]]
    ]
  },
  serveFlashSocketPolicy: {
    fallback: false,
    allowed: flag,
    probe: policies,
    seen: [
      [{}, ["400", "400", "400"]],
      [{ serveFlashSocketPolicy: true }, [allowAll, allowAll, allowAll]]
    ]
  },
  flashSocketPolicy: {
    fallback: allowAll,
    allowed: "a text that ends with a NUL character",
    wrong: ["", "<cross-domain-policy/>", 1, null],
    probe: policies,
    seen: [
      [{ flashSocketPolicy: "<\xfc/>\0" }, ["400", "400", "400"]],
      [{ flashSocketPolicy: "<\xfc/>\0", serveFlashSocketPolicy: true }, Array(3).fill("<\xfc/>\0")]
    ]
  }
}

const rows = Object.entries(table).map(([option, row]) => ({ option, ...row }))

const defaults = Object.fromEntries(rows.map(({ fallback, option }) => [option, fallback]))

const decode = (input: object): Result.Result<object, Options.InvalidOptions> => ServerOptions.decode(input)

const uses = rows.flatMap(({ option, probe, seen }) =>
  seen.map(([options, expected]) => ({ option, probe, options, expected }))
)

describe("ServerOptions", () => {
  it("has the defaults of the table, and no option that is not in it", () => {
    assert.deepStrictEqual(Result.getOrThrow(decode({})), defaults)
    assert.deepStrictEqual(
      Object.keys(ServerOptions.ServerOptions.fields).sort(),
      Object.keys(defaults).sort()
    )
  })

  it("has a preset for the public internet", () => {
    assert.deepStrictEqual(Result.getOrThrow(decode(ServerOptions.hardened)), {
      ...defaults,
      failByDrop: false,
      maxFramePayloadSize: 16 * MiB,
      maxMessagePayloadSize: 16 * MiB,
      maxDecompressionRatio: 500,
      maxControlFramesPerSecond: 100,
      maxConnections: 16_384,
      maxConnectionsPerPeer: 1024,
      maxOpenHandshakes: 1024,
      openHandshakeTimeout: Duration.seconds(10),
      closeHandshakeTimeout: Duration.seconds(5),
      echoCloseCodeReason: true,
      autoPingInterval: Duration.seconds(30),
      autoPingTimeout: Duration.seconds(30),
      webStatus: false,
      server: ""
    })
  })

  it.effect.each(uses)("$option: with $options it does what it says", ({ expected, options, probe }) =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* probe(options), expected)
    })
  )

  it.each(uses)("$option: $options changes no other option", ({ options }) => {
    const decoded = Result.getOrThrow(decode(options))
    assert.deepStrictEqual({ ...decoded, ...defaults }, defaults)
    for (const [option, value] of Object.entries(decoded)) {
      if (!Object.hasOwn(options, option)) assert.deepStrictEqual(value, defaults[option])
    }
  })

  it.effect.each(rows)("$option refuses what it cannot be, by name", ({ allowed, option, wrong }) =>
    Effect.gen(function* () {
      const values = wrong ?? wrongOf[allowed] ?? assert.fail("no wrong value")
      for (const value of values) {
        const failure = Result.getOrThrow(Result.flip(decode({ [option]: value })))
        assert.strictEqual(failure._tag, "InvalidOptions")
        assert.deepStrictEqual([failure.option, failure.value, failure.allowed], [option, value, allowed])
        assert.include(failure.message, `invalid option ${option}: expected ${allowed}, got `)
      }
      const server: object = { [option]: values[0] }
      const error = yield* Effect.flip(Effect.scoped(Layer.build(WebSocketTest.layer({ server }))))
      assert.strictEqual(error.option, option)
    })
  )

  it.effect("serveFlashSocketPolicy does not keep others from being served, or from leaving", () =>
    Effect.gen(function* () {
      const server = yield* serveRaw({ serveFlashSocketPolicy: true })
      yield* server.goesOn
      const slow = yield* server.connect
      for (const byte of requestHead()) slow.send(byte)
      assert.match(yield* slow.readHead, /^HTTP\/1\.1 101 /)
      slow.send(slow.ping("p"))
      assert.strictEqual(yield* slow.read, "pong 70")
      const alike = yield* server.connect
      alike.send("<policy GET / HTTP/1.1\r\n\r\n")
      assert.match(yield* alike.readHead, /^HTTP\/1\.1 400 /)
      const leaving = yield* server.connect
      leaving.send("<policy")
      yield* settle
      leaving.finish()
      assert.deepStrictEqual(yield* leaving.rest, { frames: [], end: "drop" })
    })
  )

  it("refuses an option it does not have", () => {
    const { allowed, option, value } = Result.getOrThrow(Result.flip(decode({ maxPayload: 5 })))
    assert.deepStrictEqual([option, value, allowed], ["maxPayload", 5, "no option of this name"])
  })

  it("shows a wrong value in words", () => {
    const shown = (input: object) => Result.getOrThrow(Result.flip(decode(input))).message.split(", got ")[1]
    assert.strictEqual(shown({ headers: { "X A": "1", b: ["2"] } }), '{ "X A": "1", "b": ["2"] }')
    assert.strictEqual(shown({ protocols: ["a b"] }), '["a b"]')
    assert.strictEqual(shown({ maxConnections: -1 }), "-1")
    assert.strictEqual(shown({ openHandshakeTimeout: Duration.infinity }), String(Duration.infinity))
  })

  it.each([
    [0, Duration.zero],
    ["1 minute", Duration.minutes(1)],
    [Duration.millis(1500), Duration.millis(1500)]
  ])("takes %s as a duration", (given, openHandshakeTimeout) => {
    assert.deepStrictEqual(Result.getOrThrow(decode({ openHandshakeTimeout: given })), {
      ...defaults,
      openHandshakeTimeout
    })
  })
})
