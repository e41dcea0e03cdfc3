"""Local programs that misbehave, are many, or are slow."""

import json
import os
import socket
import stat
import threading
import time

import pytest
from hawser_test.consumer import Closed, Consumer, assert_same
from hawser_test.hawserd import Hawserd, wait_until

LINE_MAX = 65536


def refused(consumer, line, code):
    consumer.send_raw(line)
    reply = consumer.reply()
    assert reply.get("error") == code, reply
    assert reply["detail"]
    return reply


def test_F50_bad_lines_cost_one_error_each(chat, service):
    with chat.consumer() as consumer:
        for line in (b"{\n", b"hello\n", b"\xff\xfe\n", b"{}{}\n", b'{"op":"ping",}\n', b"\0\n"):
            refused(consumer, line, "bad_json")
        for line in (b"[]\n", b"7\n", b"{}\n", b'{"op":7}\n', b'{"op":"subscribe","streams":"chat"}\n',
                     b'{"op":"subscribe","from":-1}\n', b'{"op":"subscribe","from":"yesterday"}\n',
                     b'{"op":"subscribe","types":[7]}\n', b'{"op":"subscribe","notices":"yes"}\n'):
            refused(consumer, line, "bad_request")
        reply = refused(consumer, b'{"op":"subscrbe","id":7}\n', "unknown_op")
        assert reply["id"] == 7
        assert "subscribe" in reply["detail"]
        reply = refused(consumer, b'{"op":"subscribe","steams":["chat"],"id":"x"}\n', "bad_request")
        assert reply["id"] == "x"
        assert "streams" in reply["detail"]
        refused(consumer, b'{"op":"subscribe","streams":["nope"]}\n', "unknown_stream")
        # The connection is as good as new.
        consumer.send_raw(b"\n\r\n")
        assert consumer.ask(op="ping", id="x y") == {"ok": "ping", "id": "x y"}
        consumer.subscribe()
        published = service.publish(3)
        consumer.wait_events(3)
        assert_same(consumer.ids(), published.ids)


def test_two_subscribes(chat):
    with chat.consumer() as consumer:
        consumer.subscribe()
        refused(consumer, b'{"op":"subscribe"}\n', "bad_request")


def test_control_needs_the_right(chat):
    with chat.consumer() as consumer:
        for op in ("pause", "resume", "reconnect"):
            refused(consumer, b'{"op":"%s","stream":"chat"}\n' % op.encode(), "forbidden")
    with chat.consumer(control=True) as control:
        refused(control, b'{"op":"pause","stream":"nope"}\n', "unknown_stream")


def test_control_is_for_the_streams_of_the_socket(hawser, service, ca):
    hawser.scaiwave(service, ca=ca)
    hawser.scaiwave(service, name="other", ca=ca)
    hawser.sections["listen events"].update(streams="chat", control=True)
    hawser.start().wait_state("live", stream="other")
    with hawser.consumer() as consumer:
        refused(consumer, b'{"op":"pause","stream":"other"}\n', "unknown_stream")
        assert consumer.ask(op="pause", stream="chat") == {"ok": "pause"}
    hawser.wait_state("paused")
    assert hawser.status("other")["state"] == "live"


def padded(length):
    """A ping request of exactly that many bytes, without its newline."""
    request = b'{"op":"ping"'
    return request + b" " * (length - len(request) - 1) + b"}"


def test_F50_line_at_the_limit_and_one_past_it(chat):
    with chat.consumer() as consumer:
        consumer.send_raw(padded(LINE_MAX) + b"\n")
        assert consumer.reply(10).get("ok") == "ping"
        consumer.send_raw(padded(LINE_MAX) + b"\r\n")
        assert consumer.reply(10).get("ok") == "ping"
        consumer.send_raw(padded(LINE_MAX) + b"\r")
        consumer.send_raw(b"\n" + padded(LINE_MAX + 1) + b"\r\n")
        assert consumer.reply(10).get("ok") == "ping"
        assert consumer.reply()["error"] == "too_long"
        with pytest.raises(Closed):
            consumer.line()
    with chat.consumer() as consumer:
        consumer.send_raw(padded(LINE_MAX) + b"\rx")
        assert consumer.reply()["error"] == "too_long"


