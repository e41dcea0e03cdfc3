"""Handshakes that fail: each is said for what it is, and answered by the policy."""

import re
import subprocess
import time

import pytest
from hawser_test import conformance
from hawser_test.certificates import Authority
from hawser_test.conformance_deflate import Deflate, frames
from hawser_test.hawserd import BUILD, SANITIZER, wait_until
from hawser_test.raw import RawServer, close_frame, frame
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


# ---- every answer to the upgrade, judged by wsecho ----

ECHO_OPENED, ECHO_NOT_CONNECTED, ECHO_REFUSED = 0, 3, 4
UPGRADE = "Upgrade: websocket\r\nConnection: Upgrade\r\n"
ACCEPT = "Sec-WebSocket-Accept: {accept}\r\n"
OK = "HTTP/1.1 101 Switching Protocols\r\n"
ANSWERS = {
    "as it should be": (OK + UPGRADE + ACCEPT, 0),
    "other words": ("HTTP/1.1 101 Web Socket Protocol Handshake\r\n" + UPGRADE + ACCEPT, 0),
    "no words": ("HTTP/1.1 101 \r\n" + UPGRADE + ACCEPT, 0),
    "other case": (OK + "UPGRADE: WebSocket\r\nconnection: keep-alive, UPGRADE\r\n" + ACCEPT, 0),
    "white space": (OK + "Upgrade: \t websocket \r\nConnection:Upgrade\r\n" + ACCEPT, 0),
    "two connection lines": (OK + "Upgrade: websocket\r\nConnection: keep-alive\r\n"
                             "Connection: upgrade\r\n" + ACCEPT, 0),
    "more headers": (OK + UPGRADE + ACCEPT + "Server: x\r\nSet-Cookie: a=b\r\nDate: now\r\n", 0),
    "100 before": ("HTTP/1.1 100 Continue\r\n\r\n" + OK + UPGRADE + ACCEPT, 0),
    "102, 103 before": ("HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" +
                        OK + UPGRADE + ACCEPT, 0),
    "first of the subprotocols": (OK + UPGRADE + ACCEPT + "Sec-WebSocket-Protocol: one\r\n", 0),
    "last of the subprotocols": (OK + UPGRADE + ACCEPT + "Sec-WebSocket-Protocol: two\r\n", 0),
    "no upgrade": (OK + "Connection: Upgrade\r\n" + ACCEPT, ECHO_REFUSED),
    "another upgrade": (OK + "Upgrade: h2c\r\nConnection: Upgrade\r\n" + ACCEPT, ECHO_REFUSED),
    "one upgrade more": (OK + "Upgrade: websocket, h2c\r\nConnection: Upgrade\r\n" + ACCEPT, ECHO_REFUSED),
    "no connection": (OK + "Upgrade: websocket\r\n" + ACCEPT, ECHO_REFUSED),
    "connection closes": (OK + "Upgrade: websocket\r\nConnection: close\r\n" + ACCEPT, ECHO_REFUSED),
    "no accept": (OK + UPGRADE, ECHO_REFUSED),
    "empty accept": (OK + UPGRADE + "Sec-WebSocket-Accept:\r\n", ECHO_REFUSED),
    "another accept": (OK + UPGRADE + "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n", ECHO_REFUSED),
    "accept in another case": (OK + UPGRADE + "Sec-WebSocket-Accept: {swapped}\r\n", ECHO_REFUSED),
    "two accepts": (OK + UPGRADE + ACCEPT + ACCEPT, ECHO_REFUSED),
    "two different accepts": (OK + UPGRADE + ACCEPT + "Sec-WebSocket-Accept: x\r\n", ECHO_REFUSED),
    "another subprotocol": (OK + UPGRADE + ACCEPT + "Sec-WebSocket-Protocol: three\r\n", ECHO_REFUSED),
    "both subprotocols": (OK + UPGRADE + ACCEPT + "Sec-WebSocket-Protocol: one, two\r\n", ECHO_REFUSED),
    "200": ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + UPGRADE + ACCEPT + "\r\nhi", ECHO_REFUSED),
    "204": ("HTTP/1.1 204 No Content\r\n", ECHO_REFUSED),
    "302": ("HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n", ECHO_REFUSED),
    "401": ("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n", ECHO_REFUSED),
    "426 for another version": ("HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 8\r\n"
                                "Content-Length: 0\r\n", ECHO_REFUSED),
    "HTTP/2": ("HTTP/2.0 101 Switching Protocols\r\n" + UPGRADE + ACCEPT, ECHO_REFUSED),
    "folded line": (OK + "Upgrade: websocket\r\nConnection:\r\n Upgrade\r\n" + ACCEPT, ECHO_REFUSED),
    "NUL": (OK + UPGRADE + "X: \0\r\n" + ACCEPT, ECHO_REFUSED),
    "space before the colon": (OK + UPGRADE + "Sec-WebSocket-Accept : {accept}\r\n", ECHO_REFUSED),
    "no HTTP": ("SSH-2.0-OpenSSH_9.2\r\n", ECHO_REFUSED),
    "1xx for ever": ("HTTP/1.1 100 Continue\r\n\r\n" * 2000, ECHO_REFUSED),
    "a head of 16 KiB": (OK + UPGRADE + ACCEPT + "X: " + "y" * 16384 + "\r\n", ECHO_REFUSED),
    "nothing": (None, ECHO_NOT_CONNECTED),
    "half a line": ("HTTP/1.1 10", ECHO_NOT_CONNECTED),
}


