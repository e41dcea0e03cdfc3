"""Named consumers: cursors that are on disk when it is said, replay, windows, ownership, expiry."""

import json
import os
import random
import signal
import socket
import time

import pytest
from hawser_test.consumer import Closed, Consumer, assert_rising, assert_same
from hawser_test.hawserd import wait_until

CLOSED = (Closed, ConnectionError, BrokenPipeError)


def join(hawser, name="mailer", control=False, **request):
    consumer = hawser.consumer(control)
    consumer.subscribed = consumer.subscribe(consumer=name, **request)
    return consumer


def refusal(consumer, /, **request):
    reply = consumer.ask(**request)
    assert reply.get("detail"), reply
    return reply["error"]


def acknowledge(consumer, seq):
    assert consumer.ask(op="ack", seq=seq, id=seq) == {"id": seq, "ok": "ack"}


def listed(hawser, name="mailer"):
    reply = hawser.request(op="consumers")
    assert reply["ok"] == "consumers", reply
    return next((row for row in reply["consumers"] if row["consumer"] == name), None)


def flood(hawser, service, stream="chat"):
    """More than memory keeps: retention has taken the oldest, and they are nowhere any more."""
    for _ in range(9):
        service.publish(2000, size=600)

    def oldest():
        with hawser.consumer() as consumer:
            consumer.subscribe(streams=[stream], **{"from": "oldest"})
            return consumer.wait_events(1)[0]["seq"]

    return wait_until(lambda: oldest() > 5000 and oldest(), "retention to have taken most", every=0.2)


# ---- cursors ----

def test_F48_cursor_is_where_it_acknowledged(chat, service):
    with join(chat) as consumer:
        published = service.publish(10)
        events = consumer.wait_events(10)
        acknowledge(consumer, events[3]["seq"])
    with join(chat) as consumer:
        assert consumer.subscribed["next"] == events[4]["seq"]
        consumer.wait_events(6)
        assert_same(consumer.ids(), published.ids[4:])
        acknowledge(consumer, events[9]["seq"])
    with join(chat) as consumer:
        more = service.publish(1)
        consumer.wait_events(1)
        assert_same(consumer.ids(), more.ids)


def test_F49_new_name_begins_now_and_waits_while_away(chat, service):
    service.publish(5)
    with chat.consumer() as first:
        first.subscribe(**{"from": "oldest"})
        first.wait_events(5)
    join(chat).close()
    published = service.publish(7)
    with join(chat) as consumer:
        consumer.wait_events(7)
        assert_same(consumer.ids(), published.ids)
        assert consumer.events[0]["seq"] == consumer.subscribed["next"]


@pytest.mark.parametrize("clean", [True, False], ids=["restart", "kill"])
def test_F46_cursor_survives_hawserd(chat, service, clean):
    with join(chat) as consumer:
        published = service.publish(10)
        events = consumer.wait_events(10)
        acknowledge(consumer, events[5]["seq"])
        consumer.killed = True
        if clean:
            consumer.send(op="ack", seq=events[6]["seq"])
            assert consumer.ask(op="ping")
            chat.stop()
        else:
            chat.kill()
    chat.start()
    with join(chat) as consumer:
        left = published.ids[7 if clean else 6:]
        consumer.wait_events(len(left))
        assert_same(consumer.ids(), left)


def test_acks_are_cumulative_and_checked(chat, service):
    with chat.consumer() as plain:
        plain.subscribe()
        assert refusal(plain, op="ack", seq=1) == "bad_request"
    with join(chat) as consumer:
        service.publish(5)
        events = consumer.wait_events(5)
        newest = events[-1]["seq"]
        assert refusal(consumer, op="ack", seq=newest + 1, id=1) == "bad_request"
        acknowledge(consumer, newest)
        acknowledge(consumer, events[0]["seq"])
        assert listed(chat)["cursor"] == newest
        # One that wants no answer gets none.
        consumer.send(op="ack", seq=newest)
        assert consumer.ask(op="ping", id=2) == {"ok": "ping", "id": 2}
    wait_until(lambda: not listed(chat)["connected"], "it to be gone")


