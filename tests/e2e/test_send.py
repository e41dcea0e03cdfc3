"""Local programs send to the service: with the right to, truthfully answered, within its limits."""

import json
import subprocess

import pytest
from hawser_test.fakes.peer import Peer


class Listening(Peer):
    """Greets, and keeps what it is told."""

    def routes(self, router):
        router.add_get("/feed", self.upgrade)

    def told(self):
        return [text for link in self.all_links for text in link.texts]


@pytest.fixture
def listening():
    service = Listening()
    yield service
    service.stop()


@pytest.fixture
def live(hawser, listening):
    def make(**settings):
        hawser.sections["listen events"]["send"] = "yes"
        hawser.stream("feed", profile="generic", url=f"ws://127.0.0.1:{listening.port}/feed",
                      event__id="/id", **settings)
        hawser.start().wait_state("live", stream="feed")
        return hawser

    return make


def ask(hawser, **request):
    with hawser.consumer() as consumer:
        return consumer.ask(**request)


def test_text_and_data_arrive_as_they_are(live, listening):
    hawser = live()
    assert ask(hawser, op="send", stream="feed", text="plain ☂ \"text\"\n", id=7) == {"ok": "send", "id": 7}
    with hawser.consumer() as consumer:
        consumer.send_raw(b'{"op":"send","stream":"feed","data":{"b": 1.50, "a":[true,null], "b2":"\\u00e9"}}\n')
        assert consumer.reply()["ok"] == "send"
    listening.wait(lambda: len(listening.told()) == 2, "two texts")
    assert listening.told() == ["plain ☂ \"text\"\n", '{"b": 1.50, "a":[true,null], "b2":"\\u00e9"}']


def test_hawserctl_sends(live, listening):
    hawser = live()
    hawser.hawserctl("send", "feed", "from the shell")
    subprocess.run([hawser.build / "src/ctl/hawserctl", "--socket", hawser.runtime / "control.sock", "send",
                    "feed", "-"], input=b"from a pipe\nof two lines\n", check=True, timeout=30)
    listening.wait(lambda: len(listening.told()) == 2, "two texts")
    assert listening.told() == ["from the shell", "from a pipe\nof two lines"]
    hawser.hawserctl("send", "nobody", "x", status=1)
    hawser.hawserctl("send", "feed", status=2)


def test_in_order_and_all(live, listening):
    hawser = live()
    with hawser.consumer() as consumer:
        consumer.send_raw(b"".join(json.dumps({"op": "send", "stream": "feed", "text": f"t{i}"}).encode() + b"\n"
                                   for i in range(2000)))
        for _ in range(2000):
            assert consumer.reply()["ok"] == "send"
    listening.wait(lambda: len(listening.told()) == 2000, "all texts")
    assert listening.told() == [f"t{i}" for i in range(2000)]


def test_F51_send_is_a_right(live, hawser, listening):
    live()
    hawser.sections["listen events"]["send"] = "no"
    hawser.sections["listen events"]["control"] = "yes"
    hawser.restart()
    hawser.wait_state("live", stream="feed")
    reply = ask(hawser, op="send", stream="feed", text="x")
    assert reply["error"] == "forbidden"
    assert "send = yes" in reply["detail"]
    with hawser.consumer(control=True) as consumer:
        assert consumer.ask(op="send", stream="feed", text="by root")["ok"] == "send"
    listening.wait(lambda: listening.told() == ["by root"], "the text")


def test_a_service_that_takes_no_data(live):
    hawser = live(connect__data="forbid")
    reply = ask(hawser, op="send", stream="feed", text="x")
    assert reply["error"] == "forbidden"
    assert "connect.data" in reply["detail"]


def test_not_live_is_said(live, listening):
    hawser = live()
    hawser.hawserctl("pause", "feed")
    hawser.wait_state("paused", stream="feed")
    reply = ask(hawser, op="send", stream="feed", text="x")
    assert reply["error"] == "not_live"
    assert "paused" in reply["detail"]
    hawser.hawserctl("resume", "feed")
    hawser.wait_state("live", stream="feed")
    assert ask(hawser, op="send", stream="feed", text="now")["ok"] == "send"
    listening.wait(lambda: listening.told() == ["now"], "the second text alone")


def test_F52_faster_than_the_service_allows(live, listening):
    hawser = live(limits__sends="3/60s")
    with hawser.consumer() as consumer:
        replies = [consumer.ask(op="send", stream="feed", text=f"t{i}") for i in range(5)]
    assert [reply.get("ok") for reply in replies] == ["send"] * 3 + [None] * 2
    assert replies[4]["error"] == "rate_limited"
    assert "try again in" in replies[4]["detail"]
    listening.wait(lambda: len(listening.told()) == 3, "three texts")
    assert hawser.status("feed")["links"] == 1
    assert hawser.status("feed")["state"] == "live"


@pytest.mark.parametrize(("request_", "error", "word"), [
    ({"stream": "feed"}, "bad_request", "text"),
    ({"stream": "feed", "text": "a", "data": 1}, "bad_request", "not both"),
    ({"stream": "feed", "text": {"a": 1}}, "bad_request", "string"),
    ({"text": "a"}, "bad_request", "stream"),
    ({"stream": "else", "text": "a"}, "unknown_stream", "stream"),
])
def test_bad_requests(live, listening, request_, error, word):
    hawser = live()
    reply = ask(hawser, op="send", **request_)
    assert reply["error"] == error
    assert word in reply["detail"]
    assert listening.told() == []


def test_the_text_is_in_no_log(live, listening):
    hawser = live()
    ask(hawser, op="send", stream="feed", text="my-private-words")
    listening.wait(lambda: listening.told(), "the text")
    assert "my-private-words" not in hawser.log()
