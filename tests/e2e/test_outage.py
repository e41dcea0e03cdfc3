"""Links that break in every way while events go on: nothing lost, nothing twice, in order."""

import time

import pytest
from hawser_test.consumer import assert_rising, assert_same
from hawser_test.hawserd import wait_until


def through(consumer, service, *steps, rate=400):
    """Publishes all the while; runs each step after some more events; then compares everything."""
    service.flow(rate)
    for step in steps:
        start = service.stats()["flow"]
        service.wait(lambda stats: stats["flow"] >= start + rate // 2, "more events")
        step()
    start = service.stats()["flow"]
    service.wait(lambda stats: stats["flow"] >= start + rate // 2, "more events")
    count = service.flow(0)["count"]
    consumer.wait_events(count, timeout=60)
    consumer.drain(0.3)
    assert_same(consumer.ids(), [f"evt-{1001 + i}" for i in range(count)])
    assert_rising(consumer.seqs)
    assert consumer.gaps == []
    return count


def test_F21_F40_F44_F45_reset_and_outage_while_events_go_on(chat, service):
    with chat.consumer() as consumer:
        consumer.subscribe()
        through(consumer, service, lambda: service.down("rst"), service.up)
    status = chat.status("chat")
    assert status["stored"]["sync"] > 0
    assert status["links"] == 2


def test_F21_end_without_a_close_frame(chat, service):
    with chat.consumer() as consumer:
        consumer.subscribe()
        through(consumer, service, lambda: service.drop("fin"), lambda: service.drop("rst"))
        assert any("1006" in notice["reason"] for notice in consumer.notices)


def test_F21_many_drops(hawser, service, ca):
    hawser.scaiwave(service, ca=ca, start="oldest", **{"fallback:poll.after": "never"})
    hawser.start().wait_state("live")
    with hawser.consumer() as consumer:
        consumer.subscribe()
        drops = [lambda: (service.drop("rst"),
                          hawser.wait_state("live"))] * 8
        through(consumer, service, *drops, rate=300)


def test_F22_silent_link_is_found(hawser, service, ca):
    hawser.scaiwave(service, ca=ca, start="oldest", heartbeat__ws_ping="400ms",
                    heartbeat__pong_timeout="600ms")
    hawser.start().wait_state("live")
    with hawser.consumer() as consumer:
        consumer.subscribe()
        silenced = []

        def silence():
            service.call("silence")
            silenced.append(time.monotonic())

        through(consumer, service, silence,
                lambda: service.wait(lambda stats: len(stats["links"]) == 2, "a second link"))
    second = service.stats()["links"][1]["t"]
    assert 0.5 < second - silenced[0] < 5, second - silenced[0]


def test_F24_quiet_is_no_fault(hawser, service, ca):
    hawser.scaiwave(service, ca=ca, start="oldest", heartbeat__ws_ping="200ms",
                    heartbeat__pong_timeout="300ms")
    hawser.start().wait_state("live")
    stats = service.wait(lambda stats: stats["pings"] >= 10, "ten pings")
    assert len(stats["links"]) == 1
    status = hawser.status("chat")
    assert status["state"] == "live"
    assert status["rtt_ms"] < 300


def test_F25_going_away_and_back(chat, service):
    with chat.consumer() as consumer:
        consumer.subscribe()
        before = service.publish(20)
        service.down("close", code=1001, reason="deploy")
        notice = consumer.wait_notice(notice="stream", state="waiting")
        assert "1001" in notice["reason"]
        assert "deploy" in notice["reason"]
        assert 3900 <= notice["retry_in_ms"] <= 6100
        away = service.publish(300)
        service.up()
        consumer.wait_notice(notice="stream", state="live")
        after = service.publish(20)
        consumer.wait_events(340)
        assert_same(consumer.ids(), before.ids + away.ids + after.ids)
        assert consumer.gaps == []


@pytest.mark.parametrize("code", [1000, 1011, 1012, 1013, 3000, 4999])
def test_F27_close_codes_that_retry(hawser, service, ca, code):
    hawser.scaiwave(service, ca=ca, start="oldest", **{"close__1000": "retry"})
    hawser.start().wait_state("live")
    with hawser.consumer() as consumer:
        consumer.subscribe()
        service.drop("close", code=code, reason="because")
        away = service.publish(10)
        notice = consumer.wait_notice(notice="stream", state="waiting")
        assert str(code) in notice["reason"] and "because" in notice["reason"]
        consumer.wait_events(10)
        assert_same(consumer.ids(), away.ids)


def test_F19_duplicate_connection_war_is_held(chat, service):
    for number in range(3):
        chat.wait_state("live")
        service.wait(lambda stats: len(stats["links"]) == number + 1 and stats["open"] == 1, "a link")
        service.drop("close", code=4003, reason="duplicate_connection")
        service.wait(lambda stats: len(stats["closes"]) == number + 1, "the close")
    status = chat.wait_state("held")
    assert "4003" in status["reason"]
    assert status["retry_in_ms"] > 300_000
    assert len(service.stats()["dials"]) == 3


def test_F07_refused_port_and_back(hawser, service, ca):
    service.down()
    away = service.publish(10)
    hawser.scaiwave(service, ca=ca, start="oldest")
    hawser.start()
    status = hawser.wait_status(lambda status: status["attempts"] >= 3, "three attempts")
    assert status["state"] in ("waiting", "dialing")
    with hawser.consumer() as consumer:
        consumer.subscribe(**{"from": "oldest"})
        service.up()
        consumer.wait_events(10)
        assert_same(consumer.ids(), away.ids)


def test_F38_backoff_grows_and_is_not_a_storm(hawser, service, ca):
    service.down()
    hawser.scaiwave(service, ca=ca, start="oldest", backoff__steps="0,200ms,400ms,800ms,1600ms",
                    backoff__jitter="0")
    hawser.start()
    delays = []
    with hawser.consumer() as consumer:
        consumer.subscribe()
        consumer.wait(lambda: [n for n in consumer.notices if n.get("retry_in_ms") == 1600],
                      "the longest step")
        delays = [n["retry_in_ms"] for n in consumer.notices if n.get("state") == "waiting"]
    # The first step, 0, is spread over half a second; whether it was seen is chance.
    assert delays[-4:] == [200, 400, 800, 1600]
    assert all(delay <= 500 for delay in delays[:-4])


@pytest.mark.parametrize("cursor,since", [("last", "exclusive"), ("plus1", "exclusive"),
                                          ("plus1", "inclusive"), ("last", "inclusive")])
def test_F40_pages_of_sync_whatever_next_cursor_means(hawser, ca, service, cursor, since):
    service.set(cursor=cursor, since=since)
    hawser.scaiwave(service, ca=ca, start="oldest")
    hawser.start().wait_state("live")
    with hawser.consumer() as consumer:
        consumer.subscribe()
        first = service.publish(1)
        service.down()
        away = service.publish(1700)
        service.up()
        consumer.wait_events(1701)
        after = service.publish(3)
        consumer.wait_events(1704)
        consumer.drain(0.3)
        assert_same(consumer.ids(), first.ids + away.ids + after.ids)
        assert consumer.gaps == []


def test_F40_sync_page_limit_of_the_service(hawser, ca, service):
    service.set(sync_limit_max=7)
    away = service.publish(100)
    hawser.scaiwave(service, ca=ca, start="oldest")
    hawser.start()
    with hawser.consumer() as consumer:
        consumer.subscribe(**{"from": "oldest"})
        consumer.wait_events(100)
        assert_same(consumer.ids(), away.ids)


def test_F41_sync_lags_behind_the_link(hawser, service, ca):
    hawser.scaiwave(service, ca=ca, start="oldest", catchup__settle="5s")
    hawser.start().wait_state("live")
    service.set(sync_lag_ms=1500)
    with hawser.consumer() as consumer:
        consumer.subscribe()
        through(consumer, service, lambda: service.drop("rst"),
                lambda: service.wait(lambda stats: len(stats["links"]) == 2, "a link"))


def test_F41_slow_sync_while_events_go_on(chat, service):
    service.set(sync_delay_ms=700)
    with chat.consumer() as consumer:
        consumer.subscribe()
        through(consumer, service, lambda: service.down("rst"), service.up)


def test_F41_hold_overflows_during_catch_up(chat, service):
    with chat.consumer() as consumer:
        consumer.subscribe()
        first = service.publish(10)
        consumer.wait_events(10)
        service.set(sync_delay_ms=1500)
        service.down()
        away = service.publish(1200)
        service.up()
        service.wait(lambda stats: stats["open"] == 1, "the link")
        # More than the hold takes, while the first sync request is not yet answered.
        flood = service.publish(6000, size=1500)
        service.set(sync_delay_ms=0)
        consumer.wait_events(7210, timeout=90)
        consumer.drain(0.3)
        assert_same(consumer.ids(), first.ids + away.ids + flood.ids)
        assert_rising(consumer.seqs)
        assert consumer.gaps == []


def test_F44_duplicates_on_the_link(chat, service):
    with chat.consumer() as consumer:
        consumer.subscribe()
        published = service.publish(100)
        consumer.wait_events(100)
        before = chat.status("chat")["duplicates"]  # sync was asked about the first, and had more
        service.call("repeat", count=60)
        published.ids += service.publish(1).ids
        consumer.wait_events(101)
        assert_same(consumer.ids(), published.ids)
    assert chat.status("chat")["duplicates"] == before + 60


def test_F44_duplicates_after_a_restart(chat, service):
    with chat.consumer() as consumer:
        consumer.subscribe()
        published = service.publish(100)
        consumer.wait_events(100)
    chat.restart()
    chat.wait_state("live")
    service.call("repeat", count=100)
    published.ids += service.publish(1).ids
    with chat.consumer() as consumer:
        consumer.subscribe(**{"from": "oldest"})
        consumer.wait_events(101)
        consumer.drain(0.2)
        assert_same(consumer.ids(), published.ids)


def test_F40_sync_fails_for_a_while(chat, service):
    with chat.consumer() as consumer:
        consumer.subscribe()
        first = service.publish(5)
        consumer.wait_events(5)
        service.set(sync_answer={"status": 503, "body": "busy"})
        service.drop("rst")
        away = service.publish(50)
        service.wait(lambda stats: sum(s["items"] is None for s in stats["syncs"]) >= 2,
                     "two failed syncs")
        service.set(sync_answer=None)
        consumer.wait_events(55)
        assert_same(consumer.ids(), first.ids + away.ids)
        assert consumer.gaps == []


@pytest.mark.parametrize("body", ["", "<html>", '{"data":{}}', '{"data":{"events":7}}', '{"data":'])
def test_F34_sync_answers_nonsense(chat, service, body):
    with chat.consumer() as consumer:
        consumer.subscribe()
        first = service.publish(5)
        consumer.wait_events(5)
        service.set(sync_answer={"status": 200, "body": body})
        service.drop("rst")
        away = service.publish(50)
        service.wait(lambda stats: sum(s["items"] is None for s in stats["syncs"]) >= 2,
                     "two bad answers")
        service.set(sync_answer=None)
        consumer.wait_events(55)
        assert_same(consumer.ids(), first.ids + away.ids)


def test_start_now_skips_what_was_before(hawser, service, ca):
    service.publish(30)
    hawser.scaiwave(service, ca=ca)
    hawser.start().wait_state("live")
    with hawser.consumer() as consumer:
        consumer.subscribe(**{"from": "oldest"})
        new = service.publish(5)
        consumer.wait_events(5)
        assert_same(consumer.ids(), new.ids)
        service.down()
        new.ids += service.publish(50).ids
        service.up()
        consumer.wait_events(55)
        assert_same(consumer.ids(), new.ids)


def test_start_now_without_a_position_says_what_it_cannot_know(hawser, service, ca):
    service.publish(30)
    hawser.scaiwave(service, ca=ca)
    hawser.start().wait_state("live")
    with hawser.consumer() as consumer:
        consumer.subscribe()
        service.drop("rst")
        consumer.wait_gap("no_position")


def test_start_at_a_position(hawser, service, ca):
    old = service.publish(30)
    hawser.scaiwave(service, ca=ca, start="1010")
    hawser.start().wait_state("live")
    with hawser.consumer() as consumer:
        consumer.subscribe(**{"from": "oldest"})
        consumer.wait_events(20)
        assert_same(consumer.ids(), old.ids[10:])


def test_one_bad_stream_harms_no_other(hawser, service, ca):
    """A name that does not exist, a port that refuses and a CA that is missing, beside a good one."""
    hawser.scaiwave(service, ca=ca, start="oldest")
    hawser.scaiwave(service, name="nowhere", ca=ca, host="no-such-name.invalid:443")
    hawser.scaiwave(service, name="refused", ca=ca, host="localhost:1")
    hawser.scaiwave(service, name="no-ca", tls_ca=hawser.directory / "missing.pem")
    hawser.start()
    hawser.wait_state("live")
    with hawser.consumer() as consumer:
        consumer.subscribe(streams=["chat"])
        published = service.publish(200)
        consumer.wait_events(200)
        assert_same(consumer.ids(), published.ids)
    hawser.wait_state("parked", "held", stream="no-ca")
    for name in ("nowhere", "refused"):
        hawser.wait_status(lambda status: status.get("reason"), "a reason", stream=name)
        assert hawser.status(name)["state"] in ("waiting", "dialing", "held")


def test_clean_stop_says_1001_and_is_quick(chat, service):
    with chat.consumer() as consumer:
        consumer.subscribe()
        took = chat.stop()
        assert took < 5
        consumer.wait_close()
        assert consumer.notices[-1]["notice"] == "bye"
    stats = service.wait(lambda stats: stats["closes"], "the close")
    assert stats["closes"][0]["code"] == 1001


def test_clean_stop_with_a_silent_service_and_a_stuck_consumer(chat, service):
    with chat.consumer() as stuck:
        stuck.subscribe()
        service.publish(5000, size=500)
        chat.wait_status(lambda status: sum(status["stored"].values()) == 5000, "5000 events")
        service.call("silence")
        assert chat.stop() < 6


def test_pause_and_resume(chat, service):
    assert chat.request(op="pause", stream="chat")["ok"] == "pause"
    chat.wait_state("paused")
    away = service.publish(10)
    assert service.stats()["open"] == 0 or wait_until(
        lambda: service.stats()["open"] == 0, "the link to close")
    with chat.consumer() as consumer:
        consumer.subscribe()
        assert chat.request(op="resume", stream="chat")["ok"] == "resume"
        consumer.wait_events(10)
        assert_same(consumer.ids(), away.ids)


def test_reconnect_on_request(chat, service):
    chat.hawserctl("reconnect", "chat")
    service.wait(lambda stats: len(stats["links"]) == 2, "a second link")
    chat.wait_state("live")
