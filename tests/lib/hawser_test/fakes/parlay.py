"""A fake ParlayAPI: odds over WebSocket, and over SSE for those who cannot have that."""

import asyncio
import json
import time

from aiohttp import web

from hawser_test.fakes.peer import Peer

KEY = "parlay-secret-key"


class Parlay(Peer):
    """No event has an id: a row is itself, and `last_update` is the position."""

    subprotocols = (f"apikey.{KEY}",)

    def __init__(self, certificate=None):
        self.keys = {KEY}
        self.cap = 5  # connections at once, WebSocket and SSE together
        self.most = 0  # that were ever open at once
        self.close_at_once = None  # (code, reason) behind the 101
        self.history_ms = 3_600_000  # how far back `since` is honoured
        self.rows = []
        self.clock_ms = int(time.time() * 1000)
        self.subscriptions = []
        self.silent = False  # publishes into the history alone
        self.changed = None
        super().__init__(certificate)

    def routes(self, router):
        self.changed = asyncio.Condition()
        for prefix in ("/v1", ""):
            for feed in ("odds", "live"):
                router.add_get(f"{prefix}/ws/{feed}/{{sport}}", self.upgrade)
        router.add_get("/v1/sse/odds/{sport}", self.handle_sse)
        router.add_get("/v1/odds/{sport}", self.handle_rest)

    # ---- for tests ----

    def publish(self, count=1, live=True):
        """count rows, one frame each; returns their positions."""
        async def work():
            rows = [self.row() for _ in range(count)]
            self.rows += rows
            if live and not self.silent:
                for row in rows:
                    for link in list(self.links):
                        await link.send(self.update("odds_update", [row]))
            async with self.changed:
                self.changed.notify_all()
            return [row["last_update"] for row in rows]

        return self.run(work())

    def row(self):
        self.clock_ms += 1
        return {"kind": "prop", "bookmaker": "book", "event_id": "game-1", "home_team": "A",
                "away_team": "B", "commence_time": "2026-05-17T18:00:00Z",
                "last_update": self.clock_ms, "player": "P. Layer", "market_key": "points",
                "line": 20.5, "over_price": -110, "under_price": -105, "available": True,
                "action": "upsert"}

    def update(self, kind, rows, **more):
        return {"type": kind, "sport_key": "nba", "timestamp": self.clock_ms, "count": len(rows),
                "data": rows, **more}

    # ---- the service ----

    def key_of(self, request):
        protocols = request.headers.get("Sec-WebSocket-Protocol", "").split(",")
        offered = [p.strip()[7:] for p in protocols if p.strip().startswith("apikey.")]
        return (request.headers.get("X-API-Key") or request.query.get("apiKey")
                or (offered[0] if offered else None))

    def connections(self):
        # aiohttp tells an SSE handler of its client's end only with the next write.
        count = len(self.links) + sum(request.transport is not None and
                                      not request.transport.is_closing() for request in self.streams)
        self.most = max(self.most, count)
        return count

    def refused(self, request):
        if self.key_of(request) not in self.keys:
            return web.json_response({"error": "forbidden", "message": "API key not recognised"},
                                     status=403)
        return None

    async def admit(self, request):
        return self.refused(request)

    def since(self, request):
        """(rows to begin with, the members that tell of them)."""
        since = int(request.query.get("since") or 0)
        if since and since >= self.clock_ms - self.history_ms:
            rows = [row for row in self.rows if row["last_update"] > since]
            return rows, {"since": since, "truncated": False, "snapshot_complete": True}
        return self.rows[-3:], {"since": since or None, "truncated": bool(since),
                                "snapshot_complete": True}

    async def greet(self, link):
        if self.connections() > self.cap:
            await link.close(4002, "connection limit reached")
            return
        if self.close_at_once:
            await link.close(*self.close_at_once)
            return
        rows, told = self.since(link.request)
        await link.send({"type": "connected", "sport_key": "nba", "tier": "business",
                         "min_push_interval_s": 0, "push_mode": "diff", "diff_mode": "row",
                         "filters": {"since": told["since"]}, "timestamp": self.clock_ms})
        await link.send(self.update("initial_state", rows, **told))

    async def text(self, link, text):
        message = json.loads(text)
        if message.get("type") == "subscribe":
            self.subscriptions.append((link.number, message.get("event_id")))
            await link.send({"type": "subscribed", "event_id": message.get("event_id"),
                             "timestamp": self.clock_ms})

    async def handle_rest(self, request):
        return web.json_response({"error": "upgrade required"}, status=426)

    async def handle_sse(self, request):
        refused = self.refused(request)
        if refused is not None:
            return refused
        if self.connections() + 1 > self.cap:
            return web.json_response({"error": "connection limit reached"}, status=429)

        async def produce(write):
            self.connections()
            rows, told = self.since(request)
            await write("retry: 1000\n\n")
            await write("data: " + json.dumps(self.update("initial_state", rows, **told)) + "\n\n")
            sent = len(self.rows)
            while True:
                async with self.changed:
                    if len(self.rows) == sent:
                        try:
                            await asyncio.wait_for(self.changed.wait(), 0.5)
                        except asyncio.TimeoutError:
                            await write(": keepalive\n\n")
                rows, sent = self.rows[sent:], len(self.rows)
                for row in rows:
                    await write("data: " + json.dumps(self.update("odds_update", [row])) + "\n\n")

        return await self.sse(request, produce)
