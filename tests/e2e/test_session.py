"""What a session survives: handover, holes, audits, budgets, restarts; against a scripted service."""

import time

import pytest
from hawser_test.clock import Clock
from hawser_test.consumer import assert_rising, assert_same
from hawser_test.fakes.scripted import PROFILE, Scripted
from hawser_test.hawserd import wait_until


def live(hawser, name="feed"):
    if hawser.process is None:
        hawser.start()
    hawser.wait_state("live", stream=name)
    return hawser


# ---- handover ----

def test_F30_the_service_asks_to_move(feed, peer):
    """Two links for a while; each event once, in order, whoever brought it first."""
    hawser = live(feed(connect__parallel=2))
    with hawser.consumer() as consumer:
        consumer.subscribe()
        wanted = peer.publish(3)
        consumer.wait_events(3)
        old = peer.links[0]
        peer.send_to(old, {"type": "move", "url": f"wss://{peer.host}/ws2"})
        peer.wait(lambda: len(peer.links) == 2, "the second link")
        new = next(link for link in peer.links if link is not old)
        assert new.request.path == "/ws2"
        assert new.request.headers["Authorization"] == "Bearer scripted-token"
        # The new link is ahead of the old one.
        wanted += peer.publish(2, to=[new])
        peer.run(old.send(peer.events[3]))
        wanted += peer.publish(3, to=[new])
        consumer.wait_events(8)
        peer.wait(lambda: peer.links == [new], "the old link to go")
        wanted += peer.publish(2)
        consumer.wait_events(10)
        consumer.drain(0.3)
        assert_same(consumer.ids(), wanted)
        assert consumer.gaps == []
        assert_rising(consumer.seqs)
    assert old.code in (1000, 1001)
    assert hawser.status("feed")["state"] == "live"


def test_F30_the_old_link_ends_first(feed, peer):
    hawser = live(feed(connect__parallel=2))
    with hawser.consumer() as consumer:
        consumer.subscribe()
        wanted = peer.publish(2)
        consumer.wait_events(2)
        old = peer.links[0]
        peer.send_to(old, {"type": "move", "url": f"wss://{peer.host}/ws2"})
        peer.wait(lambda: len(peer.links) == 2, "the second link")
        new = next(link for link in peer.links if link is not old)
        wanted += peer.publish(2, live=False)  # on neither link: catch-up brings it
        wanted += peer.publish(2, to=[new])
        peer.close_link(old)
        consumer.wait_events(6)
        assert_same(consumer.ids(), wanted)
        assert consumer.gaps == []


def test_F30_one_link_at_a_time(feed, peer):
    """parallel = 1: closed, dialled anew at once, caught up."""
    hawser = live(feed(connect__parallel=1))
    with hawser.consumer() as consumer:
        consumer.subscribe()
        wanted = peer.publish(2)
        consumer.wait_events(2)
        old = peer.links[0]
        peer.send_to(old, {"type": "move", "url": f"wss://{peer.host}/ws2"})
        wanted += peer.publish(3)
        peer.wait(lambda: len(peer.all_links) == 2 and old not in peer.links, "the second link")
        wanted += peer.publish(3)
        consumer.wait_events(8)
        assert_same(consumer.ids(), wanted)
        assert consumer.gaps == []
    assert peer.all_links[1].request.path == "/ws2"


def test_F30_an_address_elsewhere_is_refused(feed, peer):
    """The network names an address outside `hosts`: said, and never dialled; no token goes there."""
    other = Scripted()
    try:
        hawser = live(feed(connect__parallel=2))
        peer.send_to(peer.links[0], {"type": "move", "url": f"wss://127.0.0.2:{other.port}/ws2"})
        hawser.wait_log(r"127\.0\.0\.2|hosts")
        wanted = peer.publish(2)
        with hawser.consumer() as consumer:
            consumer.subscribe(**{"from": "oldest"})
            consumer.wait_events(2)
            assert_same(consumer.ids(), wanted)
        assert other.dials == []
    finally:
        other.stop()


