"""Fakes of services with small protocols: ntfy, Bluesky's Jetstream, Home Assistant, Kraken."""

import asyncio
import json
import time

from aiohttp import web

from hawser_test.fakes.peer import Peer


class Ntfy(Peer):
    """GET /TOPIC/ws?since=ID; an id it does not know replays all that is kept."""

    def __init__(self, certificate=None):
        self.cache = []
        self.published = 0
        self.token = None
        super().__init__(certificate)

    def routes(self, router):
        router.add_get("/{topic}/ws", self.upgrade)
        router.add_get("/{topic}/json", self.handle_json)

    def publish(self, count=1):
        async def work():
            made = []
            for _ in range(count):
                self.published += 1
                number = self.published
                message = {"id": f"nt{number:08d}", "time": int(time.time()), "event": "message",
                           "topic": "alerts", "message": f"message {number}"}
                self.cache.append(message)
                made.append(message["id"])
                for link in list(self.links):
                    await link.send(message)
            return made

        return self.run(work())

    async def admit(self, request):
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.json_response({"code": 40101, "http": 401, "error": "unauthorized"}, status=401)
        return None

    def after(self, since):
        ids = [message["id"] for message in self.cache]
        if since in ("all", None):
            return list(self.cache) if since else []
        if since == "latest":
            return self.cache[-1:]
        return self.cache[ids.index(since) + 1:] if since in ids else list(self.cache)

    async def greet(self, link):
        await link.send({"id": f"open{link.number}", "time": int(time.time()), "event": "open",
                         "topic": "alerts"})
        for message in self.after(link.query.get("since")):
            await link.send(message)

    async def text(self, link, text):
        if len(text) > 64:
            await link.close(1009, "message too long")

    async def handle_json(self, request):
        lines = "".join(json.dumps(m) + "\n" for m in self.after(request.query.get("since")))
        return web.Response(text=lines, content_type="application/x-ndjson")


class Jetstream(Peer):
    """/subscribe?wantedCollections=…&cursor=TIME_US: an event at the cursor is sent again; an older
    cursor than the history begins at its oldest, without a word."""

    def __init__(self, certificate=None):
        self.events = []
        self.clock_us = int(time.time() * 1_000_000)
        super().__init__(certificate)

    def routes(self, router):
        router.add_get("/subscribe", self.upgrade)

    def publish(self, count=1, step_us=1000):
        async def work():
            made = []
            for _ in range(count):
                self.clock_us += step_us
                number = len(self.events) + 1
                event = {"did": "did:plc:abc", "time_us": self.clock_us, "kind": "commit",
                         "commit": {"rev": f"rev{number}", "operation": "create",
                                    "collection": "app.bsky.feed.post", "rkey": f"rk{number}",
                                    "record": {"text": f"post {number}"}, "cid": f"cid{number}"}}
                self.events.append(event)
                made.append(event["time_us"])
                for link in list(self.links):
                    await link.send(event)
            return made

        return self.run(work())

    async def greet(self, link):
        cursor = link.query.get("cursor")
        if cursor:
            for event in [e for e in self.events if e["time_us"] >= int(cursor)]:
                await link.send(event)

    async def text(self, link, text):
        await link.close(1003, "client data is not allowed")


