"""The chat that hawser-profile(5) describes: sessions that can be resumed or not, and positions that count
from 1 in each."""

import json
import threading

import pytest
from hawser_test.hawserd import wait_until
from hawser_test.mdoc import MAN
from hawser_test.raw import RawServer, frame


class Gateway:
    """Each session has READY as its message 1; say() sends the next ones on the link that is up."""

    def __init__(self, certificate):
        self.connection = None
        self.session, self.count, self.asked = 0, 0, []
        self.resumable = True
        self.ready = threading.Event()
        self.server = RawServer(self.serve, certificate)

    def put(self, **what):
        self.connection.send(frame(1, json.dumps(what).encode()))

    def say(self, *texts):
        for text in texts:
            self.count += 1
            self.put(op=0, t="MESSAGE", s=self.count, d={"text": text})

    def serve(self, connection):
        connection.accept_websocket()
        connection.send(frame(1, b'{"op":10,"d":{"heartbeat_interval":2000}}'))
        while True:
            opcode, payload = connection.frame()
            if opcode == 8:
                return
            asked = json.loads(payload) if opcode == 1 else {}
            if asked.get("op") == 1:
                connection.send(frame(1, b'{"op":11}'))
            elif asked.get("op") in (2, 6):
                self.asked.append(asked)
                self.begin(connection, asked["op"] == 6)

    def begin(self, connection, resume):
        self.connection = connection
        if resume and not self.resumable:
            self.put(op=9, d=False)
            return
        if resume:
            self.put(op=0, t="RESUMED", d={})
        else:
            self.session, self.count = self.session + 1, 1
            self.put(op=0, t="READY", s=1, d={"session_id": f"session-{self.session}"})
        self.ready.set()

    def drop(self):
        self.ready.clear()
        self.connection.reset()

    def stop(self):
        self.server.stop()


@pytest.fixture
def gateway(ca):
    server = Gateway(ca.localhost)
    yield server
    server.stop()


@pytest.fixture
def talk(hawser, gateway, ca, tmp_path):
    text = (MAN / "hawser-profile.5").read_text()
    begin = text.index("[profile]\ntitle = Our chat\n")
    (tmp_path / "our-chat.ini").write_text(text[begin:text.index(".Ed", begin)])
    hawser.sections["daemon"]["profile_dir"] = tmp_path
    token = hawser.secret("gateway", "gateway-token")
    hawser.stream("talk", profile="our-chat", host=gateway.server.host, tls_ca=ca.cert, token=f"file:{token}")
    return hawser


def live(hawser, gateway):
    if hawser.process is None:
        hawser.start()
    assert gateway.ready.wait(30)
    hawser.wait_state("live", stream="talk")


def test_F42_positions_that_begin_anew_with_each_session(talk, gateway):
    """The same position is another event in another session: none is taken for one of before, not in this
    life and not in the next. A session that goes on is no new one."""
    live(talk, gateway)
    gateway.say("a", "b", "c")
    with talk.consumer() as consumer:
        consumer.subscribe(**{"from": "oldest"})
        consumer.wait_events(4)
        gateway.drop()
        live(talk, gateway)
        assert gateway.asked[-1]["op"] == 6 and gateway.asked[-1]["d"]["seq"] == 4
        gateway.say("d")
        consumer.wait_events(6)
        gateway.resumable = False
        gateway.drop()
        live(talk, gateway)
        gateway.say("e", "f")
        consumer.wait_events(9)
    for number in range(2):
        talk.kill() if number else talk.stop()
        gateway.ready.clear()
        live(talk, gateway)
        gateway.say(f"g{number}", f"h{number}", f"i{number}")
        wait_until(lambda: talk.status("talk")["stored"]["live"] >= 4, "what is new")
    with talk.consumer() as consumer:
        consumer.subscribe(**{"from": "oldest"})
        consumer.wait_events(17)
        said = [event["data"]["d"].get("text", event["type"]) for event in consumer.events]
        assert said == ["READY", "a", "b", "c", "RESUMED", "d", "READY", "e", "f", "READY", "g0", "h0", "i0",
                        "READY", "g1", "h1", "i1"]
        assert {gap["reason"] for gap in consumer.gaps} == {"epoch"}, consumer.gaps
        assert len(consumer.gaps) == 3
