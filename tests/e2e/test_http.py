"""The http listener: what it says, to whom, and how it bears those who misbehave."""

import json
import os
import re
import socket
import subprocess
import time
import urllib.parse

import pytest
from hawser_test import web
from hawser_test.consumer import assert_same
from hawser_test.hawserd import wait_until
from hawser_test.metrics import families

PATHS = ("/metrics", "/status", "/healthz", "/readyz")
HEAD_MAX = 16384


@pytest.fixture
def site(hawser, service, ca):
    """hawserd with http on a Unix socket and on TCP, live. `.web`, `.tcp`: where."""
    hawser.scaiwave(service, ca=ca, start="oldest")
    hawser.web = hawser.runtime / "web.sock"
    hawser.sections["listen web"] = {"path": hawser.web, "protocol": "http"}
    hawser.sections["listen tcp"] = {"tcp": "127.0.0.1:0", "protocol": "http"}
    hawser.start().wait_state("live")
    hawser.tcp = tcp_of(hawser)
    return hawser


def tcp_of(hawser, name="tcp"):
    return "127.0.0.1", int(hawser.wait_log(rf"listen {name}: 127\.0\.0\.1:(\d+)").group(1))


def curl(*arguments):
    return subprocess.run(["curl", "-sS", "--max-time", "30", *map(str, arguments)], check=True,
                          capture_output=True, text=True).stdout


def test_pages_with_curl(site):
    assert curl("--unix-socket", site.web, "http://x/healthz") == "ok\n"
    assert curl("--unix-socket", site.web, "http://x/readyz") == "ok\n"
    status = json.loads(curl("--unix-socket", site.web, "http://x/status"))
    assert status["streams"][0]["state"] == "live"
    host, port = site.tcp
    assert curl(f"http://{host}:{port}/healthz", f"http://localhost:{port}/readyz") == "ok\nok\n"
    head = curl("--head", "--unix-socket", site.web, "http://x/status")
    assert "200 OK" in head and "application/json" in head


def test_readyz_names_who_is_not_well(site, service):
    service.down()
    site.wait_state("waiting")
    status, _, body = web.ask(site.web, "/readyz")
    assert status == 503
    assert body.startswith("chat: waiting: ")
    assert web.ask(site.web, "/healthz")[0] == 200
    status, _, body = web.ask(site.tcp, "/readyz")  # a stranger gets no reasons
    assert (status, body) == (503, "chat: waiting\n")