@pytest.mark.parametrize("parallel", [1, 2])
def test_F30_links_are_renewed_before_max_age(feed, peer, parallel):
    hawser = live(feed(connect__parallel=parallel, connect__max_age="700ms"))
    wanted = []
    with hawser.consumer() as consumer:
        consumer.subscribe()
        deadline = time.monotonic() + 60
        while len(peer.all_links) < 5:
            assert time.monotonic() < deadline, "links are not renewed"
            wanted += peer.publish(1)
            time.sleep(0.005)
        wanted += peer.publish(1)
        consumer.wait_events(len(wanted))
        consumer.drain(0.3)
        assert_same(consumer.ids(), wanted)
        assert consumer.gaps == []


# ---- what a healthy link does not bring ----

def test_F14_F29_audit_finds_what_the_link_does_not_bring(feed, peer):
    """The link is alive and gets nothing: the ghost. The audit brings it, twice means reconnect."""
    hawser = live(feed(catchup__audit="1s", catchup__settle="0"))
    with hawser.consumer() as consumer:
        consumer.subscribe()
        wanted = peer.publish(2)
        consumer.wait_events(2)
        peer.fanout = False
        wanted += peer.publish(2)
        consumer.wait_events(4, timeout=60)
        assert [event["via"] for event in consumer.events] == ["live", "live", "audit", "audit"]
        wanted += peer.publish(1)
        consumer.wait_events(5, timeout=60)
        peer.wait(lambda: len(peer.all_links) == 2, "another link")
        peer.fanout = True
        hawser.wait_state("live", stream="feed")
        wanted += peer.publish(1)
        consumer.wait_events(6, timeout=60)
        assert_same(consumer.ids(), wanted)
        assert consumer.gaps == []


def test_a_hole_in_contiguous_positions_is_filled(feed, peer):
    hawser = live(feed(position__contiguous="yes"))
    with hawser.consumer() as consumer:
        consumer.subscribe()
        wanted = peer.publish(2)
        wanted += peer.publish(3, live=False)
        wanted += peer.publish(2)
        consumer.wait_events(7)
        assert_same(consumer.ids(), wanted)
        assert consumer.gaps == []
        assert [event["via"] for event in consumer.events[2:5]] == ["sync"] * 3
    assert len(peer.all_links) == 1


def test_a_hole_that_nothing_fills_is_a_gap(feed, peer):
    hawser = live(feed(position__contiguous="yes"))
    with hawser.consumer() as consumer:
        consumer.subscribe()
        peer.publish(2)
        peer.run(lose(peer, 2))
        peer.publish(2)
        consumer.wait_events(4)
        gap = consumer.wait_gap("upstream")
        assert (gap["after"], gap["before"]) == ("2", "5")


async def lose(peer, count):
    """Numbers that were given out and never seen."""
    for _ in range(count):
        peer.make()["pos"] = -1


def test_unkeyed_events_are_asked_of_sync(feed, peer):
    """A reaction has neither id nor position on the link; in the pages it has both."""
    hawser = live(feed(event__unkeyed="sync"))
    with hawser.consumer() as consumer:
        consumer.subscribe()
        wanted = peer.publish(1)
        event = peer.run(make_hidden(peer))
        wanted.append(event["id"])
        peer.send({"type": "note", "text": "as the link has it"})
        wanted += peer.publish(2)
        consumer.wait_events(4)
        consumer.drain(0.3)
        assert_same(consumer.ids(), wanted)
        assert [e["via"] for e in consumer.events][1] == "sync"


async def make_hidden(peer):
    return peer.make(kind="note")


def test_unkeyed_events_that_sync_never_brings_are_kept(feed, peer):
    hawser = live(feed(event__unkeyed="sync"))
    with hawser.consumer() as consumer:
        consumer.subscribe()
        peer.publish(1)
        peer.send({"type": "note", "text": "only here"})
        consumer.wait_events(2, timeout=60)
        peer.publish(1)
        consumer.wait_events(3, timeout=60)
        assert consumer.events[1]["data"]["text"] == "only here"
        assert consumer.ids() == ["e1", "e2"]
    hawser.wait_log(r"audit")