def test_acks_ahead_of_the_answers(chat, service):
    with join(chat, window=10000) as consumer:
        service.publish(300)
        events = consumer.wait_events(300)
        consumer.send_raw(b"".join(b'{"op":"ack","seq":%d,"id":%d}\n' % (event["seq"], i)
                                   for i, event in enumerate(events)))
        assert [consumer.reply()["id"] for _ in events] == list(range(300))
        assert listed(chat)["lag"] == 0


def test_F46_killed_between_ack_and_reply(chat, service):
    """Whatever was answered is on disk; what was not is delivered again, or was taken."""
    seed = int(os.environ.get("HAWSER_TEST_SEED", random.randrange(1 << 30)))
    print(f"HAWSER_TEST_SEED={seed}")
    rng = random.Random(seed)
    published, asked, answered, done = [], 0, 0, []
    for _ in range(12):
        with join(chat, **({"from": "oldest"} if not published else {})) as consumer:
            assert answered < consumer.subscribed["next"] <= asked + 1 or not published, seed
            begin = consumer.subscribed["next"]
            published += service.publish(rng.randrange(1, 40)).ids
            consumer.killed = True
            consumer.wait_id(published[-1])
            # From the cursor on each event, in order.
            assert_rising(consumer.seqs)
            known = [seq for seq in done if seq >= begin]
            assert consumer.seqs[:len(known)] == known, seed
            done = [seq for seq in done if seq < begin] + consumer.seqs
            for seq in sorted(rng.sample(consumer.seqs, min(8, len(consumer.seqs)))):
                consumer.send(op="ack", seq=seq, id=seq)
                asked = seq
            time.sleep(rng.random() * 0.01)
            chat.process.send_signal(signal.SIGKILL)
            try:
                while True:
                    answered = consumer.reply(5)["id"]
            except CLOSED:
                pass
            chat.process.wait()
            chat.process = None
        chat.start()
        chat.wait_state("live")
    with chat.consumer() as all_of_it:
        all_of_it.subscribe(**{"from": "oldest"})
        all_of_it.wait_events(len(published))
        assert_same(all_of_it.ids(), published)
        assert all_of_it.seqs == done, seed


# ---- one connection, one owner ----

def test_busy_and_takeover(chat, service):
    with join(chat) as first:
        with chat.consumer() as second:
            assert refusal(second, op="subscribe", consumer="mailer") == "consumer_busy"
            service.publish(3)
            events = first.wait_events(3)
            acknowledge(first, events[0]["seq"])
            second.subscribe(consumer="mailer", takeover=True)
            assert second.wait_events(2) == events[1:]
            bye = first.wait_notice(notice="bye")
            assert "taken" in bye["reason"]
            first.wait_close()
            acknowledge(second, events[-1]["seq"])


def test_takeover_of_one_that_does_not_read(chat, service):
    with join(chat, window=10000) as first:
        first.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for _ in range(5):
            service.publish(1000)
        with join(chat, takeover=True, window=10000) as second:
            second.wait_events(5000)
        wait_until(lambda: chat.status()["listeners"][1]["clients"] <= 1, "the first to be gone")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be somebody else")
def test_F51_consumer_of_another_user(hawser, service, ca):
    hawser.scaiwave(service, ca=ca, start="oldest")
    hawser.sections["listen events"].update(mode="0666")
    hawser.start().wait_state("live")
    os.chmod(hawser.runtime, 0o755)

    def as_user(uid):
        os.seteuid(uid)
        try:
            return Consumer(hawser.socket)
        finally:
            os.seteuid(0)

    with as_user(65534) as other:
        other.subscribe(consumer="theirs")
        assert listed(hawser, "theirs")["uid"] == 65534
        with as_user(12345) as stranger:
            assert refusal(stranger, op="subscribe", consumer="theirs", takeover=True) == "forbidden"
            assert stranger.ask(op="consumers")["consumers"] == []
    wait_until(lambda: not listed(hawser, "theirs")["connected"], "it to be gone")
    with as_user(12345) as stranger:
        assert refusal(stranger, op="subscribe", consumer="theirs") == "forbidden"
    join(hawser, "theirs").close()  # root may
    hawser.restart()
    with as_user(12345) as stranger:
        assert refusal(stranger, op="subscribe", consumer="theirs") == "forbidden"


# ---- the window ----

