"""Autobahn|Python (asyncio) as a peer, server and client: echoes every message."""

import asyncio
import itertools
import ssl
import sys
import tempfile

import lines

try:
    from autobahn.asyncio.websocket import (
        WebSocketClientFactory,
        WebSocketClientProtocol,
        WebSocketServerFactory,
        WebSocketServerProtocol,
    )
    from autobahn.websocket.compress import PERMESSAGE_COMPRESSION_EXTENSION
    from autobahn.websocket.types import ConnectionDeny
except ImportError as error:
    lines.missing(error)

connections = {}


class Peer:
    """What both roles tell the test. `setup` is the command that they come from."""

    id = None
    frames = 0
    seen = {}

    def __init__(self, setup):
        super().__init__()
        self.setup = setup

    @property
    def is_silent(self):
        return self.setup.get("isSilent", False)

    def onOpen(self):
        connections[self.id] = self
        lines.emit(
            "open",
            id=self.id,
            subprotocol=self.websocket_protocol_in_use,
            headers=lines.lower(self.http_headers),
            **self.seen,
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
        if not self.is_silent:
            super().onPing(payload)

    def onPong(self, payload):
        lines.emit_control("pong", self.id, payload)

    def onCloseFrame(self, code, reasonRaw):
        if not self.is_silent:
            return super().onCloseFrame(code, reasonRaw)

    def onClose(self, wasClean, code, reason):
        if connections.pop(self.id, None) is None:
            # Without an opening handshake there is nothing to close.
            self.onDenied()
            return
        lines.emit(
            "closed",
            id=self.id,
            wasClean=wasClean,
            code=1005 if code is None else code,
            reason=reason or "",
        )

    def onDenied(self):
        """There was no connection: only a client's end is told."""


class Server(Peer, WebSocketServerProtocol):
    def __init__(self, setup, clients):
        super().__init__(setup)
        self.clients = clients

    def onConnect(self, request):
        if request.path == "/deny":
            raise ConnectionDeny(403, "Not for you")
        if "denial" in self.setup:
            raise ConnectionDeny(**self.setup["denial"])
        if "exception" in self.setup:
            raise Exception(self.setup["exception"])
        self.id = request.headers["x-interop-id"]
        self.seen = {
            "request": {
                "path": request.path,
                "params": request.params,
                "version": request.version,
                "origin": request.origin,
                "clients": self.clients,
            }
        }
        known = self.setup.get("protocols", ["beta"])
        protocol = next((protocol for protocol in request.protocols if protocol in known), None)
        return protocol, {"X-Interop-Server": "autobahn", **self.setup.get("headers", {})}


class Client(Peer, WebSocketClientProtocol):
    def onDenied(self):
        response = {}
        if hasattr(self, "http_status_line"):
            response["status"] = int(self.http_status_line.split()[1])
            response["headers"] = lines.lower(self.http_headers)
        # There is no reason when it was a proxy that refused.
        lines.emit("denied", id=self.id, message=self.wasNotCleanReason or "", **response)


# No time that a busy machine could reach. Most timers are rounded down to whole seconds
# of the clock, so that one of a second may be over at once.
defaults = {"echoCloseCodeReason": True, "openHandshakeTimeout": 0, "closeHandshakeTimeout": 30}


def set_up(factory, make, setup, **options):
    factory.protocol = make
    factory.setProtocolOptions(**{**defaults, **setup.get("options", {}), **options})
    return factory


def compression_of(setup):
    """The classes of the extension, and what is asked of the other side in their words."""
    names = {
        "requestNoContextTakeover": "request_no_context_takeover",
        "requestMaxWindowBits": "request_max_window_bits",
        "requestMaxCompressLevel": "request_max_compress_level",
    }
    compression = setup["compression"]
    request = {names[key]: value for key, value in compression.items() if key in names}
    return PERMESSAGE_COMPRESSION_EXTENSION[compression["extension"]], request


def server_compression(setup):
    if "compression" not in setup:
        return {}
    classes, request = compression_of(setup)

    def accept(offers):
        for offer in offers:
            if isinstance(offer, classes["Offer"]):
                return classes["OfferAccept"](offer, **request)

    return {"perMessageCompressionAccept": accept}


def client_compression(setup):
    if "compression" not in setup:
        return {}
    classes, request = compression_of(setup)
    return {
        "perMessageCompressionOffers": [classes["Offer"](**request)],
        "perMessageCompressionAccept": classes["ResponseAccept"],
    }


def make_tls(protocol, setup):
    """None without `tls`. With a `ca` the other side must have a certificate signed by it."""
    if "tls" not in setup:
        return None
    tls = setup["tls"]
    context = ssl.SSLContext(protocol)
    if "ca" in tls:
        context.load_verify_locations(cadata=tls["ca"])
        context.verify_mode = ssl.CERT_REQUIRED
    if "cert" in tls:
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(tls["key"] + tls["cert"])
            file.flush()
            context.load_cert_chain(file.name)
    return context


def make_server(setup):
    clients = itertools.count(1)
    return set_up(
        WebSocketServerFactory(),
        lambda: Server(setup, next(clients)),
        setup,
        **server_compression(setup),
    )


async def listen(command):
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        make_server(command),
        command["host"],
        0,
        ssl=make_tls(ssl.PROTOCOL_TLS_SERVER, command),
    )
    lines.emit("listening", id=command["id"], port=server.sockets[0].getsockname()[1])


async def connect(command):
    def make():
        client = Client(command)
        client.id = command["id"]
        return client

    factory = WebSocketClientFactory(
        command["url"],
        origin=command.get("origin"),
        protocols=command["protocols"],
        headers=command["headers"],
        proxy=command.get("proxy"),
    )
    factory.setProtocolOptions(serverConnectionDropTimeout=30)
    set_up(factory, make, command, **client_compression(command))
    loop = asyncio.get_running_loop()
    if "socketPath" in command:
        await loop.create_unix_connection(factory, command["socketPath"])
        return
    tls = make_tls(ssl.PROTOCOL_TLS_CLIENT, command)
    to = command.get("proxy", {"host": factory.host, "port": factory.port})
    try:
        await loop.create_connection(factory, to["host"], to["port"], ssl=tls)
    except ssl.SSLError as error:
        lines.emit("denied", id=command["id"], message=str(error))


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
    if kind == "listen":
        await listen(command)
        return
    connection = connections[command["id"]]
    if kind == "send":
        payload = lines.decode(command["payload"])
        send(connection, payload, command["isBinary"], command.get("fragmentSize"))
    elif kind == "beginMessage":
        connection.beginMessage(command["isBinary"])
    elif kind == "beginFrame":
        connection.beginMessageFrame(command["length"])
    elif kind == "frameData":
        connection.sendMessageFrameData(lines.decode(command["payload"]))
    elif kind == "endMessage":
        connection.endMessage()
    elif kind == "ping":
        connection.sendPing(lines.decode(command["payload"]))
    elif kind == "close":
        connection.sendClose(command.get("code"), command.get("reason"))


async def start():
    loop = asyncio.get_running_loop()
    factory = make_server({})
    server = await loop.create_server(factory, "127.0.0.1", 0)
    await loop.create_unix_server(factory, sys.argv[1])
    lines.emit("ready", port=server.sockets[0].getsockname()[1])
    return handle


lines.run(start)