def test_unkeyed_events_that_sync_has_gone_beyond_are_kept(feed, peer):
    """Sync has what stands behind it, but not itself. Its place is not certain, that it stays is."""
    hawser = live(feed(event__unkeyed="sync"))
    with hawser.consumer() as consumer:
        consumer.subscribe()
        peer.publish(1)
        peer.send({"type": "note", "text": "only here"})
        peer.publish(1)
        consumer.wait_events(3, timeout=60)
        assert [e["data"]["text"] for e in consumer.events if "id" not in e] == ["only here"]
        assert consumer.ids() == ["e1", "e2"]


def test_F24_a_quiet_feed_is_left_alone(feed, peer):
    """Nothing is sent; the pings, each answered within its own millisecond, prove the link."""
    hawser = live(feed(heartbeat__ws_ping="1s", heartbeat__pong_timeout="1s"))
    wait_until(lambda: hawser.status("feed")["since_ms"] > 5000, "five pings")
    assert len(peer.dials) == 1
    assert hawser.status("feed")["state"] == "live"


# ---- pages ----

def test_pages_that_come_newest_first(feed, peer):
    peer.descending, peer.page_limit = True, 10
    profile = PROFILE.replace("query.after = ${position}", "query.before = ${next}")
    hawser = live(feed(profile=profile, catchup__order="desc"))
    with hawser.consumer() as consumer:
        consumer.subscribe()
        wanted = peer.publish(5)
        consumer.wait_events(5)
        peer.down()
        wanted += peer.publish(33)
        peer.up()
        consumer.wait_events(38, timeout=60)
        assert_same(consumer.ids(), wanted)
        assert consumer.gaps == []


def test_F42_the_service_says_the_position_is_gone(feed, peer):
    hawser = live(feed(catchup__gone="/error == \"gone\""))
    with hawser.consumer() as consumer:
        consumer.subscribe()
        wanted = peer.publish(2)
        consumer.wait_events(2)
        peer.answers["/pages"] = (200, '{"error":"gone","items":[]}', {})
        peer.drop()
        consumer.wait_gap("epoch")
        hawser.wait_state("live", stream="feed")
        del peer.answers["/pages"]
        wanted += peer.publish(1)
        consumer.wait_events(3)
        assert_same(consumer.ids(), wanted)


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_F42_a_position_of_before_says_nothing_in_the_next_life(feed, peer, how):
    """The service was restored and counts anew; events are known by their position alone."""
    hawser = live(feed("""
[on restored]
match = /type == "restored"
do = forget, ignore
""", profile=PROFILE.replace("dedup = id", "dedup = position")))
    with hawser.consumer() as consumer:
        consumer.subscribe()
        peer.publish(6, of="before")
        consumer.wait_events(6)
        peer.send({"type": "restored"})
        consumer.wait_gap("epoch")
        peer.events.clear()
        peer.publish(2, of="after")
        consumer.wait_events(8)
    hawser.stop() if how == "stop" else hawser.kill()
    peer.publish(2, live=False, of="after")
    live(hawser)
    peer.publish(1, of="after")
    with hawser.consumer() as consumer:
        consumer.subscribe(**{"from": "oldest"})
        consumer.wait_events(11)
        assert [(event["data"]["of"], event["data"]["n"]) for event in consumer.events] == \
            [("before", n) for n in range(1, 7)] + [("after", n) for n in range(1, 6)]
        assert [gap["reason"] for gap in consumer.gaps] == ["epoch"]


# ---- acknowledgements ----

def test_an_acknowledgement_goes_out_once_the_event_is_on_disk(feed, peer):
    hawser = live(feed("""
[send ack]
text = {"ack":"${/id}"}
on = stored
"""))
    with hawser.consumer() as consumer:
        consumer.subscribe()
        wanted = peer.publish(20)
        consumer.wait_events(20)
        peer.wait(lambda: len(peer.acks) >= 20, "acknowledgements")
        assert [what["ack"] for _, what in peer.acks] == wanted
        # A duplicate is acknowledged too: the service waits for it.
        peer.send(peer.events[-1])
        peer.wait(lambda: len(peer.acks) >= 21, "the duplicate's")
        assert peer.acks[-1][1]["ack"] == wanted[-1]


