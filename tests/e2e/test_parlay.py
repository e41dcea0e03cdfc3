"""ParlayAPI: rows without ids, a cap over WebSocket and SSE together, and SSE where WebSocket fails."""

import pytest
from hawser_test.consumer import assert_rising
from hawser_test.fakes.parlay import KEY, Parlay


@pytest.fixture
def parlay(ca):
    peer = Parlay(ca.localhost)
    yield peer
    peer.stop()


@pytest.fixture
def odds(hawser, parlay, ca):
    def configure(name="odds", **settings):
        key = hawser.secret("key", settings.pop("key", KEY))
        hawser.stream(name, **{"profile": "parlay", "host": parlay.host, "sport": "nba",
                               "api_key": f"file:{key}", "tls_ca": ca.cert, "start": "oldest",
                               **settings})
        return hawser

    return configure


def rows(consumer):
    return [event["data"]["last_update"] for event in consumer.events]


def test_rows_are_events(odds, parlay):
    hawser = odds().start()
    hawser.wait_state("live", stream="odds")
    with hawser.consumer() as consumer:
        consumer.subscribe()
        wanted = parlay.publish(5)
        consumer.wait_events(5)
        assert rows(consumer) == wanted
        event = consumer.events[0]
        assert event["position"] == str(wanted[0])
        assert event["data"]["player"] == "P. Layer"


def test_F40_since_brings_what_was_missed(odds, parlay):
    hawser = odds().start()
    hawser.wait_state("live", stream="odds")
    with hawser.consumer() as consumer:
        consumer.subscribe()
        first = parlay.publish(3)
        consumer.wait_events(3)
        parlay.down()
        missed = parlay.publish(4)
        parlay.up()
        consumer.wait_events(7)
        last = parlay.publish(2)
        consumer.wait_events(9)
        consumer.drain(0.3)
        assert rows(consumer) == first + missed + last
        assert consumer.gaps == []
        assert_rising(consumer.seqs)
        hawser.wait_log(r"odds \[[0-9a-f]{8}\]: ended: close 1006")
    assert parlay.all_links[0].query.get("since", "0") == "0"
    # Rows of one moment come in several frames: 5 s below what we have.
    assert parlay.all_links[-1].query["since"] == str(first[-1] - 5000)


def test_F42_too_long_away_is_a_gap(odds, parlay):
    """`since` is honoured for an hour; what comes then is a snapshot, and says so."""
    hawser = odds().start()
    hawser.wait_state("live", stream="odds")
    with hawser.consumer() as consumer:
        consumer.subscribe()
        parlay.publish(3)
        consumer.wait_events(3)
        parlay.history_ms = 0
        parlay.down()
        parlay.publish(10)
        parlay.up()
        gap = consumer.wait_gap("upstream")
        assert "no longer had everything" in gap["detail"]
        consumer.wait(lambda: any(event.get("snapshot") for event in consumer.events), "a snapshot")
        assert gap["seq"] is not None
        wanted = parlay.publish(1)
        consumer.wait(lambda: rows(consumer)[-1:] == wanted, "the row after it")
        assert "snapshot" not in consumer.events[-1]


@pytest.mark.parametrize("how", ["header", "query", "subprotocol"])
def test_the_key_goes_where_it_is_wanted(odds, parlay, how):
    hawser = odds(auth=how).start()
    hawser.wait_state("live", stream="odds")
    dial = parlay.dials[0]
    assert ("X-API-Key" in dial["headers"]) == (how == "header")
    assert ("apiKey" in dial["query"]) == (how == "query")
    assert ("apikey." in dial["headers"].get("Sec-WebSocket-Protocol", "")) == (how == "subprotocol")


def test_F18_the_cap_is_respected(odds, parlay):
    """4002: the key has as many connections as its tier allows. No second attempt at once."""
    parlay.cap = 0
    hawser = odds().start()
    status = hawser.wait_state("held", stream="odds")
    assert "4002" in status["reason"]
    dials = len(parlay.dials)
    hawser.wait_log(r"held: .*4002")
    assert len(parlay.dials) == dials == 1
    assert parlay.most <= 1


def test_F18_the_websocket_is_closed_before_the_fallback_opens(odds, parlay):
    """WebSocket and SSE count together: never two at once, whatever happens."""
    hawser = odds(**{"fallback:sse.after": 2, "fallback:sse.retry_primary": "1s"}).start()
    hawser.wait_state("live", stream="odds")
    with hawser.consumer() as consumer:
        consumer.subscribe()
        wanted = parlay.publish(2)
        parlay.refusal = (503, "busy", {})
        parlay.drop()
        hawser.wait_state("polling", stream="odds", timeout=60)
        wanted += parlay.publish(3)
        consumer.wait_events(5, timeout=60)
        parlay.refusal = None
        hawser.wait_state("live", stream="odds", timeout=60)
        wanted += parlay.publish(2)
        consumer.wait_events(7, timeout=60)
        consumer.drain(0.3)
        assert rows(consumer) == wanted
        assert {"live", "sse"} == {event["via"] for event in consumer.events}
        assert consumer.gaps == []
    assert parlay.most == 1