@pytest.mark.parametrize("bytewise", [False, True], ids=["whole", "bytewise"])
@pytest.mark.parametrize("name", ANSWERS)
def test_F04_every_answer(name, bytewise):
    answer, wanted = ANSWERS[name]
    def script(connection):
        head = connection.head()
        if answer is None or answer.endswith(" 10"):
            connection.send((answer or "").encode())
            return
        accept = conformance.accept_key(head)
        data = answer.replace("{accept}", accept).replace("{swapped}", accept.swapcase()).encode()
        data += b"\r\n" + frame(1, b"hello") + close_frame(1000)
        step = 1 + len(data) // 5000 if bytewise else len(data)
        for at in range(0, len(data), step):
            connection.send(data[at : at + step])
        if wanted == ECHO_OPENED:
            assert connection.frame() == (1, b"hello") and connection.frame() == (8, b"\x03\xe8")

    server = RawServer(script)
    try:
        done = subprocess.run([BUILD / "tests/tools/wsecho", f"ws://127.0.0.1:{server.port}/",
                               "--subprotocol", "one, two"], capture_output=True, text=True, timeout=60)
        assert not SANITIZER.search(done.stderr), done.stderr
        assert done.returncode == wanted, done.stdout
        assert ("messages 1 bytes 5" in done.stdout) == (wanted == ECHO_OPENED), done.stdout
    finally:
        server.stop()


# ---- what is said of a refusal ----

def test_F01_a_wrong_path_is_told_with_its_address(hawser, service, ca):
    """The address without what is secret in it; and a long page does not take the room of the fix."""
    service.set(handshake={"status": 404, "body": "no such page " * 100})
    hawser.scaiwave(service, ca=ca, start="oldest")
    hawser.start()
    reason = hawser.wait_state("held")["reason"]
    assert reason.startswith("status 404: no such page no such page")
    assert "Fix: check `host`" in reason and reason.endswith(")"), reason
    hawser.wait_log(r"chat \[[0-9a-f]+\]: ended: status 404 from " + re.escape(service.host) + r"/v1/stream\n")


def test_F02_words_deep_in_a_page_are_found(hawser, service, ca):
    page = "<html>" + "<p>sorry</p>" * 150 + "your key is over its quota</html>"
    assert 1500 < len(page) < 2048
    service.set(handshake={"status": 403, "body": page})
    hawser.scaiwave(service, ca=ca, start="oldest", **{"status__403/over its quota": "hold 45m"})
    hawser.start()
    status = hawser.wait_state("held")
    assert "over its quota" in status["reason"]
    assert 40 * 60_000 < status["retry_in_ms"]


