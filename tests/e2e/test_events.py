"""From the service to local programs: what an event looks like, and who gets which."""

import json
import re
import subprocess
import time

import pytest
from hawser_test.consumer import assert_rising, assert_same, settled
from hawser_test.service import Service


def test_happy_path(chat, service):
    with chat.consumer() as consumer:
        greeting = consumer.greeting
        assert greeting["hawser"] == 1
        assert greeting["server"].startswith("hawserd ")
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", greeting["instance"])
        assert greeting["streams"] == {"chat": "live"}
        consumer.subscribe()
        published = service.publish(100)
        consumer.wait_events(100)
        assert_same(consumer.ids(), published.ids)
        assert_rising(consumer.seqs)
        event = consumer.events[0]
        assert event["stream"] == "chat"
        assert event["type"] == "swp.room.message"
        assert event["via"] in ("live", "sync")  # sync is asked about the first event of a link
        assert str(event["position"]) == str(published.first)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", event["time"])
        assert event["event_time"] == event["data"]["origin_ts"]
        assert event["data"]["content"]["body"] == "message 1 "
    assert service.stats()["links"][0]["number"] == 1


def test_data_is_byte_for_byte(chat, service):
    text = ('{"type":"swp.room.message", "id" :"evt-odd","stream_position":99999,'
            '"content":{"n":1.50e+2,"big":123456789012345678901234567890,"s":"\\u00e9\\/é\\ud83d\\ude00"},'
            '"origin_ts":1 }')
    with chat.consumer() as consumer:
        consumer.subscribe()
        service.raw(text=text)
        consumer.wait_events(1)
        assert f'"data":{text}'.encode() in consumer.raw


def test_raw_newlines_of_data_become_spaces(chat, service):
    with chat.consumer() as consumer:
        consumer.subscribe()
        service.raw(text='{"type":"a.b",\r\n "id":"evt-nl",\n"stream_position":99999}\n')
        event = consumer.wait_events(1)[0]
        assert event["id"] == "evt-nl"
        assert b"\r" not in consumer.raw


def test_tags_stand_in_each_envelope(hawser, service, ca):
    hawser.scaiwave(service, ca=ca, start="oldest", tag__team="ops", tag__room='the "big" one')
    hawser.start().wait_state("live")
    with hawser.consumer() as consumer:
        consumer.subscribe()
        service.publish(1)
        event = consumer.wait_events(1)[0]
        assert event["tag.team"] == "ops"
        assert event["tag.room"] == 'the "big" one'


def test_ephemeral_events_pass_and_are_not_stored(chat, service):
    with chat.consumer() as consumer:
        consumer.subscribe()
        first = settled(chat, service, consumer)
        service.call("ephemeral", type="typing")
        second = service.publish(1)
        consumer.wait_events(3)
        assert [event["type"] for event in consumer.events] == [
            "swp.room.message", "typing", "swp.room.message"]
        assert consumer.events[1]["seq"] is None
    with chat.consumer() as consumer:
        consumer.subscribe(**{"from": "oldest"})
        consumer.wait_events(2)
        third = service.publish(1)
        consumer.wait_events(3)
        assert_same(consumer.ids(), first.ids + second.ids + third.ids)


def test_from_oldest_seq_and_now(chat, service):
    published = service.publish(300)
    with chat.consumer() as consumer:
        consumer.subscribe(**{"from": "oldest"})
        consumer.wait_events(300)
        assert_same(consumer.ids(), published.ids)
        seqs = consumer.seqs
    with chat.consumer() as consumer:
        reply = consumer.subscribe(**{"from": seqs[99]})
        assert reply["next"] == seqs[99] + 1
        assert reply["newest"] >= seqs[-1]
        consumer.wait_events(200)
        assert consumer.seqs == seqs[100:]
    with chat.consumer() as consumer:
        consumer.subscribe()
        more = service.publish(10)
        consumer.wait_events(10)
        assert_same(consumer.ids(), more.ids)


def test_same_seqs_after_a_restart(chat, service):
    service.publish(50)
    with chat.consumer() as consumer:
        consumer.subscribe(**{"from": "oldest"})
        consumer.wait_events(50)
        before = [(event["seq"], event["id"]) for event in consumer.events]
        instance = consumer.greeting["instance"]
    chat.restart()
    chat.wait_state("live")
    service.publish(5)
    with chat.consumer() as consumer:
        assert consumer.greeting["instance"] == instance
        consumer.subscribe(**{"from": "oldest"})
        consumer.wait_events(55)
        after = [(event["seq"], event["id"]) for event in consumer.events]
        assert after[:50] == before
        assert_rising(consumer.seqs)


def test_a_seq_of_another_store_is_told(chat, service):
    service.publish(5)
    with chat.consumer() as consumer:
        consumer.subscribe(**{"from": 10**15})
        notice = consumer.wait_notice(notice="store_reset")
        assert notice["instance"] == consumer.greeting["instance"]
        consumer.wait_events(5)