@pytest.mark.parametrize("code,reason,state", [
    (1008, "invalid key", "parked"), (4001, "tier below Business", "parked"),
    (4003, "no key", "parked"),
])
def test_F13_F17_hopeless_closes_park(odds, parlay, code, reason, state):
    parlay.close_at_once = (code, reason)
    hawser = odds().start()
    status = hawser.wait_state(state, stream="odds")
    assert str(code) in status["reason"] and "Fix" in status["reason"]
    assert len(parlay.dials) == 1


def test_F13_a_rolled_key_wakes_it(odds, parlay):
    parlay.keys = {"the-new-parlay-key"}
    parlay.close_at_once = (1008, "invalid key")
    hawser = odds().start()
    hawser.wait_state("parked", "held", stream="odds")
    parlay.close_at_once = None
    hawser.secret("key", "the-new-parlay-key")
    hawser.wait_state("live", stream="odds")


@pytest.mark.parametrize("status,body,state,fix", [
    (402, "", "parked", "see the plan at the service"),
    (403, '{"message":"API key not recognised"}', "held", "check that it was copied whole"),
    (403, '{"error":"credit_limit_exceeded"}', "held", "see the account at the service"),
    (404, "", "held", "check `sport`"),
    (429, "", "waiting", "see what else uses the key"),
])
def test_F01_F02_statuses_are_explained(odds, parlay, status, body, state, fix):
    parlay.refusal = (status, body, {"Retry-After": "600"})
    hawser = odds().start()
    shown = hawser.wait_state(state, stream="odds")
    assert f"status {status}" in shown["reason"] and f"Fix: {fix}" in shown["reason"]
    hawser.wait_log(rf"odds \[[0-9a-f]{{8}}\]: ended: status {status}")
    assert len(parlay.dials) == 1


def test_F01_a_lost_upgrade_goes_to_sse(odds, parlay):
    """426: `after` does not count here, no further attempt would help."""
    parlay.refusal = (426, '{"error":"upgrade required"}', {})
    hawser = odds(**{"fallback:sse.after": "never"}).start()
    hawser.wait_log(r"the fallback sse takes over: status 426: .*Fix: the service's own first check")
    hawser.wait_state("polling", stream="odds")
    with hawser.consumer() as consumer:
        consumer.subscribe()
        wanted = parlay.publish(2)
        consumer.wait_events(2)
        assert rows(consumer) == wanted
    assert len(parlay.dials) == 1


def test_F03_stripped_upgrade_goes_to_sse(odds, parlay):
    """A proxy answers 200 with its own page: hawser knows, and SSE passes where WebSocket does not."""
    parlay.refusal = (200, "<html>Welcome to the proxy</html>", {"Content-Type": "text/html"})
    hawser = odds().start()
    hawser.wait_state("polling", stream="odds")
    with hawser.consumer() as consumer:
        consumer.subscribe()
        wanted = parlay.publish(3)
        consumer.wait_events(3)
        assert rows(consumer) == wanted


def test_F21_F43_long_outage_of_the_websocket(odds, parlay):
    """A week of it in small: the WebSocket comes and goes, SSE too; each row once, in order."""
    hawser = odds(**{"fallback:sse.after": 1, "fallback:sse.retry_primary": "1s"}).start()
    hawser.wait_state("live", stream="odds")
    wanted = []
    with hawser.consumer() as consumer:
        consumer.subscribe()
        for turn in range(4):
            wanted += parlay.publish(3)
            parlay.refusal = (503, "", {})
            parlay.drop()
            wanted += parlay.publish(3)
            hawser.wait_state("polling", stream="odds", timeout=60)
            wanted += parlay.publish(3)
            consumer.wait_events(len(wanted), timeout=60)
            parlay.refusal = None
            hawser.wait_state("live", stream="odds", timeout=60)
        consumer.drain(0.3)
        assert rows(consumer) == wanted
        assert consumer.gaps == []
    assert parlay.most == 1


def test_F38_restart_in_the_middle_of_the_fallback(odds, parlay):
    hawser = odds(**{"fallback:sse.after": 1}).start()
    hawser.wait_state("live", stream="odds")
    with hawser.consumer() as consumer:
        consumer.subscribe()
        wanted = parlay.publish(2)
        consumer.wait_events(2)  # what a program has seen is on disk
    parlay.refusal = (503, "", {})
    parlay.drop()
    hawser.wait_state("polling", stream="odds")
    hawser.kill()
    wanted += parlay.publish(3)
    hawser.start()
    with hawser.consumer() as consumer:
        consumer.subscribe(**{"from": "oldest"})
        consumer.wait_events(5, timeout=60)
        assert rows(consumer) == wanted