def test_F50_line_without_an_end(chat):
    with chat.consumer() as consumer:
        with pytest.raises(OSError):
            for _ in range(1000):
                consumer.send_raw(b"x" * 65536)
        # What it was told may have been lost with the reset; others notice nothing.
    with chat.consumer() as other:
        assert other.ask(op="ping")["ok"] == "ping"


def test_F48_half_a_line_and_gone(chat, service):
    for _ in range(20):
        with chat.consumer() as consumer:
            consumer.send_raw(b'{"op":"subscr')
    with chat.consumer() as consumer:
        consumer.send_raw(b'{"op":"sub')
        assert service.publish(1)
        consumer.send_raw(b'scribe","from":"oldest"}\n')
        consumer.wait_events(1)


def test_requests_byte_by_byte_and_all_at_once(chat):
    with chat.consumer() as consumer:
        for byte in b'{"op":"ping","id":1}\n':
            consumer.send_raw(bytes([byte]))
        assert consumer.reply()["id"] == 1
        consumer.send_raw(b"".join(b'{"op":"ping","id":%d}\n' % i for i in range(500)))
        assert [consumer.reply()["id"] for _ in range(500)] == list(range(500))


def test_F50_more_requests_than_fit_at_once(chat):
    """Asked ahead without reading: the requests wait, and none goes without its answer."""
    with chat.consumer() as consumer:
        for op, count in (("status", 3000), ("ping", 40_000)):
            consumer.socket.settimeout(30)
            lines = b"".join(b'{"op":"%s","id":%d}\n' % (op.encode(), i) for i in range(count))
            sent = threading.Thread(target=consumer.socket.sendall, args=(lines,))
            sent.start()
            time.sleep(0.3)
            assert [consumer.reply()["id"] for _ in range(count)] == list(range(count))
            sent.join()


def test_replies_to_who_has_shut_down_its_side(chat):
    """As `echo ... | nc -U` does, and reads the answers slowly."""
    with chat.consumer() as consumer:
        consumer.send_raw(b'{"op":"status"}\n' * 2000)
        consumer.socket.shutdown(socket.SHUT_WR)
        time.sleep(0.3)
        assert all(consumer.reply()["ok"] == "status" for _ in range(2000))
        with pytest.raises(Closed):
            consumer.line()


def test_status_of_all_streams_there_may_be(hawser):
    for number in range(256):
        hawser.stream(f"s{number}", profile="generic", url="ws://127.0.0.1:1/" + "x" * 60)
    hawser.start()
    status = hawser.wait_status(lambda _: True, "it", stream="s255")
    assert status["stream"] == "s255"
    assert len(hawser.request(op="status")["streams"]) == 256


def test_closing_the_sending_side_is_not_the_end(chat, service):
    """As `echo ... | socat - UNIX-CONNECT:...` does."""
    with chat.consumer() as consumer:
        consumer.subscribe()
        consumer.socket.shutdown(socket.SHUT_WR)
        published = service.publish(5)
        consumer.wait_events(5)
        assert_same(consumer.ids(), published.ids)


def test_F50_flood_of_requests_without_reading(chat, service):
    flooder = chat.consumer()
    flooder.socket.settimeout(1)
    line = b'{"op":"status"}\n' * 1000
    with pytest.raises(OSError):  # full both ways, or closed: either is fine, memory is bounded
        for _ in range(500):
            flooder.send_raw(line)
    with chat.consumer() as consumer:
        consumer.subscribe()
        published = service.publish(100)
        consumer.wait_events(100)
        assert_same(consumer.ids(), published.ids)
    rss = resident(chat)
    assert rss < 1_500_000_000, rss
    flooder.close()


