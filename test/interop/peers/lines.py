"""The line protocol between a test and a peer: commands come in on stdin as JSON
lines, events go out on stdout as JSON lines (test/support/interop.ts has both).
Whatever goes wrong in a peer ends it, with the traceback on stderr."""

import asyncio
import base64
import hashlib
import json
import os
import sys
import traceback


def missing(error):
    """Ends the process: a module is not installed."""
    sys.exit(f"{error}: apt-get install python3-autobahn python3-websockets")


def emit(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


def emit_message(id, payload, is_binary, frames):
    emit(
        "message",
        id=id,
        isBinary=is_binary,
        length=len(payload),
        sha256=hashlib.sha256(payload).hexdigest(),
        frames=frames,
    )


def emit_control(event, id, payload):
    emit(event, id=id, payload=encode(payload))


def encode(payload):
    return base64.b64encode(payload).decode()


def decode(payload):
    return base64.b64decode(payload)


def lower(headers):
    """Header names in lower case."""
    return {name.lower(): value for name, value in headers.items()}


def run(start):
    """Runs a peer: `start` listens and returns the coroutine function that handles a command."""

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(give_up)
        handle = await start()
        reader = asyncio.StreamReader(limit=2**26)
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        tasks = set()
        while line := await reader.readline():
            task = loop.create_task(handle(json.loads(line)))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            task.add_done_callback(check)

    def check(task):
        if not task.cancelled() and task.exception() is not None:
            give_up(None, {"exception": task.exception()})

    def give_up(_loop, context):
        print(context.get("message", ""), file=sys.stderr)
        if context.get("exception") is not None:
            traceback.print_exception(context["exception"])
        sys.stderr.flush()
        os._exit(1)

    asyncio.run(main())
