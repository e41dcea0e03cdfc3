"""Compression on the wire (RFC 7692): with python3-websockets, with nginx, and with zlib alone."""

import asyncio
import json
import threading
import zlib

import pytest
import websockets
from hawser_test import nginx
from hawser_test.hawserd import wait_until
from hawser_test.raw import RawServer, frame
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

PROFILE = """
[profile]
title = Echo
params = url
[connect]
url = ${url|raw}
max_message = 64K
[on message]
match = /n exists
do = event, send answer
[send answer]
text = {"got":${/n},"text":"${/text}"}
"""
WORDS = ["price", "volume", "é", "order", "0.0001", "ß🎈"]


@pytest.fixture
def echo(hawser, tmp_path):
    """A stream whose every message is answered with its number and its text."""
    def configure(port, **settings):
        (tmp_path / "echo.ini").write_text(PROFILE)
        hawser.sections["daemon"]["profile_dir"] = tmp_path
        hawser.stream("echo", profile="echo", url=f"ws://127.0.0.1:{port}/", **settings)
        return hawser.start()

    return configure


def make_text(number):
    return " ".join(WORDS[(number * k) % len(WORDS)] for k in range(number % 7 * number))


class WebsocketsServer:
    """Sends `count` messages, some in fragments, and keeps what comes back."""

    def __init__(self, extension, count):
        self.extension, self.count = extension, count
        self.answers = []
        self.used = None
        self.port = None
        self.loop = asyncio.new_event_loop()
        self.stopped = self.loop.create_future()
        threading.Thread(target=self.loop.run_until_complete, args=(self.run(),), daemon=True).start()
        wait_until(lambda: self.port, "the server")

    async def run(self):
        async with websockets.serve(self.serve, "127.0.0.1", 0, compression=None,
                                    extensions=[self.extension]) as server:
            self.port = server.sockets[0].getsockname()[1]
            await self.stopped

    async def serve(self, link, *_):
        self.used = link.extensions
        for number in range(self.count):
            text = json.dumps({"n": number, "text": make_text(number)}, ensure_ascii=False)
            cut = len(text) // 3
            await link.send([text[:cut], "", text[cut:]] if number % 4 == 1 else text)
        async for answer in link:
            self.answers.append(json.loads(answer))

    def stop(self):
        self.loop.call_soon_threadsafe(self.stopped.set_result, None)


OFFERS = [
    {},
    {"server_no_context_takeover": True},
    {"client_no_context_takeover": True},
    {"server_no_context_takeover": True, "client_no_context_takeover": True},
    {"server_max_window_bits": 9},
    {"server_max_window_bits": 12, "server_no_context_takeover": True},
    {"server_max_window_bits": 15, "client_max_window_bits": 15},
    {"client_max_window_bits": 8},
    {"client_max_window_bits": 9},
    {"client_max_window_bits": 12, "client_no_context_takeover": True},
    {"server_max_window_bits": 10, "client_max_window_bits": 10,
     "server_no_context_takeover": True, "client_no_context_takeover": True},
]


@pytest.mark.parametrize("offer", OFFERS, ids=lambda offer: ",".join(offer) or "plain")
def test_F31_compressed_by_every_agreement(echo, offer):
    count = 60
    server = WebsocketsServer(ServerPerMessageDeflateFactory(**offer), count)
    hawser = echo(server.port)
    try:
        with hawser.consumer() as consumer:
            consumer.subscribe(**{"from": "oldest"})
            consumer.wait_events(count)
            assert [event["data"]["n"] for event in consumer.events] == list(range(count))
            assert all(event["data"]["text"] == make_text(n)
                       for n, event in enumerate(consumer.events))
        wait_until(lambda: len(server.answers) == count, "all answers")
        assert server.answers == [{"got": n, "text": make_text(n)} for n in range(count)]
        assert [extension.name for extension in server.used] == ["permessage-deflate"]
        assert hawser.status("echo")["deflate"] is True
    finally:
        server.stop()


def compressed(server, text, fin=True):
    data = server.compress(text) + server.flush(zlib.Z_SYNC_FLUSH)
    assert data.endswith(b"\0\0\xff\xff")
    return frame(1, data[:-4], fin=fin, rsv=4)


def raw_deflate():
    return zlib.compressobj(9, zlib.DEFLATED, -15)


def test_F31_what_we_send_is_compressed_where_it_pays(echo):
    seen = []

    def script(connection):
        head = connection.accept_websocket("Sec-WebSocket-Extensions: permessage-deflate\r\n")
        seen.append("permessage-deflate; client_no_context_takeover; client_max_window_bits" in head)
        server = raw_deflate()
        for text in ("x" * 500, "", "y" * 500):
            connection.send(compressed(server, json.dumps({"n": 1, "text": text}).encode()))
            opcode, payload = connection.frame()
            if connection.rsv == 4:  # each by itself, whatever was before it
                payload = zlib.decompressobj(-15).decompress(payload + b"\0\0\xff\xff")
            seen.append((connection.rsv, opcode, json.loads(payload)["text"]))
        connection.until_close()

    server = RawServer(script)
    echo(server.port)
    wait_until(lambda: len(seen) == 4, "the answers")
    assert seen == [True, (4, 1, "x" * 500), (0, 1, ""), (4, 1, "y" * 500)]
    server.stop()