def resident(hawser):
    with open(f"/proc/{hawser.process.pid}/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_F50_a_hundred_clients(chat, service):
    consumers = [chat.consumer() for _ in range(100)]
    try:
        for consumer in consumers:
            consumer.subscribe()
        published = service.publish(200)
        for consumer in consumers:
            consumer.wait_events(200)
            assert_same(consumer.ids(), published.ids)
        assert all(consumer.seqs == consumers[0].seqs for consumer in consumers)
        for consumer in consumers[::2]:
            consumer.close()
        more = service.publish(10)
        for consumer in consumers[1::2]:
            consumer.wait_events(210)
            assert_same(consumer.ids()[200:], more.ids)
    finally:
        for consumer in consumers:
            consumer.close()


def test_F50_max_clients(hawser, service, ca):
    hawser.scaiwave(service, ca=ca, start="oldest")
    hawser.sections["listen events"]["max_clients"] = 3
    hawser.start()
    consumers = [hawser.consumer() for _ in range(3)]
    fourth = hawser.consumer()
    assert fourth.greeting["error"] == "too_many"
    with pytest.raises(Closed):
        fourth.line()
    consumers.pop().close()

    def fits():
        consumers.append(hawser.consumer())
        return "hawser" in consumers[-1].greeting

    wait_until(fits, "a place")
    for consumer in consumers:
        consumer.close()


def test_F50_F59_refusals_do_not_fill_the_log_and_the_gone_make_room(hawser, service, ca):
    hawser.scaiwave(service, ca=ca)
    hawser.sections["listen events"]["max_clients"] = 1
    hawser.start().wait_state("live")
    hawser.request(op="pause", stream="chat")
    hawser.wait_state("paused")
    only_listens = hawser.consumer()
    only_listens.subscribe()
    only_listens.socket.shutdown(socket.SHUT_WR)
    for _ in range(200):
        with hawser.consumer() as other:
            assert other.greeting["error"] == "too_many"
    assert hawser.log().count("max_clients") == 1
    only_listens.close()
    with hawser.consumer() as other:
        assert "hawser" in other.greeting


def test_F48_slow_consumer_gets_all_of_20000(chat, service):
    with chat.consumer() as slow, chat.consumer() as quick:
        slow.subscribe()
        quick.subscribe()
        published = service.publish(20_000, size=300)
        quick.wait_events(20_000, timeout=90)
        assert_same(quick.ids(), published.ids)
        # Only now does the slow one begin to read: from its pipe, the store, then the tail.
        more = service.publish(100)
        slow.wait_events(20_100, timeout=90)
        assert_same(slow.ids(), published.ids + more.ids)
        assert slow.seqs[:20_000] == quick.seqs
        assert slow.gaps == []


def test_slow_trickle_reader_in_order(chat, service):
    with chat.consumer() as slow:
        slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.subscribe(notices=False)
        published = service.publish(3000, size=1000)
        data = bytearray(slow.buffer)
        lines = 0
        slow.socket.settimeout(30)
        while lines < 3000:
            piece = slow.socket.recv(997)
            lines += piece.count(b"\n")
            data += piece
        ids = [json.loads(line)["id"] for line in bytes(data).split(b"\n")[:3000]]
        assert_same(ids, published.ids)


def test_F51_socket_mode(hawser, service, ca):
    hawser.scaiwave(service, ca=ca)
    hawser.sections["listen events"]["mode"] = "0600"
    hawser.sections["listen open"] = {"path": hawser.runtime / "open.sock", "mode": "0666"}
    hawser.start()
    modes = {name: stat.S_IMODE(os.stat(hawser.runtime / name).st_mode)
             for name in ("control.sock", "events.sock", "open.sock")}
    assert modes == {"control.sock": 0o600, "events.sock": 0o600, "open.sock": 0o666}


def test_F51_users_that_are_not_allowed(hawser, service, ca):
    if os.geteuid() != 0:
        pytest.skip("needs root, to be somebody else for a moment")
    hawser.scaiwave(service, ca=ca)
    hawser.sections["listen events"].update(mode="0666", allow_users="daemon")
    hawser.start()
    hawser.runtime.chmod(0o755)

    def greeting_as(uid):
        os.seteuid(uid)
        try:
            with Consumer(hawser.socket) as consumer:
                return consumer.greeting
        finally:
            os.seteuid(0)

    assert greeting_as(65534)["error"] == "forbidden"
    assert "hawser" in greeting_as(1)


def test_listener_shows_only_its_streams(hawser, service, ca):
    hawser.scaiwave(service, ca=ca, start="oldest")
    hawser.scaiwave(service, name="secret", ca=ca, start="oldest")
    hawser.sections["listen events"]["streams"] = "ch*"
    hawser.start().wait_state("live")
    hawser.wait_state("live", stream="secret")
    with hawser.consumer() as consumer:
        assert list(consumer.greeting["streams"]) == ["chat"]
        refused(consumer, b'{"op":"subscribe","streams":["secret"]}\n', "unknown_stream")
        status = consumer.ask(op="status")
        assert [entry["stream"] for entry in status["streams"]] == ["chat"]
        consumer.subscribe()
        service.publish(5)
        consumer.wait_events(5)
        consumer.drain(0.3)
        assert {event["stream"] for event in consumer.events} == {"chat"}


def test_socket_path_in_use_by_a_live_daemon(chat, service, ca):
    other = Hawserd(build=chat.build)
    try:
        other.scaiwave(service, ca=ca)
        other.sections["listen events"]["path"] = chat.socket
        other.write_config()
        status, _, errors = other.run("--config", other.config)
        assert status == 1
        assert str(chat.socket) in errors
        with chat.consumer() as consumer:
            assert consumer.ask(op="ping")["ok"] == "ping"
    finally:
        other.close()


def test_stale_socket_is_replaced(chat):
    chat.kill()
    assert chat.socket.exists()
    chat.start()
    with chat.consumer() as consumer:
        assert consumer.ask(op="ping")["ok"] == "ping"


def test_path_that_is_no_socket_is_left_alone(hawser, service, ca):
    hawser.scaiwave(service, ca=ca)
    precious = hawser.directory / "precious"
    precious.write_text("data")
    hawser.sections["listen events"]["path"] = precious
    hawser.write_config()
    status, _, errors = hawser.run("--config", hawser.config)
    assert status == 1
    assert str(precious) in errors
    assert precious.read_text() == "data"


def test_sockets_are_gone_after_a_clean_stop(chat):
    chat.stop()
    assert not chat.socket.exists()
    assert not chat.control.exists()


def test_bye_on_sigterm(chat):
    with chat.consumer() as subscribed, chat.consumer() as idle:
        subscribed.subscribe()
        started = time.monotonic()
        chat.stop()
        assert time.monotonic() - started < 5
        for consumer in (subscribed, idle):
            consumer.wait_close()
            assert consumer.notices[-1]["notice"] == "bye"


def test_stop_gives_readers_all_there_is_and_whole_lines(chat, service):
    """They lag behind by what the sockets hold and more when the stop comes."""
    readers = [chat.consumer() for _ in range(4)]
    published = service.publish(1)
    for reader in readers:
        reader.subscribe(**{"from": "oldest"})
        reader.wait_events(1)
    published.ids += service.publish(1000, size=900).ids
    chat.wait_status(lambda status: sum(status["stored"].values()) == 1001, "all events")
    stopping = threading.Thread(target=chat.stop)
    threads = [threading.Thread(target=reader.wait_close) for reader in readers]
    stopping.start()
    for thread in threads:
        thread.start()
    for thread in [*threads, stopping]:
        thread.join()
    for reader in readers:
        assert_same(reader.ids(), published.ids)
        assert reader.notices[-1]["notice"] == "bye"


def test_stop_waits_for_no_reader_that_does_not_read(chat, service):
    with chat.consumer() as sleeper:
        sleeper.subscribe()
        service.publish(3000, size=900)
        chat.wait_status(lambda status: sum(status["stored"].values()) == 3000, "all events")
        assert chat.stop() < 5
