"""A service with everything: numbered events over WebSocket, pages, acknowledgements, handover.

Its profile is PROFILE; tests override keys of it. Events are {"type":"event","id":"e7","pos":7,"n":7}.
"""

import asyncio
import json

from aiohttp import web

from hawser_test.fakes.peer import Peer

PROFILE = """
[profile]
title = A scripted service
params = host
secrets = token= refresh_token=
[connect]
url = wss://${host}/ws
header.Authorization = Bearer ${secret.token}
[live]
when = rule
timeout = 10s
[on hello]
match = /type == "hello"
do = live, ignore
[on move]
match = /type == "move"
do = handover /url
    ignore
[event]
only = /type == "event" || /type == "note"
type = /type
id = /id
position = /pos
dedup = id
[position]
compare = int
[http pages]
url = https://${host}/pages
query.after = ${position}
query.limit = 50
header.Authorization = Bearer ${secret.token}
[catchup]
via = http
http = pages
items = /items
next = /next
more = /more
settle = 500ms
"""


class Scripted(Peer):
    def __init__(self, certificate=None):
        self.events = []
        self.descending = False
        self.page_limit = 50
        self.fanout = True
        self.handshake_delay_s = 0
        self.handshakes = 0  # under way now
        self.handshakes_most = 0
        self.acks = []  # (link, what)
        self.hello = True
        self.greeting = []  # texts behind it
        self.origin = None  # the only one that is let in
        self.answer = None  # to each text
        super().__init__(certificate)

    def routes(self, router):
        for path in ("/ws", "/ws2", "/ws3"):
            router.add_get(path, self.upgrade)
        router.add_get("/pages", self.handle_pages)

    # ---- for tests ----

    def make(self, kind="event", **more):
        number = len(self.events) + 1
        event = {"type": kind, "id": f"e{number}", "pos": number, "n": number, **more}
        self.events.append(event)
        return event

    def publish(self, count=1, to=None, live=True, **more):
        """count events, to all links or those given; live=False: into the pages alone."""
        async def work():
            made = [self.make(**more) for _ in range(count)]
            if live and self.fanout:
                for event in made:
                    for link in list(self.links) if to is None else to:
                        await link.send(event)
            return [event["id"] for event in made]

        return self.run(work())

    def send_to(self, link, message):
        self.run(link.send(message))

    def close_link(self, link, code=1000, reason=""):
        self.run(link.close(code, reason))

    # ---- the service ----

    async def admit(self, request):
        self.handshakes += 1
        self.handshakes_most = max(self.handshakes_most, self.handshakes)
        try:
            if self.handshake_delay_s:
                await asyncio.sleep(self.handshake_delay_s)
        finally:
            self.handshakes -= 1
        if self.origin and request.headers.get("Origin") != self.origin:
            return web.Response(status=403, text="this origin is not allowed")

    async def greet(self, link):
        if self.hello:
            await link.send({"type": "hello"})
        for text in self.greeting:
            await link.send(text)

    async def text(self, link, text):
        try:
            self.acks.append((link.number, json.loads(text)))
        except ValueError:
            self.acks.append((link.number, text))
        if self.answer:
            await link.send(self.answer)

    async def handle_pages(self, request):
        after = int(request.query.get("after") or 0)
        limit = min(int(request.query.get("limit") or 50), self.page_limit)
        if not self.descending:
            items = [event for event in self.events if event["pos"] > after]
            page, more = items[:limit], len(items) > limit
            return web.json_response({"items": page, "more": more,
                                      "next": page[-1]["pos"] if page else after})
        before = int(request.query.get("before") or 1 << 60)
        items = [event for event in reversed(self.events) if event["pos"] < before]
        page, more = items[:limit], len(items) > limit
        return web.json_response({"items": page, "more": more,
                                  "next": page[-1]["pos"] if page else None})