# ---- how old a position is ----

@pytest.mark.parametrize("away_s, kept", [(1800, True), (7200, False)])
def test_F42_a_clean_stop_for_longer_than_the_service_keeps(feed, peer, away_s, kept):
    """What the service answers then may look whole and not be: the gap is said, and it goes on."""
    hawser = feed(position__max_age="1h")
    clock = Clock(hawser)
    live(hawser)
    with hawser.consumer() as consumer:
        consumer.subscribe()
        wanted = peer.publish(2)
        consumer.wait_events(2)
    hawser.stop()
    missed = peer.publish(2, live=False)
    clock.set_forth(away_s)
    live(hawser)
    wanted += (missed if kept else []) + peer.publish(1)
    with hawser.consumer() as consumer:
        consumer.subscribe(**{"from": "oldest"})
        consumer.wait_id(wanted[-1])
        assert_same(consumer.ids(), wanted)
        assert [gap["reason"] for gap in consumer.gaps] == ([] if kept else ["epoch"])


def test_F28_F42_a_sleep_for_longer_than_the_service_keeps(feed, peer):
    """The clock that waits are measured by stands still in a suspend, the service's does not."""
    hawser = feed(position__max_age="1h", connect__ping="forbid", heartbeat__idle="1h",
                  connect__parallel=1)
    clock = Clock(hawser)
    live(hawser)
    with hawser.consumer() as consumer:
        consumer.subscribe()
        consumer.wait_id(peer.publish(1)[-1])
        # The link outlives the first sleep, and says so.
        clock.sleep(7200)
        hawser.wait_log("the machine has slept")
        consumer.wait_id(peer.publish(1)[-1])
        peer.drop()
        peer.wait(lambda: len(peer.all_links) == 2 and peer.links, "the second link")
        hawser.wait_state("live", stream="feed")
        consumer.wait_id(peer.publish(1)[-1])
        assert consumer.gaps == []
        # And not the second one.
        clock.sleep(7200)
        wait_until(lambda: hawser.log().count("the machine has slept") == 2, "the sleep to be seen")
        peer.publish(1, live=False)
        peer.drop()
        consumer.wait_gap("epoch")
        peer.wait(lambda: len(peer.all_links) == 3 and peer.links, "the third link")
        hawser.wait_state("live", stream="feed")
        consumer.wait_id(peer.publish(1)[-1])
        assert consumer.ids() == ["e1", "e2", "e3", "e5"]


# ---- budgets ----

def test_F36_a_crash_loop_dials_no_more_than_a_running_daemon(feed, peer):
    """kill -9 as soon as it listens, over and over: the budget and the backoff are kept on disk."""
    hawser = feed(limits__connects="4/10m")
    for _ in range(12):
        hawser.start()
        time.sleep(0.15)
        hawser.kill()
    hawser.start()
    time.sleep(0.5)
    assert 1 <= len(peer.dials) <= 4
    status = hawser.status("feed")
    assert status["state"] in ("waiting", "held"), status
    hawser.wait_status(lambda s: "connects" in s["reason"], "the limit as the reason", stream="feed")


def test_F36_many_streams_one_host(feed, peer, ca, hawser):
    """Handshakes under way at once to one host: at most dial_per_host."""
    peer.handshake_delay_s = 0.1
    hawser.sections["daemon"]["dial_per_host"] = 3
    for number in range(15):
        feed(name=f"s{number}")
    hawser.start()
    for number in range(15):
        hawser.wait_state("live", stream=f"s{number}", timeout=60)
    assert peer.handshakes_most <= 3


