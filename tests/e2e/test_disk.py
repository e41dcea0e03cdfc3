"""F47: a disk that is slow, fails, is full or read-only, while a service sends and programs read.

Whatever it is: reading from upstream stops, memory stays bounded, it is said in status and log, it
goes on by itself, and nothing is lost or comes twice.
"""

import os
import random

import pytest
from hawser_test.consumer import assert_rising, assert_same
from hawser_test.disk import Disk, resident_bytes
from hawser_test.hawserd import wait_until

FLOOD = 60 << 20  # bytes that a service has for us meanwhile
LARGE = 900_000  # bytes of a message, nearly as large as the service may send
MEMORY = 40 << 20  # that hawserd may grow by


@pytest.fixture
def disk(chat):
    """`chat` runs on it; it is well again at the end."""
    chat.stop()
    bad = Disk(chat)
    assert bad.library.exists(), f"no {bad.library}: build all, not hawserd alone"
    chat.start()
    chat.wait_state("live")
    yield bad
    bad.order("ok")


def flood(service):
    ids = []
    for _ in range(30):
        ids += service.publish(200, size=FLOOD // 6000).ids
    return ids


def failing(chat, reason):
    """Status says so; answers meanwhile."""
    store = wait_until(lambda: chat.status()["store"]["state"] == "failing" and
                       chat.status()["store"], "status to say that the store fails", timeout=40)
    assert reason in store["reason"], store
    assert chat.request(op="ping")["ok"] == "ping"


def whole(chat, consumer, wanted, before=()):
    """All of it, once, in order: as it came, and as it is stored."""
    consumer.wait_events(len(wanted) - len(before), timeout=90)
    consumer.drain(0.5)
    assert_same(consumer.ids(), wanted[len(before):])
    assert_rising(consumer.seqs)
    assert consumer.gaps == []
    wait_until(lambda: chat.status()["store"]["state"] == "ok", "status to say that it is well")
    chat.wait_state("live", timeout=60)
    chat.restart()
    with chat.consumer() as late:
        late.subscribe(**{"from": "oldest"})
        late.wait_events(len(wanted), timeout=60)
        late.drain(0.3)
        assert_same(late.ids(), wanted)
        assert late.seqs[len(before):] == consumer.seqs


def outage(chat, service, disk, order, reason, said):
    """A flood while the order is in force; the stream rests; then the disk is well."""
    with chat.consumer() as consumer:
        consumer.subscribe()
        wanted = service.publish(100).ids
        consumer.wait_events(100)
        before = resident_bytes(chat.process)
        disk.order(order)
        wanted += flood(service)
        failing(chat, reason)
        chat.wait_state("stalled", timeout=40)
        stored = chat.status()["store"]["newest"]
        grown = resident_bytes(chat.process) - before
        print(f"{order}: {len(wanted)} events published, {stored} stored, grown by {grown >> 10} KB")
        assert grown < MEMORY, f"grown by {grown >> 10} KB"
        assert stored < len(wanted), "nothing was held back"
        chat.wait_log(said)
        disk.order("ok")
        whole(chat, consumer, wanted)


@pytest.mark.seconds(240)
def test_F47_slow_disk(chat, service, disk):
    with chat.consumer() as consumer:
        consumer.subscribe()
        wanted = service.publish(100).ids
        consumer.wait_events(100)
        before = resident_bytes(chat.process)
        disk.order("slow 12000")  # each commit
        wanted += flood(service)
        wait_until(lambda: "slow" in chat.status()["store"].get("reason", ""),
                   "status to say that it is slow", timeout=60)
        chat.wait_log("the disk is slow or hung; upstream links rest until it goes on")
        chat.wait_log("live > stalled")
        grown = resident_bytes(chat.process) - before
        print(f"slow: grown by {grown >> 10} KB, {chat.status()['store']['newest']} stored")
        assert grown < MEMORY, f"grown by {grown >> 10} KB"
        consumer.wait(lambda: len(consumer.events) > 100, "what a slow commit has stored")
        disk.order("ok")
        whole(chat, consumer, wanted)


@pytest.mark.seconds(120)
def test_F47_stopped_while_the_disk_hangs(chat, service, disk):
    """In time, with the truth in log and exit status; what was confirmed stays, the rest comes again."""
    with chat.consumer() as consumer:
        consumer.subscribe()
        wanted = service.publish(100).ids
        consumer.wait_events(100)
        seqs = consumer.seqs
        disk.order("slow 60000")
        wanted += service.publish(100).ids
        chat.wait_status(lambda status: status["stored"]["live"] > 100, "a commit to be under way")
        consumer.killed = True
        chat.expect_exit = 1
        assert chat.stop() < 10
        assert consumer.seqs == seqs, "told before it was on disk"
    chat.wait_log("the disk has not taken the last commit yet")
    chat.wait_log("the disk does not answer; ended without it")
    disk.order("ok")
    chat.expect_exit = 0
    chat.start()
    with chat.consumer() as late:
        late.subscribe(**{"from": "oldest"})
        late.wait_events(200, timeout=60)
        late.drain(0.3)
        assert_same(late.ids(), wanted)
        assert late.seqs[:100] == seqs


@pytest.mark.seconds(240)
def test_F47_io_error(chat, service, disk):
    outage(chat, service, disk, "eio 1", "Input/output error", "trying to open it again")
    assert "store: open again" in chat.log()


@pytest.mark.seconds(240)
def test_F47_readonly(chat, service, disk):
    outage(chat, service, disk, "readonly", "Read-only file system",
           "still not usable: .*Read-only file system")


@pytest.mark.seconds(240)
def test_F47_nothing_can_be_written(chat, service, disk):
    """Not even what the store keeps in reserve can be written: a disk that copies on write."""
    outage(chat, service, disk, "nospace 1", "No space left on device",
           "nothing is lost, reading from upstream stops until there is room")


@pytest.mark.seconds(240)
@pytest.mark.parametrize("errnum", ["eio", "nospace"])
def test_F47_the_nth_write_or_sync_fails_once(chat, service, disk, errnum):
    """N = 1, 2, …: nothing is lost or comes twice, whichever it was."""
    with chat.consumer() as consumer:
        consumer.subscribe()
        wanted = []
        for nth in range(1, 9):
            disk.order(f"{errnum} {nth} once")
            wanted += service.publish(20, size=2000).ids
            consumer.wait_events(len(wanted), timeout=60)
            chat.wait_state("live", timeout=60)
        disk.order("ok")
        whole(chat, consumer, wanted)


@pytest.mark.seconds(240)
@pytest.mark.parametrize("order", ["full", "nospace 1"], ids=["reserve", "nothing"])
def test_F47_full_while_a_consumer_acknowledges(chat, service, disk, order):
    """What is answered is on disk, also then; where there is no reserve, nothing is answered."""
    seed = int(os.environ.get("HAWSER_SEED", random.randrange(1 << 32)))
    print(f"HAWSER_SEED={seed}")
    rng = random.Random(seed)
    with chat.consumer() as consumer:
        consumer.subscribe(consumer="mailer", window=10000)
        wanted = service.publish(200).ids
        events = list(consumer.wait_events(200))
        seqs = [event["seq"] for event in events]
        assert consumer.ask(op="ack", seq=seqs[9], id=seqs[9])["ok"] == "ack"
        disk.order(order)
        wanted += service.publish(4, size=LARGE).ids  # no retention makes room for one of them
        failing(chat, "")
        for at in sorted(rng.sample(range(10, 190), 20)):
            consumer.send(op="ack", seq=seqs[at], id=seqs[at])
        asked, answered = seqs[at], seqs[9]
        while order == "full" and answered < asked:
            answered = consumer.reply()["id"]
        if order != "full":
            with pytest.raises(AssertionError, match="no line came in time"):
                answered = consumer.reply(3)["id"]
        consumer.killed = True
        chat.kill()
    disk.order("ok")
    chat.start()
    with chat.consumer() as consumer:
        begin = consumer.subscribe(consumer="mailer", window=10000)["next"]
        print(f"asked for {asked}, answered {answered}, begins at {begin}")
        assert answered < begin <= asked + 1
        left = wanted[begin - seqs[0]:]
        consumer.wait_events(len(left), timeout=90)
        consumer.drain(0.5)
        assert_same(consumer.ids(), left)
        assert_rising(consumer.seqs)
        known = [seq for seq in seqs if seq >= begin]
        assert consumer.seqs[:len(known)] == known and consumer.seqs[len(known)] > seqs[-1]
