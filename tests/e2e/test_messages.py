"""Messages that are not as they should be: said, counted, and never the end of the stream."""

import pytest
from hawser_test.consumer import assert_same, settled
from hawser_test.hawserd import wait_until
from hawser_test.raw import RawServer, close_frame, frame


@pytest.mark.parametrize("text", [
    '{"type":"swp.room.message","id":"evt-x"', "not JSON at all", '{"a":01}', "[1,2", "\ufeff{}",
    '{"a":"\t"}',
])
def test_F34_text_that_is_not_json(chat, service, text):
    with chat.consumer() as consumer:
        consumer.subscribe()
        first = settled(chat, service, consumer)
        service.raw(text=text)
        last = service.publish(1)
        consumer.wait_events(3)
        assert consumer.events[1]["text"] == text
        assert_same(consumer.ids(), first.ids + last.ids)
        consumer.wait_gap("malformed")
    assert chat.status("chat")["malformed"] == 1
    assert len(service.stats()["links"]) == 1


@pytest.mark.parametrize("text", ["[]", "7", '"text"', "null", "{}", "[{}]", '{"id":{}}'])
def test_F34_json_of_another_shape(chat, service, text):
    with chat.consumer() as consumer:
        consumer.subscribe()
        first = service.publish(1)
        service.raw(text=text)
        last = service.publish(1)
        consumer.wait_id(last.ids[0])
        assert_same(consumer.ids(), first.ids + last.ids)
    assert len(service.stats()["links"]) == 1


def test_F34_fields_of_another_type(chat, service):
    with chat.consumer() as consumer:
        consumer.subscribe()
        for text in ('{"type":7,"id":8,"stream_position":"x"}',
                     '{"type":"a","id":"\\ud800"}',
                     '{"type":"a","id":"ok-1","stream_position":-1}',
                     '{"type":"a","id":"' + "i" * 5000 + '","stream_position":1}',
                     '{"type":"' + "t" * 5000 + '","id":"ok-2","stream_position":2}',
                     '{"type":"a","id":"ok-3","stream_position":' + "9" * 600 + "}",
                     '{"type":null,"id":null,"stream_position":null}'):
            service.raw(text=text)
        last = service.publish(1)
        consumer.wait_id(last.ids[0])
    assert len(service.stats()["links"]) == 1


def test_F35_binary_is_base64(chat, service):
    with chat.consumer() as consumer:
        consumer.subscribe()
        settled(chat, service, consumer)
        service.raw(binary="00ff10")
        last = service.publish(1)
        consumer.wait_id(last.ids[0])
        assert consumer.events[1]["base64"] == "AP8Q"


def test_F33_message_over_the_limit(hawser, service, ca):
    hawser.scaiwave(service, ca=ca, start="oldest", connect__max_message="4K")
    hawser.start().wait_state("live")
    with hawser.consumer() as consumer:
        consumer.subscribe()
        first = settled(hawser, service, consumer)
        service.publish(1, size=100_000)
        last = service.publish(1)
        consumer.wait_events(2)
        gap = consumer.wait_gap("oversize")
        assert "max_message" in gap["detail"]
        assert_same(consumer.ids(), first.ids + last.ids)
    assert len(service.stats()["links"]) == 1


def test_F33_at_the_limit_and_one_past_it(hawser):
    def script(connection):
        connection.accept_websocket()
        for size in (4096, 4097):
            text = b'{"n":%d,"x":"' % size
            connection.send(frame(1, text + b"y" * (size - len(text) - 2) + b'"}'))
        connection.send(frame(1, b'{"n":0}'))
        connection.until_close()

    with_server(hawser, script, connect__max_message="4096")
    with hawser.consumer() as consumer:
        consumer.subscribe(**{"from": "oldest"})
        consumer.wait_events(2)
        consumer.wait_gap("oversize")
        assert [event["data"]["n"] for event in consumer.events] == [4096, 0]


def test_F33_fragments_over_the_limit(hawser):
    def script(connection):
        connection.accept_websocket()
        connection.send(frame(1, b"x" * 3000, fin=False))
        for _ in range(50):
            connection.send(frame(0, b"x" * 3000, fin=False))
            connection.send(frame(9, b"ping"))
        connection.send(frame(0, b"x"))
        connection.send(frame(1, b'{"n":1}'))
        connection.until_close()

    with_server(hawser, script, connect__max_message="4096")
    with hawser.consumer() as consumer:
        consumer.subscribe(**{"from": "oldest"})
        consumer.wait_events(1)
        consumer.wait_gap("oversize")
        consumer.drain(0.2)
        assert len([gap for gap in consumer.gaps if gap["reason"] == "oversize"]) == 1
        assert consumer.events[0]["data"] == {"n": 1}


def with_server(hawser, script, **settings):
    server = RawServer(script)
    hawser.stream("raw", profile="generic", url=f"ws://127.0.0.1:{server.port}/", **settings)
    hawser.start()
    return server