class HomeAssistant(Peer):
    """/api/websocket: auth_required, auth, auth_ok; then commands with rising ids. No replay."""

    def __init__(self, certificate=None, token="ha-long-lived-token"):
        self.token = token
        self.commands = []
        self.batch = False  # several frames as one array
        self.refuse_subscription = False
        self.answer_pings = True
        super().__init__(certificate)

    def routes(self, router):
        router.add_get("/api/websocket", self.upgrade)

    def publish(self, count=1):
        async def work():
            now = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
            frames = [{"id": link_id, "type": "event", "event": {
                "event_type": "state_changed", "origin": "LOCAL", "time_fired": now,
                "data": {"entity_id": f"light.l{n}", "new_state": {"state": "on"}},
                "context": {"id": f"ctx-{time.monotonic_ns()}-{n}"}}}
                for n in range(count) for link_id in (1,)]
            for link in list(self.links):
                if getattr(link, "subscribed", None) is None:
                    continue
                for frame in frames:
                    frame["id"] = link.subscribed
                if self.batch:
                    await link.send(frames)
                else:
                    for frame in frames:
                        await link.send(frame)
            return [frame["event"]["context"]["id"] for frame in frames]

        return self.run(work())

    async def greet(self, link):
        await link.send({"type": "auth_required", "ha_version": "2026.5.0"})

    async def text(self, link, text):
        message = json.loads(text)
        kind = message.get("type")
        if not getattr(link, "authenticated", False):
            good = kind == "auth" and message.get("access_token") == self.token
            await link.send({"type": "auth_ok" if good else "auth_invalid", "ha_version": "2026.5.0",
                             **({} if good else {"message": "Invalid access token or password"})})
            link.authenticated = good
            if not good:
                await link.close(1000)
            return
        self.commands.append((link.number, message))
        last = getattr(link, "last_id", 0)
        if message.get("id", 0) <= last:
            await link.send({"id": message.get("id"), "type": "result", "success": False,
                             "error": {"code": "id_reuse",
                                       "message": "Identifier values have to increase."}})
            return
        link.last_id = message["id"]
        if kind == "subscribe_events":
            ok = not self.refuse_subscription
            if ok:
                link.subscribed = message["id"]
            await link.send({"id": message["id"], "type": "result", "success": ok, "result": None,
                             **({} if ok else {"error": {"code": "unauthorized",
                                                         "message": "Unauthorized"}})})
        elif kind == "ping" and self.answer_pings:
            await link.send({"id": message["id"], "type": "pong"})


class Kraken(Peer):
    """v2: one acknowledgement a symbol, a heartbeat a second, trade_id without holes a symbol."""

    def __init__(self, certificate=None):
        self.next_id = {}
        self.bad_symbols = set()
        self.acknowledge = True
        self.subscriptions = []
        self.heartbeats = True
        super().__init__(certificate)

    def routes(self, router):
        router.add_get("/v2", self.upgrade)

    def trade(self, symbol):
        number = self.next_id.get(symbol, 1000)
        self.next_id[symbol] = number + 1
        return {"symbol": symbol, "side": "buy", "price": 0.5, "qty": 10.0, "ord_type": "market",
                "trade_id": number, "timestamp": "2026-05-17T11:00:00.000000Z"}

    def publish(self, symbol="BTC/USD", count=1, live=True):
        async def work():
            trades = [self.trade(symbol) for _ in range(count)]
            if live:
                for link in list(self.links):
                    if symbol in getattr(link, "symbols", ()):
                        await link.send({"channel": "trade", "type": "update", "data": trades})
            return [trade["trade_id"] for trade in trades]

        return self.run(work())

    async def greet(self, link):
        link.symbols = set()
        await link.send({"channel": "status", "type": "update", "data": [
            {"version": "2.0.0", "system": "online", "api_version": "v2", "connection_id": link.number}]})
        while self.heartbeats:
            await asyncio.sleep(1)
            if link.symbols:
                await link.send({"channel": "heartbeat"})

    async def text(self, link, text):
        message = json.loads(text)
        if message.get("method") == "ping":
            await link.send({"method": "pong", "req_id": message.get("req_id")})
        if message.get("method") != "subscribe" or not self.acknowledge:
            return
        params = message["params"]
        self.subscriptions.append((link.number, tuple(params["symbol"])))
        for symbol in params["symbol"]:
            good = symbol not in self.bad_symbols
            answer = {"method": "subscribe", "success": good, "time_in": "2026-05-17T11:00:00Z",
                      "time_out": "2026-05-17T11:00:00Z"}
            if good:
                link.symbols.add(symbol)
                answer["result"] = {"channel": params["channel"], "symbol": symbol, "snapshot": False}
            else:
                answer["error"] = f"Currency pair not supported {symbol}"
                answer["symbol"] = symbol
            await link.send(answer)
