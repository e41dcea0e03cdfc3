"""Other services, as proof that a profile is enough: what each adds to the vocabulary."""

import json
import time

import pytest
from hawser_test.fakes.small import HomeAssistant, Jetstream, Kraken, Ntfy
from hawser_test.hawserd import wait_until


@pytest.fixture
def peer(ca, request):
    service = request.param(ca.localhost)
    yield service
    service.stop()


def peer_of(kind):
    return pytest.mark.parametrize("peer", [kind], indirect=True, ids=[kind.__name__])


@pytest.fixture
def feed(hawser, peer, ca):
    def start(profile, wait="live", **settings):
        hawser.stream("feed", **{"profile": profile, "host": peer.host, "tls_ca": ca.cert, **settings})
        hawser.start()
        if wait:
            hawser.wait_state(wait, stream="feed")
        return hawser

    return start


# ---- ntfy: an id in the URL, a tip on the first run, NDJSON ----

@peer_of(Ntfy)
def test_ntfy_first_run_starts_at_the_tip(feed, peer):
    """Without a position ntfy sends nothing of the past; the tip makes even the first drop whole."""
    peer.publish(5)
    hawser = feed("ntfy", topic="alerts", start="now")
    peer.down()
    missed = peer.publish(3)
    peer.up()
    with hawser.consumer() as consumer:
        consumer.subscribe(**{"from": "oldest"})
        consumer.wait_events(3)
        consumer.drain(0.3)
        assert consumer.ids() == missed
        assert consumer.gaps == []


@peer_of(Ntfy)
def test_ntfy_resumes_by_id(feed, peer):
    hawser = feed("ntfy", topic="alerts")
    with hawser.consumer() as consumer:
        consumer.subscribe()
        wanted = peer.publish(3)
        consumer.wait_events(3)
        for _ in range(3):
            peer.down()
            wanted += peer.publish(2)
            peer.up()
            consumer.wait_events(len(wanted))
        assert consumer.ids() == wanted
        assert all(event["type"] == "message" for event in consumer.events)


@peer_of(Ntfy)
def test_ntfy_replays_everything_for_an_unknown_id(feed, peer):
    """Each event once all the same."""
    hawser = feed("ntfy", topic="alerts")
    with hawser.consumer() as consumer:
        consumer.subscribe()
        wanted = peer.publish(5)
        consumer.wait_events(5)
        del peer.cache[2]  # expired
        peer.cache[3]["id"] = "another"
        peer.drop()
        wanted += ["another"] + peer.publish(1)
        consumer.wait_events(7)
        consumer.drain(0.3)
        assert consumer.ids() == wanted


@peer_of(Ntfy)
def test_ntfy_token(feed, peer, hawser):
    peer.token = "ntfy-access-token"
    hawser.secrets.add(peer.token)
    feed("ntfy", topic="alerts", token=f"file:{hawser.secret('ntfy', peer.token)}")


@peer_of(Ntfy)
def test_ntfy_no_frame_of_ours_is_long(feed, peer):
    """The service closes on client frames over 64 bytes; pings have none to speak of."""
    hawser = feed("ntfy", topic="alerts", heartbeat__ws_ping="200ms")
    wait_until(lambda: hawser.status("feed").get("rtt_ms") is not None, "a pong")
    time.sleep(1)
    assert len(peer.all_links) == 1


# ---- Jetstream: a cursor in microseconds, asked for with overlap; client data forbidden ----

@peer_of(Jetstream)
def test_jetstream_overlap(feed, peer):
    hawser = feed("jetstream", filter="wantedCollections=app.bsky.feed.post", start="now")
    with hawser.consumer() as consumer:
        consumer.subscribe()
        wanted = peer.publish(5)
        consumer.wait_events(5)
        peer.down()
        wanted += peer.publish(5)
        peer.up()
        consumer.wait_events(10)
        consumer.drain(0.3)
        assert [event["data"]["time_us"] for event in consumer.events] == wanted
        assert consumer.gaps == []
    cursor = int(peer.all_links[-1].query["cursor"])
    assert wanted[4] - 60_000_000 <= cursor < wanted[4]  # some seconds below what we have
    assert peer.all_links[-1].texts == []  # client data is forbidden


# ---- Home Assistant: an authentication in messages, commands with rising ids, no replay ----

def contexts(consumer):
    """The profile gives events no id: a context is that of all that one cause has led to."""
    assert consumer.ids() == []
    return [event["data"]["event"]["context"]["id"] for event in consumer.events]


@peer_of(HomeAssistant)
def test_home_assistant_login_and_subscription(feed, peer, hawser):
    hawser.secrets.add(peer.token)
    feed("home-assistant", token=f"file:{hawser.secret('ha', peer.token)}", heartbeat__every="300ms")
    with hawser.consumer() as consumer:
        consumer.subscribe()
        wanted = peer.publish(3)
        consumer.wait_events(3)
        assert contexts(consumer) == wanted
        peer.batch = True
        wanted += peer.publish(4)
        consumer.wait_events(7)
        assert contexts(consumer) == wanted
        wait_until(lambda: sum(m["type"] == "ping" for _, m in peer.commands) >= 3, "heartbeats")
        # F39: one subscription a link, before and after a drop.
        peer.drop()
        gap = consumer.wait_gap("no_resume")
        assert gap["stream"] == "feed"
        hawser.wait_state("live", stream="feed")
        wanted = peer.publish(1)
        consumer.wait(lambda: contexts(consumer)[-1:] == wanted, "the event after the drop")
    subscriptions = [link for link, m in peer.commands if m["type"] == "subscribe_events"]
    assert subscriptions == [1, 2]


