"""A scripted service within the test's own process: WebSocket, HTTP, SSE, as its subclass says.

The service runs on a thread of its own; what a test calls goes through Peer.run(). A subclass adds
its routes in routes() and says in greet() and text() what it answers, in the service's documented
frames. What a test may want to bend is an attribute.
"""

import asyncio
import contextlib
import json
import socket
import ssl
import struct
import threading
import time

from aiohttp import WSMsgType, web


class Link:
    """One WebSocket connection as the service sees it."""

    def __init__(self, peer, number, request, ws):
        self.peer, self.number, self.request, self.ws = peer, number, request, ws
        self.texts = []  # what the client sent
        self.query = dict(request.query)
        self.opened = time.monotonic()
        self.code = None  # how the client closed
        self.silent = False
        self.closing = None  # ends when our own close frame is out

    async def send(self, message):
        if not self.silent:
            with contextlib.suppress(ConnectionError, RuntimeError):
                await self.ws.send_str(message if isinstance(message, str) else json.dumps(message))

    async def close(self, code, reason=""):
        # A task of its own: aiohttp ends the reading loop first, and without this the handler's end
        # would close with 1000 before our code goes out.
        if self.closing is None:
            self.closing = asyncio.ensure_future(self.ws.close(code=code, message=reason.encode()))
        await asyncio.shield(self.closing)

    def reset(self):
        """Ends the connection as a NAT or a dying machine does."""
        transport = self.request.transport
        if transport is None:
            return
        with contextlib.suppress(OSError):
            transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()


class Peer:
    subprotocols = ()

    def __init__(self, certificate=None):
        self.dials = []  # each handshake: t, path, query, headers
        self.requests = []  # each other request: t, method, path, query, headers, body
        self.links = []  # open now
        self.all_links = []
        self.streams = []  # SSE and the like, open now
        self.refusal = None  # (status, body, headers) instead of 101
        self.answers = {}  # path: (status, body, headers) instead of what the path answers
        self.tls = None
        if certificate:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(certificate.cert, certificate.key)
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.run(self.start())
        self.host = f"localhost:{self.port}"

    # ---- for tests ----

    def run(self, coroutine, timeout=30):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(timeout)

    def drop(self, code=None, reason=""):
        """Ends all links: with a close frame, or without a word."""
        async def work():
            for link in list(self.links):
                if code is None:
                    link.reset()
                else:
                    await link.close(code, reason)
            if code is None:
                for request in list(self.streams):
                    Link(self, 0, request, None).reset()

        self.run(work())

    def send(self, message):
        """To every link."""
        async def work():
            for link in list(self.links):
                await link.send(message)

        self.run(work())

    def down(self):
        """Nobody listens any more, and all connections are gone. The port stays ours."""
        async def work():
            if self.server:
                self.server.close()
                self.server = None
            for handler in list(self.runner.server.connections):
                if handler.transport is not None:
                    handler.transport.abort()

        self.run(work())

    def up(self):
        self.run(self.listen())

    def wait(self, condition, what, timeout=30):
        deadline = time.monotonic() + timeout
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > deadline:
                raise AssertionError(f"the service waited in vain for {what}: {len(self.dials)} dials, "
                                     f"{len(self.links)} links, {self.requests[-3:]}")
            time.sleep(0.01)

    def stop(self):
        self.down()

        async def work():
            # A handler that waits for something of its own does not see its client go.
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.runner.cleanup()

        self.run(work())
        self.reservation.close()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
        self.loop.close()

    # ---- the service ----

    async def start(self):
        app = web.Application(middlewares=[self.watch])
        self.routes(app.router)
        self.runner = web.AppRunner(app, access_log=None)
        await self.runner.setup()
        self.reservation = socket.socket()
        self.reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.reservation.bind(("127.0.0.1", 0))
        self.port = self.reservation.getsockname()[1]
        await self.listen()

    async def listen(self):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", self.port))
        self.server = await self.loop.create_server(self.runner.server, sock=sock, ssl=self.tls)

    @web.middleware
    async def watch(self, request, handler):
        entry = {"t": time.monotonic(), "method": request.method, "path": request.path,
                 "query": dict(request.query), "headers": dict(request.headers)}
        if request.headers.get("Upgrade", "").lower() == "websocket":
            self.dials.append(entry)
            answer = self.refusal
        else:
            entry["body"] = await request.text()
            self.requests.append(entry)
            answer = self.answers.get(request.path)
        if answer:
            status, body, headers = answer
            return web.Response(status=status, text=body, headers=headers)
        return await handler(request)

    async def upgrade(self, request):
        """A route's handler for the WebSocket."""
        refused = await self.admit(request)
        if refused is not None:
            return refused
        ws = web.WebSocketResponse(protocols=self.subprotocols, timeout=2, max_msg_size=1 << 22)
        await ws.prepare(request)
        link = Link(self, len(self.all_links) + 1, request, ws)
        self.all_links.append(link)
        self.links.append(link)
        greeting = asyncio.ensure_future(self.greet(link))
        try:
            async for message in ws:
                if message.type == WSMsgType.TEXT:
                    link.texts.append(message.data)
                    await self.text(link, message.data)
            if link.closing is not None:
                await asyncio.shield(link.closing)
        finally:
            link.code = ws.close_code
            if link in self.links:
                self.links.remove(link)
            greeting.cancel()
        return ws

    async def sse(self, request, produce):
        """Answers with an event stream; produce(write) runs until the client goes."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream",
                                               "Cache-Control": "no-cache"})
        await response.prepare(request)
        self.streams.append(request)
        try:
            await produce(lambda text: response.write(text.encode()))
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.streams.remove(request)
        return response

    # ---- what a subclass says ----

    def routes(self, router):
        raise NotImplementedError

    async def admit(self, request):
        """None, or the answer that refuses the handshake."""

    async def greet(self, link):
        """What the service sends of itself when a link is open."""

    async def text(self, link, text):
        """A text message of the client."""
