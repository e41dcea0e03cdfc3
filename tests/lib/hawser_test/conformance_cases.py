"""The cases without compression, by class: what an echoing client must do (RFC 6455)."""

import asyncio
import struct

from hawser_test.conformance import BINARY, CLOSE, PING, PONG, TEXT, Failed, Informational
from hawser_test.raw import close_frame, frame

MIB = 1 << 20
SHORT_WHILE = 0.5  # for what must not come


def case(script, *arguments, **named):
    return lambda peer: script(peer, *arguments, **named)


def pieces(data, size):
    """The data as one message in fragments of that size."""
    return lambda opcode: [frame(opcode if at == 0 else 0, data[at : at + size], fin=at + size >= len(data))
                           for at in range(0, max(len(data), 1), size)]


# ---- 1: framing ----

async def echo(peer, opcode, payload, chop=None):
    await peer.echoes(opcode, payload, chop)
    await peer.close()


def framing():
    cases = {}
    for kind, opcode, byte in (("text", TEXT, b"*"), ("binary", BINARY, b"\xfe")):
        for size in (0, 1, 125, 126, 127, 128, 65535, 65536):
            cases[f"{kind} of {size}"] = case(echo, opcode, byte * size)
        cases[f"{kind} of 65536 in chops of 997"] = case(echo, opcode, byte * 65536, chop=997)
        cases[f"{kind} of 300 in chops of 1"] = case(echo, opcode, byte * 300, chop=1)
    return cases


# ---- 2: pings and pongs ----

async def ping(peer, *payloads, chop=None):
    await peer.send(b"".join(frame(PING, payload) for payload in payloads), chop=chop)
    await peer.expect(*((PONG, payload) for payload in payloads))
    await peer.close()


async def bad(peer, code, *frames, chop=None, first=()):
    """Breaks the protocol; what came before must be answered, or may be with first=..."""
    await peer.send(*frames, chop=chop)
    await peer.fails(code, ignored=first)


async def pong_of_nothing(peer, *frames, pongs=()):
    await peer.send(*frames)
    await peer.expect(*((PONG, payload) for payload in pongs))
    await peer.echoes(TEXT, b"still there")
    await peer.close()


def pings():
    many = [b"payload-%d" % i for i in range(10)]
    return {
        "empty": case(ping, b""),
        "with text": case(ping, b"Hello, world!"),
        "with bytes": case(ping, b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff"),
        "of 125": case(ping, b"\xfe" * 125),
        "of 125 in chops of 1": case(ping, b"\xfe" * 125, chop=1),
        "of 126": case(bad, 1002, frame(PING, b"\xfe" * 126)),
        "ten": case(ping, *many),
        "ten in chops of 1": case(ping, *many, chop=1),
        "pong unasked": case(pong_of_nothing, frame(PONG)),
        "pong unasked with text": case(pong_of_nothing, frame(PONG, b"unasked")),
        "pong unasked, then ping": case(pong_of_nothing, frame(PONG, b"unasked"), frame(PING, b"asked"),
                                        pongs=[b"asked"]),
    }


# ---- 3, 4: reserved bits and opcodes ----

def spoiled(*spoiling):
    """After a good message, and alone; followed by a ping that is not to be answered."""
    hello = frame(TEXT, b"Hello")
    echoed = [(TEXT, b"Hello")]
    for how, chopped in (("", False), (", in chops", True)):
        for what, data in spoiling:
            chop = 1 + len(data) // 100 if chopped else None
            yield what + how, case(bad, 1002, data, frame(PING), chop=chop)
            yield f"{what} after a message{how}", case(bad, 1002, hello + data + frame(PING), chop=chop,
                                                       first=echoed)


def reserved_bits():
    kinds = {"text": TEXT, "binary": BINARY, "close": CLOSE, "ping": PING, "pong": PONG}
    data = [(f"bits {rsv} in a {kind}", frame(opcode, b"\x03\xe8", rsv=rsv))
            for rsv in range(1, 8) for kind, opcode in kinds.items()]
    data += [(f"bits {rsv} in a continuation", frame(TEXT, b"a", fin=False) + frame(0, b"b", rsv=rsv))
             for rsv in range(1, 8)]
    return dict(spoiled(*data))


def opcodes():
    data = [(f"opcode {opcode} of {len(payload)}", frame(opcode, payload))
            for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15) for payload in (b"", b"payload")]
    data += [("masked", frame(TEXT, b"text", mask=b"abcd")),
             ("masked with zeros", frame(TEXT, b"text", mask=b"\0\0\0\0")),
             ("masked ping", frame(PING, b"", mask=b"abcd")),
             ("length of 2 in 16 bits", bytes([0x81, 126, 0, 2]) + b"ab"),
             ("length of 125 in 16 bits", bytes([0x81, 126, 0, 125]) + b"a" * 125),
             ("length of 65535 in 64 bits", bytes([0x81, 127]) + struct.pack(">Q", 65535) + b"a" * 65535),
             ("length with the top bit", bytes([0x81, 127, 0x80, 0, 0, 0, 0, 0, 0, 1])),
             ("ping with a length in 16 bits", bytes([0x89, 126, 0, 2]) + b"ab")]
    return dict(spoiled(*data))