@pytest.mark.parametrize("length", [2048, 2049, 1 << 20])
def test_F02_of_a_page_only_so_much_is_read(hawser, service, ca, length):
    service.set(handshake={"status": 400, "body": "y" * length})
    hawser.scaiwave(service, ca=ca, start="oldest")
    hawser.start()
    assert hawser.wait_state("held")["reason"].startswith("status 400: yyyy")
    heals(hawser, service, dials=1)


@pytest.mark.parametrize("tls", [True, False])
def test_F01_wrong_scheme(hawser, ca, tls):
    """wss to a port without TLS, ws to one with it."""
    service = Service(None if tls else ca.localhost)
    try:
        port = service.host.rpartition(":")[2]
        scheme, host = ("wss", "localhost") if tls else ("ws", "127.0.0.1")
        hawser.stream("raw", profile="generic", url=f"{scheme}://{host}:{port}/v1/stream", tls_ca=ca.cert)
        hawser.start()
        hawser.wait_status(lambda s: s["attempts"] >= 1 and s.get("reason"), "an attempt", "raw")
        hawser.wait_log(rf"ended: \w+ from {host}:{port}/v1/stream")
    finally:
        service.stop()


# ---- closing ----

@pytest.mark.parametrize("how", ["silent", "answers and stays", "talks on"])
def test_F31_a_peer_that_does_not_let_go(hawser, how):
    """hawserd says 1001, waits its two seconds and no longer, and takes nothing after that."""
    codes = []

    def script(connection):
        connection.accept_websocket()
        connection.send(frame(1, b'{"n":1}'))
        codes.append(connection.until_close())
        if how == "answers and stays":
            connection.send(close_frame(1001))
        while True:
            if how == "talks on":
                connection.send(frame(1, b'{"n":2}') + frame(9, b"there?"))
                time.sleep(0.01)
            elif not connection.sock.recv(4096):
                return

    server = RawServer(script)
    try:
        generic(hawser, server)
        hawser.wait_state("live", stream="raw")
        with hawser.consumer() as consumer:
            consumer.subscribe(**{"from": "oldest"})
            consumer.wait_events(1)
        start = time.monotonic()
        hawser.stop()
        assert time.monotonic() - start < 5
        assert codes == [1001]
    finally:
        server.stop()


# ---- compressed ----

def test_F33_a_compressed_bomb(hawser):
    """A message that inflates to 300 MB costs no memory, is said once, and the link goes on."""
    deflate, extra = Deflate().answer()
    bomb = frames(2, deflate.deflate(bytes(300 << 20)), 4096)
    after = frames(1, deflate.deflate(b'{"n":2}'))

    def script(connection):
        connection.accept_websocket(extra=extra)
        connection.send(bomb + after)
        connection.until_close()

    server = RawServer(script)
    try:
        generic(hawser, server)
        with hawser.consumer() as consumer:
            consumer.subscribe(**{"from": "oldest"})
            assert consumer.wait_events(1)[0]["data"] == {"n": 2}
            assert "max_message" in consumer.wait_gap("oversize")["detail"]
        with open(f"/proc/{hawser.process.pid}/status", encoding="ascii") as file:
            most = int(re.search(r"VmHWM:\s+(\d+) kB", file.read()).group(1))
        assert most < 250_000, f"{most} KiB at its highest"
        assert server.accepted == 1
    finally:
        server.stop()


@pytest.mark.parametrize("payload,code", [(b"\xff" * 8, 1007), (b"\0\1\0\xfe\xff\xff\0", 1007)],
                         ids=["does not inflate", "is not UTF-8"])
def test_F31_F32_compressed_data_that_is_broken(hawser, payload, code):
    codes = []

    def script(connection):
        connection.accept_websocket(extra=Deflate().answer()[1])
        connection.send(frames(1, payload))
        codes.append(connection.until_close())

    server = RawServer(script)
    try:
        generic(hawser, server)
        wait_until(lambda: codes, "a close frame")
        assert codes[0] == code
        hawser.wait_log(rf"ended: close {code} \(by us\)")
    finally:
        server.stop()
