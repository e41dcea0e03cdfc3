"""The network changes under an open link (F28), in a network namespace of hawserd's own."""

import contextlib
import ctypes
import os
import shutil
import subprocess
import uuid

import pytest
from hawser_test.service import Service

PEER, OLD, NEW = "192.0.2.1", "192.0.2.5", "192.0.2.6"


def run(*command):
    subprocess.run(command, check=True, capture_output=True)


@contextlib.contextmanager
def within(name):
    """This thread's network is that namespace's: of sockets and processes that it makes now."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/self/ns/net", "rb") as own, open(f"/run/netns/{name}", "rb") as other:
        if libc.setns(other.fileno(), 0) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        try:
            yield
        finally:
            assert libc.setns(own.fileno(), 0) == 0


class FarService(Service):
    def __init__(self, name, **config):
        self.name = name
        with within(name):
            super().__init__(**config)

    def call(self, op, **arguments):
        with within(self.name):
            return super().call(op, **arguments)


@pytest.fixture
def namespaces():
    """Two, with a veth between them: (ours, the service's)."""
    if os.geteuid() != 0 or not shutil.which("ip"):
        pytest.skip("needs root and ip(8)")
    base = "hw" + uuid.uuid4().hex[:8]
    ours, far = base + "a", base + "b"
    try:
        run("ip", "netns", "add", ours)
        run("ip", "netns", "add", far)
        run("ip", "link", "add", "up0", "netns", ours, "type", "veth", "peer", "name", "up0",
            "netns", far)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no namespaces here: {error.stderr.decode()}")
    try:
        for name, address in ((ours, OLD), (far, PEER)):
            inside = ["ip", "-n", name]
            run(*inside, "addr", "add", f"{address}/24", "dev", "up0")
            run(*inside, "link", "set", "up0", "up")
            run(*inside, "link", "set", "lo", "up")
        yield ours, far
    finally:
        for name in (ours, far):
            subprocess.run(["ip", "netns", "del", name], check=False)


@pytest.fixture
def away(hawser, namespaces):
    """hawserd in one namespace, live with a service in the other."""
    ours, far = namespaces
    service = FarService(far, address=PEER)
    try:
        base = f"{PEER}:{service.port}"
        hawser.wrapper = ["ip", "netns", "exec", ours]
        hawser.scaiwave(service, start="oldest", plaintext="yes", **{
            "host": base, "connect.url": f"ws://{base}/v1/stream",
            "http:sync.url": f"http://{base}/v1/sync", "heartbeat.ws_ping": "60s",
            "heartbeat.pong_timeout": "2s", "heartbeat.idle": "200s"})
        hawser.start()
        hawser.wait_state("live")
        yield hawser, service, ["ip", "-n", ours]
    finally:
        service.stop()


def test_F28_the_way_to_the_peer_changes(away):
    hawser, service, ip = away
    # From here on nothing of the old link arrives: without a probe it would be found in a minute.
    run(*ip, "addr", "del", f"{OLD}/24", "dev", "up0")
    run(*ip, "addr", "add", f"{NEW}/24", "dev", "up0")
    hawser.wait_log(rf"the way to {PEER}:\d+ has changed: {NEW} up0")
    service.wait(lambda stats: len(stats["links"]) == 2, "a link over the new way")
    hawser.wait_state("live")


def test_F28_what_others_do_means_nothing(away):
    hawser, service, ip = away
    for i in range(3):
        run(*ip, "link", "add", f"c{i}", "type", "veth", "peer", "name", f"d{i}")
        run(*ip, "addr", "add", f"10.9.{i}.1/24", "dev", f"c{i}")
        run(*ip, "link", "set", f"c{i}", "up")
        run(*ip, "link", "del", f"c{i}")
    run(*ip, "route", "add", "198.51.100.0/24", "via", PEER)
    since = hawser.wait_state("live")["since_ms"]
    hawser.wait_status(lambda status: status["since_ms"] > since + 4000, "the changes to be looked at")
    assert "has changed" not in hawser.log()
    assert len(service.stats()["links"]) == 1
    assert service.stats()["pings"] == 0