# ---- 5: fragmentation ----

async def fragments(peer, *frames, answers, chop=None):
    await peer.send(*frames, chop=chop)
    await peer.expect(*answers)
    await peer.close()


def fragmentation():
    first, last = frame(TEXT, b"fragment1", fin=False), frame(0, b"fragment2")
    middle = frame(0, b"-", fin=False)
    whole = (TEXT, b"fragment1fragment2")
    ping_pong = (PONG, b"between")
    asked = frame(PING, b"between")
    cases = {
        "ping": case(bad, 1002, frame(PING, b"a", fin=False), frame(0, b"b")),
        "pong": case(bad, 1002, frame(PONG, b"a", fin=False), frame(0, b"b")),
        "close": case(bad, 1002, frame(CLOSE, b"\x03", fin=False), frame(0, b"\xe8")),
        "continuation of nothing": case(bad, 1002, frame(0, b"x"), frame(TEXT, b"Hello")),
        "open continuation of nothing": case(bad, 1002, frame(0, b"x", fin=False), frame(TEXT, b"Hello")),
        "continuation after a whole message": case(bad, 1002, frame(TEXT, b"a") + frame(0, b"x"),
                                                   first=[(TEXT, b"a")]),
        "continuation after the last": case(bad, 1002, first, last, frame(0, b"x"), first=[whole]),
        "text within a message": case(bad, 1002, first, frame(TEXT, b"x")),
        "binary within a message": case(bad, 1002, first, frame(BINARY, b"x", fin=False)),
        "ping within, nothing more": case(pong_then_close, first + asked),
        "empty text of three": case(fragments, frame(TEXT, fin=False), frame(0, fin=False), frame(0),
                                    answers=[(TEXT, b"")]),
        "empty ends": case(fragments, frame(TEXT, fin=False), frame(0, b"middle", fin=False), frame(0),
                           answers=[(TEXT, b"middle")]),
        "binary": case(fragments, frame(BINARY, b"\xff", fin=False), frame(0, b"\xfe"),
                       answers=[(BINARY, b"\xff\xfe")]),
    }
    for chop in (None, 1):
        how = "" if chop is None else " in chops of 1"
        cases["two" + how] = case(fragments, first + last, answers=[whole], chop=chop)
        cases["two, a ping between" + how] = case(fragments, first + asked + last,
                                                  answers=[ping_pong, whole], chop=chop)
        cases["five, pings between" + how] = case(
            fragments, first + middle + asked + middle + asked + middle + last,
            answers=[ping_pong, ping_pong, (TEXT, b"fragment1---fragment2")], chop=chop)
    return cases


async def pong_then_close(peer, data):
    await peer.send(data)
    await peer.expect((PONG, b"between"))
    await peer.close()


# ---- 6: UTF-8 ----

GREEK = "Hello-µ@ßöäüàá-UTF-8!!".encode()
VALID = ["", "κόσμε", "\0", "\x7f", "\u0080", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\ufffd",
         "\ufffe", "\uffff", "\U00010000", "\U0001ffff", "\U0010ffff", "\ufdd0", "a\u0300" * 50,
         "\U0001f600" * 1000]
# Markus Kuhn's stress test, and what RFC 3629 leaves out.
INVALID = [
    b"\x80", b"\xbf", b"\x80\xbf" * 3, bytes(range(0x80, 0xc0)),
    b"\xc0 \xc1 ", b"\xe0 \xe1 ", b"\xf0 \xf1 ", b"\xf8 \xf9 ", b"\xfc \xfd ",
    b"\xc0", b"\xe0\x80", b"\xf0\x80\x80", b"\xf8\x80\x80\x80", b"\xfc\x80\x80\x80\x80",
    b"\xdf", b"\xef\xbf", b"\xf7\xbf\xbf", b"\xfb\xbf\xbf\xbf", b"\xfd\xbf\xbf\xbf\xbf",
    b"\xfe", b"\xff", b"\xfe\xfe\xff\xff",
    b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\xf8\x80\x80\x80\xaf",
    b"\xc1\xbf", b"\xe0\x9f\xbf", b"\xf0\x8f\xbf\xbf", b"\xf8\x87\xbf\xbf\xbf",
    b"\xc0\x80", b"\xe0\x80\x80", b"\xf0\x80\x80\x80",
    b"\xed\xa0\x80", b"\xed\xad\xbf", b"\xed\xae\x80", b"\xed\xbf\xbf", b"\xed\xa0\x80\xed\xb0\x80",
    b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xf7\xbf\xbf\xbf", b"\xfb\xbf\xbf\xbf\xbf",
    GREEK + b"\xed\xa0\x80edited", b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80edited",
]