def test_wrong_requests(site):
    assert web.ask(site.web, "/nope")[0] == 404
    status, headers, _ = web.ask(site.web, "/metrics", method="DELETE")
    assert (status, headers["Allow"]) == (405, "GET, HEAD")
    for text, expected in ((b"hello\r\n\r\n", 400), (b"\x16\x03\x01\x00\n\n", 400),
                           (b"GET / HTTP/1.1\r\n\r\n", 400), (b"GET / HTTP/3.0\r\n\r\n", 505),
                           (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", 413),
                           (b"GET /" + b"x" * 9000, 414),
                           (b"GET / HTTP/1.1\r\nA: " + b"x" * HEAD_MAX, 431)):
        with web.Raw(site.web) as raw:
            raw.send(text)
            answer = raw.rest().decode()
            assert answer.startswith(f"HTTP/1.1 {expected} "), (text[:40], answer)
            assert "Connection: close" in answer


def test_keep_alive_and_requests_ahead(site):
    peer = web.connection(site.web)
    for _ in range(3):
        for path in PATHS:
            peer.request("GET", path)
            assert peer.getresponse().read()
    peer.close()
    with web.Raw(site.web) as raw:
        one = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
        raw.send(one * 5000 + b"HEAD /status HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + one)
        answer = raw.rest()
        assert answer.count(b"HTTP/1.1 200 OK") == 5001  # what follows `close` is not answered
        assert answer.endswith(b"close\r\n\r\n")
    with web.Raw(site.web) as raw:  # byte by byte, and its side shut down after it
        for byte in one:
            raw.send(bytes([byte]))
        raw.socket.shutdown(socket.SHUT_WR)
        assert raw.rest().endswith(b"\r\n\r\nok\n")


# ---- /metrics ----

def test_metrics(site, service):
    with site.consumer() as consumer:
        consumer.subscribe()
        service.publish(7)
        consumer.wait_events(7)
    status, headers, text = web.ask(site.tcp, "/metrics")
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    found = families(text)
    assert found["hawser_stream_state"]['{stream="chat",state="live"}'] == 1
    assert sum(found["hawser_stream_state"].values()) == 1
    assert len(found["hawser_stream_state"]) == 13
    assert sum(found["hawser_events_stored_total"].values()) == 7
    assert found["hawser_events_stored_total"]['{stream="chat",via="audit"}'] == 0
    assert found["hawser_gaps_total"]['{stream="chat",reason="oversize"}'] == 0
    assert found["hawser_store_newest_seq"][""] == 7
    assert found["hawser_clients"]['{listener="tcp"}'] == 1
    assert abs(found["process_start_time_seconds"][""] - time.time()) < 600
    parser = pytest.importorskip("prometheus_client.parser",
                                 reason="python3-prometheus-client is not installed")
    assert len(list(parser.text_string_to_metric_families(text))) == len(found)


# ---- /events ----

def data_of(events, count):
    return [json.loads(events.next()) for _ in range(count)]


def first_event(events):
    """The first that is no notice."""
    while True:
        line = json.loads(events.next())
        if "notice" not in line:
            return line


def test_events_with_curl(site, service):
    service.publish(3)
    with subprocess.Popen(["curl", "-sN", "--unix-socket", site.web, "http://x/events?from=oldest"],
                          stdout=subprocess.PIPE, text=True) as reader:
        lines = []
        while sum(line.startswith("data: ") for line in lines) < 3:
            lines.append(reader.stdout.readline())
        reader.kill()
    instance = site.status()["instance"][:8]
    assert [line.strip() for line in lines if line.startswith("id")] == [
        f"id: {instance}-{seq}" for seq in (1, 2, 3)]


def test_events_are_the_lines_of_ndjson_and_resume(site, service):
    with site.consumer() as consumer:
        consumer.subscribe(notices=False)
        with web.Events(site.web, "?notices=no") as events:
            assert events.status == 200
            published = service.publish(10)
            consumer.wait_events(10)
            assert data_of(events, 10) == consumer.events
            assert events.retry == 2000
            place = events.last_id
        more = service.publish(5)
        consumer.wait_events(15)
        with web.Events(site.web, "?from=oldest&notices=no", f"Last-Event-ID: {place}\r\n") as events:
            assert_same([event["id"] for event in data_of(events, 5)], more.ids)
        with web.Events(site.web, "?from=12&notices=no") as events:
            assert data_of(events, 3) == consumer.events[12:]
        with web.Events(site.web, "?from=oldest&notices=no&type=swp.room.*&stream=ch*") as events:
            assert_same([event["id"] for event in data_of(events, 15)], published.ids + more.ids)
        for foreign in ("00000000-3", site.status()["instance"][:8] + "-99999999"):
            with web.Events(site.web, "", f"Last-Event-ID: {foreign}\r\n") as events:
                reset, first = data_of(events, 2)
                assert reset["notice"] == "store_reset"
                assert first["seq"] == 1


def test_events_state_notices_and_bye(site, service):
    with web.Events(site.web) as events:
        service.drop()
        assert any(notice.get("notice") == "stream" for notice in data_of(events, 2))
    with web.Events(site.web, "?notices=no") as events:
        site.stop()
        assert json.loads(events.next())["notice"] == "bye"
        assert events.rest() == b""
    site.start()


@pytest.mark.parametrize("query", ["from=yesterday", "from=-1", "stream=nope", "steam=chat", "from=%f",
                                   "notices=maybe", "type=" + "x" * 300,
                                   "&".join(["type=a"] * 33)])
def test_events_with_a_wrong_wish(site, query):
    status, _, body = web.ask(site.web, "/events?" + query)
    assert status == 400
    assert len(body) > 20


def test_events_with_a_wrong_id(site):
    assert web.ask(site.web, "/events", headers={"Last-Event-ID": "x"})[0] == 400
    assert web.ask(site.web, "/events?from=1", method="HEAD")[0] == 200


def test_F48_slow_reader_of_events(site, service):
    with web.Events(site.web, "?from=oldest&notices=no") as slow, site.consumer() as quick:
        quick.subscribe()
        published = service.publish(20_000, size=300)
        quick.wait_events(20_000, timeout=90)
        slow.send(b"GET /garbage HTTP/1.1\r\n" * 100)  # means nothing here
        got = data_of(slow, 20_000)
        assert_same([event["id"] for event in got], published.ids)
        assert [event["seq"] for event in got] == quick.seqs


@pytest.mark.seconds(240)
def test_a_quiet_stream_of_events_shows_life(site):
    with web.Events(site.web, "?notices=no", timeout=60) as events:
        assert events.next() is None
        assert events.comments == 1


# ---- who may ----

def test_F51_tcp_shows_no_events_without_a_token(site):
    for path in ("/events", "/status", "/events?from=oldest"):
        status, _, body = web.ask(site.tcp, path)
        assert status == 403
        assert "auth" in body


def test_F51_host_of_a_web_page(site):
    """DNS rebinding: the page's own name, which points here, stands in Host."""
    port = site.tcp[1]
    for host in ("evil.example", f"evil.example:{port}", "localhost.evil.example", "", "metadata"):
        for path in PATHS:
            assert web.ask(site.tcp, path, headers={"Host": host})[0] == 421, host
    for host in ("localhost", f"localhost:{port}", f"127.0.0.1:{port}", "[::1]"):
        assert web.ask(site.tcp, "/healthz", headers={"Host": host})[0] == 200
    with web.Raw(site.tcp) as raw:
        raw.send(b"GET http://evil.example/metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b" 421 " in raw.until(b"\r\n")
    # On a Unix socket whoever is let in by its permissions may use any name.
    assert web.ask(site.web, "/metrics", headers={"Host": "evil.example"})[0] == 200


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else for a moment")
def test_F51_user_that_is_not_allowed(hawser, service, ca):
    hawser.scaiwave(service, ca=ca)
    hawser.sections["listen web"] = {"path": hawser.runtime / "web.sock", "protocol": "http",
                                     "mode": "0666", "allow_users": "daemon"}
    hawser.start()
    hawser.runtime.chmod(0o755)
    where = f"UNIX-CONNECT:{hawser.runtime}/web.sock"
    for user, expected, ask in (("daemon", '"ok":"status"', ["-t10", "-", where]),
                                ("nobody", "allow_users", ["-u", where, "-"]),
                                ("root", '"ok":"status"', ["-t10", "-", where])):
        done = subprocess.run(["setpriv", f"--reuid={user}", "--clear-groups", "socat", *ask],
                              input="GET /status HTTP/1.1\nHost: a\nConnection: close\n\n",
                              capture_output=True, text=True, timeout=30)
        assert expected in done.stdout, (user, done)


def test_F51_token(hawser, service, ca):
    token = hawser.secret("http-token", "s3same-open")
    hawser.scaiwave(service, ca=ca, start="oldest")
    hawser.sections["listen tcp"] = {"tcp": "127.0.0.1:0", "protocol": "http", "auth": f"file:{token}"}
    hawser.start().wait_state("live")
    where = tcp_of(hawser)

    def status(value, path="/status", host="hawser.example"):
        headers = {"Host": host, **({"Authorization": value} if value else {})}
        return web.ask(where, path, headers=headers)[0]

    for wrong in (None, "", "Bearer", "Bearer ", "Bearer s3same-ope", "Bearer s3same-openn",
                  "Bearer S3same-open", "Basic s3same-open", "s3same-open",
                  "Bearer s3same-opens3same-open"):
        for path in (*PATHS, "/events", "/nope"):
            assert status(wrong, path) == 401, (wrong, path)
    assert status("Bearer s3same-open") == 200
    assert status("bearer  s3same-open ") == 200
    service.publish(1)
    with web.Events(where, "?from=oldest", "Authorization: Bearer s3same-open\r\n") as events:
        assert first_event(events)["seq"] == 1
    hawser.secret("http-token", "changed-token")
    wait_until(lambda: status("Bearer changed-token") == 200, "the new token to count")
    assert status("Bearer s3same-open") == 401
    token.unlink()
    wait_until(lambda: status("Bearer changed-token") == 503, "nobody to be let in")
    assert "auth" in hawser.log()


def test_configuration_of_tcp(hawser):
    for settings, what in (({"tcp": "0.0.0.0:9472", "protocol": "http"}, "other machines"),
                           ({"tcp": "127.0.0.1:9472"}, "protocol = http"),
                           ({"tcp": "127.0.0.1:9472", "protocol": "http", "auth": "hunter2"},
                            "never the token")):
        hawser.sections["listen tcp"] = settings
        status, _, errors = hawser.check()
        assert status == 78
        assert what in errors
        assert "hunter2" not in errors
    with socket.create_server(("127.0.0.1", 0)) as taken:
        hawser.sections["listen tcp"] = {"tcp": f"127.0.0.1:{taken.getsockname()[1]}",
                                         "protocol": "http"}
        hawser.write_config()
        status, _, errors = hawser.run("--config", hawser.config)
        assert status == 1
        assert "listen tcp" in errors and "address already in use" in errors


# ---- hostile ----

@pytest.mark.seconds(240)
def test_F50_requests_that_never_end(site):
    """Slowly sent, never sent, and never read to the end."""
    slow, silent, begun = (web.Raw(site.web, timeout=120) for _ in range(3))
    begun.send(b"GET / HTT")
    slow.send(b"GET /healthz HTTP/1.1\r\n")
    began = time.monotonic()
    while time.monotonic() < began + 5:  # a byte now and then wins no time
        slow.send(b"A: b\r\n")
        time.sleep(0.5)
    for raw in (slow, begun):
        assert raw.rest().startswith(b"HTTP/1.1 408 ")
    assert silent.rest() == b""
    assert time.monotonic() - began < 100


def test_F50_max_clients_over_http(hawser, service, ca):
    hawser.scaiwave(service, ca=ca)
    hawser.sections["listen web"] = {"path": hawser.runtime / "web.sock", "protocol": "http",
                                     "max_clients": 2}
    hawser.start()
    with web.Events(hawser.runtime / "web.sock") as one, web.Events(hawser.runtime / "web.sock") as two:
        assert one.status == two.status == 200
        with web.Raw(hawser.runtime / "web.sock") as third:
            assert third.rest().startswith(b"HTTP/1.1 503 ")


def resident(hawser):
    with open(f"/proc/{hawser.process.pid}/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_F50_large_answers_that_nobody_reads(hawser):
    """Together they are bounded, whoever asks; what is small is answered all the same."""
    for number in range(256):
        hawser.stream(f"s{number}", profile="generic", url="ws://127.0.0.1:1/" + "x" * 60)
    hawser.sections["listen web"] = {"path": hawser.runtime / "web.sock", "protocol": "http"}
    hawser.start()
    where = hawser.runtime / "web.sock"
    length = len(web.ask(where, "/metrics")[2])
    before = resident(hawser)
    peers = []
    refused = 0
    while not refused and len(peers) < 900:
        raw = web.Raw(where)
        peers.append(raw)
        raw.send(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
        refused = b" 503 " in raw.until(b"\r\n")
    assert refused, len(peers)
    assert len(peers) * length > 50_000_000
    assert resident(hawser) - before < 400_000_000
    assert web.ask(where, "/healthz")[0] == 200
    for raw in peers:
        raw.socket.close()
    wait_until(lambda: web.ask(where, "/metrics")[0] == 200, "room again")


def test_F50_garbage_over_http(site, service):
    for path in (site.web, site.tcp):
        for size in (1, 100, 100_000):
            with web.Raw(path) as raw:
                try:
                    raw.send(os.urandom(size))
                    raw.socket.shutdown(socket.SHUT_WR)
                    raw.rest()
                except OSError:
                    pass
    assert web.ask(site.web, "/healthz")[0] == 200


def test_names_in_the_query_are_decoded(site, service):
    service.publish(1)
    query = urllib.parse.urlencode({"from": "0", "stream": "ch?t", "type": "swp.*"})
    with web.Events(site.web, "?" + query) as events:
        assert first_event(events)["seq"] == 1