@peer_of(HomeAssistant)
def test_F13_home_assistant_refuses_the_token(feed, peer, hawser):
    feed("home-assistant", token=f"file:{hawser.secret('ha', 'a-wrong-token')}", wait="parked")
    assert len(peer.all_links) == 1
    hawser.secret("ha", peer.token)
    hawser.wait_state("live", stream="feed")


@peer_of(HomeAssistant)
def test_F22_home_assistant_no_pong(feed, peer, hawser):
    """The WebSocket answers pings, the service itself has stopped."""
    feed("home-assistant", token=f"file:{hawser.secret('ha', peer.token)}", heartbeat__every="300ms",
         heartbeat__ack_timeout="700ms")
    peer.answer_pings = False
    hawser.wait_log(r"half-open")
    peer.answer_pings = True
    hawser.wait_state("live", stream="feed")


@peer_of(HomeAssistant)
def test_F17_home_assistant_refused_subscription(feed, peer, hawser):
    """A refused subscription is said; it does not become an endless loop."""
    peer.refuse_subscription = True
    feed("home-assistant", token=f"file:{hawser.secret('ha', peer.token)}", wait=None)
    hawser.wait_log(r"(?i)subscri")
    time.sleep(1.5)
    assert len(peer.all_links) <= 2


# ---- Kraken: several acknowledgements, split messages, numbers without holes for each symbol ----

@peer_of(Kraken)
def test_kraken_trades(feed, peer):
    hawser = feed("kraken", symbols='"BTC/USD","ETH/USD"')
    with hawser.consumer() as consumer:
        consumer.subscribe()
        btc = peer.publish("BTC/USD", 3)
        eth = peer.publish("ETH/USD", 2)
        consumer.wait_events(5)
        assert [event["data"]["trade_id"] for event in consumer.events] == btc + eth
        ids = consumer.ids()
        assert len(set(ids)) == 5  # a trade_id is one symbol's own
        assert consumer.gaps == []
    symbols = [s for link, group in peer.subscriptions for s in group]
    assert sorted(symbols) == ["BTC/USD", "ETH/USD"]


@peer_of(Kraken)
def test_kraken_a_hole_is_a_gap(feed, peer):
    """What did not come on a healthy link is known by the numbers, for each symbol on its own."""
    hawser = feed("kraken", symbols='"BTC/USD","ETH/USD"')
    with hawser.consumer() as consumer:
        consumer.subscribe()
        peer.publish("BTC/USD", 2)
        peer.publish("ETH/USD", 2)
        peer.publish("BTC/USD", 3, live=False)
        peer.publish("BTC/USD", 1)
        peer.publish("ETH/USD", 1)
        gap = consumer.wait_gap("upstream")
        consumer.wait_events(6)
        assert len(consumer.gaps) == 1
        assert (gap["after"], gap["before"]) == ("1001", "1005")


@peer_of(Kraken)
def test_F17_kraken_one_refused_symbol(feed, peer):
    peer.bad_symbols = {"XXX/YYY"}
    hawser = feed("kraken", symbols='"BTC/USD","XXX/YYY"')
    hawser.wait_log(r"warning feed \[[0-9a-f]{8}\]: rule refused: Kraken refuses one of the symbols\. Fix: ")
    with hawser.consumer() as consumer:
        consumer.subscribe()
        peer.publish("BTC/USD", 2)
        consumer.wait_events(2)
    assert len(peer.all_links) == 1


@peer_of(Kraken)
def test_F29_kraken_never_acknowledges(feed, peer):
    """The link is open and pings are answered, but the subscription is not: said, and tried anew."""
    peer.acknowledge = False
    hawser = feed("kraken", wait=None, symbols='"BTC/USD"', **{"send:subscribe.answer_timeout": "500ms"})
    hawser.wait_log(r"timeout in answer|answer to")
    peer.acknowledge = True
    hawser.wait_state("live", stream="feed")


def test_adding_a_service_needs_no_c(hawser, ca, tmp_path):
    """A profile of one's own, in a directory of one's own."""
    peer = HomeAssistant(ca.localhost)
    try:
        (tmp_path / "house.ini").write_text("""
[profile]
title = A house
params = host
secrets = token
[connect]
url = wss://${host}/api/websocket
[on hello]
match = /type == "auth_required"
do = send login, ignore
[send login]
text = {"type":"auth","access_token":"${secret.token}"}
once = yes
[on in]
match = /type == "auth_ok"
do = live, send all, ignore
[send all]
text = {"id":${n},"type":"subscribe_events"}
answer = /type == "result"
once = yes
[on result]
match = /type == "result"
do = ignore
[live]
when = rule
timeout = 5s
[event]
id = /event/context/id
type = /event/event_type
""")
        hawser.sections["daemon"]["profile_dir"] = tmp_path
        hawser.stream("house", profile="house", host=peer.host, tls_ca=ca.cert,
                      token=f"file:{hawser.secret('ha', peer.token)}")
        hawser.start().wait_state("live", stream="house")
        with hawser.consumer() as consumer:
            consumer.subscribe()
            wait_until(lambda: peer.commands, "the subscription")
            wanted = peer.publish(2)
            consumer.wait_events(2)
            assert consumer.ids() == wanted
            assert json.loads(consumer.raw)["type"] == "state_changed"
    finally:
        peer.stop()