async def utf8(peer, payload):
    for size in (len(payload) or 1, 1):
        for chop in (None, 1):
            await peer.send(*pieces(payload, size)(TEXT), chop=chop)
            await peer.expect((TEXT, payload))
    await peer.close()


async def fails_fast(peer, *data):
    """What has come is bad, however much is still to come: the client does not wait for it."""
    for part in data:
        await peer.send(part)
        await asyncio.sleep(0.02)
    await peer.fails(1007)


def text_encoding():
    cases = {f"valid {payload[:8]!r}": case(utf8, payload.encode()) for payload in VALID}
    for payload in INVALID:
        shown = payload[-12:].hex()
        cases[f"invalid {shown}"] = case(bad, 1007, frame(TEXT, payload))
        cases[f"invalid {shown} in chops"] = case(bad, 1007, frame(TEXT, payload), chop=1)
        cases[f"invalid {shown} in fragments"] = case(bad, 1007, *pieces(payload, 1)(TEXT))
    stem = "κόσμε".encode()
    for what, good, wrong in (("a surrogate", b"", b"\xed\xa0"), ("past the end", b"", b"\xf4\x90"),
                              ("overlong", b"", b"\xe0\x80"), ("a stray byte", b"", b"\xbf")):
        cases[f"{what}: fragment"] = case(fails_fast, frame(TEXT, stem + good, fin=False),
                                          frame(0, wrong, fin=False))
        # A frame of 1000 bytes of which no more comes.
        header = bytes([0x81, 126]) + struct.pack(">H", 1000)
        cases[f"{what}: within a frame"] = case(fails_fast, header + stem, wrong)
    return cases


# ---- 7: closing ----

GOOD_CODES = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]
BAD_CODES = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999, 5000, 65535]


async def after_message(peer):
    await peer.echoes(TEXT, b"Hello World!")
    await peer.close()


async def nothing_after(peer, *frames):
    """Frames that come behind the close frame are not looked at."""
    await peer.send(close_frame(1000) + b"".join(frames))
    await peer.closed(1000)


async def within_a_message(peer):
    await peer.send(frame(TEXT, b"fragment1", fin=False), close_frame(1000), frame(0, b"fragment2"))
    await peer.closed(1000)


async def behind_a_long_message(peer):
    payload = b"x" * (256 * 1024)
    await peer.send(frame(TEXT, payload), close_frame(1000))
    opcode, got = await peer.message()
    if (opcode, got) == (TEXT, payload):
        await peer.closed(1000)
        raise Informational("the message before the close frame was echoed")
    if (opcode, got) != (CLOSE, struct.pack(">H", 1000)):
        raise Failed("neither the message nor the close")
    await peer.silence()
    raise Informational("the message before the close frame was not echoed")


async def closed_by_the_client(peer):
    """With --close-after 1: its close frame comes first, and ours answers."""
    await peer.send(frame(TEXT, b"one"), frame(TEXT, b"two"))
    await peer.expect((TEXT, b"one"))
    got = await peer.close_code()
    if got != 1000:
        raise Failed(f"close {got}")
    # Neither a message nor a ping gets an answer now.
    await peer.send(frame(TEXT, b"three"), frame(PING, b"too late"), close_frame(1000))
    await peer.silence()