def code_for(hawser, *frames):
    """The close code with which hawserd answers these frames."""
    codes = []

    def script(connection):
        connection.accept_websocket()
        for data in frames:
            connection.send(data)
        codes.append(connection.until_close())

    server = with_server(hawser, script)
    try:
        hawser.wait_state("waiting", "held", "parked", stream="raw")
        # The script's thread may be a moment behind.
        wait_until(lambda: codes, "a close frame")
        return codes[0]
    finally:
        server.stop()


BAD_FRAMES = {
    "reserved bit": frame(1, b"{}", rsv=4),
    "reserved bit 2": frame(1, b"{}", rsv=2),
    "unknown data opcode": frame(3, b"{}"),
    "unknown control opcode": frame(11, b""),
    "masked by the server": frame(1, b"{}", mask=b"abcd"),
    "fragmented ping": frame(9, b"x", fin=False),
    "ping of 126 bytes": frame(9, b"x" * 126),
    "continuation of nothing": frame(0, b"x"),
    "text within a message": frame(1, b"x", fin=False) + frame(1, b"y"),
    "close of one byte": frame(8, b"x"),
    "close code 1005": close_frame(1005),
    "close code 999": close_frame(999),
    "length not minimal": bytes([0x81, 126, 0, 2]) + b"{}",
    "length with the top bit": bytes([0x81, 127, 0x80, 0, 0, 0, 0, 0, 0, 1]),
}


@pytest.mark.parametrize("name", BAD_FRAMES)
def test_F31_frames_that_break_the_protocol(hawser, name):
    assert code_for(hawser, BAD_FRAMES[name]) == 1002


BAD_TEXTS = {
    "stray byte": frame(1, b'{"a":"\xff"}'),
    "overlong": frame(1, b'"\xc0\xaf"'),
    "surrogate": frame(1, b'"\xed\xa0\x80"'),
    "cut short": frame(1, b'"\xe2\x82'),
    "across fragments": frame(1, b'"\xe2', fin=False) + frame(0, b'\x28"'),
    "close reason": close_frame(1000, b"\xff\xfe"),
}


@pytest.mark.parametrize("name", BAD_TEXTS)
def test_F32_text_that_is_not_utf8(hawser, name):
    assert code_for(hawser, BAD_TEXTS[name]) == 1007


def test_F32_character_across_fragments_is_fine(hawser):
    def script(connection):
        connection.accept_websocket()
        text = '{"a":"€"}'.encode()
        for i, byte in enumerate(text):
            connection.send(frame(1 if i == 0 else 0, bytes([byte]), fin=i == len(text) - 1))
        connection.until_close()

    server = with_server(hawser, script)
    with hawser.consumer() as consumer:
        consumer.subscribe(**{"from": "oldest"})
        assert consumer.wait_events(1)[0]["data"] == {"a": "€"}
    server.stop()


def test_one_byte_at_a_time(hawser):
    """Handshake, frames, pings: split anywhere."""
    def script(connection):
        send = connection.send

        def slowly(data):
            for i in range(len(data)):
                send(data[i : i + 1])

        connection.send = slowly
        connection.accept_websocket()
        slowly(frame(9, b"are you there") + frame(1, b'{"n":1}') + frame(1, b'{"n":"' + b"x" * 300 + b'"}'))
        opcode, payload = connection.frame()
        slowly(frame(1, b'{"n":%d,"p":"%s"}' % (opcode, payload)))
        connection.until_close()

    server = with_server(hawser, script)
    with hawser.consumer() as consumer:
        consumer.subscribe(**{"from": "oldest"})
        consumer.wait_events(3)
        assert consumer.events[2]["data"] == {"n": 10, "p": "are you there"}
    server.stop()


def test_generic_says_what_it_cannot_fetch(hawser):
    def script(connection):
        connection.accept_websocket()
        connection.send(frame(1, b"plain text"))
        connection.send(close_frame(1011))

    server = with_server(hawser, script)
    with hawser.consumer() as consumer:
        consumer.subscribe(**{"from": "oldest"})
        consumer.wait_gap("no_resume")
        assert consumer.events[0]["text"] == "plain text"
    server.stop()


def test_F34_text_as_long_as_a_message_may_be(chat, service):
    """No JSON, and each byte of it needs six in an event's line: still within max_message."""
    with chat.consumer() as consumer:
        consumer.subscribe()
        text = "\x01" * ((1 << 20) - 1)
        service.raw(text=text)
        consumer.wait_events(1)
        assert consumer.events[0]["text"] == text
        assert consumer.wait_gap("malformed")
        assert [gap["reason"] for gap in consumer.gaps] == ["malformed"]


def test_F34_F59_a_flood_of_malformed_messages_does_not_fill_the_log(chat, service):
    with chat.consumer() as consumer:
        consumer.subscribe()
        for _ in range(300):
            service.raw(text="{broken")
        consumer.wait_events(300)
        consumer.wait(lambda: len(consumer.gaps) == 300, "300 gaps")
    assert chat.log().count("gap malformed") < 30
