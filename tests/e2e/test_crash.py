"""F46: hawserd killed at any instant, over and over, while events go on and a consumer resumes."""

import os
import random
import threading
import time

import pytest
from hawser_test.consumer import Closed, Consumer, assert_rising, assert_same

KILLS = 50


class Resumer(threading.Thread):
    """A careful local program: whatever happens, it goes on after the last seq it has seen."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path = path
        self.events = []
        self.others = []
        self.ending = False
        self.error = None

    def run(self):
        try:
            while not self.ending:
                self.follow()
        except BaseException as error:  # told by the test
            self.error = error

    def follow(self):
        try:
            with Consumer(self.path, timeout=10) as consumer:
                if consumer.greeting is None:
                    return
                consumer.killed = True  # sooner or later
                last = self.events[-1]["seq"] if self.events else "oldest"
                consumer.send(op="subscribe", notices=False, **{"from": last})
                while not self.ending:
                    self.keep(consumer.line(60))
        except (OSError, Closed):
            time.sleep(0.01)

    def keep(self, line):
        if "error" in line:
            raise AssertionError(line)
        if "id" in line and "seq" in line:
            self.events.append(line)
        elif "notice" in line and line["notice"] != "bye":
            self.others.append(line)


@pytest.mark.seconds(240)
def test_F46_killed_at_any_instant(hawser, service, ca):
    seed = int(os.environ.get("HAWSER_SEED", random.randrange(1 << 32)))
    print(f"HAWSER_SEED={seed}")
    rng = random.Random(seed)
    hawser.scaiwave(service, ca=ca, start="oldest")
    service.flow(400, size=200)
    consumer = Resumer(hawser.socket)
    consumer.start()
    try:
        kill_over_and_over(hawser, rng, consumer)
        hawser.start()
        count = service.flow(0)["count"]
        deadline = time.monotonic() + 60
        while len(consumer.events) < count and time.monotonic() < deadline and not consumer.error:
            time.sleep(0.05)
        time.sleep(0.3)  # for what must not come
        judge(consumer, count)
    finally:
        consumer.ending = True
    print(f"{KILLS} kills, {count} events, {hawser.log().count(' > live')} times live")


def kill_over_and_over(hawser, rng, consumer):
    started = time.monotonic()
    for number in range(KILLS):
        hawser.spawn()
        # From the middle of its start to some time of being live.
        time.sleep(rng.choice([rng.uniform(0, 0.3), rng.uniform(0.2, 1.2), rng.uniform(0.5, 2)]))
        assert hawser.process.poll() is None, f"it ended by itself:\n{hawser.log()[-4000:]}"
        hawser.kill()
        assert consumer.error is None, consumer.error
        hawser.assert_nothing_bad()
    print(f"{KILLS} kills in {time.monotonic() - started:.0f} s")


def judge(consumer, count):
    assert consumer.error is None, consumer.error
    assert consumer.others == []
    assert_same([event["id"] for event in consumer.events],
                [f"evt-{1001 + i}" for i in range(count)])
    assert_rising([event["seq"] for event in consumer.events])


def test_F46_seqs_of_one_life_are_those_of_the_next(hawser, service, ca):
    """What was delivered before a kill has the same seq after it, for whoever asks."""
    hawser.scaiwave(service, ca=ca, start="oldest")
    service.flow(500)
    known = {}
    for _ in range(5):
        hawser.start()
        with hawser.consumer() as consumer:
            consumer.subscribe(**{"from": "oldest"})
            wanted = len(known) + 100
            consumer.wait_events(wanted)
            consumer.killed = True
            hawser.kill()
            consumer.wait_close()
            for event in consumer.events:
                assert known.setdefault(event["seq"], event["id"]) == event["id"]
            assert len(set(known.values())) == len(known)
