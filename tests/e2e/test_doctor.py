"""hawserctl doctor on each way a handshake fails: it names the layer, the cause and what to do (F60)."""

import base64
import itertools
import json
import os
import re
import socket
import stat
import subprocess
import time

import pytest
from hawser_test.certificates import Authority
from hawser_test.hawserd import SANITIZER
from hawser_test.middlebox import Middlebox, NginxProxy
from hawser_test.proxy import SQUID, SQUID_LOGIN, ScriptedProxy, Squid, available
from hawser_test.raw import RawServer, close_frame, frame
from hawser_test.service import Service
from test_dial import Resolver, etc, resolver  # noqa: F401
from test_network import namespaces  # noqa: F401
from test_tls import OpenSsl, bad_server, stoppable  # noqa: F401

TOKEN = "good-token"


class Report:
    def __init__(self, text):
        self.json = json.loads(text)

    def of(self, layer, verdict=None):
        return [found for found in self.json["findings"]
                if found["layer"] == layer and verdict in (None, found["verdict"])]

    def ill(self, layer, text=".", cause=".", fix="."):
        """The one fault that was found, which is at this layer."""
        ill = [found for found in self.json["findings"] if found["verdict"] == "not_ok"]
        assert [found["layer"] for found in ill] == [layer], ill
        for name, words in (("text", text), ("cause", cause), ("fix", fix)):
            assert re.search(words, ill[0].get(name, "")), (name, words, ill[0])
        return self

    def well(self, *layers):
        for layer in layers:
            assert self.of(layer, "ok"), (layer, self.json["findings"])
        return self


@pytest.fixture(scope="module")
def shared_service(ca):
    fake = Service(ca.localhost)
    yield fake
    fake.stop()


@pytest.fixture
def service(shared_service):
    """One process for all of these tests, as it should be at the start of each."""
    shared_service.set(handshake=None, hello=True, tokens=[TOKEN], sync_answer=None)
    shared_service.stats(clear=True)
    return shared_service


