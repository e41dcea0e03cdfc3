"""Handshakes that fail: each is said for what it is, and answered by the policy."""

import re
import time

import pytest
from hawser_test.certificates import Authority
from hawser_test.hawserd import wait_until
from hawser_test.raw import RawServer, frame
from hawser_test.service import Service


def heals(hawser, service, dials):
    """After the cause is gone, an operator's word brings the stream back."""
    assert len(service.stats()["dials"]) == dials
    service.set(handshake=None)
    hawser.hawserctl("reconnect", "chat")
    hawser.wait_state("live")


@pytest.mark.parametrize("status,state", [(400, "held"), (404, "held"), (405, "held"), (402, "held"),
                                          (403, "held"), (401, "parked")])
def test_F01_F02_hopeless_statuses_rest(hawser, service, ca, status, state):
    service.set(handshake={"status": status, "body": "the service's own words"})
    hawser.scaiwave(service, ca=ca, start="oldest")
    hawser.start()
    shown = hawser.wait_state(state)
    assert str(status) in shown["reason"]
    assert "the service's own words" in hawser.log()
    heals(hawser, service, dials=2 if status == 401 else 1)


@pytest.mark.parametrize("status", [500, 502, 503])
def test_F02_server_errors_are_retried(hawser, service, ca, status):
    service.set(handshake={"status": status})
    hawser.scaiwave(service, ca=ca, start="oldest")
    hawser.start()
    shown = hawser.wait_status(lambda s: s["attempts"] >= 3, "attempts")
    assert str(status) in hawser.log()
    assert shown["state"] in ("waiting", "dialing", "opening")
    service.set(handshake=None)
    hawser.wait_state("live")


@pytest.mark.parametrize("status", [429, 503])
def test_F02_retry_after_is_kept(hawser, service, ca, status):
    service.set(handshake={"status": status, "headers": {"Retry-After": "3"}})
    hawser.scaiwave(service, ca=ca, start="oldest")
    hawser.start()
    shown = hawser.wait_status(lambda s: s["state"] in ("waiting", "held"), "a wait")
    assert 1000 < shown["retry_in_ms"] <= 4500
    service.set(handshake=None)
    hawser.wait_state("live")
    dials = service.stats()["dials"]
    assert len(dials) == 2
    assert dials[1]["t"] - dials[0]["t"] >= 2.9


def test_F03_upgrade_stripped_by_a_page(hawser, service, ca):
    service.set(handshake={"status": 200, "body": "<html><h1>Welcome to the proxy</h1></html>",
                           "headers": {"Content-Type": "text/html"}})
    hawser.scaiwave(service, ca=ca, start="oldest")
    hawser.start()
    hawser.wait_state("polling")
    hawser.wait_log(r"ended: stripped")
    hawser.wait_log(r"polling.*(lost the upgrade|without the upgrade)")
    heals(hawser, service, dials=1)


def test_F09_hello_never_comes(hawser, service, ca):
    service.set(hello=False)
    hawser.scaiwave(service, ca=ca, start="oldest", live__timeout="700ms")
    hawser.start()
    hawser.wait_log("timeout.*live|live.*timeout|no hello")
    service.wait(lambda stats: len(stats["dials"]) >= 2, "another attempt")
    service.set(hello=True)
    hawser.wait_state("live")


def test_F09_upgrade_never_answered(hawser, service, ca):
    service.set(handshake={"hang": True})
    hawser.scaiwave(service, ca=ca, start="oldest", upgrade_timeout="500ms")
    hawser.start()
    hawser.wait_log("(?i)timeout[^\n]*upgrade|upgrade[^\n]*timeout")
    service.set(handshake=None)
    hawser.wait_state("live")


def test_F09_tls_never_answered(hawser, service, ca):
    server = RawServer(lambda connection: connection.sock.recv(1) and time.sleep(60))
    try:
        hawser.scaiwave(service, ca=ca, host=server.host, tls_timeout="500ms")
        hawser.start()
        hawser.wait_log("(?i)timeout[^\n]*tls|tls[^\n]*timeout")
    finally:
        server.stop()


def test_F12_open_and_at_once_closed_is_no_success(hawser, service, ca):
    """The backoff goes on growing though each link opens."""
    service.set(handshake={"close": 1011, "reason": "no"})
    hawser.scaiwave(service, ca=ca, start="oldest", backoff__steps="0,200ms,400ms,800ms,1600ms",
                    backoff__jitter="0")
    hawser.start()
    with hawser.consumer() as consumer:
        consumer.subscribe()
        consumer.wait(lambda: [n for n in consumer.notices if n.get("retry_in_ms") == 1600],
                      "the longest step")
    service.set(handshake=None)
    hawser.wait_state("live")


