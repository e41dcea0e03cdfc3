"""TLS as an operator meets it: what is refused and why, what heals, what is resumed, our own certificate."""

import base64
import hashlib
import re
import socket
import subprocess
import threading
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hawser_test.certificates import Authority, openssl
from hawser_test.raw import RawServer
from hawser_test.service import Service

DATES = r"valid \d{4}-\d\d-\d\d to \d{4}-\d\d-\d\d"


class Front:
    """A port that stays, before servers that come and go: each connection goes to the one of now."""

    def __init__(self, port):
        self.backend = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.host = f"localhost:{self.port}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
                server = socket.create_connection(("127.0.0.1", self.backend))
            except OSError:
                if self.listener.fileno() < 0:
                    return
                client.close()
                continue
            for pair in ((client, server), (server, client)):
                threading.Thread(target=self.relay, args=pair, daemon=True).start()

    @staticmethod
    def relay(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def stop(self):
        self.listener.close()


class OpenSsl:
    """openssl s_server, on a port of its own choice."""

    def __init__(self, certificate, *options):
        self.process = subprocess.Popen(
            ["openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", certificate.cert, "-key",
             certificate.key, *map(str, options)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True)
        for line in self.process.stdout:
            if match := re.match(r"ACCEPT 127\.0\.0\.1:(\d+)", line):
                self.port = int(match[1])
                break
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()


@pytest.fixture
def stoppable():
    """What is stopped after the test."""
    things = []
    yield lambda thing: things.append(thing) or thing
    for thing in things:
        thing.stop()


def day(days):
    return (datetime.now(timezone.utc) + timedelta(days=days)).strftime("%Y%m%d%H%M%SZ")


def bad_server(kind, ca, tmp_path):
    """(certificate, options, what its refusal says)"""
    subject, issuer = "CN=localhost", "issued by CN=hawser test CA, " + DATES
    if kind == "expired":
        return ca.issue(end=day(-3.01), tag="-e"), (), \
            rf"certificate of {subject} expired 3 days ago \(\d{{4}}-\d\d-\d\d\), {issuer}"
    if kind == "not yet valid":
        return ca.issue(start=day(12.01), tag="-n"), (), \
            rf"certificate of {subject} is not valid before \d{{4}}-\d\d-\d\d \(in 12 days; is this " \
            rf"machine's clock right\?\), {issuer}"
    if kind == "self-signed":
        return ca.self_signed(), (), \
            rf"certificate of {subject} is self-signed and not in \S+ca\.pem, issued by {subject}, {DATES}"
    if kind == "unknown issuer":
        return Authority(tmp_path / "other", "another CA").issue(), (), \
            rf"certificate of {subject} has an issuer that is neither in \S+ca\.pem nor sent by the " \
            rf"server.*, issued by CN=another CA, {DATES}"
    if kind == "missing intermediate":
        return Authority(tmp_path / "middle", "middle CA", ca).issue(), (), \
            rf"certificate of {subject} has an issuer .*a missing intermediate certificate.*, issued " \
            rf"by CN=middle CA, {DATES}"
    if kind == "wrong host":
        return ca.issue("other.example"), (), \
            rf"certificate of CN=other\.example is not for localhost but for other\.example, {issuer}"
    if kind == "client certificate":
        return ca.issue(tag="-s"), ("-Verify", "1"), "it wants a client certificate: tls_cert and tls_key"
    if kind == "too old":
        return ca.issue(tag="-o"), ("-tls1_1", "-cipher", "ALL:@SECLEVEL=0"), "it does not speak TLS 1.2"
    if kind == "weak ciphers":
        return ca.issue(tag="-w"), ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"), \
            "handshake_failure: no version, cipher or key exchange in common"
    raise AssertionError(kind)


@pytest.mark.parametrize("kind", ["expired", "not yet valid", "self-signed", "unknown issuer",
                                  "missing intermediate", "wrong host", "client certificate", "too old",
                                  "weak ciphers"])
def test_F05_each_its_own_message_held_and_healed(hawser, ca, service, tmp_path, kind, stoppable):
    certificate, options, words = bad_server(kind, ca, tmp_path)
    server = stoppable(OpenSsl(certificate, *options))
    front = stoppable(Front(server.port))
    hawser.scaiwave(service, ca=ca, host=front.host, start="oldest", failure__tls="hold 2s")
    hawser.start()
    status = hawser.wait_state("held")
    assert re.search(words, status["reason"]), status["reason"]
    assert 0 < status["retry_in_ms"] <= 2400
    # Renewed: nobody has to tell hawser.
    front.backend = service.port
    hawser.wait_state("live")


def test_F05_intermediate_that_is_sent_is_fine(hawser, ca, tmp_path, stoppable):
    middle = Authority(tmp_path / "middle", "middle CA", ca)
    certificate = middle.issue()
    certificate.cert.write_text(certificate.cert.read_text() + middle.cert.read_text())
    service = stoppable(Service(certificate))
    hawser.scaiwave(service, ca=ca, start="oldest")
    hawser.start().wait_state("live")


@pytest.mark.parametrize("names,good", [("IP:127.0.0.1", True), ("DNS:127.0.0.1,IP:127.0.0.2", False)])
def test_F05_host_that_is_an_address(hawser, ca, names, good, stoppable):
    """RFC 6125: an address counts as iPAddress only, never as a dNSName that looks like it."""
    service = stoppable(Service(ca.issue("addressed", names=names, tag=f"-{good}")))
    hawser.scaiwave(service, ca=ca, host=f"127.0.0.1:{service.port}", start="oldest")
    hawser.start()
    if good:
        hawser.wait_state("live")
    else:
        assert "is not for 127.0.0.1 but for 127.0.0.1, 127.0.0.2" in hawser.wait_state("held")["reason"]


def spki_pin(certificate):
    public = subprocess.run(["openssl", "x509", "-in", certificate.cert, "-noout", "-pubkey"],
                            capture_output=True, check=True).stdout
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "der"], input=public,
                         capture_output=True, check=True).stdout
    return "sha256/" + base64.b64encode(hashlib.sha256(der).digest()).decode()