@pytest.fixture
def doctor(hawser):
    """doctor(stream or address, options...): its report; it fails unless the status fits."""
    def run(*arguments, target="chat", status=1, listen="0", as_json=True):
        hawser.write_config()
        done = subprocess.run(
            [*hawser.wrapper, hawser.ctl, "--socket", hawser.control, "doctor", target, "--config",
             hawser.config, "--listen", listen, *(["--json"] if as_json else []), *map(str, arguments)],
            env=hawser.env(), timeout=60, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert not SANITIZER.search(done.stderr), done.stderr
        assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
        for secret in hawser.secrets:
            assert secret not in done.stdout + done.stderr
        return Report(done.stdout) if as_json and status < 2 else done.stdout + done.stderr

    return run


@pytest.fixture
def generic(hawser, doctor, stoppable):  # noqa: F811
    """generic(script): doctor's report of a stream to a server that does as the script says."""
    def run(script, *arguments, status=1, listen="0", **settings):
        server = stoppable(RawServer(script))
        hawser.stream("chat", profile="generic", url=f"ws://127.0.0.1:{server.port}/feed?x=1", **settings)
        return doctor(*arguments, status=status, listen=listen)

    return run


# ---- all well ----

def test_F60_all_well(hawser, service, ca, doctor):
    hawser.scaiwave(service, ca=ca)
    report = doctor(status=0, listen="500ms")
    report.well("credential", "dns", "tcp", "tls", "upgrade", "hello", "ping", "listen", "sync")
    link = report.json["link"]
    assert [cert["subject"] for cert in link["chain"]] == ["CN=localhost", "CN=hawser test CA"]
    assert link["status"] == 101 and len(link["rtt_ms"]) == 5
    # It looks, and changes nothing.
    assert service.stats()["refreshes"] == []
    text = doctor(status=0, as_json=False)
    assert "all well" in text and re.search(r"^ok +hello .*what the profile waits for came", text, re.M)


def test_F60_of_a_stream_that_lives(chat, doctor):
    report = doctor("--dials", "3", status=0).well("hello")
    assert "the stream is live; it has a link up" in report.of("hawserd")[0]["text"]
    # Without --socket it looks where the configuration puts it.
    done = subprocess.run([chat.ctl, "doctor", "chat", "--config", chat.config, "--listen", "0", "--json"],
                          env=chat.env(), timeout=60, capture_output=True, text=True)
    assert "it has a link up" in Report(done.stdout).of("hawserd")[0]["text"]
    assert "--dials was left out" in report.of("hawserd")[1]["text"] and "dials" not in report.json
    chat.sections["stream chat"]["limits.links"] = 1
    report = doctor(status=0).well("tcp")
    assert "limits.links allows one" in report.of("hawserd", "skipped")[0]["text"] and not report.of("upgrade")


def test_F60_an_address(hawser, service, ca, doctor):
    url = f"wss://{service.host}/v1/stream"
    token = hawser.secret()
    doctor("--profile", "scaiwave", f"token=file:{token}", f"tls_ca={ca.cert}", "http:sync.url="
           f"https://{service.host}/v1/sync", target=url, status=0).well("hello", "sync")
    # The generic profile has neither credential nor hello.
    doctor(f"tls_ca={ca.cert}", target=url).ill("upgrade", "status 401", "missing, wrong or expired", "renew it")


def test_F60_usage(hawser, doctor):
    hawser.stream("chat", profile="generic", url="ws://127.0.0.1:1/")
    assert "did you mean chat?" in doctor(target="chta", status=2)
    assert "takes a duration" in doctor("--listen", "soon", status=2)
    assert "a number from 2 to 20" in doctor("--dials", "1", status=2)
    assert "ws:// or wss://" in doctor(target="https://localhost/", status=2)
    assert "option --nonsense" in doctor("--nonsense", status=2)


# ---- the credential ----

def jwt(exp):
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
    return f"{part({'alg': 'none'})}.{part({'exp': exp})}.c2lnbmF0dXJl"


def test_F13_credential_missing(hawser, service, ca, doctor):
    hawser.scaiwave(service, ca=ca, token="file:/nowhere/token")
    report = doctor().ill("credential", "/nowhere/token.*No such file", "does not even dial",
                          "put the secret where")
    # TLS was looked at all the same; what needs the token was not.
    report.well("dns", "tcp", "tls")
    assert report.of("upgrade")[0]["verdict"] == "skipped" and not report.of("sync")
    assert report.json["stopped"] == "credential"


def test_F13_credential_for_all_to_read(hawser, service, ca, doctor):
    hawser.scaiwave(service, ca=ca, token=f"file:{hawser.secret('open', mode=0o644)}")
    doctor().ill("credential", "can be read by others; chmod 600", fix="0600")


def test_F14_credential_expired(hawser, service, ca, doctor):
    old, new = jwt(time.time() - 7200), jwt(time.time() + 7260)
    service.set(tokens=[old, new])
    hawser.scaiwave(service, ca=ca, token=f"file:{hawser.secret('jwt', old)}")
    doctor().ill("credential", r"token has expired, 2h(\dm)? ago", "no longer good", "put a new one")
    hawser.secret("jwt", new)
    assert "expires in 2h" in doctor(status=0).of("credential", "detail")[0]["text"]


def test_F13_credential_of_a_program(hawser, service, ca, doctor):
    program = hawser.directory / "token-program"
    program.write_text(f"#!/bin/sh\necho {TOKEN}\n")
    program.chmod(0o700)
    hawser.scaiwave(service, ca=ca, token=f"exec:{program}")
    doctor(status=0).well("credential", "hello")
    hawser.scaiwave(service, ca=ca, token=f"exec:{program} and more")
    program.write_text("#!/bin/sh\nexit 3\n")
    doctor().ill("credential", "exit status 3")


def test_F16_uses_what_a_refresh_has_brought_and_spends_none(hawser, ca, doctor, stoppable):  # noqa: F811
    service = stoppable(Service(ca.localhost, refresh_ttl=3600))
    hawser.scaiwave(service, ca=ca, token=f"file:{hawser.secret('old', 'stale-token')}",
                    refresh_token=f"file:{hawser.secret('refresh', 'good-refresh')}", start="oldest")
    # Before hawserd has refreshed it: refused, and left alone.
    report = doctor()
    assert "status 401" in report.of("upgrade", "not_ok")[0]["text"]
    assert any("hawserd answers this with: refresh" in found["text"] for found in report.of("upgrade", "detail"))
    assert service.stats()["refreshes"] == []
    hawser.start().wait_state("live")
    refreshes = len(service.stats()["refreshes"])
    assert refreshes > 0
    report = doctor(status=0).well("hello", "sync")
    assert "hawserd's last refresh" in report.of("credential")[0]["text"]
    assert len(service.stats()["refreshes"]) == refreshes
    # Another source has another value: what was brought for the old one does not count.
    hawser.secret("old", "another-token")
    assert "last refresh" not in doctor().of("credential")[0]["text"]


# ---- names and addresses ----

def test_F07_no_such_name(hawser, doctor, resolver, namespaces):  # noqa: F811
    hawser.wrapper = ["ip", "netns", "exec", namespaces[0]]
    hawser.stream("chat", profile="generic", url="wss://chta.test/")
    doctor().ill("dns", "chta.test: .*Name or service not known", "no address here", "spelling")
    assert doctor().json["stopped"] == "dns"


def test_F07_a_resolver_that_is_silent(hawser, doctor, resolver, namespaces):  # noqa: F811
    resolver.silent = True
    hawser.wrapper = ["ip", "netns", "exec", namespaces[0]]
    hawser.stream("chat", profile="generic", url="wss://chat.test/", dns_timeout="500ms")
    doctor().ill("dns", "not finished within|in time|timed out|no answer", "resolver does not answer",
                 "resolv.conf")


def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def test_F08_refused(hawser, doctor):
    hawser.stream("chat", profile="generic", url=f"ws://127.0.0.1:{closed_port()}/")
    assert doctor().ill("tcp", "connection refused", "nothing listens", "check the port").json["stopped"] == "tcp"


def test_F08_a_black_hole(hawser, doctor, namespaces):  # noqa: F811
    hawser.wrapper = ["ip", "netns", "exec", namespaces[0]]
    subprocess.run(["ip", "-n", namespaces[0], "route", "add", "198.51.100.0/24", "dev", "up0"], check=True)
    hawser.stream("chat", profile="generic", url="ws://198.51.100.7:80/", tcp_timeout="700ms",
                  plaintext="yes")
    doctor().ill("tcp", r"198\.51\.100\.7:80: ", "nothing answers|does not lead there", "check")


# ---- the proxy ----

def behind(hawser, service, ca, proxy, **settings):
    hawser.scaiwave(service, ca=ca, proxy=f"http://127.0.0.1:{proxy.port}", **settings)


def test_F10_through_a_proxy(hawser, service, ca, doctor, stoppable):  # noqa: F811
    proxy = stoppable(ScriptedProxy({"localhost": service.port}))
    behind(hawser, service, ca, proxy)
    report = doctor(status=0).well("tunnel", "tls", "hello")
    assert "as `proxy` of the stream says" in report.of("proxy")[0]["text"]


def test_F10_a_proxy_of_the_environment(hawser, doctor, stoppable):  # noqa: F811
    server = stoppable(RawServer(lambda connection: connection.accept_websocket() and connection.until_close()))
    proxy = stoppable(ScriptedProxy({"chat.test": server.port}))
    hawser.stream("chat", profile="generic", url="ws://chat.test/", plaintext="yes")
    hawser.environment["http_proxy"] = f"http://127.0.0.1:{proxy.port}"
    report = doctor(status=0)
    assert "as $http_proxy says" in report.of("proxy")[0]["text"]
    hawser.stream("chat", profile="generic", url=f"ws://127.0.0.1:{server.port}/")
    assert "this host is excepted" in doctor(status=0).of("proxy")[0]["text"]


@pytest.mark.skipif(not available(SQUID, SQUID_LOGIN), reason="no squid")
def test_F10_squid_wants_a_login_or_refuses(hawser, service, ca, doctor, stoppable):  # noqa: F811
    squid = stoppable(Squid(("hawser", "pr0xy-p4ssword")))
    behind(hawser, service, ca, squid)
    report = doctor().ill("tunnel", "407|it wants a login", "the proxy wants a login", "proxy_password")
    assert report.json["stopped"] == "tunnel"
    behind(hawser, service, ca, stoppable(Squid(denied=service.port)))
    doctor().ill("tunnel", "403", fix="CONNECT|allowed|rights")


def test_F10_a_proxy_that_says_nothing_or_does_not_exist(hawser, service, ca, doctor, stoppable):  # noqa: F811
    behind(hawser, service, ca, stoppable(ScriptedProxy(answer=b"", close=False)), proxy_timeout="400ms")
    doctor().ill("tunnel", "CONNECT localhost:.*no answer within 0.4 s", "did not open a tunnel in time",
                 "can reach the service")
    port = closed_port()
    hawser.scaiwave(service, ca=ca, proxy=f"http://127.0.0.1:{port}")
    doctor().ill("tcp", "connection refused", "the proxy.*nothing listens", "check the port of the proxy")
    hawser.scaiwave(service, ca=ca, proxy=f"http://me@127.0.0.1:{port}", proxy_password="file:/nowhere/password")
    doctor().ill("proxy", "/nowhere/password", fix="proxy_password")


# ---- TLS ----

TLS = {
    "expired": ("not renewed in time", "must renew it"),
    "not yet valid": ("clock is behind", "timedatectl"),
    "self-signed": ("made its certificate itself", "tls_ca"),
    "unknown issuer": ("private authority", "tls_ca"),
    "missing intermediate": ("does not send its intermediate", "whole chain"),
    "wrong host": ("for other names", "use a name that stands in it"),
    "client certificate": ("who we are by a certificate", "tls_cert"),
    "too old": ("not safe any more", "TLS 1.2"),
    "weak ciphers": ("no cipher is in common", "forward secrecy"),
}


@pytest.mark.parametrize("kind", TLS)
def test_F05_each_row(hawser, ca, doctor, tmp_path, kind, stoppable):  # noqa: F811
    certificate, options, words = bad_server(kind, ca, tmp_path)
    server = stoppable(OpenSsl(certificate, *options))
    hawser.scaiwave(None, ca=ca, host=f"localhost:{server.port}")
    report = doctor().ill("tls", words, *TLS[kind]).well("dns", "tcp")
    assert report.json["stopped"] == "tls"
    if kind not in ("client certificate", "too old", "weak ciphers"):
        chain = report.json["link"]["chain"]
        assert chain[0]["fault"] == kind.replace(" ", "_").replace("-", "_").replace("missing_intermediate",
                                                                                    "unknown_issuer")
        assert report.json["link"]["tls_fault"] == chain[0]["fault"]


def test_F05_pin_plain_text_and_trust(hawser, ca, service, doctor, stoppable):  # noqa: F811
    hawser.scaiwave(service, ca=ca, tls_pin="sha256/" + base64.b64encode(bytes(32)).decode())
    doctor().ill("tls", "tls_pin does not name", "not one that tls_pin names", "add its pin")
    plain = stoppable(Service())
    hawser.scaiwave(plain, ca=ca)
    doctor().ill("tls", "does not speak TLS", "something else than TLS", "check the port")
    hawser.scaiwave(service, ca=ca, tls_ca="/nowhere/ca.pem")
    doctor().ill("certificates", "/nowhere/ca.pem", fix="tls_ca")


def test_F06_expires_soon(hawser, ca, doctor, stoppable):  # noqa: F811
    from test_tls import day
    hawser.scaiwave(stoppable(Service(ca.issue(end=day(3.5), tag="-soon"))), ca=ca)
    assert "expires in 3d" in doctor(status=0).of("tls", "note")[0]["text"]


def swallow(connection):
    while True:
        connection.fill()


def test_F09_silence_in_tls(hawser, ca, doctor, stoppable):  # noqa: F811
    server = stoppable(RawServer(swallow))
    hawser.scaiwave(None, ca=ca, host=server.host, tls_timeout="400ms")
    doctor().ill("tls", "TLS handshake with .* not finished within 0.4 s", "not finished in time", "MTU")
    cut = stoppable(RawServer(lambda connection: connection.head_of_tls()))
    hawser.scaiwave(None, ca=ca, host=cut.host)
    doctor().ill("tls", "in the TLS handshake", "hung up in the middle", "what stands between")


# ---- the upgrade ----

STATUSES = [
    (400, "does not understand", "profile's"), (401, "token was refused", "put a new one"),
    (402, "plan does not cover", "the account"), (403, "the token may not do this", "tenant and rights"),
    (404, "no stream at this host", "check `host`"), (405, "not for this method", "check the address"),
    (426, "lost the upgrade", "pass Upgrade and Connection"), (429, "too many requests", "what else uses"),
    (500, "fails", "nothing, hawser tries again"), (503, "overloaded or being deployed", "nothing"),
]


def test_F01_F02_statuses(hawser, service, ca, doctor):
    hawser.scaiwave(service, ca=ca)
    for status, cause, fix in STATUSES:
        service.set(handshake={"status": status, "body": f"the service's own words; {TOKEN}",
                               "headers": {"Via": "1.1 edge.example", "Retry-After": "7"}})
        report = doctor().ill("upgrade", rf"status {status} where 101 was wanted: the service's own words; \*\*\*",
                              cause, fix)
        assert any("via: 1.1 edge.example" in found["text"] and "betrays a proxy" in found["text"]
                   for found in report.of("upgrade", "note"))
        assert any(found["text"] == "retry-after: 7" for found in report.of("upgrade", "detail"))
        # Another layer, and well.
        report.well("sync")


def test_F03_stripped(hawser, service, ca, doctor):
    service.set(handshake={"status": 200, "body": "<html>Welcome to the proxy</html>",
                           "headers": {"X-Cache": "MISS"}})
    hawser.scaiwave(service, ca=ca)
    doctor().ill("upgrade", "status 200 where 101 was wanted: <html>Welcome", "answered in its place",
                 "pass Upgrade and Connection")


def test_F03_nginx_that_does_not_pass_upgrade(hawser, doctor, stoppable):  # noqa: F811
    if not NginxProxy.available():
        pytest.skip("no nginx")

    class Stripping(NginxProxy):
        def command(self):
            command = super().command()
            path = self.directory / "nginx.conf"
            path.write_text(re.sub(r"proxy_set_header (Upgrade|Connection)[^;]*;", "", path.read_text()))
            return command

    proxy = stoppable(Stripping(stoppable(Service()).port, idle=60))
    hawser.stream("chat", profile="generic", url=f"ws://127.0.0.1:{proxy.port}/v1/stream?token={TOKEN}")
    report = doctor().ill("upgrade", fix="Upgrade|path|check")
    assert any(found["text"].startswith("server: nginx") for found in report.of("upgrade", "detail"))


@pytest.mark.parametrize("options,words", [
    ({"accept": "AAAAAAAAAAAAAAAAAAAAAAAAAAA="}, "(?i:accept)"),
    ({"extra": "Sec-WebSocket-Protocol: chat\r\n"}, "(?i:protocol)"),
    ({"extra": "Sec-WebSocket-Extensions: permessage-bogus\r\n"}, "(?i:extension)"),
])
def test_F04_a_wrong_101(generic, options, words):
    report = generic(lambda connection: connection.accept_websocket(**options))
    report.ill("upgrade", "handshake: .*" + words, "with a wrong answer", "go around it|check the path")
    assert report.json["link"]["status"] == 101


def test_F09_no_answer_to_the_upgrade(generic):
    generic(swallow, upgrade_timeout="400ms") \
        .ill("upgrade", "no answer within 0.4 s", "no answer to the handshake", "proxy")
    generic(lambda connection: connection.head()) \
        .ill("upgrade", "closed without an answer", "hung up without an answer", "what stands between")


def test_F01_redirects(hawser, generic, service, ca, doctor):
    hawser.scaiwave(service, ca=ca)
    service.set(handshake={"status": 307, "body": "", "headers": {"Location": "/elsewhere"}})
    report = doctor().ill("upgrade", "status 404")
    assert "307 to localhost" in report.of("upgrade", "note")[0]["text"]
    location = "https://elsewhere.example/feed"
    generic(lambda connection: connection.head() and connection.send(
        f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode())) \
        .ill("upgrade", "not followed: .*elsewhere.example", "has moved", "new address")


def test_F62_origin(hawser, peer, feed, doctor):
    peer.origin = "https://app.example"
    feed()
    report = doctor(target="feed").ill("upgrade", "status 403 .*this origin is not allowed")
    assert any("no Origin is sent" in found["text"] for found in report.of("upgrade", "detail"))
    hawser.sections["stream feed"]["connect.header.Origin"] = peer.origin
    doctor(target="feed", status=0)


# ---- hello ----

def test_F12_open_and_at_once_closed(hawser, service, ca, doctor):
    hawser.scaiwave(service, ca=ca)
    service.set(handshake={"close": 4001, "reason": f"no {TOKEN}"})
    doctor().ill("hello", r"accepted, and then: close 4001: no \*\*\*", "invalid or has expired", "put a new one")


def test_F09_no_hello(hawser, service, ca, doctor):
    service.set(hello=False)
    hawser.scaiwave(service, ca=ca, live__timeout="500ms")
    doctor().ill("hello", "timeout in live: not within 0.5 s; not a single message", "no hello came",
                 "check that `host`").well("sync")


def test_F20_another_tenant(hawser, service, ca, doctor):
    hawser.scaiwave(service, ca=ca, tenant="tenant-2")
    doctor().ill("hello", "rule wrong-tenant of the profile stops here", "another tenant than configured",
                 "token of the right tenant")


def test_F39_a_service_that_wants_to_be_spoken_to(hawser, doctor, stoppable):  # noqa: F811
    """Sends are made, in the order and with the answers that the profile says."""
    said = []

    def script(connection):
        connection.accept_websocket()
        connection.send(frame(1, b'{"type":"auth_required"}'))
        for answer in (b'{"type":"auth_ok"}', b'{"type":"result","success":true}'):
            said.append(json.loads(connection.frame()[1]))
            connection.send(frame(1, answer))
        connection.until_close()

    server = stoppable(RawServer(script))
    hawser.stream("chat", profile="home-assistant", host="localhost", token=f"file:{hawser.secret()}",
                  **{"connect.url": f"ws://127.0.0.1:{server.port}/api/websocket"})
    doctor(status=0).well("hello")
    assert said == [{"type": "auth", "access_token": TOKEN}, {"id": 1, "type": "subscribe_events"}]


# ---- pings and listening ----

def test_F22_no_pong(generic):
    def script(connection):
        connection.accept_websocket()
        connection.frame()  # a ping
        connection.frame()  # our close
        connection.send(close_frame(1000))

    generic(script, heartbeat__pong_timeout="500ms").ill("ping", "no pong to 1 ping", "open and dead", "heartbeat.idle")


def test_F23_an_idle_cut(hawser, doctor, stoppable):  # noqa: F811
    if not NginxProxy.available():
        pytest.skip("no nginx")
    proxy = stoppable(NginxProxy(stoppable(Service()).port, idle=2))
    base = f"127.0.0.1:{proxy.port}"
    hawser.scaiwave(None, host=base, **{"connect.url": f"ws://{base}/v1/stream",
                                        "http:sync.url": f"http://{base}/v1/sync"})
    report = doctor(listen="20s")
    report.ill("listen", r"close 1006.*after [12](\.\d)?s without a byte", "cuts links that are silent",
               r"heartbeat.ws_ping = (1s|9\d\dms), half of it")
    assert any("server: nginx" in found["text"] for found in report.of("upgrade", "detail"))


def test_F11_bursts(hawser, doctor, stoppable):  # noqa: F811
    def script(connection):
        connection.accept_websocket()
        connection.sock.settimeout(0.1)
        for n in itertools.count():
            connection.send(frame(1, json.dumps({"n": n, "at": time.time()}).encode()))
            try:
                opcode, payload = connection.frame()
            except TimeoutError:
                continue
            connection.send(frame(10, payload) if opcode == 9 else close_frame(1000))
            if opcode == 8:
                return

    box = stoppable(Middlebox(stoppable(RawServer(script)).port, hold=3.5))
    hawser.stream("chat", profile="generic", url=f"ws://127.0.0.1:{box.port}/", **{"event.time": "/at"})
    report = doctor(listen="9s")
    found = {found["layer"]: found for found in report.json["findings"] if found["verdict"] == "not_ok"}
    assert set(found) == {"ping", "listen"}
    assert "holds frames back" in found["ping"]["cause"] and "proxy_buffering off" in found["ping"]["fix"]
    assert re.search(r"nothing came for up to 3(\.\d)?s, and then all at once", found["listen"]["text"])


# ---- frames and messages ----

@pytest.mark.parametrize("bytes_,code,cause", [
    (frame(1, b"x", mask=b"abcd"), 1002, "broke the WebSocket protocol"),
    (frame(1, b"x", rsv=2), 1002, "broke the WebSocket protocol"),
    (frame(3, b"x"), 1002, "broke the WebSocket protocol"),
    (frame(1, b"\xff\xfe"), 1007, "not UTF-8"),
])
def test_F31_F32_bad_frames(generic, bytes_, code, cause):
    def script(connection):
        connection.accept_websocket(also=bytes_)
        connection.until_close()

    report = generic(script)
    ill = [found for found in report.json["findings"] if found["verdict"] == "not_ok"]
    assert [found["layer"] for found in ill] == ["listen"] and f"close {code}" in ill[0]["text"], ill
    assert cause in ill[0]["cause"] and "report it to the service" in ill[0]["fix"]


def test_F33_F34_messages_that_are_not_as_they_should_be(hawser, peer, feed, doctor):
    feed(**{"connect.max_message": "1K"})
    peer.greeting = ['{"type":"event","id":{}}', json.dumps({"type": "event", "big": "x" * 2000}), "{broken"]
    report = doctor(target="feed", listen="500ms", status=0)
    said = " ".join(found["text"] for found in report.of("hello", "note"))
    assert "not as the profile says" in said and "over connect.max_message" in said


# ---- the catch-up request ----

def test_F40_sync_fails_while_the_link_is_well(hawser, service, ca, doctor):
    hawser.scaiwave(service, ca=ca)
    service.set(sync_answer={"status": 500, "body": "database is down"})
    report = doctor().ill("sync", "v1/sync: status 500: database is down", "fails", "nothing").well("hello", "ping")
    assert any("the WebSocket is well all the same" in found["text"] for found in report.of("sync", "detail"))
    service.set(sync_answer={"status": 200, "body": "<html>login</html>"})
    doctor().ill("sync", "200, but", "not what the profile says", "check the address")


# ---- the fallback ----

def open_and_wait(connection):
    connection.accept_websocket()
    connection.until_close()


def answering(head, body=b"data: 1\n\n"):
    def script(connection):
        connection.head()
        connection.send(f"HTTP/1.1 {head}\r\n\r\n".encode() + body)
        connection.take(1)
    return script


@pytest.fixture
def fallback(generic, stoppable):  # noqa: F811
    """fallback(what answers, ...): doctor's report of a stream with an SSE fallback."""
    def run(script, link=open_and_wait, **arguments):
        server = stoppable(RawServer(script))
        return generic(link, **arguments, **{"fallback:sse.transport": "sse",
                                             "fallback:sse.url": f"http://127.0.0.1:{server.port}/sse"})

    return run


def test_F43_the_fallback_is_well(fallback):
    report = fallback(answering("200 OK\r\nContent-Type: text/event-stream;charset=utf-8"), status=0)
    assert re.search("SSE request to 127.0.0.1:.*/sse: 200 in", report.well("fallback").of("fallback", "ok")[0]["text"])


def test_F43_the_fallback_is_refused_while_the_link_is_well(fallback):
    report = fallback(answering("404 Not Found\r\nContent-Length: 7", b"no such"))
    report.ill("fallback", "/sse: status 404: no such").well("upgrade")
    assert any("nothing takes its place" in found["text"] for found in report.of("fallback", "detail"))


def test_F43_the_fallback_is_something_else(fallback):
    report = fallback(answering("200 OK\r\nContent-Type: text/html", b"<html>"), status=0)
    assert 'as "text/html"' in report.of("fallback", "note")[0]["text"]


def test_F43_the_fallback_does_not_answer(fallback):
    fallback(swallow, catchup__timeout="400ms").ill("fallback", "within 0.4 s")


def test_F43_the_fallback_is_well_where_the_link_is_not(hawser, doctor, stoppable):  # noqa: F811
    closed = socket.create_server(("127.0.0.1", 0))
    dead = closed.getsockname()[1]
    closed.close()
    server = stoppable(RawServer(answering("200 OK\r\nContent-Type: text/event-stream")))
    hawser.stream("chat", profile="generic", url=f"ws://127.0.0.1:{dead}/feed",
                  **{"fallback:sse.transport": "sse", "fallback:sse.url": f"http://127.0.0.1:{server.port}/sse"})
    doctor().ill("tcp").well("fallback")
    hawser.stream("chat", profile="generic", url=f"ws://127.0.0.1:{dead}/feed",
                  **{"fallback:sse.transport": "sse", "fallback:sse.url": f"http://127.0.0.1:{dead}/sse"})
    assert doctor().ill("tcp").of("fallback") == []


def test_F43_a_long_poll_that_is_the_catch_up(hawser, service, ca, doctor):
    hawser.scaiwave(service, ca=ca)
    assert "the catch-up's request, with a wait" in doctor(status=0).well("fallback").of("fallback")[0]["text"]


# ---- several dials ----

def test_F61_backends_compared(hawser, doctor, stoppable):  # noqa: F811
    count = itertools.count()

    def script(connection):
        connection.fill()  # not a connection that only looks at TCP
        n = next(count)
        if n % 3 == 2:
            connection.send(b"HTTP/1.1 503 No\r\nServer: pod-c\r\nContent-Length: 0\r\n\r\n")
            return
        connection.accept_websocket(
            extra=f"Server: pod-{'ab'[n % 3]}\r\nSet-Cookie: pod={n}-s3cret-value; Path=/\r\n")
        connection.until_close()

    server = stoppable(RawServer(script))
    hawser.stream("chat", profile="generic", url=f"ws://127.0.0.1:{server.port}/")
    report = doctor("--dials", "6")
    found = report.of("dials", "not_ok")[0]
    assert re.search(r"^4 of 6 were well; 1 address, 3 kinds of server", found["text"]), found
    assert "not of one kind" in found["cause"] and "one backend" in found["fix"]
    servers = {dial["server"] for dial in report.json["dials"]}
    assert servers == {"pod-a", "pod-b", "pod-c"}
    assert any("pod=***" in dial["cookies"] for dial in report.json["dials"])
    assert "s3cret-value" not in json.dumps(report.json)


# ---- by hand, and for a ticket ----

def test_F60_curl(hawser, service, ca, doctor):
    hawser.scaiwave(service, ca=ca)
    text = doctor("--curl", status=0, as_json=False)
    assert f"TOKEN=$(cat '{hawser.directory}/token')" in text and "token=${TOKEN}" in text
    script = text.split("# TLS alone:")[0].replace("--max-time 10", "--max-time 2")
    done = subprocess.run(["bash", "-c", script], capture_output=True)
    assert b"HTTP/1.1 101" in done.stdout, done
    tls = text.split("# TLS alone:")[1]
    assert "Verify return code: 0 (ok)" in subprocess.run(["bash", "-c", tls], capture_output=True, text=True).stdout


def encodings(secret):
    """As redaction knows them: plain, percent-encoded, JSON, and base64 at each offset."""
    raw = secret.encode()
    yield secret
    yield "".join(f"%{byte:02X}" for byte in raw)
    yield "".join(f"%{byte:02x}" for byte in raw)
    yield json.dumps(secret)[1:-1]
    for before in (b"", b"u", b"u:"):
        yield base64.b64encode(before + raw + b":x").decode()
        yield base64.urlsafe_b64encode(before + raw + b":x").decode().rstrip("=")


SECRET = 'q"x/9+~Zk%tok en?>12\\34'


def test_F60_bundle(hawser, ca, doctor, stoppable):  # noqa: F811
    echo = " ".join(encodings(SECRET))

    def script(connection):
        connection.accept_websocket(extra=f"X-Echo: {echo}\r\nServer: edge\r\n")
        connection.send(frame(1, json.dumps({"hello": list(encodings(SECRET))}).encode()))
        connection.send(close_frame(4003, f"go {SECRET}".encode()))
        connection.until_close()

    server = stoppable(RawServer(script, ca.localhost))
    hawser.stream("chat", profile="generic", url=f"wss://{server.host}/feed", tls_ca=ca.cert,
                  token=f"file:{hawser.secret('odd', SECRET)}")
    path = hawser.directory / "bundle.txt"
    doctor("--bundle", path, listen="5s")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    text = path.read_text()
    for form in encodings(SECRET):
        assert form not in text, form
    assert "***" in text
    for wanted in (r"^hawser \d", "libuv 1", "wslay", "mbed TLS", r"^id [0-9a-f]{8}$", r"^begun 2\d{3}-.*Z$",
                   r"close 4003: go \*\*\*", "^server: edge$", r"^Authorization: Bearer \*\*\*$",
                   "^status 101$", r"^url = wss://", "NOT OK +(hello|listen|ping)"):
        assert re.search(wanted, text, re.M), wanted
    # What is there is not overwritten.
    doctor("--bundle", path, listen="0")
    assert path.read_text() == text


def test_F60_bundle_has_what_the_daemon_says(chat, doctor):
    path = chat.directory / "bundle.txt"
    doctor("--bundle", path, status=0)
    text = path.read_text()
    assert '"state":"live"' in text and "== hawserd's status" in text
    assert TOKEN not in text