def test_F31_deflate_no(echo):
    heads = []

    def script(connection):
        heads.append(connection.accept_websocket())
        connection.send(frame(1, b'{"n":1,"text":"' + b"x" * 500 + b'"}'))
        connection.send(frame(1, b"{}", rsv=4))
        heads.append(connection.frame())
        heads.append(connection.rsv)
        heads.append(connection.until_close())

    server = RawServer(script)
    hawser = echo(server.port, deflate="no", backoff__steps="1h")
    wait_until(lambda: len(heads) == 4, "a close frame")
    assert "Sec-WebSocket-Extensions" not in heads[0]
    assert heads[2] == 0 and heads[3] == 1002
    hawser.wait_status(lambda status: "reserved bits" in status.get("reason", ""), "the reason",
                       stream="echo")
    server.stop()


@pytest.mark.parametrize("answer, says", [
    ("permessage-deflate; server_max_window_bits=16", "where 8 to 15 is legal"),
    ("permessage-deflate, permessage-deflate", "an extension twice"),
    ("x-webkit-deflate-frame", "not asked for: x-webkit-deflate-frame"),
    ("permessage-deflate; client_max_window_bits", "needs one: client_max_window_bits"),
])
def test_F04_an_answer_to_the_offer_that_is_not_legal(echo, answer, says):
    def script(connection):
        connection.accept_websocket(f"Sec-WebSocket-Extensions: {answer}\r\n")
        connection.take(1)

    server = RawServer(script)
    hawser = echo(server.port, backoff__steps="1h")
    hawser.wait_status(lambda status: says in status.get("reason", ""), says, stream="echo")
    server.stop()


def test_F31_a_message_that_does_not_inflate(echo):
    codes = []

    def script(connection):
        connection.accept_websocket("Sec-WebSocket-Extensions: permessage-deflate\r\n")
        connection.send(frame(1, b"\x06\x00", rsv=4))
        codes.append(connection.until_close())

    server = RawServer(script)
    hawser = echo(server.port, backoff__steps="1h")
    wait_until(lambda: codes, "a close frame")
    assert codes == [1007]
    hawser.wait_status(lambda status: "does not inflate" in status.get("reason", ""), "the reason",
                       stream="echo")
    server.stop()


def peak_kib(process):
    with open(f"/proc/{process.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))


def test_F33_a_bomb_is_thrown_away_and_the_link_stays(echo):
    """256 MB out of 256 KB. What comes after it refers to what was thrown away."""
    go = threading.Event()

    def script(connection):
        connection.accept_websocket("Sec-WebSocket-Extensions: permessage-deflate\r\n")
        server = raw_deflate()
        connection.send(compressed(server, b'{"n":1,"text":"before"}'))
        connection.frame()
        go.wait(60)
        end = b'{"n":2,"text":"' + bytes(range(97, 123)) * 20 + b'"}'
        connection.send(compressed(server, b"\0" * (256 << 20) + end))
        last = compressed(server, end)
        assert len(last) < 40
        connection.send(last)
        connection.until_close()

    server = RawServer(script)
    hawser = echo(server.port)
    with hawser.consumer() as consumer:
        consumer.subscribe(**{"from": "oldest"})
        consumer.wait_events(1)
        before = peak_kib(hawser.process)
        go.set()
        consumer.wait_events(2)
        assert consumer.wait_gap("oversize")["detail"].count("max_message") == 2
        assert [event["data"]["n"] for event in consumer.events] == [1, 2]
        assert peak_kib(hawser.process) < before + 8 * 1024
    assert hawser.status("echo")["links"] == 1
    server.stop()


@pytest.mark.skipif(not nginx.available(), reason="nginx with nchan is not installed")
def test_F31_nginx_compresses(hawser, ca):
    server = nginx.Nginx(ca.localhost, "nchan_deflate_message_for_websocket on;")
    try:
        hawser.stream("builds", profile="nchan", host=f"localhost:{server.port}",
                      path="sub/builds", tls_ca=ca.cert)
        hawser.start().wait_state("live", stream="builds")
        assert hawser.status("builds")["deflate"] is True
        with hawser.consumer() as consumer:
            consumer.subscribe(**{"from": "oldest"})
            server.publish("builds", [json.dumps({"n": n, "text": make_text(n)}) for n in range(60)])
            consumer.wait_events(60)
            assert [event["data"]["text"] for event in consumer.events] == [make_text(n)
                                                                            for n in range(60)]
    finally:
        server.close()