OTHER_PIN = "sha256/" + base64.b64encode(bytes(32)).decode()


def test_pin(hawser, ca, service, stoppable):
    right = spki_pin(ca.localhost)
    hawser.scaiwave(service, name="right", ca=ca, start="oldest", tls_pin=f"{OTHER_PIN}, {right}")
    hawser.scaiwave(service, name="wrong", ca=ca, start="oldest", tls_pin=OTHER_PIN)
    hawser.scaiwave(service, name="authority", ca=ca, start="oldest", tls_pin=spki_pin(ca))
    # A pin is one more check and replaces none.
    other = stoppable(Service(ca.self_signed()))
    hawser.scaiwave(other, name="alone", ca=ca, start="oldest",
                    tls_pin=spki_pin(type("Made", (), {"cert": ca.directory / "self.pem"})))
    hawser.start()
    hawser.wait_state("live", stream="right")
    for name in ("wrong", "authority"):
        reason = hawser.wait_state("held", stream=name)["reason"]
        assert f"has a key that tls_pin does not name, {right}, issued by CN=hawser test CA" in reason
    assert "self-signed" in hawser.wait_state("held", stream="alone")["reason"]


def test_session_is_resumed(hawser, ca, service):
    hawser.scaiwave(service, ca=ca, start="oldest")
    hawser.start().wait_state("live")
    assert "resumed" not in hawser.status("chat")["tls"]
    service.drop("rst")
    hawser.wait_log(r"open to [^\n]*, TLSv[^\n]*, resumed")
    status = hawser.wait_state("live")
    assert status["tls"].endswith(", resumed")
    assert status["certificate"]["whose"].endswith("issued by CN=hawser test CA")


def test_session_is_resumed_after_failed_attempts(hawser, ca, service):
    """A failed attempt has the files looked at anew: as they are the same, the session stays."""
    hawser.scaiwave(service, ca=ca, start="oldest")
    hawser.start().wait_state("live")
    service.down("rst")
    hawser.wait_status(lambda status: status["attempts"] >= 2, "two attempts in vain")
    service.up()
    hawser.wait_log(r"open to [^\n]*, TLSv[^\n]*, resumed")


@pytest.mark.parametrize("days,words", [(13.01, "expires in 13 days"), (2.01, "expires in 2 days"),
                                        (0.5, r"expires in 1[12]h\d*m?"), (15, None)])
