"""Python's websockets as a peer, server and client: echoes every message."""

import asyncio
import collections
import contextlib
import http
import sys

import lines

try:
    from websockets.exceptions import ConnectionClosed, InvalidStatusCode
    from websockets.extensions.permessage_deflate import (
        ClientPerMessageDeflateFactory,
        ServerPerMessageDeflateFactory,
    )
    from websockets.legacy.client import WebSocketClientProtocol, connect, unix_connect
    from websockets.legacy.server import WebSocketServerProtocol, serve, unix_serve
except ImportError as error:
    lines.missing(error)

connections = {}
largest_message = 2**24


class Peer:
    """Sees the frames: the library answers pings and joins fragments by itself."""

    id = None
    open_frames = 0

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        # How many frames each message had that has not been delivered yet.
        self.frames = collections.deque()

    async def read_frame(self, max_size):
        frame = await super().read_frame(max_size)
        if frame.opcode == 9:
            lines.emit_control("ping", self.id, frame.data)
        elif frame.opcode == 10:
            lines.emit_control("pong", self.id, frame.data)
        elif frame.opcode <= 2:
            self.open_frames += 1
            if frame.fin:
                self.frames.append(self.open_frames)
                self.open_frames = 0
        return frame


class Server(Peer, WebSocketServerProtocol):
    async def process_request(self, path, headers):
        if path == "/deny":
            return http.HTTPStatus.FORBIDDEN, [("X-Denied-By", "websockets")], b"Not for you\n"
        self.id = headers["X-Interop-Id"]


class Client(Peer, WebSocketClientProtocol):
    pass


async def echo(connection, headers):
    id = connection.id
    connections[id] = connection
    lines.emit("open", id=id, subprotocol=connection.subprotocol, headers=lines.lower(dict(headers)))
    try:
        while True:
            message = await connection.recv()
            is_binary = isinstance(message, bytes)
            payload = message if is_binary else message.encode()
            lines.emit_message(id, payload, is_binary, connection.frames.popleft())
            # What came before a Close is still to be received.
            with contextlib.suppress(ConnectionClosed):
                await connection.send(message)
    except ConnectionClosed as end:
        lines.emit(
            "closed",
            id=id,
            wasClean=end.rcvd is not None and end.sent is not None,
            code=1006 if end.rcvd is None else end.rcvd.code,
            reason="" if end.rcvd is None else end.rcvd.reason,
        )


async def serve_echo(connection):
    await echo(connection, connection.request_headers)


def compression_options(make, other, command):
    """Asks what it is told to of the `other` role."""
    if "compression" not in command:
        return {}
    request = command["compression"]
    parameters = {}
    if "requestNoContextTakeover" in request:
        parameters[f"{other}_no_context_takeover"] = request["requestNoContextTakeover"]
    if "requestMaxWindowBits" in request:
        parameters[f"{other}_max_window_bits"] = request["requestMaxWindowBits"]
    return {"compression": None, "extensions": [make(**parameters)]}


async def connect_echo(command):
    def make(*args, **kwargs):
        client = Client(*args, **kwargs)
        client.id = command["id"]
        return client

    options = {
        "create_protocol": make,
        "subprotocols": command["protocols"] or None,
        "extra_headers": command["headers"],
        "max_size": largest_message,
        **compression_options(ClientPerMessageDeflateFactory, "server", command),
    }
    connecting = (
        unix_connect(command["socketPath"], command["url"], **options)
        if "socketPath" in command
        else connect(command["url"], **options)
    )
    try:
        connection = await connecting
    except InvalidStatusCode as denial:
        headers = lines.lower(dict(denial.headers))
        lines.emit(
            "denied", id=command["id"], status=denial.status_code, headers=headers, message=str(denial)
        )
        return
    await echo(connection, connection.response_headers)


async def fragments(connection, message, size):
    for start in range(0, len(message), size):
        yield message[start : start + size]
        if start == 0:
            await connection.ping(b"between")


async def handle(command):
    kind = command["command"]
    if kind == "connect":
        await connect_echo(command)
        return
    if kind == "listen":
        compression = compression_options(ServerPerMessageDeflateFactory, "client", command)
        server = await serve(serve_echo, command["host"], 0, **{**server_options, **compression})
        lines.emit("listening", id=command["id"], port=server.sockets[0].getsockname()[1])
        return
    connection = connections[command["id"]]
    if kind == "send":
        payload = lines.decode(command["payload"])
        message = payload if command["isBinary"] else payload.decode()
        size = command.get("fragmentSize")
        await connection.send(message if size is None else fragments(connection, message, size))
    elif kind == "ping":
        await connection.ping(lines.decode(command["payload"]))
    elif kind == "close":
        await connection.close(command["code"], command["reason"])


server_options = {
    "create_protocol": Server,
    "subprotocols": ["beta"],
    "extra_headers": {"X-Interop-Server": "websockets"},
    "max_size": largest_message,
}


async def start():
    server = await serve(serve_echo, "127.0.0.1", 0, **server_options)
    await unix_serve(serve_echo, sys.argv[1], **server_options)
    lines.emit("ready", port=server.sockets[0].getsockname()[1])
    return handle


lines.run(start)