def test_F48_window(chat, service):
    with join(chat, window=10) as consumer:
        published = service.publish(25)
        consumer.wait_notice(notice="window_full", consumer="mailer", window=10)
        assert len(consumer.events) == 10
        consumer.drain(0.3)
        assert len(consumer.events) == 10 and len(consumer.notices) == 1
        assert consumer.notices[0]["unacked_from"] == consumer.seqs[0]
        assert listed(chat)["lag"] == 25
        consumer.send(op="ack", seq=consumer.seqs[0])
        consumer.wait_events(11)
        acknowledge(consumer, consumer.seqs[-1])
        consumer.wait_events(21)
        acknowledge(consumer, consumer.seqs[-1])
        consumer.wait_events(25)
        assert_same(consumer.ids(), published.ids)


def test_F48_window_of_one_behind_what_is_in_memory(chat, service):
    for _ in range(4):
        service.publish(5000)
    with join(chat, window=1, **{"from": "oldest"}) as consumer:
        for seen in range(1, 30):
            consumer.wait_events(seen)
            consumer.send(op="ack", seq=consumer.seqs[-1])
    with join(chat, window=3000) as consumer:
        count = 0
        while count < 19970:
            consumer.wait_events(count + 1)
            count = len(consumer.events)
            consumer.send(op="ack", seq=consumer.seqs[-1])
        assert_rising(consumer.seqs)


# ---- what it does not match ----

def test_F49_quiet_stream_neither_lags_nor_has_gaps(hawser, service, ca, peer, tmp_path):
    hawser.scaiwave(service, ca=ca, start="oldest", retain_size="1M")
    hawser.scaiwave(service, name="quiet", ca=ca, start="now")
    hawser.start().wait_state("live")
    hawser.wait_state("live", stream="quiet")
    hawser.request(op="pause", stream="quiet")
    hawser.wait_state("paused", stream="quiet")
    with join(hawser, "idle", streams=["quiet"], notices=False) as idle:
        idle.drain(0.3)
        for line in idle.events + idle.gaps:
            acknowledge(idle, line["seq"])
    with join(hawser, "listener", streams=["quiet"], notices=False) as listener:
        start = listed(hawser, "listener")["cursor"]
        assert flood(hawser, service) > start
        newest = hawser.status()["store"]["newest"]
        listened = wait_until(lambda: listed(hawser, "listener")["cursor"] >= newest and
                              listed(hawser, "listener"), "its cursor to follow")
        assert listened["lag"] == 0
        assert listed(hawser, "idle")["lag"] == 0
        listener.drain(0.2)
        assert not listener.gaps and not listener.events
    hawser.kill()
    hawser.start()
    for name in ("idle", "listener"):
        with join(hawser, name, streams=["quiet"]) as consumer:
            consumer.drain(0.3)
            assert not consumer.gaps and not consumer.events, consumer.brief()


def test_F49_retention_overtakes_a_cursor(hawser, service, ca):
    hawser.scaiwave(service, ca=ca, start="oldest", retain_size="1M")
    hawser.start().wait_state("live")
    with join(hawser) as consumer:
        service.publish(3, size=600)
        events = consumer.wait_events(3)
        acknowledge(consumer, events[0]["seq"])
    flood(hawser, service)
    hawser.restart()  # memory is empty: all there is is in the store

    def stored():
        with hawser.consumer() as consumer:
            newest = consumer.subscribe(**{"from": "oldest"})["newest"]
            consumer.wait(lambda: consumer.seqs and consumer.seqs[-1] == newest, "all of it")
            return len(consumer.seqs)

    for _ in range(2):  # who did not live to read it is told again
        with join(hawser) as consumer:
            gap = consumer.wait_gap("retention")
            assert gap["seq"] is None and gap["from_seq"] == events[1]["seq"]
            consumer.wait_events(1)
            assert consumer.events[0]["seq"] == gap["to_seq"] + 1 > 5000
            assert len(consumer.gaps) == 1
            assert listed(hawser)["cursor"] == events[0]["seq"]
            # Retention goes on: at some moment the two have seen the same.
            wait_until(lambda: listed(hawser)["lag"] == stored(), "its lag to be all there is")
    with join(hawser) as consumer:
        consumer.wait_gap("retention")
        consumer.wait_events(1)
        acknowledge(consumer, consumer.seqs[0])
    with join(hawser) as consumer:
        consumer.wait_events(5)
        assert not [gap for gap in consumer.gaps if gap["from_seq"] <= events[2]["seq"]]
