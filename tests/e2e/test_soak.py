"""Long lives: what hawserd takes of the machine does not grow with what it has done.

Short by default. The long ones, whose figures count, in a release build:

    meson setup build-rel --buildtype=release && ninja -C build-rel
    HAWSER_BUILD=build-rel HAWSER_SOAK=1000000 python3 -m pytest -s tests/e2e/test_soak.py

Its number is that of the events, or of the reconnects.
"""

import os
import random
import time

import pytest
from hawser_test.footprint import descriptors, is_sanitized, longest_stall_s, resident
from hawser_test.hawserd import wait_until
from hawser_test.load import Load
from hawser_test.program import Program

LONG = int(os.environ.get("HAWSER_SOAK", 0))
MIB = 1 << 20
SLACK = (4 if LONG else 16) * MIB  # the tail in memory has not been filled by a short one


@pytest.fixture
def seed():
    seed = int(os.environ.get("HAWSER_TEST_SEED", random.randrange(1 << 30)))
    print(f"HAWSER_TEST_SEED={seed}")
    return seed


def assert_flat(samples, what, slack):
    """The most of the last third is no more than the most of the first, and a little."""
    third = max(1, len(samples) // 3)
    first, last = max(samples[:third]), max(samples[-third:])
    assert last <= first + slack, f"{what} grows: {samples}"


@pytest.mark.seconds(7200)
def test_F55_consumers_come_and_go(hawser, seed):
    """Readers of every kind, fast, slow and stopped, that leave in the middle of lines and come
    back; each sees what it must, and nothing of them stays."""
    rounds, slices, count, readers = (9, 10, LONG, 1000) if LONG else (3, 2, 9_000, 100)
    each = count // (rounds * slices)
    hawser.sections["store"]["retain_size"] = "64M"
    load = Load(hawser, 2 * readers)
    try:
        begin, alone, together, fds = time.monotonic(), [], [], []
        quiet = descriptors(hawser)
        for number in range(rounds):
            for part in range(slices):
                load.crowd.tell(f"churn {readers} {load.last + each} {seed + number}")
                load.crowd.hear("ready")
                load.burst(each)
                told = load.crowd.hear("churned", 1800)
                load.sent()
                if part > 0 or slices == 1:
                    together.append(resident(hawser))
                    fds.append(descriptors(hawser))
            load.crowd.tell("close")
            load.crowd.hear("closed")
            wait_until(lambda: descriptors(hawser) <= quiet,
                       lambda: f"{descriptors(hawser)} descriptors to be {quiet}", 60)
            alone.append(resident(hawser))
            print(f"{(number + 1) * slices * each} events, {told}, {fds[-1]} descriptors, "
                  f"{together[-1] / MIB:.1f} MB; {quiet} and {alone[-1] / MIB:.1f} MB when they are "
                  f"gone; {time.monotonic() - begin:.0f} s", flush=True)
        print(f"{longest_stall_s(hawser, hawser.runtime / 'web.sock'):.3f} s the loop's longest turn")
        assert max(fds) <= quiet + 2 * readers  # those who went may not have been seen off
        if not is_sanitized(hawser):
            assert_flat(alone[1:], "memory without readers", SLACK)
            assert_flat(together[slices:], "memory with readers", SLACK)
    finally:
        load.close()


# ---- reconnects ----

STREAMS, TLS_STREAMS = (192, 32) if LONG else (24, 4)


def configure_redial(hawser, port, tls_port, ca):
    """As many dials as may be: no rate, and no pause but a millisecond."""
    hawser.sections["daemon"].update(log="error", dial_rate="10000/s", dial_per_host=256)
    hawser.sections["store"]["retain_size"] = "64M"
    hawser.sections["listen web"] = {"path": hawser.runtime / "web.sock", "protocol": "http"}
    for number in range(STREAMS):
        secure = number < TLS_STREAMS
        hawser.stream(f"s{number}", profile="generic", event__id="/link", dedup_window=1000,
                      url=f"wss://localhost:{tls_port}/" if secure else f"ws://localhost:{port}/",
                      **({"tls_ca": ca.cert} if secure else {}), **{"backoff.steps": "1ms"})


@pytest.mark.seconds(36000)
def test_F55_reconnects(hawser, ca, seed):
    """Links that end in every way, one after the other, with TLS and without."""
    rounds, count = (10, LONG) if LONG else (3, 450)
    redial = Program([hawser.build / "tests/soak/redial", seed, ca.localhost.cert, ca.localhost.key],
                     hawser.directory)
    try:
        ports = redial.hear("port")
        configure_redial(hawser, ports["port"], ports["tls"], ca)
        hawser.start()
        begin, memory, fds, told = time.monotonic(), [], [], {"connections": 0}
        for number in range(rounds):
            most = 0
            while told["connections"] < (number + 1) * count // rounds:
                time.sleep(0.1)
                redial.tell("count")
                told = redial.hear("connections")
                most = max(most, descriptors(hawser))
                assert time.monotonic() - begin < 60 + count / 20, told
            memory.append(resident(hawser))
            fds.append(most)
            print(f"{told}, {most} descriptors, {memory[-1] / MIB:.1f} MB, "
                  f"{told['connections'] / (time.monotonic() - begin):.0f} a second", flush=True)
        print(f"{longest_stall_s(hawser, hawser.runtime / 'web.sock'):.3f} s the loop's longest turn")
        assert max(fds) < 40 + 4 * STREAMS
        if not is_sanitized(hawser):
            assert_flat(memory[1:], "memory", SLACK)
    finally:
        redial.stop()