def test_F06_certificate_that_expires_soon(hawser, ca, days, words, stoppable):
    service = stoppable(Service(ca.issue(end=day(days), tag=f"-{days}")))
    hawser.scaiwave(service, ca=ca, start="oldest")
    whose = "CN=localhost, issued by CN=hawser test CA"
    hawser.start()
    status = hawser.wait_state("live")
    assert whose in status["certificate"]["whose"]
    left_ms = days * 86_400_000
    assert left_ms - 600_000 < status["certificate"]["expires_in_ms"] <= left_ms
    if words:
        assert re.search(f"the service's certificate of {whose} {words}", status["warning"])
    else:
        assert "warning" not in status
    service.drop("rst")
    hawser.wait_log(r"(?s)> live.*> live")
    assert len(re.findall(r"the service's certificate of", hawser.log())) == (1 if words else 0)


def test_F06_an_authority_that_expires_soon(hawser, tmp_path, stoppable):
    """It counts as part of the chain, before the certificate that it has issued."""
    short = Authority(tmp_path / "short", "short-lived CA", days=2)
    hawser.scaiwave(stoppable(Service(short.issue())), ca=short, start="oldest")
    hawser.start()
    status = hawser.wait_state("live")
    assert "CN=short-lived CA, issued" in status["certificate"]["whose"]
    assert "the service's certificate of CN=short-lived CA" in status["warning"]


def assert_said_once(hawser, whose, words):
    status = hawser.wait_status(lambda status: "warning" in status, "the warning")
    said = f"the service's certificate of CN={whose}, issued by CN=hawser test CA {words}"
    assert said in status["warning"]
    assert f"CN={whose}" in status["certificate"]["whose"]
    assert hawser.log().count("the service's certificate of") == 1
    return status


def test_F06_of_sync_at_another_host(hawser, service, ca, stoppable):
    """The link's certificate is good for years: what sync goes to is watched as well, and said once."""
    sync = stoppable(Service(ca.issue(end=day(2.01), tag="-sync")))
    hawser.scaiwave(service, ca=ca, start="oldest", connect__hosts=f"localhost:{sync.port}",
                    **{"http:sync.url": f"https://localhost:{sync.port}/v1/sync"})
    hawser.start().wait_state("live")
    status = assert_said_once(hawser, "localhost", "expires in 2 days")
    assert 0 < status["certificate"]["expires_in_ms"] < 3 * 86_400_000
    service.drop("rst")
    hawser.wait_log(r"(?s)> live.*> live")
    assert hawser.log().count("the service's certificate of") == 1


def test_F06_of_the_host_that_renews_tokens(hawser, service, ca, stoppable):
    renews = stoppable(Service(ca.issue(end=day(2.01), tag="-renews")))
    service.set(tokens=["access-1-secret"])
    refresh = hawser.secret("refresh", "good-refresh")
    hawser.scaiwave(service, ca=ca, start="oldest", refresh_token=f"file:{refresh}",
                    connect__hosts=f"localhost:{renews.port}",
                    **{"http:refresh.url": f"https://localhost:{renews.port}/v1/auth/refresh"})
    hawser.start().wait_state("live")
    assert [r["token"] for r in renews.stats()["refreshes"]] == ["good-refresh"]
    assert_said_once(hawser, "localhost", "expires in 2 days")


def test_F06_of_a_fallback_at_another_host(hawser, ca, stoppable):
    """Nothing but the fallback is ever up."""
    def refuse(connection):
        connection.head()
        connection.send(b"HTTP/1.1 426 No\r\nContent-Length: 0\r\n\r\n")

    def stream(connection):
        connection.head()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {}\n\n")
        connection.take(1)

    link = stoppable(RawServer(refuse, ca.localhost))
    events = stoppable(RawServer(stream, ca.issue(end=day(13.01), tag="-events")))
    generic(hawser, ca, link, **{"fallback:sse.transport": "sse",
                                 "fallback:sse.url": f"https://localhost:{events.port}/"})
    hawser.start().wait_state("polling", stream="feed")
    status = hawser.wait_status(lambda status: "warning" in status, "the warning", "feed")
    assert "the service's certificate of CN=localhost, issued by CN=hawser test CA expires in 13 days" \
        in status["warning"]
    assert status["certificate"]["expires_in_ms"] < 14 * 86_400_000


# ---- our own certificate ----


@pytest.fixture
def strict(ca, stoppable):
    """A WebSocket server that wants a client certificate of the authority."""
    def script(connection):
        connection.accept_websocket()
        connection.until_close()

    server = stoppable(RawServer(script, ca.localhost))
    server.context.load_verify_locations(ca.cert)
    server.context.verify_mode = 2  # required
    return server


