"""A real server: nginx with nchan, over wss, with resume by message id."""

import json
import os
import signal
import time

import pytest
from hawser_test import nginx
from hawser_test.consumer import assert_rising
from hawser_test.hawserd import wait_until

pytestmark = pytest.mark.skipif(not nginx.available(), reason="nginx with nchan is not installed")


@pytest.fixture
def server(ca):
    server = nginx.Nginx(ca.localhost)
    yield server
    server.close()


@pytest.fixture
def builds(hawser, server, ca):
    hawser.stream("builds", profile="nchan", host=f"localhost:{server.port}", path="sub/builds",
                  tls_ca=ca.cert)
    hawser.start().wait_state("live", stream="builds")
    return hawser


def bodies(first, count):
    return [json.dumps({"n": n, "text": "é" * (n % 50)}) for n in range(first, first + count)]


def numbers(consumer):
    return [event["data"]["n"] for event in consumer.events]


def another_second(consumer):
    """Ids are TIME:N. A server that forgot its messages gives the ids of this second once more."""
    newest = int(consumer.events[-1]["id"].split(":")[0])
    wait_until(lambda: int(time.time()) > newest, "the next second")


def test_events_of_a_channel(builds, server):
    with builds.consumer() as consumer:
        consumer.subscribe(**{"from": "oldest"})
        server.publish("builds", bodies(0, 200))
        consumer.wait_events(200)
        assert numbers(consumer) == list(range(200))
        assert_rising(consumer.seqs)
        event = consumer.events[0]
        assert event["id"] == event["position"]
        assert f'"data":{bodies(199, 1)[0]}'.encode() in consumer.raw


def test_F40_published_while_hawser_is_away(builds, server):
    server.publish("builds", bodies(0, 50))
    with builds.consumer() as consumer:
        consumer.subscribe(**{"from": "oldest"})
        consumer.wait_events(50)
    builds.kill()
    server.publish("builds", bodies(50, 300))
    builds.start()
    with builds.consumer() as consumer:
        consumer.subscribe(**{"from": "oldest"})
        consumer.wait_events(350)
        # Not sooner: nchan 1.3 can leave a subscriber stalled for good, whichever client it is, when
        # a message is published while it catches up over the turn of a second.
        server.publish("builds", bodies(350, 10))
        consumer.wait_events(360)
        consumer.drain(0.3)
        assert numbers(consumer) == list(range(360))
        assert consumer.gaps == []


def test_F40_paused_and_resumed(builds, server):
    with builds.consumer() as consumer:
        consumer.subscribe(**{"from": "oldest"})
        server.publish("builds", bodies(0, 20))
        consumer.wait_events(20)
        for n in range(1, 6):
            builds.hawserctl("pause", "builds")
            builds.wait_state("paused", stream="builds")
            server.publish("builds", bodies(n * 20, 10))
            builds.hawserctl("resume", "builds")
            server.publish("builds", bodies(n * 20 + 10, 10))
            consumer.wait_events(n * 20 + 20)
        consumer.drain(0.3)
        assert numbers(consumer) == list(range(120))
        assert consumer.gaps == []


def test_F25_reload_of_nginx(builds, server):
    with builds.consumer() as consumer:
        consumer.subscribe(**{"from": "oldest"})
        server.publish("builds", bodies(0, 50))
        consumer.wait_events(50)
        another_second(consumer)
        old = server.reload()
        wait_until(lambda: set(server.workers()) - old, "a new worker")
        # The worker that goes closes its WebSockets as if their channels were deleted.
        consumer.wait_notice(notice="stream", state="waiting", stream="builds")
        consumer.wait_notice(notice="stream", state="live", stream="builds", timeout=60)
        server.publish("builds", bodies(50, 100))
        consumer.wait_events(150, timeout=60)
        consumer.drain(0.3)
        assert numbers(consumer) == list(range(150))


def test_F21_worker_killed(builds, server):
    """The memory of nchan dies with its worker; what is published afterwards comes all the same."""
    with builds.consumer() as consumer:
        consumer.subscribe(**{"from": "oldest"})
        server.publish("builds", bodies(0, 50))
        consumer.wait_events(50)
        (worker,) = server.workers()
        os.kill(worker, signal.SIGKILL)
        another_second(consumer)
        consumer.wait_notice(notice="stream", state="live", stream="builds", timeout=60)
        server.publish("builds", bodies(50, 100))
        consumer.wait_events(150, timeout=60)
        assert numbers(consumer) == list(range(150))


def test_F21_nginx_restarted(builds, server):
    with builds.consumer() as consumer:
        consumer.subscribe(**{"from": "oldest"})
        server.publish("builds", bodies(0, 50))
        consumer.wait_events(50)
        server.stop()
        another_second(consumer)
        consumer.wait_notice(notice="stream", state="waiting", stream="builds")
        wait_until(server.start, "nginx to start again", every=0.2)
        server.publish("builds", bodies(50, 100))
        consumer.wait_events(150, timeout=60)
        assert numbers(consumer) == list(range(150))


def test_channel_deleted(builds, server):
    with builds.consumer() as consumer:
        consumer.subscribe(**{"from": "oldest"})
        server.publish("builds", bodies(0, 5))
        consumer.wait_events(5)
        server.delete("builds")
        notice = consumer.wait_notice(notice="stream", state="waiting", stream="builds")
        assert "410" in notice["reason"]


def test_F01_wrong_path(hawser, server, ca):
    hawser.stream("builds", profile="nchan", host=f"localhost:{server.port}", path="nowhere/x",
                  tls_ca=ca.cert)
    hawser.start()
    status = hawser.wait_state("held", stream="builds")
    assert "404" in status["reason"]
