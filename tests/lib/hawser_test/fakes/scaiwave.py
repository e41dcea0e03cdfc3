#!/usr/bin/python3
"""A fake ScaiWave: WebSocket stream, sync and token refresh, with faults on request.

    python3 -m hawser_test.fakes.scaiwave [--tls-cert PEM --tls-key PEM] [--config JSON]

Prints one line of JSON, {"port": N, "control": N}, and serves until its standard input ends.
POST a JSON object with "op" to the control port to make things happen; see the op_ methods.
What a client may rely on is as the real service documents it; what it must not rely on (how
next_cursor is meant, when sync sees an event, who closes how) is configurable.
"""

import argparse
import asyncio
import collections
import json
import socket
import ssl
import struct
import sys
import time
import uuid

from aiohttp import WSMsgType, web

DEFAULTS = {
    "address": "127.0.0.1",
    "tokens": ["good-token"],
    "tenant": "tenant-1",
    # hello: whether it is said at all, to whom, how late
    "hello": True,
    "hello_tenant": None,
    "hello_delay_ms": 0,
    # how the WebSocket handshake is answered: None as it should be, or
    # {"status": N, "body": TEXT, "headers": {}}, {"close": CODE, "reason": TEXT}, {"hang": true}
    "handshake": None,
    # a bad token gets 101 and then 4001 (true), or 401 at once
    "bad_token_upgrades": False,
    "ping_s": 30,
    # sync: answer late, hide events younger than that, answer with something else
    "sync_delay_ms": 0,
    "sync_lag_ms": 0,
    "sync_answer": None,
    # next_cursor is the last item's position ("last") or one more ("plus1")
    "cursor": "last",
    # since excludes the position itself, or includes it
    "since": "exclusive",
    "sync_limit_max": 500,
    # whether links get what is published (a fan-out fault leaves it to sync)
    "fanout": True,
    "first_position": 1001,
    "position_step": 1,
    # events kept for sync; None: all
    "history": None,
    "refresh_tokens": ["good-refresh"],
    # refresh: lifetime said and kept to (seconds), answered late, so many answers lost after the
    # tokens were replaced, or another answer
    "refresh_ttl": 3600,
    "refresh_delay_ms": 0,
    "refuse_delay_ms": 0,  # before a token that is no good is refused
    "refresh_lose": 0,
    "refresh_answer": None,
    # a cookie that each answer sets, and one that a handshake must have
    "set_cookie": None,
    "need_cookie": None,
}


class Event:
    __slots__ = ("position", "id", "live", "sync", "published")

    def __init__(self, position, ident, live, sync):
        self.position = position
        self.id = ident
        self.live = live
        self.sync = sync
        self.published = time.monotonic()


class Link:
    def __init__(self, number, request, socket_):
        self.number = number
        self.request = request
        self.ws = socket_
        self.queue = collections.deque()
        self.wake = asyncio.Event()
        self.opened = time.monotonic()
        self.closing = False
        self.silent = False

    def put(self, kind, payload):
        self.queue.append((kind, payload))
        self.wake.set()

    @property
    def transport(self):
        return self.request.transport


def reset(transport):
    """Ends a TCP connection with a reset, as a dying machine or a NAT does."""
    if transport is None:
        return
    sock = transport.get_extra_info("socket")
    if sock is not None:
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass
    transport.abort()