def closing():
    cases = {
        "after a message": after_message,
        "empty": lambda peer: peer.close(None),
        "code without reason": lambda peer: peer.close(1000),
        "with a reason": lambda peer: peer.close(1000, b"Hello World!"),
        "reason of 123": lambda peer: peer.close(1000, b"*" * 123),
        "reason of 124": case(bad, 1002, close_frame(1000, b"*" * 124)),
        "half a code": case(bad, 1002, frame(CLOSE, b"\x03")),
        "reason that is not UTF-8": case(bad, 1007, close_frame(1000, GREEK + b"\xed\xa0\x80edited")),
        "reason cut in a character": case(bad, 1007, close_frame(1000, b"\xe2\x82")),
        "twice": case(nothing_after, close_frame(1000)),
        "ping after": case(nothing_after, frame(PING)),
        "text after": case(nothing_after, frame(TEXT, b"Hello World!")),
        "garbage after": case(nothing_after, b"\xff" * 100),
        "within a message": within_a_message,
        "behind a long message": behind_a_long_message,
    }
    for code in GOOD_CODES:
        cases[f"code {code}"] = lambda peer, code=code: peer.close(code)
        cases[f"code {code} with a reason"] = lambda peer, code=code: peer.close(code, b"because")
    for code in BAD_CODES:
        cases[f"bad code {code}"] = case(bad, 1002, close_frame(code))
        cases[f"bad code {code} with a reason"] = case(bad, 1002, close_frame(code, b"because"))
    return cases


# ---- 9: limits ----

def pattern(size):
    return (b"BAsd7&jh23" * (size // 10 + 1))[:size]


async def round_trips(peer, opcode, payload, count):
    for _ in range(count):
        await peer.echoes(opcode, payload)
    if len(set(peer.masks)) < len(peer.masks) - 2:
        raise Failed("masks that repeat")
    await peer.close()


async def flood(peer, payload, count):
    """Sends all before it reads anything: the client has to stop reading until there is room."""
    data = frame(BINARY, payload)
    sender = asyncio.ensure_future(peer.send(*[data] * count))
    await asyncio.sleep(SHORT_WHILE)
    for number in range(count):
        if await peer.message() != (BINARY, payload):
            raise Failed(f"message {number} is another")
    await sender
    await peer.close()


async def over_the_limit(peer):
    """One byte more than it takes: thrown away, and the link stays."""
    await peer.send(frame(BINARY, bytes(16 * MIB + 1)))
    await peer.echoes(TEXT, b"after it")
    await peer.close()


def limits():
    cases = {"a flood": case(flood, pattern(65536), 500),
             "a flood of long ones": case(flood, pattern(4 * MIB), 5),
             "over the limit": over_the_limit}
    for kind, opcode in (("text", TEXT), ("binary", BINARY)):
        for size in (65536, 262144, MIB, 4 * MIB, 8 * MIB, 16 * MIB):
            cases[f"{kind} of {size}"] = case(echo, opcode, pattern(size))
        for size in (64, 256, 1024, 4096, 16384, 65536, 262144, MIB, 4 * MIB):
            data = b"".join(pieces(pattern(4 * MIB), size)(opcode))
            cases[f"{kind} of 4 MiB in fragments of {size}"] = case(
                fragments, data, answers=[(opcode, pattern(4 * MIB))])
        for chop in (64, 128, 256, 512, 1024, 2048):
            cases[f"{kind} of 1 MiB in chops of {chop}"] = case(echo, opcode, pattern(MIB), chop=chop)
    cases["binary of 16 MiB in fragments of 64"] = case(
        fragments, b"".join(pieces(pattern(16 * MIB), 64)(BINARY)), answers=[(BINARY, pattern(16 * MIB))])
    cases["text of 16 MiB in chops of 64"] = case(echo, TEXT, pattern(16 * MIB), chop=64)
    return cases


def performance():
    return {f"1000 {kind} of {size}": case(round_trips, opcode, pattern(size), 1000)
            for kind, opcode in (("text", TEXT), ("binary", BINARY))
            for size in (0, 16, 64, 256, 1024, 4096)}


# ---- 10: the rest ----

async def ping_within_a_byte_stream(peer):
    """A long message in small frames with a ping behind each: answered while it is under way."""
    for number in range(100):
        await peer.send(frame(TEXT if number == 0 else 0, b"%02d" % number, fin=number == 99),
                        frame(PING, b"%d" % number))
        if number < 99:
            await peer.expect((PONG, b"%d" % number))
    got = {await peer.message(), await peer.message()}
    if got != {(TEXT, b"".join(b"%02d" % n for n in range(100))), (PONG, b"99")}:
        raise Failed(f"{got}")
    await peer.close()


def miscellaneous():
    return {"65536 in fragments of 1300": case(fragments, *pieces(pattern(65536), 1300)(TEXT),
                                               answers=[(TEXT, pattern(65536))]),
            "a ping behind each fragment": ping_within_a_byte_stream}


CLASSES = {"framing": framing, "pings": pings, "reserved bits": reserved_bits, "opcodes": opcodes,
           "fragmentation": fragmentation, "utf8": text_encoding, "closing": closing, "limits": limits,
           "performance": performance, "miscellaneous": miscellaneous}