def test_F36_the_dial_rate_holds(feed, peer, hawser):
    hawser.sections["daemon"]["dial_rate"] = "5/s"
    for number in range(20):
        feed(name=f"s{number}")
    hawser.start()
    for number in range(20):
        hawser.wait_state("live", stream=f"s{number}", timeout=60)
    times = sorted(dial["t"] for dial in peer.dials)
    for first, later in zip(times, times[11:]):
        assert later - first > 0.9, "twelve dials within a second"


@pytest.fixture
def saved(feed, ca):
    """A second stream of the same store. What it delivers is on disk, and with it all that was to
    be saved before: saved() returns when that is so."""
    other = Scripted(ca.localhost)
    hawser = feed(name="other", host=other.host)

    def wait():
        hawser.wait_state("live", stream="other")
        with hawser.consumer() as consumer:
            consumer.subscribe(streams=["other"])
            other.publish(1)
            consumer.wait_events(1)

    yield wait
    other.stop()


def test_F13_parked_stays_parked_over_a_crash(feed, peer, saved):
    peer.refusal = (401, "no such key", {})
    hawser = feed().start()
    hawser.wait_state("parked", stream="feed")
    saved()
    dials = len(peer.dials)
    for _ in range(3):
        hawser.kill()
        hawser.start()
        hawser.wait_state("parked", stream="feed")
    assert len(peer.dials) == dials
    # A clean restart is an operator's: it tries again.
    peer.refusal = None
    hawser.restart()
    hawser.wait_state("live", stream="feed")


def test_F37_a_wait_goes_on_over_a_crash(feed, peer, saved):
    hawser = feed(close__4500="hold 30m").start()
    hawser.wait_state("live", stream="feed")
    peer.drop(4500, "come back later")
    hawser.wait_state("held", stream="feed")
    saved()
    hawser.kill()
    hawser.start()
    status = hawser.wait_state("held", stream="feed")
    assert "4500" in status["reason"]
    assert len(peer.dials) == 1


def test_F62_origin(feed, peer):
    hawser = live(feed(**{"connect.header.Origin": "https://app.example.com"}))
    assert peer.dials[0]["headers"]["Origin"] == "https://app.example.com"
    assert hawser.status("feed")["state"] == "live"


def test_F62_origin_is_refused(feed, peer):
    """What the service says is kept, and the origin is taken up once it is there."""
    peer.origin = "https://app.example.com"
    hawser = feed(**{"status.403/origin": "hold 30m", "backoff.steps": "1s"}).start()
    status = hawser.wait_state("held", stream="feed")
    assert "status 403" in status["reason"] and "origin" in status["reason"]
    hawser.wait_log(r"feed \[[0-9a-f]+\]: ended: status 403")
    hawser.sections["stream feed"]["connect.header.Origin"] = peer.origin
    hawser.restart()
    hawser.wait_state("live", stream="feed")
    assert [dial["headers"].get("Origin") for dial in peer.dials] == [None, peer.origin]


# ---- subscriptions ----

SUBSCRIBE = """
[send room]
text = {"op":"subscribe","room":"lobby"}
on = open
answer = /type == "subscribed"
answer_timeout = 2s
"""


def test_F39_a_subscription_is_sent_once_a_link(feed, peer):
    peer.answer = {"type": "subscribed"}
    hawser = live(feed(SUBSCRIBE))
    with hawser.consumer() as consumer:
        consumer.subscribe()
        for number in range(1, 4):
            peer.wait(lambda: len(peer.all_links) == number and peer.links, "the link")
            hawser.wait_state("live", stream="feed")
            wanted = peer.publish(1)
            consumer.wait_id(wanted[0])
            peer.drop()
    assert [link.texts for link in peer.all_links[:3]] == \
        [['{"op":"subscribe","room":"lobby"}']] * 3


def test_F39_F29_a_subscription_that_is_not_answered(feed, peer):
    """The link is fine and no subscription: it would bring nothing for ever. Said, and dialled anew."""
    hawser = live(feed(SUBSCRIBE))
    hawser.wait_log(r"room.*answer|answer.*room|no answer")
    peer.answer = {"type": "subscribed"}
    peer.wait(lambda: len(peer.all_links) >= 2, "another link")
    hawser.wait_state("live", stream="feed")