class Service:
    def __init__(self, config, tls):
        self.config = dict(DEFAULTS, **config)
        self.tls = tls
        self.events = []
        self.dropped = 0  # events that the history no longer has
        self.next_position = self.config["first_position"]
        self.next_number = 1
        self.links = {}
        self.link_count = 0
        self.changed = asyncio.Condition()
        self.server = None
        self.flow_rate = 0
        self.flow_count = 0
        self.flow_options = {}
        self.record = {"dials": [], "links": [], "closes": [], "syncs": [], "refreshes": [],
                       "pings": 0, "pongs": 0, "texts": []}

    # ---- listening ----

    async def start(self):
        app = web.Application()
        app.router.add_get("/v1/stream", self.handle_stream)
        app.router.add_get("/v1/sync", self.handle_sync)
        app.router.add_get("/moved/{n}/stream", self.handle_stream)
        app.router.add_get("/moved/{n}/sync", self.handle_sync)
        app.router.add_post("/v1/auth/refresh", self.handle_refresh)
        self.runner = web.AppRunner(app, access_log=None)
        await self.runner.setup()
        # Bound and never listening: the port stays ours while the service is down.
        self.reservation = socket.socket(self.family())
        self.reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.reservation.bind((self.config["address"], 0))
        self.port = self.reservation.getsockname()[1]
        await self.listen()
        asyncio.ensure_future(self.flow())

    def family(self):
        """"::" takes both."""
        return socket.AF_INET6 if ":" in self.config["address"] else socket.AF_INET

    async def listen(self):
        sock = socket.socket(self.family())
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((self.config["address"], self.port))
        self.server = await asyncio.get_running_loop().create_server(
            self.runner.server, sock=sock, ssl=self.tls, backlog=256)

    # ---- what clients see ----

    def authorised(self, token):
        return token in self.config["tokens"]

    @staticmethod
    def error(status, code, message):
        return web.json_response({"error": {"code": code, "message": message}}, status=status)

    async def handle_stream(self, request):
        config = self.config
        token = request.query.get("token", "")
        good = self.authorised(token)
        self.record["dials"].append({
            "t": time.monotonic(), "authorised": good, "query": sorted(request.query),
            "headers": dict(request.headers), "path": request.path})
        handshake = config["handshake"] or {}
        cookie = config["set_cookie"]
        if config["need_cookie"] and config["need_cookie"] not in request.headers.get("Cookie", ""):
            return web.Response(status=503, text="no such session here",
                                headers=cookie and {"Set-Cookie": cookie})
        if "status" in handshake and (
                "path" not in handshake or handshake["path"] == request.path):
            return web.Response(status=handshake["status"], text=handshake.get("body", ""),
                                headers=handshake.get("headers"))
        if handshake.get("hang"):
            await asyncio.sleep(3600)
        if not good and not config["bad_token_upgrades"]:
            await asyncio.sleep(config["refuse_delay_ms"] / 1000)
            return self.error(401, "SW_AUTH_INVALID_TOKEN", "token is not valid")
        ws = web.WebSocketResponse(autoping=False, autoclose=True, timeout=2, max_msg_size=1 << 22)
        if cookie:
            ws.headers["Set-Cookie"] = cookie
        await ws.prepare(request)
        self.link_count += 1
        link = Link(self.link_count, request, ws)
        self.record["links"].append({"t": link.opened, "number": link.number})
        if not good:
            await ws.close(code=4001, message=b"invalid token")
        elif "close" in handshake:
            await ws.close(code=handshake["close"], message=handshake.get("reason", "").encode())
        else:
            await self.serve(link)
        return ws

    async def serve(self, link):
        writer = asyncio.ensure_future(self.write(link))
        pinger = asyncio.ensure_future(self.ping(link))
        try:
            if self.config["hello_delay_ms"]:
                await asyncio.sleep(self.config["hello_delay_ms"] / 1000)
            if self.config["hello"]:
                link.put("text", json.dumps({
                    "type": "hello", "session_id": str(uuid.uuid4()), "server_name": "fake",
                    "tenant_id": self.config["hello_tenant"] or self.config["tenant"],
                    "ts": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}))
            self.links[link.number] = link
            await self.read(link)
            if link.closing: # reading ends first when we close
                await asyncio.wait([writer], timeout=5)
        finally:
            self.links.pop(link.number, None)
            writer.cancel()
            pinger.cancel()
            self.record["closes"].append({
                "t": time.monotonic(), "number": link.number, "code": link.ws.close_code})

    async def read(self, link):
        while True:
            message = await link.ws.receive()
            if message.type == WSMsgType.PING:
                self.record["pings"] += 1
                if not link.silent:
                    link.put("pong", message.data)
            elif message.type == WSMsgType.PONG:
                self.record["pongs"] += 1
            elif message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                self.record["texts"].append(str(message.data)[:1000])
            else:
                return

    async def write(self, link):
        senders = {"text": link.ws.send_str, "binary": link.ws.send_bytes, "pong": link.ws.pong,
                   "ping": link.ws.ping}
        while True:
            while link.queue and not link.silent:
                kind, payload = link.queue.popleft()
                try:
                    if kind == "close":
                        link.closing = True
                        await link.ws.close(code=payload[0], message=payload[1])
                        return
                    if kind == "raw":
                        link.transport.write(payload)
                    else:
                        await senders[kind](payload)
                except (ConnectionError, RuntimeError):
                    return
            link.wake.clear()
            if not link.queue or link.silent:
                await link.wake.wait()

    async def ping(self, link):
        while True:
            await asyncio.sleep(self.config["ping_s"])
            link.put("ping", b"")

    def visible(self):
        """Number of events that sync can see."""
        lag = self.config["sync_lag_ms"] / 1000
        if not lag:
            return len(self.events)
        limit = time.monotonic() - lag
        count = len(self.events)
        while count and self.events[count - 1].published > limit:
            count -= 1
        return count

    def after(self, since, limit):
        """(events, whether there are more) from `since` on."""
        count = self.visible()
        low, high = 0, count
        inclusive = self.config["since"] == "inclusive"
        while low < high:
            middle = (low + high) // 2
            position = self.events[middle].position
            if position < since or (position == since and not inclusive):
                low = middle + 1
            else:
                high = middle
        return self.events[low : min(low + limit, count)], low + limit < count

    async def handle_sync(self, request):
        started = time.monotonic()
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        good = scheme == "Bearer" and self.authorised(token)
        entry = {"t": started, "authorised": good, "query": dict(request.query), "items": None,
                 "path": request.path, "cookie": request.headers.get("Cookie", "")}
        self.record["syncs"].append(entry)
        answer = self.config["sync_answer"]
        if answer and answer.get("path", request.path) == request.path:
            return web.Response(status=answer.get("status", 200), text=answer.get("body", ""),
                                headers=answer.get("headers"))
        if not good:
            return self.error(401, "SW_AUTH_INVALID_TOKEN", "token is not valid")
        try:
            since = int(request.query.get("since", "0"))
            limit = min(int(request.query.get("limit", "100")), self.config["sync_limit_max"])
            timeout = int(request.query.get("timeout", "30000"))
        except ValueError:
            return self.error(400, "SW_BAD_REQUEST", "since, limit and timeout are numbers")
        if self.config["sync_delay_ms"]:
            await asyncio.sleep(self.config["sync_delay_ms"] / 1000)
        page, more = self.after(since, limit)
        deadline = started + timeout / 1000
        while not page and time.monotonic() < deadline:
            async with self.changed:
                try:
                    await asyncio.wait_for(self.changed.wait(),
                                           min(0.1, max(0.0, deadline - time.monotonic())))
                except asyncio.TimeoutError:
                    pass
            page, more = self.after(since, limit)
        entry["items"] = len(page)
        cursor = since
        if page:
            cursor = page[-1].position + (self.config["cursor"] == "plus1")
        body = (b'{"data":{"events":[' + b",".join(event.sync for event in page)
                + b'],"next_cursor":%d,"has_more":%s}}' % (cursor, b"true" if more else b"false"))
        return web.Response(body=body, content_type="application/json")

    async def handle_refresh(self, request):
        try:
            old = (await request.json())["refresh_token"]
        except (ValueError, KeyError, TypeError):
            return self.error(400, "SW_BAD_REQUEST", "refresh_token is missing")
        good = old in self.config["refresh_tokens"]
        self.record["refreshes"].append({"t": time.monotonic(), "authorised": good, "token": old})
        await asyncio.sleep(self.config["refresh_delay_ms"] / 1000)
        answer = self.config["refresh_answer"]
        if answer:
            return web.Response(status=answer.get("status", 200), text=answer.get("body", ""),
                                headers=answer.get("headers"))
        if not good:
            return self.error(401, "SW_AUTH_INVALID_TOKEN", "refresh token is not valid")
        number = len(self.record["refreshes"])
        access, refresh = f"access-{number}-secret", f"refresh-{number}-secret"
        self.config["tokens"] = self.config["tokens"] + [access]
        if self.config["refresh_lose"] > 0:
            # The old one is good once more, as where a service knows that answers get lost.
            self.config["refresh_lose"] -= 1
            reset(request.transport)
            return web.Response()
        self.config["refresh_tokens"] = [refresh]
        return web.json_response({"data": {
            "access_token": access, "refresh_token": refresh, "token_type": "Bearer",
            "expires_in": self.config["refresh_ttl"]}})

    # ---- publishing ----

    def make(self, options):
        number = self.next_number
        self.next_number += 1
        position = self.next_position
        self.next_position += self.config["position_step"]
        kind = options.get("type", "swp.room.message")
        body = f"message {number} "
        body += "x" * max(0, options.get("size", 0) - len(body))
        ident = f"evt-{position}"
        common = {"id": ident, "room_id": options.get("room", "room-1"), "sender_id": "user-1",
                  "content": {"msgtype": "swp.text", "body": body, "n": number},
                  "stream_position": position, "origin_ts": int(time.time())}
        if "content" in options:
            common["content"] = options["content"]
        live = json.dumps({"type": kind, **common}, ensure_ascii=False, separators=(",", ":"))
        sync = json.dumps({**common, "event_type": kind}, ensure_ascii=False,
                          separators=(",", ":"))
        return Event(position, ident, live, sync.encode())

    def publish(self, options):
        event = self.make(options)
        self.events.append(event)
        history = self.config["history"]
        if history is not None and len(self.events) > history:
            self.dropped += len(self.events) - history
            del self.events[: len(self.events) - history]
        if self.config["fanout"] and options.get("live", True):
            for link in self.links.values():
                link.put("text", event.live)
        return event

    async def flow(self):
        """Publishes flow_rate events a second."""
        tick, credit = 0.005, 0.0
        last = time.monotonic()
        while True:
            await asyncio.sleep(tick)
            now = time.monotonic()
            credit = min(credit + (now - last) * self.flow_rate, 5000) if self.flow_rate else 0.0
            last = now
            while credit >= 1:
                credit -= 1
                self.flow_count += 1
                self.publish(self.flow_options)

    async def notify(self):
        async with self.changed:
            self.changed.notify_all()

    # ---- control ----

    async def handle_control(self, request):
        message = await request.json()
        handler = getattr(self, "op_" + message.pop("op"))
        result = await handler(**message)
        return web.json_response({} if result is None else result)

    async def op_publish(self, count=1, **options):
        """count events; live=false: as if the links had missed them."""
        first = last = None
        for number in range(count):
            last = self.publish(options)
            first = first or last
            if number % 500 == 499:
                await asyncio.sleep(0)
        await self.notify()
        return {"first": first.position, "last": last.position,
                "step": self.config["position_step"]}

    async def op_flow(self, rate, **options):
        """From now on `rate` events a second; 0 stops. Tells how many were published this way."""
        self.flow_rate = rate
        self.flow_options = options
        return {"count": self.flow_count, "next": self.next_position}

    async def op_raw(self, text=None, binary=None, frame=None):
        """To each link, without being an event: a text, a binary message (hex), raw bytes (hex)."""
        for link in self.links.values():
            if text is not None:
                link.put("text", text)
            if binary is not None:
                link.put("binary", bytes.fromhex(binary))
            if frame is not None:
                link.put("raw", bytes.fromhex(frame))
        return {"links": len(self.links)}

    async def op_ephemeral(self, type="typing", count=1):
        for number in range(count):
            text = json.dumps({"type": type, "room_id": "room-1", "sender_id": f"user-{number}"})
            for link in self.links.values():
                link.put("text", text)

    async def op_repeat(self, count):
        """The newest `count` events once more on each link."""
        for event in self.events[-count:]:
            for link in self.links.values():
                link.put("text", event.live)

    async def op_drop(self, how="rst", code=1001, reason=""):
        """Ends all links: rst, fin (no close frame), or close with code and reason."""
        links = list(self.links.values())
        for link in links:
            if how == "rst":
                reset(link.transport)
            elif how == "fin":
                link.transport.close()
            else:
                link.put("close", (code, reason.encode()))
        return {"links": len(links)}

    async def op_down(self, how="rst", code=1001, reason=""):
        """Stops listening and drops everything; what is published goes on, into the history."""
        if self.server:
            self.server.close()
            self.server = None
        result = await self.op_drop(how, code, reason)
        if how == "close":
            deadline = time.monotonic() + 3
            while self.links and time.monotonic() < deadline:
                await asyncio.sleep(0.01)
        for handler in list(self.runner.server.connections):
            reset(handler.transport)
        return result

    async def op_up(self):
        if not self.server:
            await self.listen()

    async def op_set(self, **config):
        unknown = set(config) - set(DEFAULTS)
        if unknown:
            raise web.HTTPBadRequest(text=f"unknown: {unknown}")
        self.config.update(config)

    async def op_silence(self):
        """The links of now neither read nor send nor answer pings any more, and stay connected."""
        for link in self.links.values():
            link.silent = True
            link.transport.pause_reading()
        return {"links": len(self.links)}

    async def op_stats(self, clear=False):
        record = dict(self.record, open=len(self.links), flow=self.flow_count,
                      next=self.next_position, events=len(self.events) + self.dropped,
                      listening=self.server is not None, t=time.monotonic())
        if clear:
            for key, value in self.record.items():
                self.record[key] = type(value)()
        return record


async def wait_for_end_of_stdin():
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.read(4096):
        pass


async def run(arguments):
    tls = None
    if arguments.tls_cert:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(arguments.tls_cert, arguments.tls_key)
    service = Service(json.loads(arguments.config), tls)
    await service.start()
    control = web.Application(client_max_size=1 << 26)
    control.router.add_post("/", service.handle_control)
    runner = web.AppRunner(control, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    control_port = site._server.sockets[0].getsockname()[1]
    print(json.dumps({"port": service.port, "control": control_port}), flush=True)
    await wait_for_end_of_stdin()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tls-cert")
    parser.add_argument("--tls-key")
    parser.add_argument("--config", default="{}", help="JSON, see DEFAULTS")
    arguments = parser.parse_args()
    try:
        asyncio.run(run(arguments))
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
