"""Named consumers: cursors that are on disk when it is said, replay, windows, ownership, expiry."""

import bisect
import json
import os
import random
import resource
import selectors
import signal
import socket
import time
import zlib

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
        full = [notice for notice in consumer.notices if notice["notice"] == "window_full"]
        assert len(consumer.events) == 10 and len(full) == 1
        assert full[0]["unacked_from"] == consumer.seqs[0]
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
            consumer.send(op="ack", seq=consumer.events[-1]["seq"])
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


# ---- replay ----

NAMES_MAX = 1000

class Replay:
    """One of thousands: reads, and keeps only a checksum of the events' bytes."""

    def __init__(self, path, selector, **request):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))
        self.socket.sendall(json.dumps({"op": "subscribe", "notices": False, **request}).encode() +
                            b"\n")
        self.socket.setblocking(False)
        self.head, self.next, self.size, self.crc = b"", None, 0, 0
        selector.register(self.socket, selectors.EVENT_READ, self)

    def read(self):
        data = self.socket.recv(1 << 20)
        assert data, self.head
        if self.next is None:
            self.head += data
            if self.head.count(b"\n") < 2:
                return
            _, reply, data = self.head.split(b"\n", 2)
            self.next = json.loads(reply)["next"]
        self.size += len(data)
        self.crc = zlib.crc32(data, self.crc)


def read_some(selector, seconds):
    """False: nothing came."""
    ready = selector.select(seconds)
    for key, _ in ready:
        key.data.read()
    return bool(ready)


@pytest.mark.seconds(900)
def test_F48_thousands_begin_at_any_seq_while_events_pour_in(hawser, service, ca):
    """Each sees every stored event of its streams exactly once, in order: byte for byte."""
    seed = int(os.environ.get("HAWSER_TEST_SEED", random.randrange(1 << 30)))
    print(f"HAWSER_TEST_SEED={seed}")
    rng = random.Random(seed)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = int(os.environ.get("HAWSER_READERS", min(2000, (hard - 500) // 2)))
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count + 500), hard))
    hawser.scaiwave(service, ca=ca, start="oldest")
    hawser.sections["listen events"].update(max_clients=count + 100)
    hawser.start().wait_state("live")
    for _ in range(6):
        service.publish(2000, size=600)  # more than memory keeps
    newest = hawser.wait_status(lambda status: status["newest"] >= 12000, "all of it")["newest"]
    selector, readers = selectors.DefaultSelector(), []
    for number in range(count):
        begin = rng.choice(["now", newest, newest - rng.randrange(300)])
        if number % 100 == 0:
            begin = rng.randrange(1, newest - 10000)  # in the store alone
        named = number % 4 == 1 and number < 4 * NAMES_MAX
        name = {"consumer": f"c{number}", "window": 10000} if named else {}
        readers.append(Replay(hawser.socket, selector, **{"from": begin}, **name))
        read_some(selector, 0)
        if number % 20 == 0:
            service.publish(rng.randrange(1, 6), size=rng.randrange(100, 900))
    last = service.publish(1).ids[-1]
    raw = bytearray()
    with hawser.consumer() as again:
        again.subscribe(notices=False, **{"from": "oldest"})
        offsets = {}
        while not again.events or again.events[-1]["id"] != last:
            line = again.line()
            offsets[line["seq"]] = len(raw)
            raw += again.raw + b"\n"
            if len(offsets) % 500 == 0:
                read_some(selector, 0)
    seqs = sorted(offsets)

    def wanted(reader):
        at = bisect.bisect_left(seqs, reader.next)
        return len(raw) - offsets[seqs[at]] if at < len(seqs) else 0

    def waiting(readers):
        return [reader for reader in readers
                if reader.next is None or reader.size < wanted(reader)]

    while left := waiting(readers):
        assert read_some(selector, 60), f"seed {seed}: {len(left)} readers wait in vain"
        for _ in range(20):
            read_some(selector, 0.1)
    view = memoryview(raw)
    for reader in readers:
        size = wanted(reader)
        assert reader.size == size, (seed, reader.next, reader.size, size)
        assert reader.crc == zlib.crc32(view[len(raw) - size:]), (seed, reader.next)
        reader.socket.close()
    print(f"{count} readers, {sum(reader.size for reader in readers) >> 20} MB")


