"""Autobahn|Python (asyncio) as a peer, server and client: echoes every message."""

import asyncio
import sys

import lines

try:
    from autobahn.asyncio.websocket import (
        WebSocketClientFactory,
        WebSocketClientProtocol,
        WebSocketServerFactory,
        WebSocketServerProtocol,
    )
    from autobahn.websocket.types import ConnectionDeny
except ImportError as error:
    lines.missing(error)

connections = {}


class Peer:
    """What both roles tell the test."""

    id = None
    frames = 0

    def onOpen(self):
        connections[self.id] = self
        lines.emit(
            "open",
            id=self.id,
            subprotocol=self.websocket_protocol_in_use,
            headers=lines.lower(self.http_headers),
        )

    def onMessageFrameBegin(self, length):
        self.frames += 1
        super().onMessageFrameBegin(length)

    def onMessage(self, payload, isBinary):
        lines.emit_message(self.id, payload, isBinary, self.frames)
        self.frames = 0
        self.sendMessage(payload, isBinary)

    def onPing(self, payload):
        lines.emit_control("ping", self.id, payload)
        super().onPing(payload)

    def onPong(self, payload):
        lines.emit_control("pong", self.id, payload)

    def onClose(self, wasClean, code, reason):
        # Without an opening handshake there is nothing to close.
        if connections.pop(self.id, None) is not None:
            lines.emit(
                "closed",
                id=self.id,
                wasClean=wasClean,
                code=1005 if code is None else code,
                reason=reason or "",
            )


class Server(Peer, WebSocketServerProtocol):
    def onConnect(self, request):
        if request.path == "/deny":
            raise ConnectionDeny(403, "Not for you")
        self.id = request.headers["x-interop-id"]
        protocol = "beta" if "beta" in request.protocols else None
        return protocol, {"X-Interop-Server": "autobahn"}


class Client(Peer, WebSocketClientProtocol):
    def failHandshake(self, reason):
        lines.emit(
            "denied",
            id=self.id,
            status=int(self.http_status_line.split()[1]),
            headers=lines.lower(self.http_headers),
            message=reason,
        )
        super().failHandshake(reason)


async def connect(command):
    def make():
        client = Client()
        client.id = command["id"]
        return client

    factory = WebSocketClientFactory(
        command["url"], protocols=command["protocols"], headers=command["headers"]
    )
    factory.protocol = make
    factory.setProtocolOptions(echoCloseCodeReason=True)
    loop = asyncio.get_running_loop()
    if "socketPath" in command:
        await loop.create_unix_connection(factory, command["socketPath"])
    else:
        await loop.create_connection(factory, factory.host, factory.port)


def send(connection, payload, is_binary, fragment_size):
    if fragment_size is None:
        connection.sendMessage(payload, is_binary)
        return
    connection.beginMessage(is_binary)
    for start in range(0, len(payload), fragment_size):
        connection.sendMessageFrame(payload[start : start + fragment_size])
        if start == 0:
            connection.sendPing(b"between")
    connection.endMessage()


async def handle(command):
    kind = command["command"]
    if kind == "connect":
        await connect(command)
        return
    connection = connections[command["id"]]
    if kind == "send":
        payload = lines.decode(command["payload"])
        send(connection, payload, command["isBinary"], command.get("fragmentSize"))
    elif kind == "ping":
        connection.sendPing(lines.decode(command["payload"]))
    elif kind == "close":
        connection.sendClose(command.get("code"), command.get("reason"))


async def start():
    loop = asyncio.get_running_loop()
    factory = WebSocketServerFactory()
    factory.protocol = Server
    factory.setProtocolOptions(echoCloseCodeReason=True)
    server = await loop.create_server(factory, "127.0.0.1", 0)
    await loop.create_unix_server(factory, sys.argv[1])
    lines.emit("ready", port=server.sockets[0].getsockname()[1])
    return handle


lines.run(start)
