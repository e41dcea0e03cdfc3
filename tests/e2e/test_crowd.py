"""Thousands of local programs, storms of them, and none of the descriptors that they want."""

import fcntl
import json
import re
import resource
import signal
import socket
import struct
import termios
import threading
import time

import pytest
from hawser_test import metrics, web
from hawser_test.consumer import Consumer, assert_same
from hawser_test.footprint import descriptors, is_sanitized, resident
from hawser_test.hawserd import wait_until

CLIENTS = 3000


@pytest.fixture
def many(hawser, service, ca):
    """hawserd that lets thousands in; we may open as many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < CLIENTS + 500:
        pytest.skip(f"{hard} open files are allowed here, this wants {CLIENTS + 500}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (CLIENTS + 500, hard))
    hawser.scaiwave(service, ca=ca, start="oldest")
    hawser.sections["listen events"]["max_clients"] = CLIENTS
    hawser.sections["listen feed"] = {"path": hawser.runtime / "feed.sock", "protocol": "feed",
                                      "max_clients": CLIENTS}
    hawser.sections["listen web"] = {"path": hawser.runtime / "web.sock", "protocol": "http",
                                     "max_clients": CLIENTS}
    yield hawser
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_F50_thousands_of_clients_cost_little_each(many, service):
    many.start().wait_state("live")
    before = resident(many)
    crowd = []
    try:
        for _ in range(CLIENTS):
            crowd.append(socket.socket(socket.AF_UNIX))
            crowd[-1].connect(str(many.runtime / "feed.sock"))  # waits where the backlog is full
            crowd[-1].settimeout(30)
        wait_until(lambda: descriptors(many) > CLIENTS, "all to be there")
        each = (resident(many) - before) / CLIENTS
        print(f"{each:.0f} bytes of memory for each of {CLIENTS} feeds")
        assert each < 32_000 or is_sanitized(many)
        with many.consumer() as consumer:
            consumer.subscribe()
            published = service.publish(100, size=200)
            consumer.wait_events(100, timeout=60)
            assert_same(consumer.ids(), published.ids)
        # None of them has read a byte: what they have is in their sockets.
        published = service.publish(5000, size=1000)
        for quiet in crowd[:3]:
            data = b""
            while data.count(b"\n") < 5100:
                data += quiet.recv(1 << 20)
            assert data.endswith(b"\n")
        each = (resident(many) - before) / CLIENTS
        print(f"{each:.0f} when they do not read")
        assert each < 64_000 or is_sanitized(many)
    finally:
        for sock in crowd:
            sock.close()
    wait_until(lambda: descriptors(many) < 100, "them to be gone")


def test_F50_storm_of_connections(many, service):
    """Connect and close, as fast as it goes, on every kind of listener: no descriptor is left
    behind, and others get what is theirs."""
    many.start().wait_state("live")
    before = descriptors(many)
    with many.consumer() as consumer:
        consumer.subscribe()

        def storm(name, first):
            for _ in range(1500):
                with socket.socket(socket.AF_UNIX) as sock:
                    sock.connect(str(many.runtime / name))
                    sock.settimeout(30)
                    sock.sendall(first)

        threads = [threading.Thread(target=storm, args=arguments) for arguments in (
            ("events.sock", b'{"op":"subscribe","from":"oldest"}\n'), ("feed.sock", b""),
            ("web.sock", b"GET /events?from=oldest HTTP/1.1\r\nHost: a\r\n\r\n"))]
        for thread in threads:
            thread.start()
        published = service.publish(500)
        consumer.wait_events(500, timeout=60)
        assert_same(consumer.ids(), published.ids)
        for thread in threads:
            thread.join()
    wait_until(lambda: descriptors(many) <= before, lambda: f"{descriptors(many)} descriptors")
    assert web.ask(many.runtime / "web.sock", "/healthz")[0] == 200


def test_F54_no_descriptors_left(hawser, service, ca):
    """Old clients are kept, new ones are told, the operator gets in, and upstreams can dial."""
    hawser.scaiwave(service, ca=ca, start="oldest")
    hawser.sections["listen web"] = {"path": hawser.runtime / "web.sock", "protocol": "http"}
    limit = 150
    hawser.wrapper = ["prlimit", f"--nofile={limit}:{limit}"]
    hawser.start().wait_state("live")
    assert re.search(r"150 open files are allowed, all clients and streams together need \d+", hawser.log())
    with hawser.consumer() as old, web.Events(hawser.runtime / "web.sock", "?notices=no") as events:
        old.subscribe()
        crowd = []
        while len(crowd) < limit:
            crowd.append(Consumer(hawser.socket))
            if crowd[-1].greeting.get("error"):
                break
        assert crowd[-1].greeting["error"] == "too_many"
        assert "descriptors" in crowd[-1].greeting["detail"]
        with web.Raw(hawser.runtime / "web.sock") as refused:
            assert refused.rest().startswith(b"HTTP/1.1 503 ")
        for _ in range(200):
            Consumer(hawser.socket).close()
        assert hawser.log().count("file descriptors run out") <= 4
        service.drop()
        hawser.wait_status(lambda status: status["links"] == 2 and status["state"] == "live", "it again")
        published = service.publish(5)
        old.wait_events(5)
        assert_same(old.ids(), published.ids)
        assert len([events.next() for _ in range(5)]) == 5
        for client in crowd:
            client.close()

        def fits():
            with hawser.consumer() as consumer:
                return "hawser" in consumer.greeting

        wait_until(fits, "a place")


def test_F54_limit_is_raised_to_what_is_allowed(hawser):
    hawser.wrapper = ["prlimit", "--nofile=64:5000"]
    hawser.start()
    with open(f"/proc/{hawser.process.pid}/limits") as limits:
        line = next(line for line in limits if line.startswith("Max open files"))
    assert line.split()[3] == "5000"
    assert "open files are allowed" not in hawser.log()


@pytest.mark.seconds(240)
def test_F48_one_that_stops_reading_slows_nobody(hawser, service, ca):
    """Twenty that never read, in every form, beside one that does: its events come as soon as
    before, and memory stays where it is."""
    hawser.scaiwave(service, ca=ca, start="oldest")
    hawser.sections["listen feed"] = {"path": hawser.runtime / "feed.sock", "protocol": "feed",
                                      "format": "payload"}
    hawser.sections["listen web"] = {"path": hawser.runtime / "web.sock", "protocol": "http"}
    hawser.start().wait_state("live")
    with hawser.consumer() as quick:
        quick.subscribe()
        service.publish(2000, size=1000)
        quick.wait_events(2000, timeout=60)
        stopped = [hawser.consumer() for _ in range(7)]
        for consumer in stopped:
            consumer.send(op="subscribe", **{"from": "oldest"})
        stopped += [web.Events(hawser.runtime / "web.sock", "?from=oldest") for _ in range(7)]
        for _ in range(7):
            feed = socket.socket(socket.AF_UNIX)
            feed.connect(str(hawser.runtime / "feed.sock"))
            stopped.append(feed)
        service.publish(20_000, size=1000)
        quick.wait_events(22_000, timeout=90)
        before = resident(hawser)
        published = service.publish(30_000, size=1000)
        quick.wait_events(52_000, timeout=120)
        assert_same(quick.ids()[22_000:], published.ids)
        grown = resident(hawser) - before
        print(f"{grown} bytes more while 21 did not read 30 MB")
        assert grown < 20_000_000 or is_sanitized(hawser)
        began = time.monotonic()
        service.publish(1)
        quick.wait_events(52_001)
        assert time.monotonic() - began < 5
    for client in stopped:
        client.close() if not isinstance(client, web.Raw) else client.socket.close()


def unread(sock):
    return struct.unpack("i", fcntl.ioctl(sock, termios.FIONREAD, bytes(4)))[0]


def test_F48_a_turn_of_the_loop_is_bounded_however_many_read(many, service):
    """Hundreds ask at once for what is in memory. They are served in many turns of the loop, between
    which links and timers have theirs; in order, and nobody is left out."""
    readers, turn = 400, (2 << 20) + (512 << 10)
    many.start().wait_state("live")
    published = service.publish(100, size=1000)
    with many.consumer() as consumer:
        consumer.subscribe(**{"from": "oldest"})
        consumer.wait_events(len(published.ids))
        each = sum(len(json.dumps(event, separators=(",", ":"))) for event in consumer.events)

    def turns():
        return metrics.scrape(many.runtime / "web.sock")["hawser_loop_stall_seconds"]["_count"]

    crowd = [many.consumer() for _ in range(readers)]
    try:
        before = turns()
        many.process.send_signal(signal.SIGSTOP)  # what they ask for is there in one turn
        for consumer in crowd:
            consumer.send(op="subscribe", **{"from": 0})
        many.process.send_signal(signal.SIGCONT)
        # It fits into their sockets: nobody reads, so nobody is served twice.
        wait_until(lambda: all(unread(consumer.socket) > each for consumer in crowd), "all to have it", 60)
        took = turns() - before
        print(f"{took:.0f} turns for {readers} times {each} bytes")
        assert took >= readers * each / turn
        assert len({unread(consumer.socket) for consumer in crowd}) == 1
        for consumer in crowd[::50]:
            consumer.wait_events(len(published.ids), timeout=60)
            assert_same(consumer.ids(), published.ids)
    finally:
        for consumer in crowd:
            consumer.close()