@pytest.mark.seconds(300)
def test_F46_a_thousand_acknowledge_and_hawserd_is_killed(hawser, service, ca):
    """As many names as there may be, all acknowledging at once: what was answered is on disk."""
    count = 1000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * count), hard))
    hawser.scaiwave(service, ca=ca, start="oldest")
    hawser.sections["listen events"].update(max_clients=count + 24)
    hawser.start().wait_state("live")
    consumers = [hawser.consumer() for _ in range(count)]
    for number, consumer in enumerate(consumers):
        consumer.send(op="subscribe", consumer=f"name-{number}")
    for consumer in consumers:
        assert consumer.reply()["ok"] == "subscribe"
    with hawser.consumer() as one_more:
        assert refusal(one_more, op="subscribe", consumer="one-more") == "too_many"
    service.publish(20)
    commits = hawser.status()["store"]["commits"]
    for consumer in consumers:
        events = consumer.wait_events(20)
    begin = time.monotonic()
    for k in range(4, 20, 5):
        for consumer in consumers:
            consumer.send(op="ack", seq=events[k]["seq"], id=k)
        for consumer in consumers:
            assert consumer.reply()["id"] == k
    took = time.monotonic() - begin
    commits = hawser.status()["store"]["commits"] - commits
    print(f"{4 * count} acknowledgements in {took:.2f} s, {commits} commits")
    assert commits < 2 * count
    for number, consumer in enumerate(consumers):
        consumer.close()
    hawser.kill()
    hawser.start()
    rows = hawser.request(op="consumers")["consumers"]
    assert len(rows) == count
    assert {(row["cursor"], row["lag"]) for row in rows} == {(events[19]["seq"], 0)}


# ---- managing ----

def test_seek_and_forget(chat, service):
    with join(chat, control=True) as consumer:
        service.publish(6)
        events = consumer.wait_events(6)
        acknowledge(consumer, events[5]["seq"])
        for request in ({"op": "seek", "to": "oldest"}, {"op": "forget"}):
            assert refusal(chat.consumer(control=True), consumer="mailer",
                           **request) == "consumer_busy"
            assert refusal(chat.consumer(), consumer="mailer", **request) == "forbidden"
            assert refusal(chat.consumer(control=True), consumer="nobody",
                           **request) == "unknown_consumer"
    wait_until(lambda: not listed(chat)["connected"], "it to be gone")
    assert refusal(chat.consumer(control=True), op="seek", consumer="mailer",
                   to=10 ** 15) == "bad_request"
    for to, lag in ((events[2]["seq"], 3), ("oldest", 6), ("newest", 0), (events[3]["seq"], 2)):
        assert chat.request(op="seek", consumer="mailer", to=to, id=7) == {"ok": "seek", "id": 7}
        assert listed(chat)["lag"] == lag
    chat.kill()
    chat.start()
    assert listed(chat)["lag"] == 2
    with join(chat) as consumer:
        assert consumer.wait_events(2) == events[4:]
    wait_until(lambda: not listed(chat)["connected"], "it to be gone")
    assert chat.request(op="forget", consumer="mailer") == {"ok": "forget"}
    assert listed(chat) is None
    chat.kill()
    chat.start()
    assert listed(chat) is None


@pytest.mark.parametrize("request_", [{"op": "seek", "to": "oldest"}, {"op": "forget"}],
                         ids=["seek", "forget"])
def test_F48_manages_itself_and_is_gone(chat, service, request_):
    """It asks on the very connection that has the name, and has hung up when that is read."""
    for _ in range(3):
        with join(chat, control=True, takeover=True) as consumer:
            chat.process.send_signal(signal.SIGSTOP)
            consumer.send(consumer="mailer", **request_)
        chat.process.send_signal(signal.SIGCONT)
        assert chat.request(op="ping") == {"ok": "ping"}
        wait_until(lambda: not listed(chat)["connected"], "it to be gone")
    with join(chat, control=True) as consumer:
        assert refusal(consumer, consumer="mailer", **request_) == "consumer_busy"
    assert chat.process.poll() is None