def generic(hawser, ca, server, **settings):
    hawser.stream("feed", **{"profile": "generic", "url": f"wss://localhost:{server.port}/",
                             "tls_ca": ca.cert, "failure.tls": "hold 1s", **settings})


def own(hawser, ca, name="client", **options):
    """A certificate of ours in the daemon's directory, the key for nobody else."""
    made = ca.issue(name, tag=f"-{time.monotonic_ns()}", **options)
    cert, key = hawser.directory / "own.pem", hawser.directory / "own.key"
    cert.write_text(made.cert.read_text())
    key.write_text(made.key.read_text())
    key.chmod(0o600)
    return cert, key


@pytest.mark.parametrize("files", ["two", "one"])
def test_client_certificate(hawser, ca, strict, files):
    cert, key = own(hawser, ca)
    settings = {"tls_cert": cert, "tls_key": key}
    if files == "one":
        key.write_text(key.read_text() + cert.read_text())
        settings = {"tls_cert": key}
    generic(hawser, ca, strict, **settings)
    hawser.start()
    status = hawser.wait_state("live", stream="feed")
    assert status["own_certificate"]["whose"] == "CN=client, issued by CN=hawser test CA"


def test_client_certificate_that_is_not_taken_and_renewed(hawser, ca, strict, tmp_path):
    other = Authority(tmp_path / "other", "another CA")
    cert, key = own(hawser, other, "stranger")
    generic(hawser, ca, strict, tls_cert=cert, tls_key=key, **{"failure.tls": "hold 2s"})
    hawser.start()
    reason = hawser.wait_state("held", stream="feed")["reason"]
    assert "it does not take our client certificate of CN=stranger" in reason
    own(hawser, ca)  # all that the operator has to do
    hawser.wait_state("live", stream="feed")


def spoil(kind, hawser, ca, key):
    if kind == "missing":
        key.unlink()
        return "own.key: No such file"
    if kind == "readable":
        key.chmod(0o644)
        return "own.key can be read by others; chmod 600 it"
    if kind == "encrypted":
        openssl("pkey", "-in", key, "-aes256", "-passout", "pass:secret", "-out", f"{key}.new")
        key.write_bytes(Path(f"{key}.new").read_bytes())
        return "own.key is encrypted"
    if kind == "traditional":
        openssl("ec", "-in", key, "-aes256", "-passout", "pass:secret", "-out", f"{key}.new")
        key.write_bytes(Path(f"{key}.new").read_bytes())
        return "own.key is encrypted"
    if kind == "of another":
        key.write_text(ca.issue("somebody", tag=f"-{time.monotonic_ns()}").key.read_text())
        return "own.key is not the key of the certificate of CN=client"
    if kind == "garbage":
        key.write_text("no key\n")
        return "own.key: no private key"
    own(hawser, ca, end=day(-2.01))
    return "the client certificate of CN=client in .*own.pem expired 2 days ago"


@pytest.mark.parametrize("kind", ["missing", "readable", "encrypted", "traditional", "of another",
                                  "garbage", "expired"])
def test_client_key_that_is_no_good_parks_its_stream_until_it_is_changed(hawser, ca, strict, service, kind):
    cert, key = own(hawser, ca)
    words = spoil(kind, hawser, ca, key)
    hawser.scaiwave(service, ca=ca, start="oldest")
    generic(hawser, ca, strict, tls_cert=cert, tls_key=key)
    hawser.start()
    reason = hawser.wait_state("parked", stream="feed")["reason"]
    assert re.search(words, reason), reason
    hawser.wait_state("live")
    assert strict.accepted == 0
    own(hawser, ca)
    hawser.wait_state("live", stream="feed")


def test_client_certificate_that_expires_soon(hawser, ca, strict):
    cert, key = own(hawser, ca, end=day(0.9))
    generic(hawser, ca, strict, tls_cert=cert, tls_key=key)
    hawser.start()
    hawser.wait_log(r"our client certificate of CN=client, issued by CN=hawser test CA expires in 2\dh")


def test_newer_version_than_the_library_has_is_a_configuration_error(hawser, ca, service):
    hawser.scaiwave(service, ca=ca, tls_min="1.3")
    status, _, errors = hawser.check()
    if status == 0:
        hawser.start()
        assert hawser.wait_state("live")["tls"].startswith("TLSv1.3")
    else:
        assert status == 78
        assert re.search(r"\[stream chat\] has tls_min = 1\.3, and this hawser is built with mbedTLS 2", errors)