@pytest.mark.parametrize("kind,words", [
    ("expired", "expired"),
    ("not_yet", "not valid before|not yet"),
    ("self_signed", "self.signed|trusted|issuer|not signed"),
    ("wrong_host", "host|name|match"),
    ("unknown_issuer", "trusted|issuer|unknown|not signed"),
])
def test_F05_certificates(hawser, ca, kind, words, tmp_path):
    if kind == "wrong_host":
        certificate = ca.issue("other.example")
    elif kind == "unknown_issuer":
        certificate = Authority(tmp_path / "other", "another CA").issue()
    else:
        certificate = getattr(ca, kind)()
    service = Service(certificate)
    try:
        hawser.scaiwave(service, ca=ca, start="oldest")
        hawser.start()
        status = hawser.wait_state("held")
        assert re.search(words, status["reason"], re.I), status["reason"]
        assert 200_000 < status["retry_in_ms"] <= 360_000
        assert service.stats()["dials"] == []
    finally:
        service.stop()


@pytest.mark.parametrize("how", ["rst", "fin"])
def test_F21_end_within_the_tls_handshake_is_a_drop(hawser, ca, how):
    """A machine that dies, or a balancer without a backend: retried soon, no certificate's fault."""
    def script(connection):
        connection.head_of_tls()
        if how == "rst":
            connection.reset()

    server = RawServer(script)
    try:
        hawser.scaiwave(None, host=server.host, ca=ca)
        hawser.start()
        wait_until(lambda: server.accepted >= 3, lambda: f"three attempts: {hawser.status('chat')}", 15)
    finally:
        server.stop()


def test_F05_a_server_without_tls(hawser, ca):
    service = Service()
    try:
        hawser.scaiwave(service, ca=ca, start="oldest")
        hawser.start()
        hawser.wait_status(lambda s: s["attempts"] >= 1 and s.get("reason"), "an attempt")
        assert "tls" in hawser.status("chat")["reason"].lower()
    finally:
        service.stop()


@pytest.mark.parametrize("content", [None, "", "no certificate\n"])
def test_F05_ca_that_cannot_be_read(hawser, service, ca, content):
    path = hawser.directory / "bad-ca.pem"
    if content is not None:
        path.write_text(content)
    hawser.scaiwave(service, ca=ca, start="oldest")
    hawser.scaiwave(service, name="bad", start="oldest", tls_ca=path)
    hawser.start()
    hawser.wait_state("live")
    status = hawser.wait_state("parked", "held", stream="bad")
    assert "bad-ca.pem" in status["reason"]


def websocket_server(**options):
    def script(connection):
        connection.accept_websocket(**options)
        connection.until_close()

    return RawServer(script)


def generic(hawser, server, **settings):
    hawser.stream("raw", profile="generic", url=f"ws://127.0.0.1:{server.port}/", **settings)
    hawser.start()


@pytest.mark.parametrize("options,words", [
    ({"accept": "AAAAAAAAAAAAAAAAAAAAAAAAAAA="}, "accept"),
    ({"extra": "Sec-WebSocket-Protocol: chat\r\n"}, "protocol"),
    ({"extra": "Sec-WebSocket-Extensions: permessage-bogus\r\n"}, "extension"),
])
def test_F04_answers_that_break_the_handshake(hawser, options, words):
    server = websocket_server(**options)
    try:
        generic(hawser, server)
        status = hawser.wait_state("held", stream="raw")
        assert words in status["reason"].lower(), status["reason"]
        assert server.accepted == 1
    finally:
        server.stop()


def test_F31_garbage_instead_of_http(hawser):
    server = RawServer(lambda connection: connection.send(b"SSH-2.0-OpenSSH_9.2\r\n" * 50))
    try:
        generic(hawser, server)
        hawser.wait_status(lambda s: s.get("reason") and s["attempts"] >= 1, "a reason", "raw")
    finally:
        server.stop()


def test_head_that_never_ends(hawser):
    def script(connection):
        connection.send(b"HTTP/1.1 101 Switching Protocols\r\n")
        for number in range(100000):
            connection.send(b"X-Header-%d: %s\r\n" % (number, b"y" * 200))

    server = RawServer(script)
    try:
        generic(hawser, server)
        hawser.wait_status(lambda s: s.get("reason") and s["attempts"] >= 1, "a reason", "raw")
    finally:
        server.stop()


def test_plain_ws_only_to_this_machine(hawser):
    hawser.stream("raw", profile="generic", url="ws://feed.example.com/")
    status, _, errors = hawser.check()
    if status == 0:  # then it is refused at the dial
        hawser.start()
        shown = hawser.wait_state("held", "parked", "waiting", stream="raw")
        errors = shown["reason"]
    assert "plaintext" in errors


def test_first_frames_may_come_with_the_handshake(hawser):
    """101 and the first message in one segment, as a busy server sends them."""
    def script(connection):
        connection.accept_websocket(also=frame(1, b'{"n":1}') + frame(1, b'{"n":2}'))
        connection.until_close()

    server = RawServer(script)
    try:
        hawser.stream("raw", profile="generic", url=f"ws://127.0.0.1:{server.port}/")
        hawser.start().wait_state("live", stream="raw")
        with hawser.consumer() as consumer:
            consumer.subscribe(**{"from": "oldest"})
            consumer.wait_events(2)
            assert [event["data"]["n"] for event in consumer.events] == [1, 2]
    finally:
        server.stop()
