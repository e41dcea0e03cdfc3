"""bridge.py URL SOCKET [CA]: what one would write with Python and websockets: each message is parsed
and goes as a line to a Unix socket; a slow consumer slows reading down."""

import asyncio
import json
import ssl
import sys

import websockets


async def main(url, path, ca=None):
    _, consumer = await asyncio.open_unix_connection(path)
    options = {"compression": None, "ping_interval": None}
    if url.startswith("wss:"):
        options["ssl"] = ssl.create_default_context(cafile=ca)
    position = 0
    async with websockets.connect(url, **options) as upstream:
        async for text in upstream:
            event = json.loads(text)
            position = max(position, event.get("stream_position", 0))
            consumer.write(text.encode() + b"\n")
            await consumer.drain()


if __name__ == "__main__":
    try:
        asyncio.run(main(*sys.argv[1:]))
    except websockets.ConnectionClosed:
        pass
