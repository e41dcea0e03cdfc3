"""Feeds: connect and read, with nothing but what every system has."""

import json
import shutil
import socket
import subprocess

import pytest
from hawser_test.consumer import Closed, Consumer, assert_same
from hawser_test.hawserd import wait_until

INPUT_MAX = 65536


@pytest.fixture
def feeds(hawser, service, ca):
    """hawserd with a feed of each kind, live."""
    hawser.scaiwave(service, ca=ca, start="oldest")
    for name, settings in (("now", {}), ("oldest", {"from": "oldest"}),
                           ("payload", {"from": "oldest", "format": "payload"})):
        hawser.sections[f"listen {name}"] = {"path": hawser.runtime / f"{name}.sock",
                                             "protocol": "feed", **settings}
    hawser.start().wait_state("live")
    return hawser


class Feed(Consumer):
    """A consumer that is not greeted."""

    def __init__(self, path):
        self.greeted = True
        super().__init__(path)

    def line(self, timeout=30):
        if self.greeted:
            self.greeted = False
            return None
        return super().line(timeout)


def connected(hawser, name):
    listeners = hawser.status()["listeners"]
    return next(entry["clients"] for entry in listeners if entry["listen"] == name)


def test_envelopes_are_the_lines_of_ndjson(feeds, service):
    with feeds.consumer() as consumer, Feed(feeds.runtime / "now.sock") as now:
        consumer.subscribe(notices=False)
        wait_until(lambda: connected(feeds, "now") == 1, "the feed to be there")
        published = service.publish(20)
        consumer.wait_events(20)
        now.wait_events(20)
        assert now.events == consumer.events
        assert_same(now.ids(), published.ids)
        with Feed(feeds.runtime / "oldest.sock") as oldest:
            oldest.wait_events(20)
            assert oldest.events == consumer.events
        with Feed(feeds.runtime / "payload.sock") as payload:
            got = [payload.line() for _ in range(20)]
            assert got == [event["data"] for event in consumer.events]
        feeds.stop()
        assert now.line()["notice"] == "bye"
        with pytest.raises(Closed):
            now.line()
    feeds.start()


@pytest.mark.parametrize("program", ["socat", "nc"])
def test_with_the_programs_there_are(feeds, service, program):
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")
    commands = {"socat": ["socat", "-u", "UNIX-CONNECT:{}", "-"], "nc": ["nc", "-U", "{}"]}
    command = [part.format(feeds.runtime / "payload.sock") for part in commands[program]]
    published = service.publish(5)
    with subprocess.Popen(command, stdin=subprocess.DEVNULL if program == "socat" else
                          subprocess.PIPE, stdout=subprocess.PIPE) as reader:
        got = [json.loads(reader.stdout.readline())["id"] for _ in range(5)]
        assert_same(got, published.ids)
        more = service.publish(1)
        assert json.loads(reader.stdout.readline())["id"] == more.ids[0]
        reader.kill()


def test_text_and_binary_are_one_line_each(hawser, peer, ca, tmp_path):
    profile = ("[profile]\ntitle = Anything\nparams = host\n[connect]\nurl = wss://${host}/\n"
               "[live]\nwhen = open\n[catchup]\nvia = none\n")
    (tmp_path / "any.ini").write_text(profile)
    messages = ["plain", "two\nlines", '{"a":\n1}', b"\x00\x01"]
    from hawser_test.raw import RawServer, frame

    def script(connection):
        connection.accept_websocket()
        for message in messages:
            data = message if isinstance(message, bytes) else message.encode()
            connection.send(frame(2 if isinstance(message, bytes) else 1, data))
        connection.until_close()

    server = RawServer(script, ca.localhost)
    hawser.sections["daemon"]["profile_dir"] = tmp_path
    hawser.stream("any", profile="any", host=server.host, tls_ca=ca.cert, start="oldest")
    hawser.sections["listen payload"] = {"path": hawser.runtime / "payload.sock", "from": "oldest",
                                         "protocol": "feed", "format": "payload"}
    hawser.start()
    with socket.socket(socket.AF_UNIX) as feed:
        feed.settimeout(30)
        feed.connect(str(hawser.runtime / "payload.sock"))
        data = b""
        while data.count(b"\n") < 4:
            data += feed.recv(65536)
    assert data == b'plain\ntwo lines\n{"a": 1}\nAAE=\n'
    hawser.stop()
    server.stop()
    hawser.start()


def test_F50_a_feed_that_talks(feeds, service):
    with Feed(feeds.runtime / "now.sock") as polite, Feed(feeds.runtime / "now.sock") as rude:
        polite.send_raw(b"x" * INPUT_MAX)
        with pytest.raises(OSError):
            for _ in range(100):
                rude.send_raw(b"x" * INPUT_MAX)
        wait_until(lambda: connected(feeds, "now") == 1, "the rude one to be gone")
        published = service.publish(3)
        polite.wait_events(3)
        assert_same(polite.ids(), published.ids)


def test_feed_whose_input_has_ended_goes_on(feeds, service):
    with Feed(feeds.runtime / "now.sock") as feed:
        feed.socket.shutdown(socket.SHUT_WR)
        wait_until(lambda: connected(feeds, "now") == 1, "the feed to be there")
        published = service.publish(3)
        feed.wait_events(3)
        assert_same(feed.ids(), published.ids)


def test_F48_slow_feeds_get_all_of_20000(feeds, service):
    """From the socket, then the store, then the tail: in both forms."""
    with Feed(feeds.runtime / "oldest.sock") as slow, Feed(feeds.runtime / "payload.sock") as bare, \
            feeds.consumer() as quick:
        quick.subscribe()
        published = service.publish(20_000, size=300)
        quick.wait_events(20_000, timeout=90)
        more = service.publish(100)
        slow.wait_events(20_100, timeout=90)
        assert_same(slow.ids(), published.ids + more.ids)
        assert_same([bare.line(60)["id"] for _ in range(20_100)], published.ids + more.ids)


def test_max_clients_of_a_feed(hawser, service, ca):
    hawser.scaiwave(service, ca=ca)
    hawser.sections["listen f"] = {"path": hawser.runtime / "f.sock", "protocol": "feed",
                                   "max_clients": 1}
    hawser.start()
    with Feed(hawser.runtime / "f.sock"), Feed(hawser.runtime / "f.sock") as second:
        assert second.line()["error"] == "too_many"