def test_types_filter(chat, service):
    with chat.consumer() as all_of_them, chat.consumer() as some:
        some.subscribe(types=["swp.room.*"])
        all_of_them.subscribe()
        for kind in ("swp.room.message", "swp.call.ring", "swp.room.topic", "other"):
            service.publish(3, type=kind)
        all_of_them.wait_events(12)
        some.wait_events(6)
        some.drain(0.3)
        assert {event["type"] for event in some.events} == {"swp.room.message", "swp.room.topic"}
        assert len(some.events) == 6
        # The same from the store.
        with chat.consumer() as later:
            later.subscribe(types=["swp.call.*", "oth?r"], **{"from": "oldest"})
            later.wait_events(6)
            later.drain(0.3)
            assert [event["type"] for event in later.events] == ["swp.call.ring"] * 3 + ["other"] * 3


def test_streams_filter(hawser, ca):
    services = {name: Service(ca.localhost) for name in ("chat", "news")}
    try:
        for name, fake in services.items():
            hawser.scaiwave(fake, name=name, ca=ca, start="oldest")
        hawser.start()
        for name in services:
            hawser.wait_state("live", stream=name)
        with hawser.consumer() as both, hawser.consumer() as news, hawser.consumer() as globbed:
            both.subscribe()
            news.subscribe(streams=["news"])
            globbed.subscribe(streams=["c*"])
            wanted = {name: fake.publish(20).ids for name, fake in services.items()}
            both.wait_events(40)
            for name in services:
                assert_same(both.ids(name), wanted[name])
            assert_rising(both.seqs)
            news.wait_events(20)
            globbed.wait_events(20)
            news.drain(0.2)
            assert {event["stream"] for event in news.events} == {"news"}
            assert {event["stream"] for event in globbed.events} == {"chat"}
    finally:
        for fake in services.values():
            fake.stop()


def test_notices_tell_of_states(chat, service):
    with chat.consumer() as consumer, chat.consumer() as silent:
        consumer.subscribe()
        silent.subscribe(notices=False)
        service.drop("rst")
        notice = consumer.wait_notice(notice="stream", stream="chat", state="waiting")
        assert notice["reason"]
        assert notice["retry_in_ms"] >= 0
        consumer.wait_notice(notice="stream", stream="chat", state="live")
        published = service.publish(5)
        silent.wait_events(5)
        assert silent.notices == []
        consumer.wait_events(5)
        assert_same(consumer.ids(), published.ids)


def test_status_tells_what_is_known(chat, service):
    service.publish(3)
    status = chat.wait_status(lambda status: status["state"] == "live" and
                              sum(status["stored"].values()) == 3, "3 events")
    assert re.fullmatch(r"[0-9a-f]{8}", status["link"])
    assert status["link"] in chat.log()
    assert status["position"] == "1003"
    whole = chat.status()
    assert whole["store"]["state"] == "ok"
    assert json.loads(chat.hawserctl("--json", "status"))["streams"][0]["stream"] == "chat"
    assert "chat" in chat.hawserctl("status")


def test_hawserctl_tail(chat, service):
    published = service.publish(20)
    with chat.consumer() as consumer:
        consumer.subscribe(**{"from": "oldest"})
        consumer.wait_events(20)
    out = chat.hawserctl("--json", "tail", "chat", "--from", "oldest", "--count", "20")
    lines = [json.loads(line) for line in out.splitlines()]
    assert_same([line["id"] for line in lines if "id" in line], published.ids)


def test_hawserctl_without_a_daemon(hawser):
    hawser.write_config()
    hawser.hawserctl("status", status=3)
    hawser.hawserctl("no-such-command", status=2)


@pytest.mark.service(position_step=7)
def test_positions_with_holes(chat, service):
    with chat.consumer() as consumer:
        consumer.subscribe()
        published = service.publish(20)
        service.down()
        published.ids += service.publish(20).ids
        service.up()
        consumer.wait_events(40)
        assert_same(consumer.ids(), published.ids)


def test_commit_interval_is_no_limit_on_the_rate(hawser, service, ca):
    """Commits are put off only as long as there is room for what comes."""
    hawser.scaiwave(service, ca=ca, start="oldest", catchup__settle="0")
    hawser.sections["store"]["commit_interval"] = "60s"
    hawser.start().wait_state("live")
    with hawser.consumer() as consumer:
        consumer.subscribe()
        published = service.publish(9000)
        consumer.wait_events(8192, timeout=30)
        assert consumer.ids()[:8192] == published.ids[:8192]


def test_hawserctl_shows_no_control_characters(chat, service):
    """A service's words reach a terminal as words: CSI is in C1 too, which JSON does not escape."""
    service.publish(1, content={"body": "a\x9b31m\x7f\x1b[2Jb\u00e9"})
    service.raw(text="{broken \x9b2J")
    chat.wait_status(lambda status: status["malformed"] == 1, "both")
    out = chat.hawserctl("tail", "--from", "oldest", "--count", "2")
    assert "b\u00e9" in out
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", out), repr(out)


def test_hawserctl_tail_misses_nothing_while_hawserd_is_away(chat, service):
    """Not even what came before it had seen any event."""
    tail = subprocess.Popen([chat.ctl, "--socket", chat.control, "--json", "tail", "--count", "5"],
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    chat.wait_log(f"listen control: pid {tail.pid} ")
    time.sleep(0.3)  # its subscription follows at once
    chat.stop()
    published = service.publish(5)
    chat.start()
    out, _ = tail.communicate(timeout=30)
    assert tail.returncode == 0
    lines = [json.loads(line) for line in out.splitlines()]
    assert_same([line["id"] for line in lines if "id" in line], published.ids)
