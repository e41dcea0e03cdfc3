"""F46: hawserd killed over and over, under load, while named consumers acknowledge at random.

HAWSER_KILLS=300 makes it longer, HAWSER_SEED=N repeats the draws.
"""

import bisect
import os
import random
import threading
import time

import pytest
from hawser_test.consumer import Closed, Consumer, assert_rising, assert_same
from hawser_test.disk import Disk

KILLS = int(os.environ.get("HAWSER_KILLS", 20))
CONSUMERS = 5
RATE = 300  # events a second


class Book:
    """Which event has which seq: once for ever, whoever is told of it in whatever life."""

    def __init__(self):
        self.lock = threading.Lock()
        self.ids, self.seqs = {}, {}

    def note(self, seq, ident):
        with self.lock:
            known = self.ids.setdefault(seq, ident)
            assert known == ident, f"seq {seq} is {ident}, and was {known}"
            known = self.seqs.setdefault(ident, seq)
            assert known == seq, f"{ident} has seq {seq}, and had {known}"


class Acker(threading.Thread):
    """A program that takes hawserd at its word: what was answered is done, all else comes again."""

    def __init__(self, path, name, seed, book):
        super().__init__(daemon=True, name=name)
        self.path, self.rng, self.book = path, random.Random(seed), book
        self.seen = []  # seqs, rising
        self.asked = self.answered = 0
        self.joined = False
        self.ending = False
        self.error = None
        self.connections = self.acks = self.again = 0

    def run(self):
        try:
            while not self.ending:
                self.live()
        except BaseException as error:  # told by the test
            self.error = error

    def live(self):
        try:
            with Consumer(self.path, timeout=10) as consumer:
                consumer.killed = True  # sooner or later
                if consumer.greeting is not None and self.join(consumer):
                    self.follow(consumer)
        except (OSError, Closed):
            time.sleep(0.01)

    def join(self, consumer):
        request = {"consumer": self.name, "window": self.rng.choice([7, 100, 1000, 5000])}
        if not self.joined:
            request["from"] = "oldest"
        reply = consumer.ask(op="subscribe", notices=False, timeout=60, **request)
        if reply.get("error") == "consumer_busy":  # our last connection is just being noticed
            return False
        assert reply.get("ok") == "subscribe", reply
        self.joined = True
        self.connections += 1
        assert reply["next"] > self.answered, "the cursor is before what was acknowledged"
        return True

    def follow(self, consumer):
        """Until hawserd dies, or we would rather begin anew."""
        got = []
        while not self.ending and self.rng.random() > 0.0005:
            line = consumer.line(60)
            assert "error" not in line, line
            if line.get("ok") == "ack":
                self.answered = max(self.answered, line["id"])
            elif line.get("notice") == "window_full":
                self.acknowledge(consumer, got[-1])
            elif "seq" in line:
                assert "notice" not in line, line
                self.take(line, got)
                if self.rng.random() < 0.05:
                    self.acknowledge(consumer, self.rng.choice(got[-50:]))

    def take(self, event, got):
        seq = event["seq"]
        self.book.note(seq, event["id"])
        assert seq > self.answered, f"seq {seq} again, and {self.answered} was acknowledged"
        if got:
            assert seq > got[-1], f"seq {seq} after {got[-1]}"
            before = got[-1]
        else:  # what was asked for may have been taken, and the answer got lost
            at = bisect.bisect_left(self.seen, seq)
            before = self.seen[at - 1] if at > 0 else 0
            assert before <= self.asked, f"begins at {seq}; {self.asked} was asked for, no more"
        if self.seen and seq <= self.seen[-1]:
            self.again += 1
            at = bisect.bisect_left(self.seen, seq)
            assert self.seen[at] == seq, f"seq {seq} was left out before"
            assert at == 0 or self.seen[at - 1] == before, f"before {seq} one was left out"
        else:
            assert not self.seen or self.seen[-1] == before, f"before {seq} one was left out"
            self.seen.append(seq)
        got.append(seq)

    def acknowledge(self, consumer, seq):
        self.asked = max(self.asked, seq)
        consumer.send(op="ack", seq=seq, id=max(seq, self.answered))
        self.acks += 1


def kill_over_and_over(hawser, rng, ackers, disk):
    for _ in range(KILLS):
        # A slow sync leaves room for kills between what is said and what is on disk.
        disk.order(rng.choice(["ok", "slow 5", "slow 40"]))
        hawser.spawn()
        # From the middle of its start to some time of being live.
        time.sleep(rng.choice([rng.uniform(0, 0.3), rng.uniform(0.2, 1.2), rng.uniform(0.5, 2)]))
        assert hawser.process.poll() is None, f"it ended by itself:\n{hawser.log()[-4000:]}"
        hawser.kill()
        for acker in ackers:
            assert acker.error is None, acker.error
    hawser.assert_nothing_bad()


def complete(ackers, count):
    return all(len(acker.seen) >= count or acker.error for acker in ackers)


@pytest.mark.seconds(150 + 4 * KILLS)
def test_F46_killed_while_consumers_acknowledge(hawser, service, ca):
    seed = int(os.environ.get("HAWSER_SEED", random.randrange(1 << 32)))
    print(f"HAWSER_SEED={seed}")
    rng = random.Random(seed)
    hawser.scaiwave(service, ca=ca, start="oldest")
    disk = Disk(hawser)
    service.flow(RATE, size=200)
    book = Book()
    ackers = [Acker(hawser.socket, f"program-{i}", rng.random(), book) for i in range(CONSUMERS)]
    for acker in ackers:
        acker.start()
    try:
        started = time.monotonic()
        kill_over_and_over(hawser, rng, ackers, disk)
        took = time.monotonic() - started
        disk.order("ok")
        hawser.start()
        count = service.flow(0)["count"]
        deadline = time.monotonic() + 90
        while not complete(ackers, count) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.3)  # for what must not come
        for acker in ackers:
            assert acker.error is None, acker.error
    finally:
        for acker in ackers:
            acker.ending = True
    wanted = [f"evt-{1001 + i}" for i in range(count)]
    for acker in ackers:
        assert_rising(acker.seen)
        assert_same([book.ids[seq] for seq in acker.seen], wanted)
    print(f"{KILLS} kills in {took:.0f} s, {count} events, {CONSUMERS} consumers, "
          f"{sum(a.connections for a in ackers)} connections, {sum(a.acks for a in ackers)} acks, "
          f"{sum(a.again for a in ackers)} events again, {hawser.log().count(' > live')} times live")