def test_F46_forgotten_while_it_is_saved(chat, service):
    """A seek is on its way to the disk when the name is to be forgotten: both are answered when
    they are there, and the name is gone for good."""
    names = [f"brief-{i}" for i in range(60)]
    with chat.consumer(control=True) as one, chat.consumer(control=True) as other:
        for i, name in enumerate(names):
            join(chat, name).close()
            wait_until(lambda name=name: not listed(chat, name)["connected"], "it to be gone",
                       every=0.001)
            one.send(op="seek", consumer=name, to="oldest", id=i)
            time.sleep(i % 20 * 0.0001)
            other.send(op="forget", consumer=name, id=i)
            assert other.reply() == {"ok": "forget", "id": i}
            # The seek may have come when it was forgotten already.
            reply = one.reply()
            assert reply["id"] == i and reply.get("error") in (None, "unknown_consumer"), reply
    chat.kill()
    chat.start()
    assert chat.request(op="consumers")["consumers"] == []


def test_from_moves_the_cursor(chat, service):
    with join(chat) as consumer:
        service.publish(5)
        events = consumer.wait_events(5)
        acknowledge(consumer, events[4]["seq"])
    with join(chat, **{"from": events[1]["seq"]}) as consumer:
        assert consumer.wait_events(3) == events[2:]
    chat.kill()
    chat.start()
    with join(chat) as consumer:
        assert consumer.wait_events(3) == events[2:]
    with join(chat, takeover=True, **{"from": "now"}) as consumer:
        assert consumer.subscribed["next"] == events[4]["seq"] + 1
    with join(chat, takeover=True, **{"from": "oldest"}) as consumer:
        assert consumer.wait_events(5) == events


def test_another_store(chat, service):
    service.publish(3)
    with chat.consumer() as plain:
        plain.subscribe(**{"from": "oldest"})
        plain.wait_events(3)
    with join(chat, "new-here", instance="another") as consumer:
        consumer.wait_notice(notice="store_reset")
        consumer.wait_events(3)
    with join(chat, "seq", **{"from": 10 ** 12}) as consumer:
        consumer.wait_notice(notice="store_reset")
        consumer.wait_events(3)


def test_expiry(hawser, service, ca):
    hawser.scaiwave(service, ca=ca, start="oldest")
    hawser.sections["store"]["consumer_expire"] = "2s"
    hawser.start().wait_state("live")
    with join(hawser, "stays"):
        join(hawser, "goes").close()
        wait_until(lambda: not listed(hawser, "goes"), "it to be forgotten")
        hawser.wait_log("consumer goes: forgotten")
        assert listed(hawser, "stays")["connected"]
        with hawser.consumer() as consumer:
            consumer.subscribe(**{"from": "oldest"})
            service.publish(1)
            consumer.wait_events(1)  # what was to be stored before it is stored
        hawser.kill()
    hawser.start()
    assert listed(hawser, "stays") and not listed(hawser, "goes")
    wait_until(lambda: not listed(hawser, "stays"), "it to be forgotten as well")


def test_hawserctl(chat, service):
    published = service.publish(5)
    out = chat.hawserctl("tail", "--consumer", "ctl", "--ack", "--from", "oldest", "--count", "3",
                         "--payload")
    assert len(out.splitlines()) == 3
    rows = json.loads(chat.hawserctl("--json", "consumers"))["consumers"]
    assert [(row["consumer"], row["lag"]) for row in rows] == [("ctl", 2)]
    out = chat.hawserctl("--json", "tail", "--consumer", "ctl", "--count", "2")
    assert_same([json.loads(line)["id"] for line in out.splitlines()], published.ids[3:])
    wait_until(lambda: not listed(chat, "ctl")["connected"], "it to be gone")
    assert listed(chat, "ctl")["lag"] == 2  # printed, and not acknowledged
    assert " 2 " in chat.hawserctl("consumers").splitlines()[1]
    chat.hawserctl("consumers", "seek", "ctl", "oldest")
    assert listed(chat, "ctl")["lag"] == 5
    chat.hawserctl("consumers", "seek", "ctl", str(listed(chat, "ctl")["cursor"] + 1))
    assert listed(chat, "ctl")["lag"] == 4
    chat.hawserctl("consumers", "forget", "ctl")
    chat.hawserctl("consumers", "forget", "ctl", status=1)
    for wrong in (["consumers", "seek", "ctl", "now"], ["consumers", "forget"], ["tail", "--ack"],
                  ["tail", "--from", "cursor"]):
        chat.hawserctl(*wrong, status=2)
