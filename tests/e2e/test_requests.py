"""hawser's HTTP client against servers that were not written here: nginx, http.server, aiohttp."""

import asyncio
import http.server
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pytest
from aiohttp import web

from hawser_test.hawserd import BUILD
from hawser_test.nginx import PROGRAM, free_ports

FETCH = BUILD / "tests/tools/fetch"


def fetch(*arguments, status=0):
    result = subprocess.run([FETCH, *map(str, arguments)], capture_output=True, text=True,
                            timeout=60)
    assert result.returncode == status, result.stdout + result.stderr
    return result.stdout.splitlines()


def statuses(lines):
    return [line.split()[0] for line in lines]


class Web:
    """An nginx that serves files, and writes down which connection each request came by."""

    def __init__(self, server, certificate=None):
        self.directory = Path(tempfile.mkdtemp(prefix="hawser-web-"))
        self.directory.chmod(0o755)
        (self.directory / "files").mkdir()
        temp = "".join(f"{kind}_temp_path {self.directory}/{kind};\n"
                       for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        tls = (f"ssl_certificate {certificate.cert}; ssl_certificate_key {certificate.key};"
               if certificate else "")
        for _ in range(5):
            (self.port,) = free_ports(1)
            (self.directory / "nginx.conf").write_text(f"""
daemon off;
{"user root;" if os.geteuid() == 0 else ""}
worker_processes 1;
pid {self.directory}/pid;
error_log {self.directory}/error.log notice;
events {{ worker_connections 64; }}
http {{
    {temp}
    log_format short '$connection $status $sent_http_content_encoding $body_bytes_sent';
    access_log {self.directory}/access.log short;
    server {{
        listen 127.0.0.1:{self.port} {"ssl" if certificate else ""};
        {tls}
        root {self.directory}/files;
        {server}
    }}
}}
""")
            self.process = subprocess.Popen(
                [PROGRAM, "-p", self.directory, "-c", self.directory / "nginx.conf",
                 "-e", self.directory / "error.log"],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if self.listens():
                break
        else:
            raise RuntimeError((self.directory / "error.log").read_text())
        scheme, host = ("https", "localhost") if certificate else ("http", "127.0.0.1")
        self.url = f"{scheme}://{host}:{self.port}"

    def listens(self):
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return True
            except OSError:
                time.sleep(0.02)
        return False

    def file(self, name, data):
        (self.directory / "files" / name).write_bytes(data)

    def log(self, count):
        """The last `count` requests: connection, status, coding, bytes."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            lines = (self.directory / "access.log").read_text().splitlines()
            lines = [line.split() for line in lines if line.split()[1] != "000"]
            if len(lines) >= count:
                return lines[-count:]
            time.sleep(0.02)
        raise AssertionError(f"nginx has logged {len(lines)} of {count} requests")

    def connections(self, count):
        return len({line[0] for line in self.log(count)})

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)
        shutil.rmtree(self.directory)


@pytest.fixture
def nginx(request, ca):
    if not PROGRAM.exists():
        pytest.skip("nginx is not installed")
    marker = request.node.get_closest_marker("nginx")
    server = Web(*(marker.args if marker else [""]),
                 certificate=ca.localhost if marker and marker.kwargs.get("tls") else None)
    yield server
    server.close()


def json_text(size, seed=1):
    generator = random.Random(seed)
    words = ["alpha", "beta", "gamma", "delta", "epsilon"]
    text = "".join('{"word":"%s","n":%d}\n' % (generator.choice(words), generator.getrandbits(20))
                   for _ in range(size // 25))
    return text.encode()


GZIP = "gzip on; gzip_types text/plain application/octet-stream; gzip_min_length 1;"


@pytest.mark.nginx(GZIP)
def test_nginx_gzip_over_one_connection(nginx):
    data = json_text(2_000_000)
    nginx.file("a.txt", data)
    lines = fetch(*[nginx.url + "/a.txt"] * 5)
    whole = fetch("--stream", *[nginx.url + "/a.txt"] * 5)
    assert len(set(lines)) == 1 and lines == whole
    assert int(lines[0].split()[1]) == len(data)
    log = nginx.log(10)
    assert {line[2] for line in log} == {"gzip"} and int(log[0][3]) < len(data) / 2
    assert nginx.connections(10) == 2  # one a run


@pytest.mark.nginx(GZIP, tls=True)
def test_nginx_over_tls(nginx, ca):
    nginx.file("a.txt", json_text(300_000))
    lines = fetch("--ca", ca.cert, *[nginx.url + "/a.txt"] * 4)
    assert len(set(lines)) == 1 and statuses(lines) == ["200"] * 4
    assert nginx.connections(4) == 1


@pytest.mark.nginx("keepalive_requests 3;")
def test_nginx_gives_up_after_so_many_requests(nginx):
    nginx.file("a.txt", b"hello")
    lines = fetch(*[nginx.url + "/a.txt"] * 8)
    assert statuses(lines) == ["200"] * 8
    assert [line.split()[3] for line in lines] == ["1", "1", "0"] * 2 + ["1", "1"]
    assert nginx.connections(8) == 3


@pytest.mark.nginx("keepalive_timeout 1s 1s;")
def test_nginx_says_how_long_it_waits(nginx):
    nginx.file("a.txt", b"hello")
    lines = fetch("--wait-ms", 700, *[nginx.url + "/a.txt"] * 3)
    assert statuses(lines) == ["200"] * 3
    assert nginx.connections(3) == 3  # we had left before it would


@pytest.mark.nginx("keepalive_timeout 100ms;")
def test_nginx_hangs_up_without_a_word(nginx):
    """At, before and after the moment at which it hangs up: whatever happens, all is answered."""
    nginx.file("a.txt", b"hello")
    for wait in (0, 90, 98, 100, 102, 110, 300):
        lines = fetch("--wait-ms", wait, *[nginx.url + "/a.txt"] * 5)
        assert statuses(lines) == ["200"] * 5


@pytest.mark.nginx("error_page 404 /none; location = /none { return 404 'no such thing'; }")
def test_nginx_errors_heads_and_nothing(nginx):
    nginx.file("a.txt", b"hello")
    nginx.file("empty", b"")
    lines = fetch(*[nginx.url + path for path in ("/nothing", "/a.txt", "/empty", "/nothing")])
    assert statuses(lines) == ["404", "200", "200", "404"]
    assert [line.split()[1] for line in lines] == ["13", "5", "0", "13"]
    lines = fetch("--method", "HEAD", *[nginx.url + "/a.txt"] * 3)
    assert statuses(lines) == ["200"] * 3 and lines[0].split()[1] == "0"
    assert nginx.connections(7) == 2
    assert statuses(fetch("--method", "POST", "--body", "x", *[nginx.url + "/a.txt"] * 2)) == [
        "405"] * 2


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1"])
def test_http_server(version, tmp_path):
    (tmp_path / "a.txt").write_bytes(json_text(100_000))
    connections = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        protocol_version = version

        def __init__(self, *arguments):
            connections.append(1)
            super().__init__(*arguments, directory=tmp_path)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/a.txt"
        lines = fetch(*[url] * 4)
        assert statuses(lines) == ["200"] * 4
        assert lines[0].split()[1] == str((tmp_path / "a.txt").stat().st_size)
        assert len(connections) == (1 if version == "HTTP/1.1" else 4)
        connections.clear()
        assert statuses(fetch("--no-pool", *[url] * 3)) == ["200"] * 3
        assert len(connections) == 3
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Aio:
    """An aiohttp application on a thread of its own."""

    def __init__(self, routes, **options):
        self.peers = []
        self.application = web.Application(middlewares=[self.count])
        self.application.add_routes(routes)
        self.options = options
        self.started = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self.main()))
        self.thread.start()
        self.started.wait(20)

    @web.middleware
    async def count(self, request, handler):
        self.peers.append(request.transport.get_extra_info("peername"))
        return await handler(request)

    async def main(self):
        self.loop, self.over = asyncio.get_running_loop(), asyncio.Event()
        runner = web.AppRunner(self.application, **self.options)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, shutdown_timeout=1)
        await site.start()
        self.url = "http://127.0.0.1:%d" % site._server.sockets[0].getsockname()[1]
        self.started.set()
        await self.over.wait()
        await runner.cleanup()

    def close(self):
        self.loop.call_soon_threadsafe(self.over.set)
        self.thread.join(20)


def test_aiohttp_streams_with_gzip():
    """Server-sent events, compressed, and each flushed."""
    events = 20

    async def stream(request):
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        response.enable_chunked_encoding()
        response.enable_compression(web.ContentCoding.gzip)
        await response.prepare(request)
        for n in range(events):
            await response.write(b"data: %d\n\n" % n)
            await asyncio.sleep(0.005)
        await response.write_eof()
        return response

    server = Aio([web.get("/events", stream)])
    try:
        lines = fetch("--stream", *[server.url + "/events"] * 2)
        assert statuses(lines) == ["200", "200"]
        text = sum(len(b"data: %d\n\n" % n) for n in range(events))
        assert [line.split()[1] for line in lines] == [str(text)] * 2
        assert len(server.peers) == 2 and len(set(server.peers)) == 1
    finally:
        server.close()


def test_aiohttp_whole_answers():
    body = json_text(500_000)

    async def answer(request):
        await request.read()
        response = web.Response(body=body)
        response.enable_compression(web.ContentCoding.gzip)
        return response

    async def brotli(request):
        return web.Response(body=b"x", headers={"Content-Encoding": "br"})

    async def nothing(request):
        return web.Response(status=204)

    server = Aio([web.route("*", "/a", answer), web.get("/br", brotli), web.get("/204", nothing)],
                 keepalive_timeout=0.3)
    try:
        lines = fetch(*[server.url + path for path in ("/a", "/204", "/a")])
        assert statuses(lines) == ["200", "204", "200"] and lines[0] == lines[2]
        assert lines[0].split()[1] == str(len(body))
        assert len(set(server.peers)) == 1
        assert statuses(fetch("--method", "POST", "--body", "{}", *[server.url + "/a"] * 3)) == [
            "200"] * 3
        assert len(set(server.peers)) == 2
        for wait in (290, 300, 310):
            assert statuses(fetch("--wait-ms", wait, *[server.url + "/204"] * 4)) == ["204"] * 4
        (line,) = fetch(server.url + "/br", status=1)
        assert 'Content-Encoding "br", where only gzip was asked for' in line
    finally:
        server.close()
