"""What stands in between and does harm: it holds frames back (F11), or cuts what is silent or old
(F23). Said with its numbers, and where hawser can do something about it, done."""

import asyncio
import datetime
import re

import pytest
from hawser_test.consumer import assert_same
from hawser_test.fakes.peer import Peer
from hawser_test.hawserd import wait_until
from hawser_test.middlebox import HaproxyProxy, Middlebox, NginxProxy


class Ticker(Peer):
    """Sends an event with its time to all links each `every` seconds, or never."""

    def __init__(self, every=None, certificate=None):
        self.every, self.ticks = every, 0
        super().__init__(certificate)

    def routes(self, router):
        router.add_get("/feed", self.upgrade)

    async def start(self):
        await super().start()
        if self.every:
            self.ticking = asyncio.ensure_future(self.tick())

    async def tick(self):
        while True:
            self.ticks += 1
            now = datetime.datetime.now(datetime.timezone.utc).isoformat()
            for link in list(self.links):
                await link.send({"id": f"t{self.ticks}", "time": now})
            await asyncio.sleep(self.every)


@pytest.fixture
def tick(hawser):
    """Starts hawserd with the stream `feed` through what the test puts in between."""
    stops = []

    def make(every, between, scheme="ws", **settings):
        ticker = Ticker(every)
        stops.append(ticker)
        box = between(ticker.port)
        stops.append(box)
        hawser.stream("feed", profile="generic", url=f"{scheme}://localhost:{box.port}/feed",
                      event__id="/id", event__time="/time", **settings)
        hawser.start().wait_state("live", stream="feed")
        return ticker, box

    yield make
    for part in reversed(stops):
        part.stop()


def test_F11_frames_held_back_in_bursts(hawser, tick):
    ticker, _ = tick(0.4, lambda port: Middlebox(port, hold=4))
    with hawser.consumer() as consumer:
        consumer.subscribe()
        line = hawser.wait_log(r"frames are held back on the way", timeout=60)
        count = ticker.ticks
        consumer.wait_id(f"t{count}")
        seen = [int(ident[1:]) for ident in consumer.ids()]
        assert_same(seen, list(range(seen[0], seen[-1] + 1)))
    assert re.search(r"by their own times they were made over at least [1-4]\.\d s", str(line) + hawser.log())
    status = hawser.status("feed")
    assert status["held_back"] >= 3
    assert "held back" in status["warning"]
    assert status["links"] == 1


def test_F11_a_feed_that_speaks_in_bursts_is_none(hawser, tick):
    """The same silence, but each message is made when it is sent; and in the other case, a pong in it."""
    ticker, _ = tick(None, lambda port: Middlebox(port), heartbeat__ws_ping="1s")
    with hawser.consumer() as consumer:
        consumer.subscribe()
        for burst in range(4):
            wait_until(lambda: sum(len(link.pings) for link in ticker.all_links) >= 4 * (burst + 1),
                       "pings in the silence")
            now = datetime.datetime.now(datetime.timezone.utc)
            for i in range(5):
                made = now - datetime.timedelta(seconds=4 - i)
                ticker.send({"id": f"b{burst}.{i}", "time": made.isoformat()})
            consumer.wait_id(f"b{burst}.4")
    assert hawser.status("feed")["held_back"] == 0
    assert "held back" not in hawser.log()


@pytest.mark.parametrize(("proxy", "scheme"), [(NginxProxy, "ws"), (NginxProxy, "wss"), (HaproxyProxy, "ws")])
def test_F23_silent_links_are_cut_by_a_real_proxy(hawser, tick, ca, proxy, scheme):
    """With TLS the proxy says goodbye in its own name, which is no sign of life of the service."""
    if not proxy.available():
        pytest.skip(f"{proxy.program} is not installed")
    ticker, _ = tick(None, lambda port: proxy(port, 6, ca.localhost if scheme == "wss" else None), scheme,
                     heartbeat__ws_ping="60s", heartbeat__idle="90s", backoff__steps="0,100ms",
                     tls_ca=ca.cert)
    hawser.wait_log(r"the last 3 links broke after [67] s of silence: something in between forgets them; "
                    r"from now on a ping every [34] s", timeout=90)
    hawser.wait_state("live", stream="feed")
    link = ticker.wait(lambda: len(ticker.all_links) == 4 and ticker.all_links[3], "the fourth link")
    # Now it lives: more than twice as long as the proxy lets a silent one.
    ticker.wait(lambda: len(link.pings) >= 4, "four pings")
    assert len(ticker.all_links) == 4
    assert hawser.status("feed")["state"] == "live"
    assert "silence" in hawser.status("feed")["warning"]


def test_F23_old_links_are_cut(hawser, tick):
    """At an age, however much they say: said with the number, and not taken for silence."""
    tick(0.2, lambda port: Middlebox(port, age=6), backoff__steps="0,100ms")
    hawser.wait_log(r"the last 3 links broke at an age of [67] s: something in between ends them",
                    timeout=90)


def test_F23_old_links_are_replaced_in_time(hawser, tick):
    """With two links at once, none is cut any more once the age is known."""
    ticker, box = tick(0.2, lambda port: Middlebox(port, age=6), backoff__steps="0,100ms",
                       connect__parallel="2")
    hawser.wait_log(r"the last 3 links broke at an age of [67] s: .*from now on each is replaced before",
                    timeout=90)
    hawser.wait_log(r"(?s)from now on each is replaced before.*(ended: close 1001 \(by us\).*){3}", timeout=60)
    # After the link that comes after the last cut, none ends but by us.
    later = hawser.log().split("from now on each is replaced before")[1].split("opening > live")[1]
    assert "1006" not in later, later
    assert box.connections == len(ticker.dials)
